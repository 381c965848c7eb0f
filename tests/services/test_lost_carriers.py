"""Carriers that die, hang or wake late: whatever they sent is removed."""

from __future__ import annotations

import pytest
from django.db.models import F

from drivers.fake import FakeDriver, Step
from experiments.services import carrying, conducting, launching
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """As SIGKILL: nothing of ours catches it."""


def at_the_intent(alice, environment, pump, raw=None):
    run = start(alice, environment, raw)
    while not run.injections.filter(phase="intent").exists():
        pump.step()
    pump.waiting.clear()
    return run, run.injections.get()


def die(monkeypatch, injection, *, after_the_call):
    """Carry the injection in a process that is killed before or after inject takes effect."""
    inject = FakeDriver.inject

    def killed(self, plan):
        if after_the_call:
            inject(self, plan)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FakeDriver, "inject", killed)
        patch.setattr(conducting, "tick", lambda *, run_id: None)
        with pytest.raises(Killed):
            carrying.carry(injection_id=injection.pk)
    injection.refresh_from_db()
    assert injection.phase == "intent"
    assert injection.plan is not None, "the plan is committed before the call"


@pytest.mark.parametrize("after_the_call", [False, True])
def test_another_carrier_takes_over_with_the_same_plan(
    alice, environment, pump, control, monkeypatch, after_the_call
):
    run, injection = at_the_intent(alice, environment, pump, document(fault(duration="1m")))
    die(monkeypatch, injection, after_the_call=after_the_call)
    plan = injection.plan
    carrying.carry(injection_id=injection.pk)
    injection.refresh_from_db()
    assert injection.phase == "intent", "its lease has not run out"
    pump.let_pass(carrying.LEASE_S)
    carrying.carry(injection_id=injection.pk)
    injection.refresh_from_db()
    assert injection.phase == "active"
    assert injection.plan == plan
    assert injection.is_unanswered, "the first call may yet take effect"
    assert control.applied(injection.token) == 1
    assert control.calls("prepare") == 2, "once by the check, once for the plan"
    pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert run.injections.get().settle_reads == 5
    assert control.live() == set()


def test_the_keeper_takes_over_from_a_carrier_that_died(
    alice, environment, pump, control, monkeypatch
):
    run, injection = at_the_intent(alice, environment, pump)
    die(monkeypatch, injection, after_the_call=True)
    pump.is_deaf = True
    launching.stop_run(run=run, actor="bob")
    for _ in range(3):
        pump.keep()
    assert control.live() == set()
    assert run.injections.get().phase == "unsettled"


def test_carriers_that_die_again_and_again_do_not_keep_the_run_for_ever(
    alice, environment, pump, control, monkeypatch
):
    run, injection = at_the_intent(alice, environment, pump, document(fault(duration="10m")))
    for _ in range(5):
        die(monkeypatch, injection, after_the_call=True)
        pump.let_pass(carrying.LEASE_S)
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "no carrier came back" in run.reason
    assert control.live() == set()


def test_an_inject_that_nobody_answered_is_not_repeated_after_its_time(
    alice, environment, pump, control, monkeypatch
):
    run, injection = at_the_intent(alice, environment, pump)
    die(monkeypatch, injection, after_the_call=True)
    control.restart("one", "two")
    before = control.calls("inject")
    pump.let_pass(60)
    pump.run_until(run, *ENDED)
    assert control.calls("inject") == before, "its 10 s were over long ago"
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "its time is over" in run.reason
    assert run.verdict != "held"
    assert control.live() == set()


def hang_in(monkeypatch, method, during):
    """Have something happen while a carrier hangs in the driver's method."""
    real = getattr(FakeDriver, method)

    def hung(self, plan, *more):
        monkeypatch.setattr(FakeDriver, method, real)
        during()
        return real(self, plan, *more)

    monkeypatch.setattr(FakeDriver, method, hung)


