"""Bins belong to phases, and measures come from summed counts."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.analysis.bins import (
    PhaseBins,
    QuantileOfSums,
    RatioOfSums,
    bins_in,
    columns,
    sums_of,
)
from experiments.analysis.evidence import (
    HistogramSeries,
    HistogramTotals,
    Phase,
    RatioSeries,
    RatioTotals,
    ValueSeries,
)


def series(count: int = 20, *, step: float = 5.0, window: float = 5.0) -> ValueSeries:
    ends = np.arange(1, count + 1) * step
    return ValueSeries(ends, np.arange(1.0, count + 1), step_s=step, window_s=window)


def kept(bins: PhaseBins) -> list[float]:
    return bins.grid[:, 0].tolist()


def test_only_bins_wholly_inside_a_phase_count() -> None:
    assert kept(bins_in(series(), [Phase("fault", 12, 31)])) == [4, 5, 6]
    assert kept(bins_in(series(), [Phase("fault", 10, 30)])) == [3, 4, 5, 6]


def test_settling_drops_two_range_widths() -> None:
    assert kept(bins_in(series(), [Phase("fault", 10, 30)], settle_s=10)) == [5, 6]


def test_overlapping_windows_are_thinned() -> None:
    bins = bins_in(series(40, window=20.0), [Phase("baseline", 0, 100)])
    assert kept(bins) == [4, 8, 12, 16, 20]


def test_absent_and_nan_bins_are_missing() -> None:
    whole = series(10)
    values = np.delete(whole.values, [2]).copy()
    values[5] = np.nan
    gappy = ValueSeries(np.delete(whole.times, [2]), values, step_s=5, window_s=5)
    bins = bins_in(gappy, [Phase("baseline", 0, 50)])
    assert len(bins.grid) == 10
    assert bins.missing_share == pytest.approx(0.2)


def test_bins_the_series_never_reached_are_missing() -> None:
    bins = bins_in(series(10), [Phase("baseline", 0, 100)])
    assert bins.missing_share == pytest.approx(0.5)


def test_several_phases_of_one_name_are_joined() -> None:
    bins = bins_in(series(), [Phase("fault", 0, 10), Phase("fault", 50, 60)])
    assert kept(bins) == [1, 2, 11, 12]


def test_no_phase_or_no_data_has_no_bins() -> None:
    assert bins_in(series(), []).missing_share == 1
    empty = ValueSeries([], [], step_s=5, window_s=5)
    assert bins_in(empty, [Phase("fault", 0, 50)]).missing_share == 1
    assert len(bins_in(series(), [Phase("fault", 10, 11)]).grid) == 0


def test_bad_absent_while_total_is_there_is_zero_and_total_absent_is_missing() -> None:
    ratio = RatioSeries([5, 10, 15], [np.nan, 1, 1], [10, 10, np.nan], step_s=5, window_s=5)
    rows = columns(ratio)
    assert rows[0].tolist() == [0, 10]
    assert np.isnan(rows[2]).all()


def test_a_histogram_row_with_a_missing_bucket_is_missing() -> None:
    histogram = HistogramSeries([5], [1, np.inf], [[np.nan, 3]], step_s=5, window_s=5)
    assert np.isnan(columns(histogram)).all()


def test_merging_sums_counts_and_keeps_whole_gaps() -> None:
    grid = np.array([[1.0, 2], [np.nan, np.nan], [np.nan, np.nan], [np.nan, np.nan], [9, 9]])
    merged = PhaseBins(grid, np.arange(5.0)).merge_neighbours(2)
    assert merged.grid[0].tolist() == [1, 2]
    assert np.isnan(merged.grid[1]).all()
    assert merged.merged == 2
    assert merged.starts.tolist() == [0, 2]


BOUNDS = np.array([0.1, 0.2, 0.4, np.inf])


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, [0, 10, 10, 10], 0.15),
        (0.5, [10, 10, 10, 10], 0.05),
        (0.9, [0, 0, 10, 10], 0.38),
        (0.5, [4, 5, 9, 10], 0.2),
        (0.99, [0, 0, 5, 10], 0.4),
    ],
)
def test_quantiles_are_interpolated_as_prometheus_does(q, counts, expected) -> None:
    measure = QuantileOfSums(BOUNDS, q)
    assert float(measure.value(np.array(counts, float))) == pytest.approx(expected)


def test_quantile_without_events_is_unknown_and_above_all_buckets_is_capped() -> None:
    measure = QuantileOfSums(BOUNDS, 0.99)
    assert np.isnan(measure.value(np.zeros(4)))
    assert measure.is_capped(np.array([0.0, 0, 5, 10]))
    assert not measure.is_capped(np.array([0.0, 0, 10, 10]))


def test_a_first_bound_below_zero_is_its_own_quantile() -> None:
    measure = QuantileOfSums(np.array([-1.0, 1.0, np.inf]), 0.5)
    assert float(measure.value(np.array([10.0, 10, 10]))) == -1
    only_infinite = QuantileOfSums(np.array([np.inf]), 0.5)
    assert np.isnan(only_infinite.value(np.array([10.0])))


def test_counts_under_a_value_invert_the_quantile() -> None:
    rows = np.array([[3.0, 8, 15, 20]])
    for q in (0.1, 0.3, 0.6):
        measure = QuantileOfSums(BOUNDS, q)
        value = float(measure.value(rows[0]))
        assert measure.below(rows, value)[0] == pytest.approx(q * 20)
    assert QuantileOfSums(BOUNDS, 0.5).below(rows, 9.0)[0] == 15


def test_totals_from_raw_counters_win_when_they_can_be() -> None:
    bins = PhaseBins(np.array([[1.0, 10.0], [2.0, 10.0]]), np.arange(2.0))
    measure = RatioOfSums()
    sums, raw = sums_of(bins, RatioTotals(4, 21), measure)
    assert sums.tolist() == [4, 21]
    assert raw
    for useless in (None, RatioTotals(0, 0), RatioTotals(float("nan"), 9), RatioTotals(-1, 9)):
        sums, raw = sums_of(bins, useless, measure)
        assert sums.tolist() == [3, 20]
        assert not raw


def test_histogram_totals_need_the_same_buckets() -> None:
    bins = PhaseBins(np.array([[1.0, 2, 3, 4]]), np.arange(1.0))
    measure = QuantileOfSums(BOUNDS, 0.5)
    assert sums_of(bins, HistogramTotals(BOUNDS, np.array([1, 2, 3, 5])), measure)[1]
    assert not sums_of(bins, HistogramTotals(BOUNDS[2:], np.array([3, 5])), measure)[1]


def test_ratio_of_nothing_is_unknown() -> None:
    assert np.isnan(RatioOfSums().value(np.array([0.0, 0.0])))


def test_overlapping_phases_count_each_bin_once_and_settle_after_each_start() -> None:
    phases = [Phase("fault", 0, 50), Phase("fault", 20, 70)]
    assert kept(bins_in(series(), phases)) == list(range(1, 15))
    assert kept(bins_in(series(), phases, settle_s=5)) == [2, 3, 4, *range(6, 15)]


def test_what_touches_a_phase_outside_does_not_count() -> None:
    bins = bins_in(series(), [Phase("baseline", 0, 50)], outside=[Phase("fault", 12, 20)])
    assert kept(bins) == [1, 2, 5, 6, 7, 8, 9, 10]
