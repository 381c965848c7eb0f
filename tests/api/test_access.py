"""Who may do what: nobody without signing in, and each role what it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from experiments.api.urls import urlpatterns
from experiments.models import Experiment, ExperimentVersion, Run
from tests.api.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = {"<slug:name>": "probe-only", "<int:number>": "1", "<int:pk>": "1", "<str:name>": "look"}


def addresses() -> Iterator[str]:
    for pattern in urlpatterns:
        route = str(pattern.pattern)
        for word, value in WORDS.items():
            route = route.replace(word, value)
        assert "<" not in route, f"tell the test what to put into {route}"
        yield f"/api/v1/{route or 'nowhere'}"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
@pytest.mark.parametrize("address", list(addresses()))
def test_nobody_gets_in_without_signing_in(address, method, db):
    response = getattr(client_of(), method)(address, {}, format="json")
    assert response.status_code == 403
    assert response.json() == {"detail": "Authentication credentials were not provided."}


def test_a_post_from_elsewhere_is_refused(olga, document, environment):
    client = client_of(olga, enforce_csrf_checks=True)
    response = client.post("/api/v1/experiments", document, format="json")
    assert response.status_code == 403
    assert "CSRF" in response.json()["detail"]


READS = [
    "schema/experiment.json",
    "openapi.json",
    "experiments",
    "experiments/probe-only",
    "experiments/probe-only/versions",
    "experiments/probe-only/versions/1",
    "runs",
    "environments",
    "faults",
]


@pytest.mark.parametrize("role", ["viewer", "author", "operator", "admin"])
def test_everybody_reads_and_stops(role, cast, version, request_run):
    pk = request_run().json()["id"]
    client = client_of(cast[role])
    for address in (*READS, f"runs/{pk}", f"runs/{pk}/events"):
        assert client.get(f"/api/v1/{address}").status_code == 200, address
    response = client.post(f"/api/v1/runs/{pk}/stop")
    assert response.status_code == 200
    assert response.json()["stopped"] is True


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", False), ("author", True), ("operator", True), ("admin", True)]
)
def test_who_writes_experiments(role, may, cast, document):
    client = client_of(cast[role])
    created = client.post("/api/v1/experiments", document, format="json")
    assert created.status_code == (201 if may else 403)
    if not may:
        assert "write experiments" in created.json()["detail"]
        assert not Experiment.objects.exists()
        return
    changed = document | {"hypothesis": "It answers still."}
    response = client.post("/api/v1/experiments/probe-only/versions", changed, format="json")
    assert response.status_code == 201
    assert response.json()["number"] == 2


def test_a_viewer_writes_no_version(viewer, version, document):
    changed = document | {"hypothesis": "Mine."}
    response = viewer.post("/api/v1/experiments/probe-only/versions", changed, format="json")
    assert response.status_code == 403
    assert ExperimentVersion.objects.count() == 1


def test_a_viewer_is_refused_before_the_body_is_judged(viewer):
    assert viewer.post("/api/v1/experiments", {}, format="json").status_code == 403
    assert viewer.post("/api/v1/runs", {}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", False), ("author", False), ("operator", True), ("admin", True)]
)
def test_who_launches(role, may, cast, request_run):
    response = request_run(client=client_of(cast[role]))
    assert response.status_code == (201 if may else 403)
    assert Run.objects.count() == int(may)
    if not may:
        assert "launch runs" in response.json()["detail"]


def test_secrets_of_connections_stay_inside(viewer, environment):
    response = viewer.get("/api/v1/environments")
    assert "hush" not in json.dumps(response.json())
    (found,) = response.json()["results"]
    assert found["aliases"] == [{"name": "mesh", "connection": "pretended", "kind": "fake"}]