@pytest.mark.parametrize("late_s", [0, 40, 400])
def test_a_carrier_that_wakes_after_the_stop_removes_what_it_injects(
    alice, environment, pump, control, monkeypatch, late_s
):
    run, injection = at_the_intent(alice, environment, pump)

    def stop_and_wait():
        launching.stop_run(run=run, actor="bob")
        for _ in range(1 + late_s // 5):
            pump.pass_time(5 if late_s else 0)

    hang_in(monkeypatch, "inject", stop_and_wait)
    carrying.carry(injection_id=injection.pk)
    assert control.applied(injection.token) == 1, "it did inject, late"
    assert control.live() == set()
    run.refresh_from_db()
    if run.status in ENDED:
        # The ledger had read it back for two minutes; it is read back once more.
        injection.refresh_from_db()
        assert injection.phase == "recovering"
        for _ in range(100):
            pump.keep()
    else:
        pump.run_until(run, *ENDED)
    injection.refresh_from_db()
    assert injection.phase == "recovered"
    assert run.events.filter(message__contains="late").exists() == (late_s == 400)


def test_a_late_carrier_whose_call_is_unanswered_removes_it_too(
    alice, environment, pump, control, monkeypatch
):
    run, injection = at_the_intent(alice, environment, pump)
    control.script(Step(method="inject", do="lose", effect="now"))
    hang_in(monkeypatch, "inject", lambda: launching.stop_run(run=run, actor="bob"))
    carrying.carry(injection_id=injection.pk)
    assert control.applied(injection.token) == 1
    assert control.live() == set()
    pump.run_until(run, *ENDED)


def test_a_late_carrier_leaves_the_fault_of_the_attempt_that_followed(
    alice, environment, pump, control, monkeypatch
):
    """Both carry one token: removing it would look like a fault that was lost."""
    run, injection = at_the_intent(alice, environment, pump, document(fault(duration="1m")))

    def another_takes_over():
        pump.let_pass(carrying.LEASE_S)
        carrying.carry(injection_id=injection.pk)

    hang_in(monkeypatch, "inject", another_takes_over)
    carrying.carry(injection_id=injection.pk)
    injection.refresh_from_db()
    assert injection.phase == "active"
    assert control.live() == {injection.token}
    assert control.applied(injection.token) == 1
    assert pump.run_until(run, *ENDED).status == "completed"


def test_an_observer_that_wakes_after_the_stop_injects_nothing_again(
    alice, environment, pump, control, monkeypatch
):
    run = start(alice, environment, document(fault(on_drift="reinject", duration="1m")))
    pump.run_until(run, "injecting")
    pump.drain()
    injection = run.injections.get()
    control.restart("one", "two")
    pump.let_pass(2)
    hang_in(monkeypatch, "observe", lambda: launching.stop_run(run=run, actor="bob"))
    carrying.carry(injection_id=injection.pk)
    assert control.calls("inject") == 1
    assert control.live() == set()
    pump.run_until(run, *ENDED)


def test_an_observer_that_is_injecting_again_when_the_stop_comes_removes_it(
    alice, environment, pump, control, monkeypatch
):
    run = start(alice, environment, document(fault(on_drift="reinject", duration="1m")))
    pump.run_until(run, "injecting")
    pump.drain()
    injection = run.injections.get()
    control.restart("one", "two")
    pump.let_pass(2)

    def stop_and_recover():
        launching.stop_run(run=run, actor="bob")
        pump.drain()

    hang_in(monkeypatch, "inject", stop_and_recover)
    carrying.carry(injection_id=injection.pk)
    assert control.applied(injection.token) == 2
    assert control.live() == set()
    injection.refresh_from_db()
    assert injection.is_unanswered
    assert injection.phase == "unsettled"
    pump.run_until(run, *ENDED)


def test_a_removal_whose_carrier_died_is_repeated(alice, environment, pump, control, monkeypatch):
    run, injection = at_the_intent(alice, environment, pump)
    carrying.carry(injection_id=injection.pk)
    launching.stop_run(run=run, actor="bob")
    pump.waiting.clear()

    def killed(self, plan, handle):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FakeDriver, "recover", killed)
        patch.setattr(conducting, "tick", lambda *, run_id: None)
        with pytest.raises(Killed):
            carrying.carry(injection_id=injection.pk)
    pump.is_deaf = True
    for _ in range(10):
        pump.keep()
    assert control.live() == set()


def test_a_plan_that_was_committed_meanwhile_is_never_made_again(
    alice, environment, pump, control, monkeypatch
):
    """A second carrier read the row; the first went on and injected before the second claimed."""
    run, injection = at_the_intent(alice, environment, pump)
    first = carrying._claim(injection.pk)
    pump.let_pass(carrying.LEASE_S)
    went_on = []

    def between_read_and_claim(name: str) -> F:
        if not went_on:
            went_on.append(True)
            carrying._inject(*first)
        return F(name)

    monkeypatch.setattr(carrying, "F", between_read_and_claim)
    carrying.carry(injection_id=injection.pk)
    assert went_on
    pump.run_until(run, *ENDED)
    assert control.live() == set()
    for target in ("one", "two"):
        value = control.value(target, "fake.abort")
        assert value is None, "our own fault was taken for what had been there before"


def test_a_removal_whose_carriers_die_is_loud(alice, environment, pump, control, monkeypatch):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    pump.is_deaf = True
    launching.stop_run(run=run, actor="bob")
    row = run.injections.get()
    for _ in range(3):
        carrying._claim(row.pk)
        pump.let_pass(carrying.LEASE_S)
    row.refresh_from_db()
    assert row.failures == 2, "each carrier that never came back has failed"


def test_an_intent_that_nobody_carried_is_not_sent_hours_later(alice, environment, pump, control):
    run, _ = at_the_intent(alice, environment, pump)
    pump.let_pass(6 * 3600)
    pump.run_until(run, *ENDED)
    assert control.calls("inject") == 0
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "nobody was there to inject it" in run.reason
