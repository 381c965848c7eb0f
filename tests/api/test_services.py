"""Services through the API: the same description, and the same errors, as on the page."""

from __future__ import annotations

import pytest

from experiments.models import ExperimentVersion, Service
from tests.api.conftest import told

pytestmark = pytest.mark.django_db(transaction=True)

CARTS = {
    "name": "carts",
    "owner": "Orders team",
    "slis": [{"name": "load", "value": "load", "limit": {"max": 100}}],
}


def test_an_author_describes_a_service_and_changes_it(author, viewer):
    made = author.post("/api/v1/services", CARTS, format="json")
    assert made.status_code == 201
    assert made["Location"].endswith("/api/v1/services/carts")
    known = viewer.get("/api/v1/services/carts").json()
    assert known["slis"] == CARTS["slis"]
    assert set(known["sli_changes"]) == {"load"}
    changed = author.put("/api/v1/services/carts", known | {"title": "Carts"}, format="json")
    assert changed.status_code == 200
    assert changed.json()["title"] == "Carts"
    assert [row["name"] for row in viewer.get("/api/v1/services").json()["results"]] == ["carts"]


def test_every_error_is_told_with_its_place(author):
    body = {"name": "new", "slis": [{"name": "a"}], "dashbords": []}
    response = author.post("/api/v1/services", body, format="json")
    assert response.status_code == 400
    assert set(told(response)) == {"name", "slis[0]", "dashbords"}
    assert "did you mean “dashboards”?" in told(response)["dashbords"]
    assert not Service.objects.exists()


@pytest.mark.parametrize("body", [[], "carts", 7])
def test_what_is_no_object_is_refused(author, body):
    assert author.post("/api/v1/services", body, format="json").status_code == 400


def test_a_viewer_changes_nothing(viewer, author):
    assert viewer.post("/api/v1/services", CARTS, format="json").status_code == 403
    author.post("/api/v1/services", CARTS, format="json")
    assert viewer.put("/api/v1/services/carts", CARTS, format="json").status_code == 403
    assert author.get("/api/v1/services/none").status_code == 404
    assert author.put("/api/v1/services/none", CARTS, format="json").status_code == 404


def test_a_document_that_uses_an_sli_is_saved_with_its_copy(author, document):
    author.post("/api/v1/services", CARTS, format="json")
    raw = document | {"slis": [{"name": "busy", "use": "carts.load"}]}
    response = author.post("/api/v1/experiments", raw, format="json")
    assert response.status_code == 201
    kept = response.json()["document"]
    assert kept["slis"][0]["copied"] == {"value": "load", "limit": {"max": 100}}
    assert "copied" not in response.json()["text"]
    again = author.post("/api/v1/experiments/probe-only/versions", kept, format="json")
    assert again.status_code == 200
    checked = author.post("/api/v1/experiments/validate", raw, format="json").json()
    assert checked["valid"] is True


def test_a_copy_of_one_s_own_making_counts_for_nothing(author, document):
    sli = {"name": "busy", "use": "carts.load", "copied": {"value": "mine", "limit": {"max": 1}}}
    raw = document | {"slis": [sli]}
    checked = author.post("/api/v1/experiments/validate", raw, format="json").json()
    assert [error["where"] for error in checked["errors"]] == ["slis[0].use"]
    assert author.post("/api/v1/experiments", raw, format="json").status_code == 400
    author.post("/api/v1/services", CARTS, format="json")
    author.post("/api/v1/experiments", raw, format="json")
    assert ExperimentVersion.objects.get().document["slis"][0]["copied"]["value"] == "load"
