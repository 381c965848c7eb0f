"""What a carrier does when its backend fails, forgets, lies or is gone for a while."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from drivers.fake import FakeDriver, Step
from experiments.models import Claim, Run
from experiments.services import launching, removing
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


def live_claims() -> int:
    return Claim.objects.filter(released_at__isnull=True).count()


def injecting(alice: Any, environment: Any, pump: Any, raw: Any = None) -> Run:
    run = start(alice, environment, raw)
    pump.run_until(run, "injecting")
    pump.drain()
    return run


def test_an_inject_that_is_refused_for_good_stops_the_run(alice, environment, pump, control):
    control.script(Step(method="inject", do="fail", retryable=False, message="Not permitted."))
    before = pump.now()
    run = pump.run_until(start(alice, environment), *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "Not permitted." in run.reason
    assert control.calls("inject") == 1
    assert run.injections.get().phase == "recovered", "the plan was sent: it is read back"
    assert run.ended_at - before < timedelta(seconds=5), "a refusal is an answer: nothing is late"


def test_an_inject_that_fails_and_then_works_is_injected_once(alice, environment, pump, control):
    control.script(Step(method="inject", do="fail", times=3))
    run = injecting(alice, environment, pump)
    injection = run.injections.get()
    for _ in range(10):
        pump.pass_time(0.5)
    injection.refresh_from_db()
    assert injection.phase == "active"
    assert control.applied(injection.token) == 1
    assert not injection.is_unanswered
    pump.run_until(run, *ENDED)
    assert run.status == "completed"


def test_an_inject_that_never_works_is_given_up_after_five_times(alice, environment, pump, control):
    control.script(Step(method="inject", do="fail", times=99))
    run = pump.run_until(injecting(alice, environment, pump), *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert control.calls("inject") == 5
    assert live_claims() == 0


def test_a_target_that_changed_since_the_check_is_left_alone(
    alice, environment, pump, control, monkeypatch
):
    run = start(alice, environment)
    prepare = FakeDriver.prepare

    def other(self, request):
        return prepare(self, request).model_copy(update={"claims": ("fake:other",)})

    while not run.injections.filter(phase="intent").exists():
        pump.step()
    monkeypatch.setattr(FakeDriver, "prepare", other)
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "fake:other" in run.reason
    assert control.calls("inject") == 0
    assert run.injections.get().phase == "cancelled"


def test_an_unanswered_inject_that_lands_late_is_removed_and_read_back_for_long(
    alice, environment, pump, control
):
    """The answer is lost, somebody stops the run, and the fault lands eight seconds later."""
    control.script(Step(method="inject", do="lose", effect="late", seconds=8))
    run = injecting(alice, environment, pump)
    injection = run.injections.get()
    assert injection.is_unanswered
    launching.stop_run(run=run, actor="bob")
    pump.drain()
    reads = [pump.now()]
    for _ in range(400):
        before = control.calls("recover")
        pump.pass_time(0.5)
        if control.calls("recover") > before:
            reads.append(pump.now())
        injection.refresh_from_db()
        if injection.phase in ("recovering", "unsettled"):
            assert live_claims() == 2, "claims are kept until removal is certain"
    assert [(at - reads[0]).total_seconds() for at in reads] == [0, 2, 10, 30, 120]
    assert control.applied(injection.token) == 1
    assert control.live() == set()
    run.refresh_from_db()
    assert run.status == "stopped"
    assert injection.phase == "recovered"
    assert live_claims() == 0


def test_a_recovery_that_fails_is_loud_and_never_given_up(
    alice, environment, pump, control, caplog
):
    control.script(Step(method="recover", do="fail", times=6, message="No route."))
    run = injecting(alice, environment, pump)
    launching.stop_run(run=run, actor="bob")
    with caplog.at_level(logging.CRITICAL, logger="experiments.services.carrying"):
        for _ in range(8):
            pump.pass_time(1)
            run.refresh_from_db()
            if control.live():
                assert run.status == "recovering"
                assert live_claims() == 2
    loud = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    assert loud
    assert all(f"run {run.pk}: one may still be broken since" in text for text in loud)
    assert all("No route." in text for text in loud)
    assert all("By hand: fake restore one; fake restore two" in text for text in loud)
    assert run.events.filter(kind="error", message__contains="not confirmed").count() == 2
    pump.run_until(run, *ENDED)
    assert control.live() == set()


def test_a_backend_that_ignores_the_removal_is_asked_until_it_is_gone(
    alice, environment, pump, control
):
    control.script(Step(method="recover", do="ignore", times=4))
    run = pump.run_until(injecting(alice, environment, pump), "settling", *ENDED)
    assert control.live() == set()
    assert control.calls("recover") == 5
    assert run.injections.get().phase == "recovered"


def test_a_backend_that_is_cut_off_is_waited_for(alice, environment, pump, control):
    run = injecting(alice, environment, pump)
    control.cut_off("one", "two")
    launching.stop_run(run=run, actor="bob")
    for _ in range(60):
        pump.pass_time(5)
    run.refresh_from_db()
    assert run.status == "recovering"
    assert run.injections.get().phase == "recovering"
    assert "does not answer" in run.injections.get().last_error
    assert live_claims() == 2
    control.cut_off()
    pump.run_until(run, *ENDED)
    assert run.status == "stopped"
    assert control.live() == set()


def test_a_driver_that_breaks_on_injecting_ends_the_run(
    alice, environment, pump, control, monkeypatch
):
    def broken(self, plan):
        raise TypeError("a bug")

    monkeypatch.setattr(FakeDriver, "inject", broken)
    run = pump.run_until(injecting(alice, environment, pump), *ENDED, step_s=5)
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "TypeError: a bug" in run.reason
    assert run.injections.get().settle_reads == 5, "what a broken driver sent is unknown"


def test_a_driver_that_breaks_on_removing_is_as_loud_as_one_that_fails(
    alice, environment, pump, control, monkeypatch, caplog
):
    run = injecting(alice, environment, pump)
    recover = FakeDriver.recover
    monkeypatch.setattr(FakeDriver, "recover", lambda self, plan, handle: [][0])
    launching.stop_run(run=run, actor="bob")
    for _ in range(10):
        pump.pass_time(1)
    assert "By hand: fake restore one" in caplog.text
    run.refresh_from_db()
    assert run.status == "recovering"
    monkeypatch.setattr(FakeDriver, "recover", recover)
    pump.run_until(run, *ENDED)
    assert control.live() == set()


def lose_on_the_backend(
    alice: Any, environment: Any, pump: Any, control: Any, on_drift: str
) -> Run:
    run = injecting(alice, environment, pump, document(fault(duration="1m", on_drift=on_drift)))
    control.restart("one", "two")
    for _ in range(5):
        pump.pass_time(1)
    run.refresh_from_db()
    return run


def test_a_lost_fault_stops_the_run_where_drift_stops(alice, environment, pump, control):
    run = lose_on_the_backend(alice, environment, pump, control, "stop")
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "backend")
    assert "was lost on its backend" in run.reason


def test_a_lost_fault_is_left_lost_where_drift_is_ignored(alice, environment, pump, control):
    run = lose_on_the_backend(alice, environment, pump, control, "ignore")
    assert run.status == "injecting"
    assert control.live() == set()
    assert pump.run_until(run, *ENDED).status == "completed"


def test_a_lost_fault_is_injected_again_where_drift_reinjects(alice, environment, pump, control):
    run = lose_on_the_backend(alice, environment, pump, control, "reinject")
    injection = run.injections.get()
    assert control.applied(injection.token) == 2
    assert control.live() == {injection.token}
    assert not injection.is_unanswered
    assert run.events.filter(kind="drift").count() == 1
    pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert control.live() == set()


def test_a_reinject_whose_answer_is_lost_is_read_back_for_long(alice, environment, pump, control):
    run = injecting(alice, environment, pump, document(fault(duration="10s", on_drift="reinject")))
    control.script(Step(method="inject", do="lose", effect="late", seconds=25))
    control.restart("one", "two")
    pump.pass_time(2)
    injection = run.injections.get()
    assert injection.is_unanswered
    pump.run_until(run, *ENDED)
    injection.refresh_from_db()
    assert injection.settle_reads == len(removing.SETTLE_READS_S)
    assert control.live() == set()
