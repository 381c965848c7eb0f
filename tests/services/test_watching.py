"""Looks at many runs at once: one read of each measure, one sample of each bin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Call, Environment, LiveSeries, Reading, Run, User
from experiments.services import snapshots, sofar, sweeping, watching
from tests.pump import Pump
from tests.services.worlds import ENDED, Metrics, fault, start, watched

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def many(environment: Environment) -> Environment:
    """Let a dozen faults be live at once."""
    mesh = environment.aliases.get(name="mesh").connection
    mesh.options = {"targets": [f"t{index}" for index in range(12)]}
    mesh.save()
    return environment


def on(target: str, **changes: Any) -> dict[str, Any]:
    return fault(duration="2m", **({"with": {"target": target}} | changes))


def injecting(user: User, environment: Environment, pump: Pump, count: int) -> list[Run]:
    runs = [
        start(user, environment, watched(on(f"t{index}")), key=f"k{index}")
        for index in range(count)
    ]
    for run in runs:
        pump.run_until(run, "injecting")
    return runs


def test_however_many_runs_watch_a_measure_it_is_read_once(alice, many, pump, metrics):
    runs = injecting(alice, many, pump, 10)
    pump.pass_time(10)
    metrics.asked.clear()
    pump.let_pass(5)
    for run in runs:
        assert watching.watch(run_ids=[run.pk]) == 1
    assert metrics.asked == ["range"], "ten runs, ten looks, one query"
    assert LiveSeries.objects.count() == 1
    newest = {run.readings.filter(kind="guardrail").latest("at").at for run in runs}
    assert len(newest) == 1, "all of them know of the newest sample"


def test_two_measures_of_one_name_are_not_mixed_up(alice, many, pump, metrics):
    other = watched(on("t1"))
    other["slis"][0] |= {"value": "another"}
    for index, raw in enumerate((watched(on("t0")), other)):
        pump.run_until(start(alice, many, raw, key=f"k{index}"), "injecting")
    assert LiveSeries.objects.count() == 2


def test_a_look_at_more_runs_costs_no_more_queries(alice, many, pump, metrics):
    runs = injecting(alice, many, pump, 8)

    def queries(count: int) -> int:
        pump.let_pass(6)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert watching.watch(run_ids=[run.pk for run in runs[:count]]) == count
        return len(seen)

    queries(2)
    assert queries(8) == queries(2)


def test_a_bin_that_is_read_again_is_no_new_sample(alice, environment, pump, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    pump.pass_time(20)
    before = list(run.readings.values_list("at", "name"))
    Call.objects.filter(run=run, kind="watch").update(due_at=pump.now())
    assert watching.watch(run_ids=[run.pk]) == 1
    assert list(run.readings.values_list("at", "name")) == before
    at = [moment for moment, _ in before]
    assert len(set(at)) == len(at) > 3
    assert all(moment > run.baseline_at for moment in at), "nothing from before its baseline"


def test_of_many_samples_only_those_that_can_matter_are_asked_for(
    alice, environment, pump, metrics
):
    run = start(alice, environment, watched(fault(duration="2h"), no_data="ignore"))
    pump.run_until(run, "injecting")
    pump.pass_time(20)
    kept = Reading.objects.filter(run=run, is_breach__isnull=False)
    old = set(kept.values_list("at", flat=True))
    metrics.value = lambda at: None
    pump.let_pass(900)
    back = pump.seconds()
    metrics.value = lambda at: 1.0 if at > back else None
    pump.let_pass(20)
    with CaptureQueriesContext(connection) as seen:
        assert watching.watch(run_ids=[run.pk]) == 1
    asked = [each["sql"] for each in seen if "MAX(" in each["sql"] and "reading" in each["sql"]]
    assert len(asked) == 2, "the last minutes have none, so all that were read are looked through"
    assert all('"at" >=' in sql for sql in asked)
    new = set(kept.values_list("at", flat=True)) - old
    assert new
    assert min(new).timestamp() > back
    assert len(old) + len(new) == kept.count()
    pump.let_pass(6)
    with CaptureQueriesContext(connection) as seen:
        assert watching.watch(run_ids=[run.pk]) == 1
    asked = [each["sql"] for each in seen if "MAX(" in each["sql"] and "reading" in each["sql"]]
    assert len(asked) == 1


def test_a_look_that_somebody_makes_is_not_made_twice(alice, environment, pump, monkeypatch):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    pump.let_pass(6)
    made: list[int] = []
    read = watching.shared.read

    def meanwhile(needs: Any) -> Any:
        made.append(watching.watch(run_ids=[run.pk]))
        return read(needs)

    monkeypatch.setattr(watching.shared, "read", meanwhile)
    assert watching.watch(run_ids=[run.pk]) == 1
    assert made == [0]


def test_one_broken_run_keeps_nobody_from_being_watched(alice, many, pump, metrics, monkeypatch):
    broken, well = injecting(alice, many, pump, 2)
    look = watching._look

    def fail(each: Any, *rest: Any) -> Any:
        if each.run.pk == broken.pk:
            raise RuntimeError("a bug")
        return look(each, *rest)

    monkeypatch.setattr(watching, "_look", fail)
    began = pump.seconds()
    metrics.value = lambda at: 80.0 if at > began else 1.0
    pump.run_until(well, *ENDED)
    assert well.is_stopped_on_data
    pump.run_until(broken, *ENDED)
    assert (broken.ended_by, broken.is_stopped_on_data) == ("guardrail", False), "it was blind"


def test_a_source_that_is_being_asked_is_not_asked_by_others(
    alice, many, pump, metrics, monkeypatch
):
    first, second = injecting(alice, many, pump, 2)
    pump.let_pass(6)
    asked: list[int] = []
    range_of = Metrics.range

    def slow(self: Metrics, *rest: Any) -> Any:
        asked.append(1)
        if len(asked) == 1:
            assert watching.watch(run_ids=[second.pk]) == 1, "it takes what is known"
        return range_of(self, *rest)

    monkeypatch.setattr(Metrics, "range", slow)
    assert watching.watch(run_ids=[first.pk]) == 1
    assert len(asked) == 1


def test_a_breach_wakes_the_run_at_once(alice, environment, pump, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    began = pump.seconds()
    metrics.value = lambda at: 80.0 if at > began else 1.0
    pump.let_pass(20)
    pump.waiting.clear()
    watching.watch(run_ids=[run.pk])
    assert ("tick", (run.pk,)) in pump.waiting
    run.refresh_from_db()
    assert run.next_due <= pump.now(), "a lost wake is found by the sweep"
    pump.drain()
    run.refresh_from_db()
    assert run.stop_ended_by == "guardrail"


def test_a_live_page_reads_what_is_shared_and_an_ended_run_has_its_own(
    alice, environment, pump, metrics
):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    pump.pass_time(30)
    document = snapshots.spec_of(run)
    series, problems = sofar.read(run, document)
    assert not problems
    lead = run.baseline_at.timestamp() - 10
    assert series["load"].times[0] >= lead, "nothing of those who watched it before"
    assert not run.series.exists()
    pump.run_until(run, *ENDED)
    LiveSeries.objects.all().delete()
    kept, _ = sofar.read(run, document)
    assert set(series["load"].times) <= set(kept["load"].times) | {series["load"].times[0]}


def test_what_was_measured_of_a_run_stopped_in_its_baseline_is_kept(
    alice, environment, pump, metrics
):
    run = start(alice, environment, watched())
    pump.run_until(run, "baseline")
    pump.pass_time(20)
    metrics.value = lambda at: 80.0
    pump.run_until(run, *ENDED)
    assert run.series.get().sli == "load"


def test_readings_without_data_replace_each_other(alice, environment, pump, metrics):
    run = start(alice, environment, watched(no_data="ignore"))
    pump.run_until(run, "injecting")
    metrics.error = "Connection refused."
    for _ in range(5):
        pump.pass_time(5)
    blank = Reading.objects.filter(run=run, is_breach__isnull=True)
    assert blank.count() == 1
    assert "Connection refused." in blank.get().note
    metrics.error = ""
    pump.pass_time(5)
    assert not blank.exists()


def test_a_run_is_due_when_its_guardrail_would_be_blind(alice, environment, pump, metrics):
    run = start(alice, environment, watched())
    pump.run_until(run, "injecting")
    pump.pass_time(5)
    run.refresh_from_db()
    first = run.blind_at
    assert first > pump.now()
    pump.pass_time(5)
    run.refresh_from_db()
    assert run.blind_at > first, "every new sample moves it on"
    Call.objects.filter(run=run, kind="watch").update(due_at=run.blind_at + timedelta(hours=1))
    pump.let_pass((run.blind_at - pump.now()).total_seconds())
    pump.waiting.clear()
    assert sweeping.sweep() == 1
    pump.drain()
    run.refresh_from_db()
    assert (run.stop_ended_by, run.blind_at) == ("guardrail", None)
    assert "no new data of load" in run.stop_reason


def test_a_run_whose_guardrails_get_data_is_not_ticked(alice, environment, pump, metrics):
    run = start(alice, environment, watched(fault(duration="1h")))
    pump.run_until(run, "injecting")
    pump.drain()
    ticked = []
    for _ in range(60):
        pump.let_pass(5)
        sweeping.sweep()
        ticked += [each for each in pump.waiting if each[0] in ("tick", "tick_all")]
        pump.drain()
    assert ticked == [], "sixty looks, and nothing to decide"
