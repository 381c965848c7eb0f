"""Orphans: faults of ours on a backend that no live injection of the ledger looks after."""

from __future__ import annotations

import logging
import sqlite3
import threading
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection as database

from drivers.envoy.faults import HttpAbort
from drivers.fake import FakeAbort, FakeControl, FakeDriver, Step
from drivers.protocol import ConnectionConfig, FaultRequest
from drivers.units import Percentage
from experiments import backends, keeper
from experiments.models import Connection, Orphan, Run, User
from experiments.services import checking, held, launching, people, reconciling
from tests.drivers.conftest import plain_envoy
from tests.servers.envoy import Upstream
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_told():
    reconciling._told.clear()


@pytest.fixture
def mesh(environment):
    return Connection.objects.get(name="fake")


def lost(name: str = "1-0-lost") -> str:
    """Return a token of this installation that the ledger does not know."""
    return f"{checking.own_prefix()}{name}"


def inject(mesh: Connection, token: str, target: str = "") -> None:
    driver = backends.driver(mesh)
    driver.inject(driver.prepare(FaultRequest(FakeAbort(target=target), token, 10.0)))


class TestUnknownToTheLedger:
    def test_it_is_written_down_and_removed_at_once(self, mesh, pump, control, caplog):
        inject(mesh, lost())
        assert reconciling.reconcile() == 1
        assert control.live() == set()
        orphan = Orphan.objects.get()
        assert (orphan.connection, orphan.token) == (mesh, lost())
        assert [target["name"] for target in orphan.targets] == ["one", "two"]
        assert (orphan.attempts, orphan.last_error) == (1, "")
        assert orphan.gone_at == orphan.first_seen_at == pump.now()
        assert f"orphaned fault {lost()}" in caplog.text

    def test_it_is_tried_until_it_is_gone_and_loud_until_then(self, mesh, pump, control, caplog):
        inject(mesh, lost())
        control.cut_off("two")
        assert reconciling.reconcile() == 1
        orphan = Orphan.objects.get()
        assert (orphan.attempts, orphan.gone_at) == (1, None)
        assert "two: It does not answer." in orphan.last_error
        caplog.clear()
        pump.let_pass(10)
        assert reconciling.remove_again() == 1
        assert [row.levelno for row in caplog.records] == [logging.CRITICAL] * 2
        orphan.refresh_from_db()
        assert (orphan.attempts, orphan.last_seen_at) == (2, pump.now())
        control.cut_off()
        pump.let_pass(10)
        assert reconciling.remove_again() == 1
        orphan.refresh_from_db()
        assert orphan.gone_at == pump.now()
        assert orphan.last_error == ""
        assert control.live() == set()
        assert reconciling.remove_again() == 0

    def test_the_keeper_tries_again(self, mesh, pump, control):
        inject(mesh, lost())
        control.script(Step(method="recover", do="ignore", times=2))
        for _ in range(4):
            assert keeper.run_once(reconcile=True) == 0
        assert control.live() == set()
        assert Orphan.objects.get().gone_at is not None

    def test_one_that_goes_by_itself_is_gone_once_every_target_was_read(self, mesh, pump, control):
        inject(mesh, lost())
        control.cut_off("two")
        reconciling.reconcile()
        control.restart("one", "two")
        reconciling.remove_again()
        assert Orphan.objects.get().gone_at is None, "it is listed no more, and was not read"
        control.cut_off()
        reconciling.remove_again()
        assert Orphan.objects.get().gone_at is not None

    def test_one_that_comes_back_is_shown_again(self, mesh, pump, control):
        inject(mesh, lost())
        reconciling.reconcile()
        pump.let_pass(60)
        inject(mesh, lost())
        control.script(Step(method="recover", do="ignore"))
        assert reconciling.reconcile() == 1
        orphan = Orphan.objects.get()
        assert (orphan.gone_at, orphan.attempts) == (None, 1)
        assert orphan.first_seen_at == pump.now()

    def test_a_backend_that_holds_too_little_leaves_it_to_a_person(
        self, mesh, pump, control, monkeypatch
    ):
        owned = FakeDriver.owned
        monkeypatch.setattr(
            FakeDriver,
            "owned",
            lambda self: [each.model_copy(update={"plan": None}) for each in owned(self)],
        )
        inject(mesh, lost())
        reconciling.reconcile()
        orphan = Orphan.objects.get()
        assert orphan.gone_at is None
        assert "by hand" in orphan.last_error
        control.restart("one", "two")
        reconciling.reconcile()
        orphan.refresh_from_db()
        assert orphan.gone_at is not None

    def test_a_stranger_in_its_place_is_left_alone(self, mesh, pump, control):
        inject(mesh, lost())
        control.set_value("one", "fake.abort", "stranger")
        reconciling.reconcile()
        assert control.value("one", "fake.abort") == "stranger"
        assert control.live() == set()


