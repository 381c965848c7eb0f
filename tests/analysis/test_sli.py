"""One SLI is judged against what was predicted of it, and only where the data suffice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.analysis.evidence import (
    HistogramSeries,
    HistogramTotals,
    RatioTotals,
    SliEvidence,
    ValueSeries,
)
from experiments.analysis.sli import judge_sli
from tests.analysis.worlds import (
    BOUNDS,
    STEP,
    ar1,
    histograms,
    latency_sli,
    phases,
    ratio_sli,
    ratios,
    run,
    value_sli,
    values,
)

RNG = np.random.default_rng


def judged(sli: SliEvidence, **changes: object):
    return judge_sli(sli, run(sli, **changes))


def steps(before: float, after: float, bins: tuple[int, int] = (60, 60), seed: int = 1):
    rng = RNG(seed)
    return values(before + ar1(rng, bins[0], 0.2), after + ar1(rng, bins[1], 0.2))


def test_latency_that_doubles_deviates_and_says_by_how_much() -> None:
    series = histograms(RNG(1), [0.04] * 60 + [0.08] * 60)
    found = judged(latency_sli(series, margin_relative=0.2))
    assert found.outcome == "deviates"
    assert found.method == "block bootstrap"
    assert found.sentence.startswith("orders_p95 rose from ")
    assert found.sentence.endswith("though it was to hold within 20 %.")
    assert found.effect is not None
    assert found.effect.relative_low is not None
    assert 0.7 < found.effect.relative_low < 1.0 < (found.effect.relative_high or 0) < 1.3
    assert found.phases["fault"].n_events == 6000


def test_latency_that_stays_holds() -> None:
    # p95 lies in the bucket 60 to 80 ms: a margin of 20 % (15 ms) would be narrower than it.
    series = histograms(RNG(2), [0.04] * 120)
    found = judged(latency_sli(series, margin_relative=0.3, limit_max=0.3))
    assert found.outcome == "as_expected"
    assert not found.limit_broken


def test_improvement_is_never_a_deviation() -> None:
    series = histograms(RNG(3), [0.08] * 60 + [0.04] * 60)
    assert judged(latency_sli(series, margin_relative=0.2)).outcome == "as_expected"
    fall = value_sli(steps(100, 50), direction="higher_is_better")
    assert judged(fall).outcome == "deviates"
    assert judged(replace(fall, direction="lower_is_better")).outcome == "as_expected"


def test_a_difference_that_is_not_significant_is_no_pass() -> None:
    sli = value_sli(steps(10, 10, (30, 15)), margin_absolute=0.05)
    found = judged(sli, phases=phases(30, 15))
    assert found.outcome == "undecided"
    assert "leave open" in found.sentence


def test_no_errors_and_no_errors_holds_by_exact_intervals() -> None:
    series = ratios([0] * 120, [40] * 120)
    found = judged(ratio_sli(series, margin_absolute=0.005, limit_max=0.01))
    assert found.outcome == "as_expected"
    assert found.method == "exact"


def test_no_errors_of_few_requests_is_undecided() -> None:
    found = judged(ratio_sli(ratios([0] * 120, [1] * 120), margin_absolute=0.005))
    assert found.outcome == "undecided"


def test_no_errors_then_thirty_deviates() -> None:
    bad = [0] * 40 + [1] * 30
    series = ratios(bad, [50] * 40 + [40] * 30)
    sli = ratio_sli(series, margin_absolute=0.005)
    totals = {"baseline": RatioTotals(0, 2000), "fault": RatioTotals(30, 1200)}
    found = judged(replace(sli, totals=totals), phases=phases(40, 30))
    assert found.outcome == "deviates"
    assert found.phases["fault"].value == pytest.approx(30 / 1200)
    assert not any("summed bins" in note for note in found.notes)


def test_errors_in_one_burst_weigh_less_than_as_many_alone() -> None:
    spread, burst = [0] * 120, [0] * 120
    spread[60:] = [0, 1, 1] * 20
    burst[70] = 40
    sli = ratio_sli(ratios(spread, [40] * 120), margin_absolute=0.005)
    assert judged(sli).outcome == "deviates"
    clustered = judged(replace(sli, series=ratios(burst, [40] * 120)))
    assert clustered.outcome == "undecided"
    assert any("clusters" in note for note in clustered.notes)


def test_few_errors_need_no_thirty_bins_but_a_few() -> None:
    sli = ratio_sli(ratios([0] * 18, [400] * 18), margin_absolute=0.005)
    assert judged(sli, phases=phases(12, 6)).outcome == "as_expected"
    assert judged(sli, phases=phases(16, 2)).outcome == "undecided"


def test_totals_missing_are_summed_from_bins_and_said() -> None:
    found = judged(ratio_sli(ratios([0] * 120, [40] * 120), margin_absolute=0.005))
    assert "totals of the baseline and the fault phase are summed bins, not raw counters" in (
        found.notes
    )


def test_histogram_totals_give_the_value() -> None:
    series = histograms(RNG(4), [0.04] * 120)
    counts = np.array([0, 0, 50, 90, 95, 96, 97, 98, 99, 100, 100, 100.0])
    totals = {"fault": HistogramTotals(BOUNDS, counts)}
    found = judged(latency_sli(series, margin_relative=0.2, totals=totals))
    assert found.phases["fault"].value == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ((29, 30), "only 29 usable bins in the baseline; needs 30"),
        ((60, 14), "only 14 usable bins in the fault phase; needs 15"),
    ],
)
def test_too_few_bins_are_undecided_and_say_what_would_do(shape, note) -> None:
    found = judged(value_sli(steps(10, 10, shape)), phases=phases(*shape))
    assert found.outcome == "undecided"
    assert any(note in one for one in found.notes)
    assert found.effect is None


def test_settling_counts_against_the_gate() -> None:
    sli = value_sli(steps(10, 10, (60, 16)))
    assert judged(sli, phases=phases(60, 16)).outcome == "as_expected"
    assert judged(sli, phases=phases(60, 16), settle_s=2 * STEP).outcome == "undecided"


def test_a_fifth_of_the_bins_missing_is_undecided() -> None:
    series = steps(10, 10)
    holes = series.values.copy()
    holes[60:73] = np.nan
    found = judged(value_sli(ValueSeries(series.times, holes, step_s=STEP, window_s=STEP)))
    assert found.outcome == "undecided"
    assert "22 % of the bins in the fault phase are missing" in found.notes[0]


def test_overlapping_windows_are_not_counted_twice() -> None:
    series = steps(10, 10)
    overlapping = ValueSeries(series.times, series.values, step_s=STEP, window_s=4 * STEP)
    found = judged(value_sli(overlapping))
    assert found.outcome == "undecided"
    assert found.phases["baseline"].n_bins == 15


def test_few_requests_merge_neighbours_and_the_gate_counts_the_merged() -> None:
    found = judged(
        latency_sli(histograms(RNG(5), [0.04] * 120, 20), margin_relative=0.5),
    )
    assert found.outcome == "undecided"
    assert found.phases["baseline"].n_bins == 20
    assert "after merging 3 neighbours each" in found.notes[0]
    longer = latency_sli(histograms(RNG(5), [0.04] * 270, 20), margin_relative=0.5)
    assert judged(longer, phases=phases(150, 120)).outcome == "as_expected"


def test_strong_dependence_with_few_bins_is_undecided() -> None:
    rng = RNG(6)
    drifting = np.concatenate([np.linspace(0, 10, 30), np.linspace(0, 10, 15)])
    sli = value_sli(values(drifting + rng.normal(0, 0.1, 45)), margin_absolute=100.0)
    found = judged(sli, phases=phases(30, 15))
    assert found.outcome == "undecided"
    assert "depend on each other" in found.notes[0]


def test_no_traffic_is_undecided_not_zero() -> None:
    series = histograms(RNG(7), [0.04] * 120)
    counts = series.counts.copy()
    counts[60:] = 0
    silent = replace(series, counts=counts)
    found = judged(latency_sli(silent, margin_relative=0.2))
    assert found.outcome == "undecided"
    assert "no requests in the fault phase" in found.notes
    assert found.phases["fault"].value is None


def test_a_problem_is_told() -> None:
    found = judged(value_sli(None, problem="the query `up` returned nothing"))
    assert found.outcome == "undecided"
    assert found.sentence == "load has no data: the query `up` returned nothing."
    assert judged(value_sli(None)).outcome == "undecided"


def test_a_limit_broken_beyond_doubt_needs_no_gate() -> None:
    series = ratios([0] * 60 + [15, 18, 16, 17], [100] * 60 + [40] * 4)
    found = judged(ratio_sli(series, limit_max=0.05), phases=phases(60, 4))
    assert found.outcome == "deviates"
    assert found.limit_broken
    slow = histograms(RNG(8), [0.04] * 60 + [0.4] * 4)
    sli = latency_sli(slow, limit_max=0.2)
    assert judged(sli, phases=phases(60, 4)).limit_broken
    assert not judged(sli, phases=phases(60, 2)).limit_broken
    assert not judged(latency_sli(slow, limit_max=2.0), phases=phases(60, 4)).limit_broken


def test_a_quantile_above_all_buckets_never_holds() -> None:
    series = histograms(RNG(9), [5.0] * 120)
    found = judged(latency_sli(series, margin_relative=0.2))
    assert found.outcome == "undecided"
    assert any("largest finite bucket" in note for note in found.notes)
    risen = histograms(RNG(9), [0.04] * 60 + [5.0] * 60)
    assert judged(latency_sli(risen, margin_relative=0.2)).outcome == "deviates"


def in_buckets(series: HistogramSeries, *bounds: float) -> HistogramSeries:
    """Return the same requests, counted in fewer buckets."""
    kept = np.isin(BOUNDS, [*bounds, np.inf])
    return replace(series, bounds=BOUNDS[kept], counts=series.counts[:, kept])


def test_a_margin_finer_than_the_buckets_is_undecided() -> None:
    found = judged(latency_sli(histograms(RNG(10), [0.05] * 120), margin_relative=0.05))
    assert found.outcome == "undecided"
    assert "bucket 80 ms to 100 ms, which is wider than the margin of 5 %" in found.sentence
    assert any("wider than the margin" in note for note in found.notes)


def test_buckets_that_hide_a_deviation_never_hold() -> None:
    series = histograms(RNG(1), [0.05] * 60 + [0.08] * 60)
    assert judged(latency_sli(series, margin_relative=0.45)).outcome == "deviates"
    hidden = latency_sli(in_buckets(series, 0.04, 0.5), margin_relative=0.45)
    assert judged(hidden).outcome == "undecided"
    assert judged(replace(hidden, expect="degrades")).outcome == "undecided"
    assert judged(replace(hidden, expect="may_degrade", limit_max=0.5)).outcome == "as_expected"


def test_a_rise_into_a_wide_bucket_never_holds() -> None:
    series = histograms(RNG(12), [0.05] * 60 + [0.054] * 60)
    wide = latency_sli(in_buckets(series, 0.06, 0.08, 0.1, 1.0), margin_absolute=0.4)
    found = judged(wide)
    assert found.outcome == "undecided"
    assert "100 ms to 1 s" in found.sentence


def test_buckets_far_enough_apart_decide_however_wide_they_are() -> None:
    fallen = in_buckets(histograms(RNG(3), [0.08] * 60 + [0.02] * 60), 0.06, 0.3)
    assert judged(latency_sli(fallen, margin_relative=0.1)).outcome == "as_expected"
    risen = in_buckets(histograms(RNG(3), [0.02] * 60 + [0.3] * 60), 0.06, 0.2, 1.0)
    worse = latency_sli(risen, expect="degrades", margin_absolute=0.1)
    assert judged(worse).outcome == "as_expected"
    rise = replace(latency_sli(risen, margin_absolute=0.1), direction="higher_is_better")
    assert judged(rise).outcome == "as_expected"


def test_recovery_is_timed() -> None:
    rng = RNG(11)
    medians = [0.04] * 60 + [0.1] * 40 + [0.1] * 4 + [0.04] * 26
    sli = latency_sli(histograms(rng, medians), margin_relative=0.2)
    found = judged(sli, phases=phases(60, 40, 30))
    assert found.recovered is True
    assert found.recovery_s is not None
    assert 20 <= found.recovery_s <= 45
    stuck = latency_sli(histograms(rng, [0.04] * 60 + [0.1] * 70), margin_relative=0.2)
    assert judged(stuck, phases=phases(60, 40, 30)).recovered is False
    assert judged(stuck, phases=phases(60, 70)).recovered is None


@given(st.floats(1e-3, 1e4))
@settings(max_examples=15, deadline=None)
def test_the_relative_effect_knows_no_unit(scale: float) -> None:
    series = steps(20, 25)
    scaled = ValueSeries(series.times, series.values * scale, step_s=STEP, window_s=STEP)
    one = judged(value_sli(series, margin_absolute=None, margin_relative=0.1)).effect
    two = judged(value_sli(scaled, margin_absolute=None, margin_relative=0.1)).effect
    assert one is not None
    assert two is not None
    for name in ("relative", "relative_low", "relative_high"):
        assert getattr(two, name) == pytest.approx(getattr(one, name))
