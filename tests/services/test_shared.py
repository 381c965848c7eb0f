"""Newest bins are shared: asked for at once, in time, and never mixed with those of another day."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drivers.prometheus_answers import Answer, TimeSeries
from drivers.protocol import DriverError
from experiments.analysis.series import HistogramSeries
from experiments.domain.slis import Sli
from experiments.models import Connection, LiveSeries
from experiments.services import judging, shared, snapshots
from tests.services.worlds import Metrics, fault, start, watched

pytestmark = pytest.mark.django_db(transaction=True)

FINE = (0.1, 0.2, 0.3, np.inf)
COARSE = (0.1, 0.3, np.inf)
STEP = 5.0


@pytest.fixture
def source(environment) -> Connection:
    return Connection.objects.get(name="metrics")


def need_of(source: Connection, pump: Any, name: str = "load", **measure: Any) -> shared.Need:
    sli = Sli.model_validate({"name": name} | (measure or {"value": name}))
    return shared.Need(sli, source, pump.seconds() - 60, STEP, STEP, 1.0)


def latency(source: Connection, pump: Any) -> shared.Need:
    return need_of(source, pump, "p95", quantile={"histogram": "latency_bucket", "q": 0.95})


def needs_of(source: Connection, pump: Any, count: int) -> list[shared.Need]:
    return [need_of(source, pump, f"load{index:02}") for index in range(count)]


def in_buckets(bounds_at: Callable[[float], tuple[float, ...]]) -> Callable[..., Any]:
    """Return a source whose one histogram has those buckets at each moment."""

    def range_of(self: Metrics, query: str, start: float, end: float, step: float) -> Any:
        self._answer("range")
        times = np.arange(start, end + step / 2, step)
        found = []
        for bound in sorted({each for at in times for each in bounds_at(at)}):
            at = np.array([moment for moment in times if bound in bounds_at(moment)])
            counts = np.full(len(at), 100.0 * min(bound, 0.3))
            found.append(TimeSeries({"le": f"{bound:g}"}, at, counts))
        return Answer(found)

    return range_of


def series_of(need: shared.Need) -> Any:
    return shared._stored(LiveSeries.objects.get(key=need.key))


def test_buckets_that_changed_are_never_mixed(source, pump, metrics, monkeypatch):
    changes = pump.seconds() + 20
    old_or_new = in_buckets(lambda at: COARSE if at < changes else FINE)
    monkeypatch.setattr(Metrics, "range", old_or_new)
    need = latency(source, pump)
    shared.read([need])
    assert series_of(need).bounds.tolist() == list(COARSE)
    pump.let_pass(40)
    found = shared.read([need])[need.key].series
    assert found.bounds.tolist() == list(FINE), "those of the newest bin"
    present = found.times[np.isfinite(found.counts).all(axis=1)]
    assert present.min() >= changes
    pump.let_pass(10)
    asked = len(metrics.asked)
    later = shared.read([need])[need.key].series
    assert len(metrics.asked) == asked + 1, "from then on only what is new is read"
    assert set(present) < set(later.times[np.isfinite(later.counts).all(axis=1)])


def test_bins_of_nobody_are_left_behind(source, pump, metrics):
    early = need_of(source, pump)
    shared.read([early])
    pump.let_pass(3600)
    late = need_of(source, pump)
    assert late.key == early.key
    found = shared.read([late])[late.key].series
    assert found.times[0] > late.since


def test_bins_of_a_live_run_in_another_round_are_kept(alice, environment, pump, metrics, source):
    run = start(alice, environment, watched(fault(duration="1h")))
    pump.run_until(run, "injecting")
    pump.pass_time(60)
    (own,) = shared.needs_of(run, snapshots.spec_of(run), {"metrics": source})
    pump.let_pass(10)
    shared.read([replace(own, since=pump.seconds() - 10)])
    assert series_of(own).times[0] <= run.baseline_at.timestamp()


def test_one_need_of_a_key_is_the_earliest_and_the_most_often_asked(source, pump):
    need = need_of(source, pump)
    seldom = replace(need, since=need.since - 100, every_s=60.0)
    for given in ([need, seldom], [seldom, need]):
        (found,) = shared._widest(given).values()
        assert (found.since, found.every_s) == (seldom.since, need.every_s)


def test_an_edited_connection_has_keys_of_its_own(source, pump, metrics):
    before = need_of(source, pump)
    metrics.value = lambda at: 7.0
    shared.read([before])
    pump.let_pass(10)
    edited = Connection.objects.get(pk=source.pk)
    edited.options = {"url": "http://127.0.0.1:2"}
    edited.save()
    after = need_of(edited, pump)
    assert after.key != before.key
    metrics.value = lambda at: None
    found = shared.read([after])[after.key]
    assert not np.isfinite(found.series.values).any(), "the old server's bins fill no gap"
    assert "returned nothing" in found.problem


def test_the_keeper_drops_what_nobody_read_for_a_day(source, pump, metrics):
    old, new = needs_of(source, pump, 2)
    shared.read([old])
    LiveSeries.objects.create(
        key="lost", connection=source, kind="value", attempt_deadline=pump.now()
    )
    pump.let_pass(25 * 3600)
    shared.read([replace(new, since=pump.seconds() - 60)])
    pump.keep_in_turn(reconcile=False)
    assert LiveSeries.objects.count() == 3
    pump.keep_in_turn(reconcile=True)
    assert list(LiveSeries.objects.values_list("key", flat=True)) == [new.key]


def test_needs_of_a_slow_source_are_asked_for_together(source, pump, metrics, monkeypatch):
    together = threading.Barrier(shared._READS_AT_ONCE)
    range_of = Metrics.range

    def slow(self: Metrics, *rest: Any) -> Any:
        together.wait(20)
        return range_of(self, *rest)

    monkeypatch.setattr(Metrics, "range", slow)
    needs = needs_of(source, pump, 2 * shared._READS_AT_ONCE)
    found = shared.read(needs)
    assert [found[need.key].problem for need in needs] == [""] * len(needs)
    assert len(metrics.asked) == len(needs)
    assert not LiveSeries.objects.filter(attempt_deadline__isnull=False).exists()


def test_a_round_that_lasts_too_long_begins_no_more(source, pump, metrics, monkeypatch):
    needs = needs_of(source, pump, 4)
    shared.read(needs)
    before = LiveSeries.objects.in_bulk(field_name="key")
    pump.let_pass(10)
    metrics.asked.clear()
    moments = iter([0.0, 1.0, 5.0])
    monkeypatch.setattr(shared, "time", SimpleNamespace(monotonic=lambda: next(moments, 7.0)))
    found = shared.read(needs)
    assert len(metrics.asked) == 2
    after = LiveSeries.objects.in_bulk(field_name="key")
    same = [key for key, row in after.items() if row.read_at == before[key].read_at]
    assert len(same) == 2, "the others keep what was known"
    assert all(found[key].series is not None and not found[key].problem for key in same)
    assert all(row.attempt_deadline is None for row in after.values()), "and are free"


def test_what_was_left_out_comes_first_in_the_next_round(source, pump, metrics, monkeypatch):
    needs = needs_of(source, pump, 3)
    shared.read(needs[:2])
    pump.let_pass(10)
    shared.read(needs[:1])
    pump.let_pass(10)
    rows = LiveSeries.objects.in_bulk(field_name="key")
    order = sorted(needs, key=shared._Round(rows, 0.0)._order)
    assert order == [needs[2], needs[1], needs[0]]


def test_a_need_is_claimed_just_before_it_is_asked_for(source, pump, metrics, monkeypatch):
    monkeypatch.setattr(shared, "_READS_AT_ONCE", 1)
    claimed: list[str] = []
    ahead: list[int] = []
    claim, range_of = shared._Round._claimed, Metrics.range

    def noted(self: Any, need: shared.Need) -> Any:
        claimed.append(need.key)
        return claim(self, need)

    def asked(self: Metrics, *rest: Any) -> Any:
        found = range_of(self, *rest)
        ahead.append(len(claimed) - len(self.asked))
        return found

    monkeypatch.setattr(shared._Round, "_claimed", noted)
    monkeypatch.setattr(Metrics, "range", asked)
    shared.read(needs_of(source, pump, 6))
    assert ahead == [0] * 6


def test_a_source_that_does_not_answer_is_not_asked_by_the_whole_line(source, pump, metrics):
    metrics.error = "Connection refused."
    needs = needs_of(source, pump, 40)
    found = shared.read(needs)
    assert {found[need.key].problem for need in needs} == {"Connection refused."}
    assert 1 <= len(metrics.asked) <= 2 * shared._READS_AT_ONCE
    assert not LiveSeries.objects.filter(read_at__isnull=True).exists()


def test_a_wrong_query_is_its_own_problem_only(source, pump, metrics, monkeypatch):
    monkeypatch.setattr(shared, "_READS_AT_ONCE", 1)
    range_of = Metrics.range

    def picky(self: Metrics, query: str, *rest: Any) -> Any:
        if "load00" in query:
            raise DriverError("parse error", retryable=False)
        return range_of(self, query, *rest)

    monkeypatch.setattr(Metrics, "range", picky)
    needs = needs_of(source, pump, 3)
    found = shared.read(needs)
    assert [found[need.key].problem for need in needs] == ["parse error", "", ""]


def test_a_reader_that_breaks_is_told_and_keeps_nobody(source, pump, metrics, monkeypatch):
    def broken(self: Metrics, query: str, *rest: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Metrics, "range", broken)
    needs = needs_of(source, pump, 2)
    found = shared.read(needs)
    assert [found[need.key].problem for need in needs] == ["RuntimeError: a bug"] * 2


def test_rows_are_made_in_one_order_by_everybody(source, pump, metrics):
    needs = sorted(needs_of(source, pump, 12), key=lambda need: need.key, reverse=True)
    shared.read(needs)
    made = list(LiveSeries.objects.order_by("pk").values_list("key", flat=True))
    assert made == sorted(made)


@pytest.fixture
def judged(alice, environment, pump, metrics, monkeypatch) -> Any:
    """Return a run with a latency that can be judged, and its need."""
    monkeypatch.setattr(Metrics, "range", in_buckets(lambda at: FINE))
    raw = watched(fault(duration="1h"))
    raw["slis"][0] |= {
        "quantile": {"histogram": "latency_bucket", "q": 0.95},
        "margin": {"relative": "20%"},
    }
    del raw["slis"][0]["value"]
    run = start(alice, environment, raw)
    pump.run_until(run, "injecting")
    pump.drain()
    pump.pass_time(60)
    run.refresh_from_db()
    source = Connection.objects.get(name="metrics")
    (need,) = shared.needs_of(run, snapshots.spec_of(run), {"metrics": source})
    return run, need


def test_the_judge_never_takes_the_buckets_of_an_earlier_read(judged, metrics):
    run, need = judged
    times = series_of(need).times
    counts = np.tile([10.0, 30.0, 30.0], (len(times), 1))
    coarse = HistogramSeries(times, COARSE, counts, step_s=STEP, window_s=STEP)
    LiveSeries.objects.filter(key=need.key).update(payload=coarse.to_bytes())
    found = judging.judge(run).findings["measured"]["load"].series
    assert found.bounds.tolist() == list(FINE)
    assert np.isfinite(found.counts).all()


def test_the_judge_has_from_the_live_series_what_the_source_forgot(judged, monkeypatch, pump):
    run, need = judged
    known = series_of(need)
    forgotten = pump.seconds() - 30
    monkeypatch.setattr(Metrics, "range", in_buckets(lambda at: FINE if at > forgotten else ()))
    found = judging.judge(run).findings["measured"]["load"].series
    filled = np.isfinite(found.counts).all(axis=1) & (found.times <= forgotten)
    kept = known.times[(known.times <= forgotten) & (known.times >= need.since)]
    assert set(kept) <= set(found.times[filled])
    assert len(kept) > 5
