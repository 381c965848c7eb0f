"""Runs from request to verdict on the rehearsal driver, without servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from experiments.domain.states import Status
from experiments.models import Claim
from experiments.services import conducting, launching, sweeping
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


def moments(run: Any) -> dict[str, tuple[float, float]]:
    """Return when each action began and was over, in seconds after the first fault's time."""
    zero = run.injecting_at
    over = {row.action: row.recovered_at for row in run.injections.all()}
    return {
        record.name: (
            (record.started_at - zero).total_seconds(),
            ((over.get(record.name) or record.finished_at) - zero).total_seconds(),
        )
        for record in run.actions.all()
    }


def test_a_run_injects_recovers_and_judges(alice, environment, pump, control):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    injection = run.injections.get()
    assert injection.phase == "active"
    assert control.live() == {injection.token}
    pump.run_until(run, *ENDED)
    assert run.status == Status.COMPLETED
    assert run.ended_by == "plan"
    assert run.injections.get().phase == "recovered"
    assert control.live() == set()
    assert not Claim.objects.filter(released_at__isnull=True).exists()


def test_an_end_probe_that_fails_deviates_and_completes(alice, environment, pump):
    raw = document()
    raw["probes"][0]["tolerance"] = {"status": 201}
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert (run.status, run.verdict) == ("completed", "deviated")


def test_actions_follow_one_another_by_default(alice, environment, pump):
    raw = document(fault("a"), {"name": "b", "wait": "7s"}, fault("c", duration="3s"))
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert moments(run) == {"a": (0, 10), "b": (10, 17), "c": (17, 20)}


def test_actions_may_start_together_later_or_after_another(alice, environment, pump):
    raw = document(
        fault("a", duration="20s", **{"with": {"target": "one"}}),
        fault("b", start={"with": ["a"], "delay": "5s"}, **{"with": {"target": "two"}}),
        fault("c", fault="fake.delay", duration="2s", start={"after": ["b"], "delay": "1s"}),
        {"name": "d", "wait": "4s", "start": {"delay": "3s"}},
    )
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert moments(run) == {"a": (0, 20), "b": (5, 15), "c": (16, 18), "d": (3, 7)}


def test_the_baseline_and_the_settling_take_their_time(alice, environment, pump):
    raw = document(timing={"baseline": "40s", "settle": "20s"})
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert run.injecting_at - run.baseline_at == timedelta(seconds=40)
    assert run.ended_at - run.settling_at == timedelta(seconds=20)


def test_a_checkpoint_waits_for_a_person_and_then_goes_on(alice, environment, pump):
    raw = document({"name": "look", "checkpoint": "Still fine?"}, fault("after"))
    run = start(alice, environment, raw)
    pump.run_until(run, "injecting")
    for _ in range(5):
        pump.pass_time(60)
    run.refresh_from_db()
    assert run.waiting_for == "checkpoint"
    assert run.injections.get().phase == "planned"
    assert launching.answer_checkpoint(run=run, name="look", user=alice)
    assert not launching.answer_checkpoint(run=run, name="look", user=alice)
    run = pump.run_until(run, *ENDED)
    assert run.status == "completed"
    assert run.waiting_for == ""


def test_a_live_fault_keeps_its_deadline_while_a_checkpoint_waits(alice, environment, pump):
    raw = document(
        fault("first"), {"name": "look", "checkpoint": "Go on?", "start": {"with": ["first"]}}
    )
    run = start(alice, environment, raw)
    pump.run_until(run, "injecting")
    for _ in range(15):
        pump.pass_time(1)
    run.refresh_from_db()
    assert (run.status, run.waiting_for) == ("injecting", "checkpoint")
    assert run.injections.get().phase == "recovered"


def test_a_checkpoint_that_nobody_answers_stops_the_run(alice, environment, pump):
    raw = document({"name": "look", "checkpoint": "Still fine?", "timeout": "30s"}, fault("after"))
    run = pump.run_until(start(alice, environment, raw), *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "person")
    assert "nobody answered" in run.reason
    assert run.injections.get().phase == "cancelled"


def test_a_second_tick_changes_nothing(alice, environment, pump):
    run = start(alice, environment)
    pump.run_until(run, "injecting")
    pump.drain()
    run.refresh_from_db()
    before = (run.status, run.page_version, run.next_due, run.events.count())
    conducting.tick(run_id=run.pk)
    run.refresh_from_db()
    assert (run.status, run.page_version, run.next_due, run.events.count()) == before


def test_the_sweep_dispatches_only_runs_that_are_due(alice, environment, pump):
    raw = document(timing={"baseline": "1h", "settle": "0s"})
    run = start(alice, environment, raw)
    pump.drain()
    assert sweeping.sweep() == 0
    run.refresh_from_db()
    pump.let_pass((run.next_due - pump.now()).total_seconds())
    assert sweeping.sweep() == 1
    assert ("tick_all", ([run.pk],)) in pump.waiting
    assert sweeping.sweep() == 0, "its lease has not run out"
    pump.let_pass(5)
    assert sweeping.sweep() == 1, "nobody took it: it is dispatched again"
