"""Badges of a live run describe and never conclude."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.analysis.evidence import SliEvidence
from experiments.analysis.verdict import so_far
from tests.analysis.worlds import phases, ratio_sli, ratios, run, value_sli, values


def badge(sli: SliEvidence, **changes: object) -> str:
    return so_far(run(sli, **{"phases": phases(10, 6), **changes}))[0].badge


def levels(before: float, after: float):
    return values(np.full(10, before), np.full(6, after))


@pytest.mark.parametrize(
    ("expect", "after", "expected"),
    [
        ("holds", 10.5, "within so far"),
        ("holds", 5.0, "within so far"),
        ("holds", 12.0, "outside so far"),
        ("may_degrade", 12.0, "worse so far, as expected"),
        ("degrades", 12.0, "worse so far, as expected"),
        ("degrades", 10.0, "within so far"),
        ("degrades", 30.0, "outside so far"),
        ("may_degrade", 30.0, "outside so far"),
    ],
)
def test_badges(expect: str, after: float, expected: str) -> None:
    assert badge(value_sli(levels(10, after), expect=expect, limit_max=20.0)) == expected


def test_too_few_data_are_said() -> None:
    assert badge(value_sli(levels(10, 10)), phases=phases(10, 2)) == "too few data yet"
    assert badge(value_sli(levels(10, 10)), phases=phases(16, 0)) == "too few data yet"
    assert badge(value_sli(None, problem="no such series")) == "too few data yet"


def test_any_error_after_none_is_outside_a_relative_margin() -> None:
    sli = ratio_sli(ratios([0] * 10 + [2] * 6, [50] * 16), margin_relative=0.2)
    assert badge(sli) == "outside so far"
    calm = ratio_sli(ratios([0] * 16, [50] * 16), margin_relative=0.2)
    assert badge(calm) == "within so far"


def test_values_come_with_the_badge() -> None:
    found = so_far(run(value_sli(levels(10, 12)), phases=phases(10, 6)))[0]
    assert (found.baseline.value, found.fault.value) == (10, 12)
