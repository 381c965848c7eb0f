"""Exact intervals agree with the literature and with scipy's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from experiments.analysis import exact
from experiments.analysis.bins import QuantileOfSums
from experiments.analysis.exact import Interval, Share


@pytest.mark.parametrize(("bad", "total"), [(0, 50), (3, 200), (50, 50), (40, 90)])
def test_a_share_has_the_clopper_pearson_interval(bad: int, total: int) -> None:
    wanted = binomtest(bad, total).proportion_ci(method="exact")
    found = Share(bad, total).interval()
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_clusters_widen_the_interval() -> None:
    plain, clustered = Share(10, 1000).interval(), Share(10, 1000, 4.0).interval()
    assert clustered.low < plain.low < plain.high < clustered.high


def test_no_errors_of_many_requests_is_evidence_and_of_few_is_not() -> None:
    assert exact.difference(Share(0, 2000), Share(0, 1200)).high < 0.005
    assert exact.difference(Share(0, 60), Share(0, 60)).high > 0.005


def test_the_difference_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for bad, worse in zip(
        rng.binomial(1500, 0.003, 500), rng.binomial(800, 0.008, 500), strict=True
    ):
        found = exact.difference(Share(bad, 1500), Share(worse, 800))
        missed += not found.low <= 0.005 <= found.high
    assert missed / 500 <= 0.05


def test_the_relative_change_is_bounded_only_by_what_was_seen() -> None:
    assert exact.relative_change(Share(0, 100), Share(0, 100)) is None
    from_none = exact.relative_change(Share(0, 1000), Share(30, 1000))
    assert from_none is not None
    assert from_none.low > 1
    assert math.isinf(from_none.high)
    usual = exact.relative_change(Share(990, 1000), Share(900, 1000))
    assert usual is not None
    assert -0.13 < usual.low < usual.high < -0.05


def test_the_design_effect_sees_clusters_and_ignores_chance() -> None:
    rng = np.random.default_rng(5)
    total = np.full(60, 40.0)
    chance = rng.binomial(40, 0.05, 60).astype(float)
    burst = np.zeros(60)
    burst[7:9] = 30
    assert exact.design_effect(chance, total) < 1.6
    assert exact.design_effect(burst, total) > 10
    assert exact.design_effect(np.zeros(60), total) == 1
    assert exact.design_effect(np.array([1.0]), np.array([2.0])) == 1


def test_a_quantile_interval_holds_the_quantile_and_knows_no_end_above_all_buckets() -> None:
    measure = QuantileOfSums(np.array([0.1, 0.2, 0.4, np.inf]), 0.9)
    rows = np.array([[5.0, 40, 48, 50]] * 4)
    found = exact.quantile_interval(measure, rows, rows.sum(axis=0))
    assert found.low < float(measure.value(rows.sum(axis=0))) < found.high <= 0.4
    beyond = np.array([[5.0, 10, 20, 50]] * 4)
    found = exact.quantile_interval(measure, beyond, beyond.sum(axis=0))
    assert found == Interval(0.4, math.inf)
