"""Alice, her environment on the rehearsal driver, and a queue that the test pumps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drivers import fake
from drivers.fake import FakeControl
from drivers.http import HttpAnswer
from drivers.protocol import ConnectionConfig
from experiments import backends
from experiments.models import Alias, Connection, Environment, User
from experiments.services import people
from tests.engine import moves
from tests.pump import Pump
from tests.services.worlds import Metrics


@pytest.fixture
def alice(db: Any) -> User:
    user = User.objects.create_user("alice", password="x")
    people.ensure_roles()
    people.give_role(user=user, role="operator")
    return user


@pytest.fixture
def pump(monkeypatch: pytest.MonkeyPatch) -> Pump:
    return Pump(monkeypatch)


@pytest.fixture
def environment(db: Any) -> Environment:
    made = Environment.objects.create(name="rehearsal", allowed_hosts=["front"])
    mesh = Connection.objects.create(name="fake", kind="fake", options={"targets": ["one", "two"]})
    metrics = Connection.objects.create(
        name="metrics",
        kind="prometheus",
        options={"url": "http://127.0.0.1:1"},
        scrape_interval_s=1,
        flush_interval_s=1,
    )
    Alias.objects.create(environment=made, name="mesh", connection=mesh)
    Alias.objects.create(environment=made, name="metrics", connection=metrics)
    return made


@pytest.fixture(autouse=True)
def control(pump: Pump) -> Iterator[FakeControl]:
    """Return the hand on the pretended backend, whose clock is the pump's."""
    fake.forget()
    backends.forget()
    yield FakeControl(ConnectionConfig("fake", "fake"), clock=pump.seconds, sleep=pump.let_pass)
    backends.forget()
    fake.forget()


@pytest.fixture(autouse=True)
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Replace both network edges: every HTTP probe is answered 200, Prometheus is scripted."""
    scripted = Metrics()
    monkeypatch.setattr(backends, "prometheus", lambda connection: scripted)
    monkeypatch.setattr(backends, "fetch", lambda **_: HttpAnswer(200, {}, "ok", 0.01))
    return scripted


@pytest.fixture(autouse=True)
def noted_moves(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold every change of a run's status and of an injection's phase against the tables."""
    if request.node.get_closest_marker("django_db") is None:
        yield
        return
    request.getfixturevalue("_django_db_helper")
    moves.install()
    yield
    found = [moves.wrong(each) for each in moves.seen().values()]
    moves.remove()
    assert not any(found), [each for each in found if each]
