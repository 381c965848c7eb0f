"""A run from request to verdict on the rehearsal driver, without servers."""

from __future__ import annotations

import pytest

from experiments.domain.states import Status
from experiments.models import Alias, Claim, Connection, Environment, Run, User
from experiments.services import authoring, launching, people
from tests.pump import Pump

pytestmark = pytest.mark.django_db(transaction=True)


def document(**changes):
    raw = {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": "probe-only"},
        "hypothesis": "It answers.",
        "probes": [
            {
                "name": "answers",
                "at": ["end"],
                "http": {"url": "http://127.0.0.1:1/"},
                "tolerance": {"status": 200},
            }
        ],
        "timing": {"baseline": "0s", "settle": "0s"},
        "method": [
            {"name": "one", "fault": "fake.abort", "via": "mesh", "with": {}, "duration": "10s"}
        ],
    }
    return raw | changes


@pytest.fixture
def alice(db):
    user = User.objects.create_user("alice", password="x")
    people.ensure_roles()
    people.give_role(user=user, role="operator")
    return user


@pytest.fixture
def environment(db):
    made = Environment.objects.create(name="rehearsal", allowed_hosts=["127.0.0.1"])
    connection = Connection.objects.create(name="fake", kind="fake")
    Alias.objects.create(environment=made, name="mesh", connection=connection)
    return made


@pytest.fixture
def pump(monkeypatch):
    return Pump(monkeypatch)


def start(alice, environment, raw=None, key="k") -> Run:
    version = authoring.save(raw=raw or document(), author=alice)
    return launching.request_run(
        version=version, environment=environment, user=alice, idempotency_key=key
    )


def test_a_run_injects_recovers_and_judges(alice, environment, pump):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    assert run.injections.get().phase == "active"
    pump.run_until(run, "completed", "stopped", "errored", "refused")
    assert run.status == Status.COMPLETED
    assert run.injections.get().phase == "recovered"
    assert not Claim.objects.filter(released_at__isnull=True).exists()
    assert run.verdict == "deviated"


def test_stop_recovers_at_once(alice, environment, pump):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    assert launching.stop_run(run=run, actor="bob")
    assert not launching.stop_run(run=run, actor="bob")
    pump.drain()
    assert run.injections.get().phase == "recovered"
    pump.run_until(run, "stopped")
    assert run.ended_by == "person"
    assert run.verdict == "deviated", "its end probe failed; a stopped run is never held"
