"""What the API says of itself: OpenAPI, the document's JSON Schema and the catalogue."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from experiments.api.urls import urlpatterns

pytestmark = pytest.mark.django_db


def test_openapi_is_valid_and_warns_of_nothing(tmp_path):
    made = tmp_path / "openapi.json"
    options = {"validate": True, "fail_on_warn": True, "format": "openapi-json"}
    call_command("spectacular", file=str(made), **options)
    found = json.loads(made.read_text())
    described = {path.removeprefix("/api/v1/") for path in found["paths"]}
    assert len(described) == len(urlpatterns) - 2, "all but itself and nowhere"


def test_openapi_is_served(viewer):
    response = viewer.get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response.json()["openapi"].startswith("3.")


def test_the_document_schema_is_served(viewer, document):
    response = viewer.get("/api/v1/schema/experiment.json")
    schema = response.json()
    assert schema["title"] == "ChaosWeb experiment"
    assert "fake.abort" in schema["$defs"]["FaultAction"]["properties"]["fault"]["enum"]


def test_the_catalogue_holds_every_fault_with_its_schema(viewer):
    found = {row["kind"]: row for row in viewer.get("/api/v1/faults").json()}
    assert found["fake.wipe"]["undo"] == "none"
    assert "percentage" in found["fake.abort"]["schema"]["properties"]
    assert any(kind.startswith("envoy.") for kind in found)
