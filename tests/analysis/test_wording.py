"""Numbers and ranges read as a person would write them."""

from __future__ import annotations

import math

import pytest

from experiments.analysis import wording
from experiments.analysis.exact import Interval
from tests.analysis.worlds import latency_sli, ratio_sli


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.062, "s", "62 ms"),
        (1.5, "s", "1.5 s"),
        (0.0042, "ratio", "0.42 %"),
        (0.0, "s", "0 s"),
        (12345.6, "rps", "12\u202f300 rps"),
        (99.96, "", "100"),
        (-3.14159, "", "−3.14"),
        (float("nan"), "s", "unknown s"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert wording.amount(value, unit) == text


def test_tiny_numbers_take_an_exponent() -> None:
    assert wording.number(1.5e-12) == "1.50e−12"


@pytest.mark.parametrize(("share", "text"), [(1.4, "+140 %"), (-0.036, "−3.6 %"), (0.02, "+2 %")])
def test_percent(share: float, text: str) -> None:
    assert wording.percent(share) == text


def test_open_ends_are_said() -> None:
    assert wording.spread(Interval(1.4, math.inf), wording.percent) == "at least +140 %"
    assert wording.spread(Interval(-math.inf, 0.2), wording.percent) == "at most +20 %"
    assert wording.spread(Interval(-math.inf, math.inf), wording.percent) == "unbounded"


def test_margins_and_limits() -> None:
    both = ratio_sli(None, margin_absolute=0.005, margin_relative=0.2, limit_max=0.01)
    assert wording.margin(both) == "20 % of its baseline or 0.5 points"
    assert wording.limit(both) == "below 1 %"
    assert wording.margin(latency_sli(None, margin_relative=0.2)) == "20 %"
    assert wording.limit(latency_sli(None, limit_min=0.1, limit_max=2)) == (
        "above 100 ms and below 2 s"
    )


def test_lists_and_counts() -> None:
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert (wording.counted(1, "SLI"), wording.counted(2, "SLI")) == ("1 SLI", "2 SLIs")
