"""Observations of many live faults at once."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.fake import Step
from experiments.models import Environment, Injection, Run, User
from experiments.services import carrying, held, launching, locking, observing, sweeping
from tests.pump import Pump
from tests.services.worlds import ENDED, document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)


def live(
    user: User, environment: Environment, pump: Pump, **changes: Any
) -> tuple[list[Run], list[int]]:
    """Return two runs with a live fault each, whose observations are due."""
    runs = []
    for target in ("one", "two"):
        raw = document(fault(**({"duration": "60s", "with": {"target": target}} | changes)))
        runs.append(start(user, environment, raw, key=target))
    for run in runs:
        pump.run_until(run, "injecting")
    pump.drain()
    pump.let_pass(2)
    return runs, [run.injections.get().pk for run in runs]


def test_all_that_are_due_are_observed_in_one_look(alice, environment, pump, control):
    _, pks = live(alice, environment, pump)
    before = control.calls("observe")
    assert observing.observe(injection_ids=pks) == 2
    assert control.calls("observe") == before + 2
    for row in Injection.objects.filter(pk__in=pks):
        assert row.observation["phase"] == "active"
        assert row.attempt_deadline is None
        assert (row.due_at - pump.now()).total_seconds() == held.every_s(row) == 2
    assert observing.observe(injection_ids=pks) == 0, "they are not due again yet"


@pytest.mark.parametrize(
    ("duration_s", "every_s"), [(5, 2), (120, 2), (300, 5), (1800, 30), (86400, 30)]
)
def test_long_faults_are_observed_less_often(duration_s, every_s):
    assert held.every_s(Injection(duration_s=duration_s)) == every_s


def test_the_sweep_dispatches_each_once_by_connection(alice, environment, pump):
    _, pks = live(alice, environment, pump)
    sweeping.sweep()
    assert ("observe", (pks,)) in pump.waiting
    pump.waiting.clear()
    sweeping.sweep()
    assert not [each for each in pump.waiting if each[0] == "observe"], "just dispatched"
    pump.let_pass(locking.REWAKE_S)
    sweeping.sweep()
    assert ("observe", (pks,)) in pump.waiting, "nobody came: it is dispatched again"


def test_a_lost_fault_is_noticed_within_one_observation_and_stops_its_run_alone(
    alice, environment, pump, control
):
    runs, pks = live(alice, environment, pump)
    control.restart("one")
    observing.observe(injection_ids=pks)
    pump.drain()
    for run in runs:
        run.refresh_from_db()
    assert [run.stop_ended_by for run in runs] == ["backend", ""]
    assert "was lost on its backend" in runs[0].stop_reason


def test_a_lost_fault_is_injected_again_where_that_is_wanted(alice, environment, pump, control):
    runs, pks = live(alice, environment, pump, on_drift="reinject")
    control.restart("one")
    observing.observe(injection_ids=pks)
    pump.drain()
    assert len(control.live()) == 2
    assert runs[0].events.filter(kind="drift").exists()


def test_a_stop_does_not_wait_for_a_look(alice, environment, pump, control, monkeypatch):
    runs, pks = live(alice, environment, pump)
    look = observing._observe

    def meanwhile(row: Injection, silent: dict[int, str]) -> Any:
        if row.pk == pks[0]:
            launching.stop_run(run=runs[0], actor="bob")
            carrying.carry(injection_id=row.pk)
        return look(row, silent)

    monkeypatch.setattr(observing, "_observe", meanwhile)
    observing.observe(injection_ids=pks)
    row = Injection.objects.get(pk=pks[0])
    assert row.phase == "recovered", "the look found another attempt, and wrote nothing"
    assert row.observation["phase"] == "gone"
    pump.run_until(runs[0], *ENDED)


def test_a_backend_that_fails_is_asked_once_in_a_look(alice, environment, pump, control):
    _, pks = live(alice, environment, pump)
    control.script(Step(method="observe", do="fail", message="No way in.", retryable=True))
    before = control.calls("observe")
    observing.observe(injection_ids=pks)
    assert control.calls("observe") == before + 1
    rows = Injection.objects.filter(pk__in=pks)
    assert {row.last_error for row in rows} == {"No way in."}
    assert {row.phase for row in rows} == {"active"}
    pump.let_pass(2)
    observing.observe(injection_ids=pks)
    assert {row.last_error for row in rows.all()} == {""}


def test_a_look_whose_worker_died_is_made_by_another(alice, environment, pump, control):
    _, pks = live(alice, environment, pump)
    control.script(Step(method="observe", do="slow", seconds=0))
    real = observing._commit
    observing._commit = lambda *_: (_ for _ in ()).throw(SystemExit)
    try:
        with pytest.raises(SystemExit):
            observing.observe(injection_ids=pks)
    finally:
        observing._commit = real
    pump.let_pass(locking.REWAKE_S)
    assert observing.observe(injection_ids=pks) == 2


def test_without_a_queue_a_lost_fault_stops_its_run_too(alice, environment, pump, control):
    runs, _ = live(alice, environment, pump)
    pump.is_deaf = True
    control.restart("one")
    for _ in range(4):
        pump.keep()
    for run in runs:
        run.refresh_from_db()
    assert [run.stop_ended_by for run in runs] == ["backend", ""]


def test_without_a_queue_a_lost_fault_is_injected_again_too(alice, environment, pump, control):
    live(alice, environment, pump, on_drift="reinject")
    pump.is_deaf = True
    control.restart("one")
    for _ in range(4):
        pump.keep()
    assert len(control.live()) == 2


def test_a_target_that_does_not_answer_is_not_a_lost_fault(alice, environment, pump, control):
    runs, _ = live(alice, environment, pump)
    control.cut_off("one")
    for _ in range(5):
        pump.pass_time(2)
    control.cut_off()
    pump.pass_time(2)
    for run in runs:
        run.refresh_from_db()
        assert run.stop_ended_by == "", "a time-out is unknown, not lost"
        assert run.injections.get().lost_at is None


def test_a_fault_that_could_not_be_put_back_was_not_there(alice, environment, pump, control):
    run = start(
        alice,
        environment,
        document(fault(duration="60s", on_drift="reinject", **{"with": {"target": "one"}})),
    )
    pump.run_until(run, "injecting")
    pump.drain()
    pump.pass_time(4)
    control.set_value("one", "fake.abort", "a stranger's")
    pump.run_until(run, *ENDED)
    assert run.injections.get().lost_at is not None
    assert run.verdict != "held", "somebody had overwritten it"


def test_a_gap_is_counted_when_it_is_put_back(alice, environment, pump, control):
    runs, pks = live(alice, environment, pump, on_drift="reinject")
    control.restart("one")
    observing.observe(injection_ids=pks)
    pump.drain()
    row = runs[0].injections.get()
    assert row.lost_at is None
    assert row.lost_s >= 0
