"""Intervals keep their promise under dependence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.analysis.bins import QuantileOfSums, RatioOfSums
from experiments.analysis.compare import (
    Comparison,
    Sample,
    autocorrelation,
    block_length,
    block_weights,
    by_bootstrap,
    correction,
    effective_bins,
    level_of,
)
from experiments.analysis.series import Floats
from tests.analysis.worlds import BOUNDS, ar1

MEANS = RatioOfSums(counts_requests=False)


def sample(values: Floats) -> Sample:
    rows = np.column_stack([values, np.ones(len(values))])
    return Sample(rows, rows.sum(axis=0))


def compared(before: Floats, after: Floats, rng: np.random.Generator) -> Comparison:
    dependence = autocorrelation(before, after)
    return by_bootstrap(MEANS, sample(before), sample(after), rng, dependence)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_the_interval_misses_no_effect_about_as_often_as_it_says(phi: float) -> None:
    rng = np.random.default_rng(11)
    missed, runs = 0, 200
    for _ in range(runs):
        found = compared(10 + ar1(rng, 60, phi), 10 + ar1(rng, 60, phi), rng)
        missed += not found.absolute.low <= 0 <= found.absolute.high
    assert missed / runs <= 0.11


def test_the_interval_finds_a_shift_of_one_deviation() -> None:
    rng = np.random.default_rng(12)
    found = [compared(10 + ar1(rng, 60, 0.3), 11 + ar1(rng, 60, 0.3), rng) for _ in range(100)]
    assert np.mean([one.absolute.low > 0 for one in found]) > 0.85


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.8])
def test_autocorrelation_is_estimated_without_much_bias(phi: float) -> None:
    rng = np.random.default_rng(13)
    found = [autocorrelation(ar1(rng, 60, phi), ar1(rng, 60, phi)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(phi, abs=0.07)


def test_a_step_between_phases_is_no_dependence() -> None:
    rng = np.random.default_rng(14)
    assert autocorrelation(rng.normal(0, 1, 60), rng.normal(50, 1, 60)) < 0.3
    assert autocorrelation(np.ones(60), np.ones(60)) == 0
    assert autocorrelation() == 0


def test_blocks_grow_with_dependence_and_stay_within_a_quarter() -> None:
    lengths = [block_length(phi, 60) for phi in (0.0, 0.3, 0.6, 0.9)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 1
    assert block_length(0.95, 60) == 15
    assert block_length(0.9, 2) == 1


def test_every_replicate_draws_as_many_bins_as_there_are() -> None:
    weights = block_weights(np.random.default_rng(1), 17, 4, 50)
    assert weights.shape == (50, 17)
    assert (weights.sum(axis=1) == 17).all()


def test_the_correction_is_slight_without_dependence_and_grows_with_it() -> None:
    assert correction(0.0, 60, 1) == pytest.approx(math.sqrt(60 / 59))
    assert correction(0.0, 2, 1) == pytest.approx(math.sqrt(2))
    assert correction(0.3, 60, 3) < correction(0.6, 60, 3) < correction(0.8, 60, 3)
    assert effective_bins(60, 0.5) == pytest.approx(20)


def test_constant_bins_have_an_interval_of_no_width() -> None:
    found = compared(np.full(30, 3.0), np.full(15, 3.0), np.random.default_rng(1))
    assert (found.absolute.low, found.absolute.high) == (0, 0)
    assert found.relative is not None
    assert found.relative.high == pytest.approx(0)


def test_a_baseline_of_zero_has_no_relative_change() -> None:
    rng = np.random.default_rng(2)
    found = compared(np.zeros(30), rng.normal(5, 1, 30), rng)
    assert found.relative is None
    assert found.relative_change is None


def test_a_quantile_above_all_buckets_has_no_upper_end() -> None:
    measure = QuantileOfSums(BOUNDS, 0.95)
    low = np.tile(np.minimum(np.arange(1.0, 13) * 20, 100), (40, 1))
    high = low.copy()
    high[:, :-1] *= 0.5
    before, after = (Sample(rows, rows.sum(axis=0)) for rows in (low, high))
    rng = np.random.default_rng(3)
    worse = by_bootstrap(measure, before, after, rng, 0.0)
    assert worse.absolute.low > 0
    assert math.isinf(worse.absolute.high)
    assert math.isinf(worse.level.high)
    better = by_bootstrap(measure, after, before, rng, 0.0)
    assert better.absolute.low == -math.inf
    same = by_bootstrap(measure, after, after, rng, 0.0)
    assert (same.absolute.low, same.absolute.high) == (-math.inf, math.inf)
    assert "finite bucket" in same.notes[0]


def test_a_level_needs_a_few_bins() -> None:
    assert level_of(MEANS, sample(np.ones(4)), is_share=False) is None
    level = level_of(MEANS, sample(np.array([1.0, 2, 1, 2, 1, 2])), is_share=False)
    assert level is not None
    assert level.low < 1.5 < level.high
    ratio = Sample(np.array([[1.0, 10]] * 3), np.array([3.0, 30]))
    assert level_of(RatioOfSums(), Sample(ratio.rows[:2], ratio.sums), is_share=True) is None
    assert level_of(RatioOfSums(), ratio, is_share=True) is not None
