"""The keeper alone, without queue, sweep or beat."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError

from drivers.fake import FakeDriver, Step
from experiments import backends, keeper
from experiments.services import (
    carrying,
    checking,
    conducting,
    held,
    launching,
    reconciling,
    sweeping,
)
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


def with_(target: str) -> dict[str, Any]:
    return {"with": {"target": target}}


def test_the_keeper_alone_carries_a_run_from_request_to_verdict(alice, environment, pump, control):
    pump.is_deaf = True
    run = start(alice, environment)
    for _ in range(40):
        pump.keep()
        run.refresh_from_db()
        if run.status in ENDED:
            break
    assert (run.status, run.ended_by) == ("completed", "plan")
    assert run.injections.get().phase == "recovered"
    assert control.applied(run.injections.get().token) == 1
    assert control.live() == set()
    assert not pump.waiting


def test_the_keeper_removes_a_fault_whose_time_is_over(alice, environment, pump, control):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    pump.is_deaf = True
    pump.let_pass(10)
    pump.keep()
    pump.keep()
    assert control.live() == set()


def test_the_keeper_leaves_alone_what_the_queue_has_had_no_chance_to_do(
    alice, environment, pump, control
):
    start(alice, environment)
    assert pump.is_deaf is False
    pump.let_pass(keeper.GRACE_S / 2)
    assert keeper.run_once() == 0


def test_an_unreadable_database_is_survived(pump, monkeypatch):
    def absent(*, grace_s):
        raise OperationalError("gone")

    monkeypatch.setattr(sweeping, "overdue_runs", absent)
    assert keeper.run_once(reconcile=True) == 0


def test_one_broken_row_keeps_nobody_from_the_others(alice, environment, pump, monkeypatch):
    raw = {key: document(fault(**with_(key))) for key in ("one", "two")}
    runs = [start(alice, environment, raw[key], key=key) for key in raw]
    for run in runs:
        pump.run_until(run, "injecting")
    pump.drain()
    pump.is_deaf = True
    for run in runs:
        launching.stop_run(run=run, actor="bob")
    broken = runs[0].injections.get().pk
    real = carrying.carry

    def carry(*, injection_id):
        if injection_id == broken:
            raise RuntimeError("broken")
        real(injection_id=injection_id)

    monkeypatch.setattr(carrying, "carry", carry)
    pump.keep()
    assert runs[1].injections.get().phase == "recovered"


def test_a_hung_removal_keeps_nobody_from_the_others(alice, environment, pump, monkeypatch):
    raw = {key: document(fault(**with_(key))) for key in ("one", "two")}
    runs = [start(alice, environment, raw[key], key=key) for key in raw]
    for run in runs:
        pump.run_until(run, "injecting")
    pump.drain()
    pump.is_deaf = True
    for run in runs:
        launching.stop_run(run=run, actor="bob")
    other_is_done = threading.Event()
    recover = FakeDriver.recover

    def hung(self, plan, handle):
        if plan.token == runs[0].injections.get().token:
            assert other_is_done.wait(20), "the other was never removed"
        seen = recover(self, plan, handle)
        if plan.token != runs[0].injections.get().token:
            other_is_done.set()
        return seen

    monkeypatch.setattr(FakeDriver, "recover", hung)
    pump.keep()
    assert [run.injections.get().phase for run in runs] == ["recovered", "recovered"]


def test_the_loop_begins_and_ends_with_its_process(monkeypatch, settings):
    settings.KEEPER_EVERY_S = 0.001
    kept, ticked = threading.Event(), threading.Event()

    def overdue_runs(*, grace_s):
        kept.set()
        return [1]

    monkeypatch.setattr(sweeping, "overdue_runs", overdue_runs)
    monkeypatch.setattr(conducting, "tick", lambda *, run_id: ticked.set())
    keeper.Keeper.start()
    keeper.Keeper.start()
    try:
        assert kept.wait(20)
        assert ticked.wait(20)
    finally:
        keeper.Keeper.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("keeper")]


def finished(alice, environment, pump):
    run = pump.run_until(start(alice, environment), *ENDED)
    return run, run.injections.get()


def test_what_the_ledger_looks_after_is_no_orphan(alice, environment, pump, control):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    assert reconciling.reconcile() == 0
    assert control.live()


def test_an_orphan_of_an_ended_run_is_removed(alice, environment, pump, control, caplog):
    run, injection = finished(alice, environment, pump)
    plan = held.plan_of(injection)
    backends.driver(injection.connection).inject(plan)
    pump.let_pass(1)
    assert reconciling.reconcile() == 1
    assert f"orphaned fault {injection.token}" in caplog.text
    pump.drain()
    assert control.live() == set()
    injection.refresh_from_db()
    assert injection.phase == "recovered"
    run.refresh_from_db()
    assert run.status == "completed"
    assert run.events.filter(message__contains="found on its backend").exists()


def test_a_token_that_the_ledger_never_had_is_removed(alice, environment, pump, control, caplog):
    _, injection = finished(alice, environment, pump)
    lost = f"{checking.own_prefix()}from-an-older-backup"
    plan = held.plan_of(injection).model_copy(update={"token": lost})
    backends.driver(injection.connection).inject(plan)
    assert reconciling.reconcile() == 1
    assert lost in caplog.text
    assert control.live() == set()


def test_the_fault_of_another_installation_is_left_alone(alice, environment, pump, control):
    _, injection = finished(alice, environment, pump)
    plan = held.plan_of(injection).model_copy(update={"token": "cw-0a1b2c3d-7-0-e4f5"})
    backends.driver(injection.connection).inject(plan)
    assert reconciling.reconcile() == 0
    assert control.live() == {"cw-0a1b2c3d-7-0-e4f5"}


def test_a_round_that_fails_does_not_end_the_keeper(monkeypatch):
    ended = threading.Event()
    rounds = []

    def fail(**_):
        rounds.append(1)
        if len(rounds) > 2:
            ended.set()
        raise InterfaceError("the connection is gone")

    monkeypatch.setattr(settings, "KEEPER_EVERY_S", 0.01)
    monkeypatch.setattr(sweeping, "overdue_runs", fail)
    keeper.Keeper.start()
    try:
        assert ended.wait(30), "one error ended the loop"
    finally:
        keeper.Keeper.stop()


def test_a_fault_removed_while_its_backend_was_asked_is_no_orphan(
    alice, environment, pump, control, monkeypatch
):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    owned = FakeDriver.owned

    def slow(self):
        found = owned(self)
        pump.run_until(run, *ENDED)
        return found

    monkeypatch.setattr(FakeDriver, "owned", slow)
    assert reconciling.reconcile() == 0
    assert run.injections.get().phase == "recovered"


def test_a_backend_that_does_not_answer_is_passed_over(alice, environment, pump, control):
    control.script(Step(method="owned", do="fail"))
    assert reconciling.reconcile() == 0