class TestUnreachable:
    def test_it_marks_nothing_gone(self, mesh, pump, control, caplog):
        inject(mesh, lost())
        control.script(Step(method="recover", do="ignore"))
        reconciling.reconcile()
        control.script(Step(method="owned", do="fail", message="It is being restarted."))
        found = reconciling.compare(mesh)
        assert (found.found, found.remaining) == (0, 1)
        assert found.problem == "It is being restarted."
        assert "could not be compared" in caplog.text
        orphan = Orphan.objects.get()
        assert orphan.gone_at is None
        assert "It is being restarted." in orphan.last_error

    def test_a_hung_one_does_not_hold_the_others(self, mesh, pump, control, monkeypatch):
        other = Connection.objects.create(name="fake-2", kind="fake", options=mesh.options)
        inject(other, lost())
        other_is_done = threading.Event()
        owned, recover = FakeDriver.owned, FakeDriver.recover

        def hung(self):
            if self.name == "fake":
                assert other_is_done.wait(20), "the other was never asked"
            return owned(self)

        def removed(self, plan, handle):
            seen = recover(self, plan, handle)
            other_is_done.set()
            return seen

        monkeypatch.setattr(FakeDriver, "owned", hung)
        monkeypatch.setattr(FakeDriver, "recover", removed)
        assert reconciling.reconcile() == 1
        assert FakeControl(ConnectionConfig("fake", "fake-2")).live() == set()

    def test_one_that_breaks_does_not_hold_the_others(self, mesh, pump, control, monkeypatch):
        other = Connection.objects.create(name="fake-2", kind="fake", options=mesh.options)
        inject(other, lost())
        owned = FakeDriver.owned

        def broken(self):
            if self.name == "fake":
                raise RuntimeError("broken")
            return owned(self)

        monkeypatch.setattr(FakeDriver, "owned", broken)
        assert reconciling.reconcile() == 1
        assert Orphan.objects.get().gone_at is not None


class TestForeign:
    def test_it_is_never_touched_and_told_once(self, mesh, pump, control, caplog):
        inject(mesh, "cw-0a1b2c3d-7-0-e4f5")
        for _ in range(3):
            assert reconciling.reconcile() == 0
        assert control.live() == {"cw-0a1b2c3d-7-0-e4f5"}
        assert caplog.text.count("another installation's") == 1
        assert not Orphan.objects.exists()

    def test_the_next_one_is_told_too(self, mesh, pump, control, caplog):
        inject(mesh, "cw-0a1b2c3d-7-0-e4f5", "one")
        reconciling.reconcile()
        inject(mesh, "cw-0a1b2c3d-7-1-aaaa", "two")
        reconciling.reconcile()
        assert caplog.text.count("another installation's") == 2


class TestKnownToTheLedger:
    def test_a_recovered_one_goes_back_to_the_ledger_and_is_written_down(
        self, alice, environment, mesh, pump, control
    ):
        run = pump.run_until(start(alice, environment), *ENDED)
        injection = run.injections.get()
        pump.let_pass(1)
        backends.driver(mesh).inject(held.plan_of(injection))
        assert reconciling.reconcile() == 1
        injection.refresh_from_db()
        assert injection.phase == "recovering"
        orphan = Orphan.objects.get()
        assert (orphan.token, orphan.gone_at) == (injection.token, None)
        pump.let_pass(1)
        pump.drain()
        assert control.live() == set()
        reconciling.remove_again()
        orphan.refresh_from_db()
        injection.refresh_from_db()
        assert orphan.gone_at == injection.recovered_at
        assert run.events.filter(message__contains="found on its backend").exists()

    def test_a_cancelled_one_is_removed_and_told_in_its_journal(
        self, alice, environment, mesh, pump, control
    ):
        raw = document(fault("one", duration="5m"), timing={"baseline": "1m", "settle": "0s"})
        run = pump.run_until(start(alice, environment, raw), "baseline")
        launching.stop_run(run=run, actor="bob")
        pump.run_until(run, *ENDED)
        injection = run.injections.get()
        assert injection.phase == "cancelled"
        pump.let_pass(1)
        inject(mesh, injection.token)
        assert reconciling.reconcile() == 1
        assert control.live() == set()
        assert Orphan.objects.get().gone_at is not None
        line = run.events.get(message__contains="was found on fake")
        assert "is cancelled" in line.message


class TestAskedByAPerson:
    def test_an_operator_compares_one_connection(self, alice, mesh, pump, control):
        other = Connection.objects.create(name="fake-2", kind="fake", options=mesh.options)
        inject(mesh, lost())
        inject(other, lost())
        found = reconciling.compare_now(connection=mesh, user=alice)
        assert found == reconciling.Comparison(found=1, remaining=0)
        assert FakeControl(ConnectionConfig("fake", "fake-2")).live() == {lost()}

    def test_an_author_may_not(self, roles_bob, mesh, pump, control):
        inject(mesh, lost())
        with pytest.raises(PermissionDenied):
            reconciling.compare_now(connection=mesh, user=roles_bob)
        assert control.live() == {lost()}

    def test_it_is_bounded_and_the_keeper_goes_on(self, mesh, pump, control):
        inject(mesh, lost("a"), "one")
        inject(mesh, lost("b"), "two")
        found = reconciling.compare(mesh, budget_s=0.0)
        assert (found.found, found.remaining) == (2, 2)
        assert control.live() == {lost("a"), lost("b")}
        keeper.run_once()
        assert control.live() == set()
        assert not Orphan.objects.filter(gone_at__isnull=True).exists()


