"""A fault removed by hand, and the orphans, through the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from drivers import fake
from drivers.fake import FakeControl
from drivers.protocol import ConnectionConfig
from experiments import backends
from experiments.models import Claim, Connection, Orphan, Run
from experiments.services import closing
from tests.api.conftest import told

pytestmark = pytest.mark.django_db(transaction=True)
WHY = {"reason": "restarted the proxy"}


@pytest.fixture
def control(pump):
    fake.forget()
    backends.forget()
    yield FakeControl(ConnectionConfig("fake", "pretended"), clock=pump.seconds)
    backends.forget()
    fake.forget()


@pytest.fixture
def stuck(operator, request_run, pump, control) -> Run:
    """Return a stopped run whose fault cannot be removed."""
    run = Run.objects.get(pk=request_run().json()["id"])
    pump.run_until(run, "injecting")
    pump.drain()
    control.cut_off("one")
    operator.post(f"/api/v1/runs/{run.pk}/stop")
    pump.drain()
    assert run.injections.get().failures
    return run


def remove(client: Any, run: Run, body: Any = None, name: str = "one") -> Any:
    address = f"/api/v1/runs/{run.pk}/faults/{name}/removed"
    return client.post(address, WHY if body is None else body, format="json")


def test_an_operator_closes_it_and_the_run_ends(operator, stuck, pump, control):
    response = remove(operator, stuck)
    assert response.status_code == 200
    body = response.json()
    assert (body["phase"], body["by_hand_by"], body["by_hand_reason"]) == (
        "recovered",
        "olga",
        "restarted the proxy",
    )
    assert body["unchecked_since"] == body["by_hand_at"]
    pump.run_until(stuck, "stopped")
    assert Claim.objects.filter(released_at__isnull=True).exists()
    control.cut_off()
    control.restart("one")
    assert closing.check_closed() == 1
    assert not Claim.objects.filter(released_at__isnull=True).exists()


def test_twice_is_a_conflict_that_says_who_was_first(operator, stuck):
    remove(operator, stuck)
    response = remove(operator, stuck, {"reason": "me too"})
    assert response.status_code == 409
    assert "olga said already" in response.json()["detail"]


def test_a_live_fault_cannot_be_closed(operator, request_run, pump, control):
    run = Run.objects.get(pk=request_run().json()["id"])
    pump.run_until(run, "injecting")
    pump.drain()
    response = remove(operator, run)
    assert response.status_code == 409
    assert "no removal of it has failed" in response.json()["detail"]
    assert control.live()


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": 7}, {"reason": "x" * 501}])
def test_a_reason_is_required(operator, stuck, body):
    response = remove(operator, stuck, body)
    assert response.status_code == 400
    assert "reason" in told(response)
    assert stuck.injections.get().phase == "recovering"


def test_a_field_that_there_is_not_is_told(operator, stuck):
    assert "why" in told(remove(operator, stuck, {"reason": "x", "why": "y"}))


def test_others_may_not(viewer, author, stuck):
    for client in (viewer, author):
        response = remove(client, stuck)
        assert response.status_code == 403
        assert "removed by hand" in response.json()["detail"]


def test_what_there_is_not_is_not_found(operator, stuck):
    response = remove(operator, stuck, name="other")
    assert response.status_code == 404
    assert "no fault in this run “other”" in response.json()["detail"]


def test_orphans_are_listed(viewer, environment):
    mesh = Connection.objects.get(name="pretended")
    now = timezone.now()
    for token, gone_at in (("cw-a", None), ("cw-b", now)):
        Orphan.objects.create(
            connection=mesh,
            token=token,
            targets=[{"name": "one", "detail": ""}],
            first_seen_at=now,
            last_seen_at=now,
            gone_at=gone_at,
        )

    def tokens(query: str = "") -> list[str]:
        found = viewer.get(f"/api/v1/orphans{query}").json()["results"]
        return [row["token"] for row in found]

    assert tokens() == ["cw-b", "cw-a"]
    assert tokens("?state=there") == ["cw-a"]
    assert tokens("?state=gone") == ["cw-b"]
    row = viewer.get("/api/v1/orphans?state=there").json()["results"][0]
    assert (row["connection"], row["targets"], row["gone_at"]) == ("pretended", ["one"], None)
    assert "plan" not in row
    assert viewer.get("/api/v1/orphans?state=here").status_code == 400
