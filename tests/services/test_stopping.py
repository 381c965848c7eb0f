"""A stop in every state: what was begun is removed, what was not is never sent."""

from __future__ import annotations

import pytest

from experiments.domain.states import EndedBy
from experiments.models import Claim
from experiments.services import clock, launching, sweeping, transitions
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = {"baseline": "30s", "settle": "30s"}


def test_stop_removes_a_live_fault_at_once(alice, environment, pump, control):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    assert launching.stop_run(run=run, actor="bob")
    pump.drain()
    assert control.live() == set()
    assert run.injections.get().phase == "recovered"
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by, run.reason) == ("stopped", "person", "stopped by bob")
    assert run.verdict != "held", "a stopped run is never held"


def test_only_the_first_stop_counts(alice, environment, pump):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    assert launching.stop_run(run=run, actor="bob", reason="first")
    assert not launching.stop_run(run=run, actor="carol", reason="second", ended_by=EndedBy.HALT)
    pump.run_until(run, *ENDED)
    assert (run.reason, run.ended_by) == ("first", "person")
    assert run.events.filter(kind="stop").count() == 1
    assert not launching.stop_run(run=run, actor="bob"), "it has ended"


def test_a_run_stopped_when_requested_asks_nothing(alice, environment, pump, control):
    run = start(alice, environment)
    launching.stop_run(run=run, actor="bob")
    pump.drain()
    run.refresh_from_db()
    assert (run.status, run.verdict) == ("stopped", "inconclusive")
    assert control.calls("check") == 0


def test_a_check_that_ends_after_a_stop_reserves_nothing(alice, environment, pump, monkeypatch):
    run = start(alice, environment)
    pump.step()  # the tick that asks for the check
    commit = transitions.holding

    def stop_first(*, run_id):
        monkeypatch.setattr(transitions, "holding", commit)
        launching.stop_run(run=run, actor="bob")
        return commit(run_id=run_id)

    monkeypatch.setattr(transitions, "holding", stop_first)
    pump.drain()
    run.refresh_from_db()
    assert run.status == "stopped"
    assert not run.injections.exists()
    assert not Claim.objects.exists()


def test_a_stop_in_the_baseline_cancels_everything_and_frees_the_claims(
    alice, environment, pump, control
):
    run = start(alice, environment, document(timing=SLOW))
    pump.run_until(run, "baseline")
    assert Claim.objects.filter(released_at__isnull=True).count() == 2
    launching.stop_run(run=run, actor="bob")
    pump.drain()
    run.refresh_from_db()
    assert run.status == "stopped"
    assert run.injections.get().phase == "cancelled"
    assert not Claim.objects.filter(released_at__isnull=True).exists()
    for _ in range(60):
        pump.pass_time(5)
    assert control.calls("inject") == 0


def test_nothing_is_injected_once_a_stop_is_committed(alice, environment, pump, control):
    run = start(alice, environment)
    while not run.injections.filter(phase="intent").exists():
        pump.step()
    # Whoever stops dies right after the commit: no tick of theirs takes the intent back.
    transitions.order_stop(
        run=run, ended_by=EndedBy.PERSON, actor="bob", reason="enough", now=clock.now()
    )
    pump.run_until(run, *ENDED)
    assert control.calls("inject") == 0
    assert run.injections.get().phase == "cancelled"


def test_a_fault_that_was_to_follow_is_never_sent(alice, environment, pump, control):
    run = start(alice, environment, document(fault("a"), fault("b", fault="fake.delay")))
    pump.run_until(run, "injecting")
    pump.drain()
    launching.stop_run(run=run, actor="bob")
    pump.run_until(run, *ENDED)
    assert [row.phase for row in run.injections.all()] == ["recovered", "cancelled"]
    assert control.calls("inject") == 1


def test_a_stop_while_settling_ends_as_stopped_and_is_never_held(alice, environment, pump):
    run = start(alice, environment, document(timing=SLOW))
    pump.run_until(run, "settling")
    assert launching.stop_run(run=run, actor="bob")
    pump.run_until(run, *ENDED)
    assert run.status == "stopped"
    assert run.verdict != "held"


def test_a_run_that_is_being_judged_cannot_be_stopped_any_more(alice, environment, pump):
    run = start(alice, environment)
    pump.drain()
    for _ in range(100):
        pump.let_pass(1)
        sweeping.sweep()
        while pump.waiting:
            pump.step()
            run.refresh_from_db()
            if run.status == "judging":
                break
        if run.status == "judging":
            break
    assert run.status == "judging"
    assert not launching.stop_run(run=run, actor="bob")
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("completed", "plan")