@pytest.fixture
def roles_bob(alice):
    bob = User.objects.create_user("bob", password="x")
    people.give_role(user=bob, role="author")
    return bob


@pytest.mark.only_on("sqlite")
class TestAnOlderBackupIsRestored:
    """The database goes back to a moment before the fault; the backend does not."""

    def back_up(self, tmp_path: Any) -> Any:
        kept = tmp_path / "backup.db"
        target = sqlite3.connect(kept)
        database.ensure_connection()
        database.connection.backup(target)
        target.close()
        return kept

    def restore(self, kept: Any) -> None:
        source = sqlite3.connect(kept)
        database.ensure_connection()
        source.backup(database.connection)
        source.close()

    def test_a_fault_of_a_run_that_is_not_in_it_is_found_removed_and_shown(
        self, alice, environment, mesh, pump, control, tmp_path
    ):
        kept = self.back_up(tmp_path)
        run = start(alice, environment, document(fault(duration="5m")))
        pump.run_until(run, "injecting")
        pump.drain()
        (token,) = control.live()
        self.restore(kept)
        assert not Run.objects.exists()
        pump.waiting.clear()
        pump.keep()
        assert control.live() == {token}, "nobody compares until the next reconcile"
        assert keeper.run_once(reconcile=True) == 0
        assert control.live() == set()
        orphan = Orphan.objects.get()
        assert (orphan.token, orphan.connection) == (token, mesh)
        assert orphan.gone_at is not None

    def test_a_fault_of_a_run_whose_method_had_not_begun_in_it_is_removed_too(
        self, alice, environment, mesh, pump, control, tmp_path
    ):
        raw = document(fault(duration="5m"), timing={"baseline": "20s", "settle": "0s"})
        run = pump.run_until(start(alice, environment, raw), "baseline")
        kept = self.back_up(tmp_path)
        pump.run_until(run, "injecting")
        pump.drain()
        (token,) = control.live()
        self.restore(kept)
        run.refresh_from_db()
        assert (run.status, run.injections.get().phase) == ("baseline", "planned")
        assert reconciling.reconcile() == 1
        assert control.live() == set()
        assert run.events.filter(message__contains="is planned, and was found on").exists()
        pump.waiting.clear()
        pump.run_until(run, "injecting")
        pump.drain()
        assert control.live() == {token}, "the run goes on as if nothing had been"
        assert reconciling.reconcile() == 0
        launching.stop_run(run=run, actor="bob")
        pump.run_until(run, *ENDED)
        assert control.live() == set()

    def test_a_fault_that_is_live_in_it_and_gone_since_leaves_no_orphan(
        self, alice, environment, mesh, pump, control, tmp_path
    ):
        run = start(alice, environment, document(fault(duration="30s")))
        pump.run_until(run, "injecting")
        pump.drain()
        kept = self.back_up(tmp_path)
        pump.run_until(run, *ENDED)
        self.restore(kept)
        assert reconciling.reconcile() == 0
        pump.run_until(run, *ENDED)
        assert control.live() == set()
        assert not Orphan.objects.exists()


def test_on_real_envoys_one_of_which_hangs(db, caplog):
    """What the other held is found when it answers again: it is shown and removed then."""
    with (
        Upstream() as upstream,
        plain_envoy(upstream) as first,
        plain_envoy(upstream, node_id="front-2") as second,
    ):
        mesh = Connection.objects.create(
            name="mesh",
            kind="envoy",
            options={"addresses": [first.admin, second.admin], "timeout_s": 0.5},
        )
        driver = backends.driver(mesh)
        params = HttpAbort(percentage=Percentage(100))
        driver.inject(driver.prepare(FaultRequest(params, lost(), 60.0)))
        assert first.statuses(2) + second.statuses(2) == [503] * 4
        reconciling.compare(mesh, budget_s=0.0)
        orphan = Orphan.objects.get()
        assert {target["name"] for target in orphan.targets} == {first.admin, second.admin}
        assert len(orphan.by_hand) == 2
        second.pause()
        assert reconciling.reconcile() == 1
        orphan.refresh_from_db()
        assert orphan.gone_at is None
        assert second.admin in orphan.last_error
        assert first.statuses(2) == [200] * 2
        reconciling.remove_again()
        orphan.refresh_from_db()
        assert orphan.gone_at is None, "the first lists nothing now, the second was not read"
        second.resume()
        reconciling.remove_again()
        orphan.refresh_from_db()
        assert orphan.gone_at is not None
        assert second.statuses(2) == [200] * 2
        assert second.overrides() == {}
