"""“Was it us?” for bots and runbooks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.models import Connection, Orphan
from tests import factories
from tests.api.conftest import client_of, told

pytestmark = pytest.mark.django_db

URL = "/api/v1/was-it-us"


@pytest.fixture
def run(olga):
    """Return a run whose fault in carts is live in staging."""
    place = factories.environment()
    made = factories.live(factories.version(olga), place, olga)
    made.injections.update(connection=Connection.objects.create(name="edge", kind="envoy"))
    return made


def test_an_outsider_is_refused(run):
    assert client_of().get(URL).status_code == 403


def test_a_viewer_gets_the_answer_in_a_word_a_sentence_and_rows(viewer, run):
    found = viewer.get(URL, {"service": "carts", "environment": "staging"}).json()
    assert found["answer"] == "yes"
    assert found["sentence"].startswith("Yes: carts has been slowed down in staging since")
    (fault,) = found["faults"]
    assert fault["run"] == run.pk
    assert fault["is_live"] is True
    assert fault["ended_at"] is None
    assert fault["requested_by"] == "olga"
    assert fault["page"] == f"/runs/{run.pk}/"
    assert fault["stop"] == f"/api/v1/runs/{run.pk}/stop"
    assert fault["by_hand"] == [
        "curl -X POST 'http://mesh-1:9901/runtime_modify?chaos.carts.delay='"
    ]
    assert found["also_live"] == []
    assert viewer.post(fault["stop"]).json()["stopped"] is True


def test_other_services_are_told_apart(viewer, run):
    found = viewer.get(URL, {"service": "orders"}).json()
    assert found["answer"] == "perhaps"
    assert found["faults"] == []
    assert [fault["service"] for fault in found["also_live"]] == ["carts"]


def test_a_span_before_it_began_is_a_no_with_what_came_next(viewer, run):
    end = run.injecting_at - timedelta(minutes=12)
    found = viewer.get(
        URL, {"at": (end - timedelta(hours=1)).isoformat(), "until": end.isoformat()}
    )
    answer = found.json()
    assert answer["answer"] == "no"
    assert answer["faults"] == []
    (near,) = answer["nearby"]
    assert near["run"] == run.pk
    assert near["is_before"] is False
    assert "began 12 min later" in near["text"]


def test_an_ended_fault_has_its_end_and_nothing_to_stop(viewer, run):
    now = timezone.now()
    run.injections.update(phase="recovered", recovered_at=now)
    found = viewer.get(URL, {"service": "carts", "at": "-15m", "until": "now"}).json()
    (fault,) = found["faults"]
    assert fault["ended_at"] is not None
    assert fault["stop"] is None
    assert fault["state"] == "was in effect"


def test_orphans_are_in_the_answer(viewer, run):
    now = timezone.now()
    Orphan.objects.create(
        connection=Connection.objects.get(name="staging-mesh"),
        token="cw-lost",
        targets=[{"name": "carts-pod", "detail": ""}],
        by_hand=["remove --it"],
        first_seen_at=now,
        last_seen_at=now,
    )
    (orphan,) = viewer.get(URL).json()["orphans"]
    assert orphan["targets"] == "carts-pod"
    assert orphan["by_hand"] == ["remove --it"]
    assert orphan["is_live"] is True


def test_every_error_of_the_question_is_told(viewer, run):
    response = viewer.get(URL, {"service": "x" * 64, "at": "soon", "until": "later"})
    assert response.status_code == 400
    assert set(told(response)) == {"service", "at", "until"}


def test_the_description_of_the_api_holds_it(viewer, run):
    paths = viewer.get("/api/v1/openapi.json").json()["paths"]
    names = {each["name"] for each in paths[URL]["get"]["parameters"]}
    assert names == {"service", "environment", "at", "until"}
