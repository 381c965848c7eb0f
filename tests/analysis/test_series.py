"""Series survive storage and merging."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from experiments.analysis.evidence import HistogramSeries, RatioSeries, ValueSeries
from experiments.analysis.series import fits
from tests.analysis.worlds import BOUNDS

NUMBERS = st.floats(0, 1e9) | st.just(float("nan"))


def arrays(*shape: int):
    return hnp.arrays(np.float64, shape, elements=NUMBERS)


@st.composite
def series(draw: st.DrawFn):
    count = draw(st.integers(0, 12))
    ticks = draw(st.lists(st.integers(0, 40), min_size=count, max_size=count, unique=True))
    times = np.array(sorted(ticks), dtype=float) * 5 + 1.7e9
    match draw(st.sampled_from(["ratio", "histogram", "value"])):
        case "ratio":
            bad, total = draw(arrays(count)), draw(arrays(count))
            return RatioSeries(times, bad, total, step_s=5, window_s=5)
        case "histogram":
            counts = draw(arrays(count, len(BOUNDS)))
            return HistogramSeries(times, BOUNDS, counts, step_s=5, window_s=10)
        case _:
            return ValueSeries(times, draw(arrays(count)), step_s=5, window_s=5)


def same(one, two) -> bool:
    arrays_agree = all(
        np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True)
        for name in one.arrays
    )
    return arrays_agree and (one.step_s, one.window_s) == (two.step_s, two.window_s)


@given(series())
def test_bytes_round_trip(one) -> None:
    again = type(one).from_bytes(one.to_bytes())
    assert same(one, again)
    assert again.to_bytes() == one.to_bytes()


@given(series())
def test_merging_with_itself_changes_nothing(one) -> None:
    assert same(one, one.merge(one))


def test_a_later_read_wins_unless_it_is_missing() -> None:
    first = ValueSeries([5, 10, 15], [1, 2, np.nan], step_s=5, window_s=5)
    later = ValueSeries([10, 15, 20], [np.nan, 3, 4], step_s=5, window_s=5)
    merged = first.merge(later)
    assert merged.times.tolist() == [5, 10, 15, 20]
    assert merged.values.tolist() == [1, 2, 3, 4]
    assert ValueSeries([5], [9], step_s=5, window_s=5).merge(merged).values[0] == 1


def test_a_ratio_row_is_replaced_whole() -> None:
    first = RatioSeries([5], [3], [10], step_s=5, window_s=5)
    later = RatioSeries([5], [np.nan], [12], step_s=5, window_s=5)
    merged = first.merge(later)
    assert np.isnan(merged.bad[0])
    assert merged.total[0] == 12


def test_histograms_with_other_buckets_keep_the_common_ones() -> None:
    first = HistogramSeries([5], [1, 2, np.inf], [[1, 2, 3]], step_s=5, window_s=5)
    later = HistogramSeries([10], [2, 4, np.inf], [[5, 6, 7]], step_s=5, window_s=5)
    merged = first.merge(later)
    assert merged.bounds.tolist() == [2, np.inf]
    assert merged.counts.tolist() == [[2, 3], [5, 7]]


def test_only_reads_in_the_same_buckets_fit() -> None:
    one = HistogramSeries([5], [1, 2, np.inf], [[1, 2, 3]], step_s=5, window_s=5)
    assert fits(one, HistogramSeries([10], [1, 2, np.inf], [[1, 2, 3]], step_s=5, window_s=5))
    assert not fits(one, HistogramSeries([10], [2, np.inf], [[2, 3]], step_s=5, window_s=5))
    assert not fits(one, HistogramSeries([10], [1, 2, np.inf], [[1, 2, 3]], step_s=5, window_s=9))
    assert not fits(one, ValueSeries([10], [1], step_s=5, window_s=5))
    assert fits(*[ValueSeries([10], [1], step_s=5, window_s=5)] * 2)


def test_a_read_across_a_change_of_buckets_is_in_the_newest_ones() -> None:
    gone = np.nan
    counts = [[1, 2, gone, 3], [1, 2, 3, 4], [gone, 2, 3, 4], [gone] * 4]
    both = HistogramSeries([5, 10, 15, 20], [1, 2, 3, np.inf], counts, step_s=5, window_s=5)
    newest = both.of_newest_buckets()
    assert newest.bounds.tolist() == [2, 3, np.inf]
    assert np.isfinite(newest.counts).all(axis=1).tolist() == [False, True, True, False]
    assert same(newest, newest.of_newest_buckets())
    empty = replace(both, counts=np.full((4, 4), gone))
    assert empty.of_newest_buckets() is empty


def test_another_step_is_refused() -> None:
    first = ValueSeries([5], [1], step_s=5, window_s=5)
    with pytest.raises(ValueError, match="step"):
        first.merge(ValueSeries([5], [1], step_s=1, window_s=5))


@pytest.mark.parametrize("stored", [b"", b"not a zip"])
def test_other_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        ValueSeries.from_bytes(stored)


def stored_series() -> list[ValueSeries | RatioSeries | HistogramSeries]:
    rng = np.random.default_rng(1)
    times, timing = np.arange(1, 201) * 5.0, {"step_s": 5.0, "window_s": 5.0}
    return [
        ValueSeries(times, rng.random(200), **timing),
        RatioSeries(times, rng.random(200), rng.random(200), **timing),
        HistogramSeries(times, BOUNDS, rng.random((200, len(BOUNDS))), **timing),
    ]


@pytest.mark.parametrize("one", stored_series(), ids=lambda one: type(one).__name__)
def test_damaged_bytes_are_refused(one) -> None:
    stored = one.to_bytes()
    for at in range(0, len(stored), 50):
        with pytest.raises(ValueError):
            type(one).from_bytes(stored[:at])
    refused = 0
    for at in range(0, len(stored), 50):
        for bit in (0x01, 0x20, 0x80):
            damaged = stored[:at] + bytes([stored[at] ^ bit]) + stored[at + 1 :]
            try:
                # A bit that nothing depends on, as of a time stamp in the archive, is no damage.
                assert same(one, type(one).from_bytes(damaged))
            except ValueError:
                refused += 1
    assert refused > len(stored) / 50


def test_bytes_of_another_kind_are_refused() -> None:
    stored = ValueSeries([5], [1], step_s=5, window_s=5).to_bytes()
    with pytest.raises(ValueError, match="RatioSeries"):
        RatioSeries.from_bytes(stored)


def test_shapes_order_and_bounds_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        RatioSeries([5], [1, 2], [1], step_s=5, window_s=5)
    with pytest.raises(ValueError, match="increasing"):
        ValueSeries([5, 5], [1, 2], step_s=5, window_s=5)
    with pytest.raises(ValueError, match="inf"):
        HistogramSeries([5], [1, 2], [[1, 2]], step_s=5, window_s=5)
    with pytest.raises(ValueError, match="positive"):
        ValueSeries([5], [1], step_s=0, window_s=5)
