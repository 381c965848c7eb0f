"""What the interval of an SLI's change decides, margin and limit by margin and limit."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.analysis.compare import Comparison
from experiments.analysis.evidence import (
    Phase,
)
from experiments.analysis.exact import Interval
from experiments.analysis.sli import decide, limit_state, margin_state
from tests.analysis.test_sli import judged, steps
from tests.analysis.worlds import (
    ratio_sli,
    ratios,
    value_sli,
)

RNG = np.random.default_rng


def comparison(low: float, high: float, level: tuple[float, float] = (0.0, 0.0)) -> Comparison:
    middle = (low + high) / 2
    return Comparison(
        100.0,
        100.0 + middle,
        Interval(low, high),
        Interval(low / 100, high / 100),
        Interval(*level),
        "given",
    )


INSIDE, OPEN, BEYOND, BETTER = (-2.0, 2.0), (5.0, 15.0), (12.0, 20.0), (-20.0, -12.0)
BELOW, ACROSS, ABOVE = (110.0, 120.0), (140.0, 160.0), (155.0, 170.0)


@pytest.mark.parametrize(
    ("expect", "effect", "level", "outcome"),
    [
        ("holds", INSIDE, BELOW, "as_expected"),
        ("holds", BETTER, BELOW, "as_expected"),
        ("holds", OPEN, BELOW, "undecided"),
        ("holds", BEYOND, BELOW, "deviates"),
        ("holds", INSIDE, ACROSS, "undecided"),
        ("holds", BEYOND, ACROSS, "deviates"),
        ("holds", INSIDE, ABOVE, "deviates"),
        ("may_degrade", BEYOND, BELOW, "as_expected"),
        ("may_degrade", INSIDE, ACROSS, "undecided"),
        ("may_degrade", INSIDE, ABOVE, "deviates"),
        ("degrades", BEYOND, BELOW, "as_expected"),
        ("degrades", BEYOND, ACROSS, "undecided"),
        ("degrades", BEYOND, ABOVE, "deviates"),
        ("degrades", OPEN, BELOW, "undecided"),
        ("degrades", INSIDE, BELOW, "better_than_predicted"),
        ("degrades", BETTER, BELOW, "better_than_predicted"),
        ("degrades", INSIDE, ABOVE, "deviates"),
    ],
)
def test_decision_table(expect, effect, level, outcome) -> None:
    sli = value_sli(None, expect=expect, margin_absolute=10.0, limit_max=150.0)
    found, sentence, broken, _ = decide(sli, comparison(*effect, level))
    assert found == outcome
    assert broken == (level == ABOVE)
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("expect", "outcome"),
    [("holds", "undecided"), ("may_degrade", "undecided"), ("degrades", "as_expected")],
)
def test_nothing_to_be_held_against(expect, outcome) -> None:
    sli = value_sli(None, expect=expect, margin_absolute=None)
    assert decide(sli, comparison(*BEYOND))[0] == outcome


def test_degrades_without_a_margin_asks_whether_zero_is_excluded() -> None:
    sli = value_sli(None, expect="degrades", margin_absolute=None, limit_max=150.0)
    assert decide(sli, comparison(0.1, 5))[0] == "as_expected"
    assert decide(sli, comparison(-1, 5))[0] == "undecided"
    assert decide(sli, comparison(-5, -1))[0] == "better_than_predicted"


def test_a_limit_alone_decides() -> None:
    sli = value_sli(None, margin_absolute=None, limit_max=150.0)
    assert decide(sli, comparison(*BEYOND, BELOW))[0] == "as_expected"
    assert decide(sli, comparison(*BEYOND, ACROSS))[0] == "undecided"


def test_limits_have_two_sides() -> None:
    sli = value_sli(None, limit_min=10.0, limit_max=20.0)
    states = [limit_state(sli, Interval(*ends)) for ends in ((5, 8), (8, 12), (12, 18), (21, 25))]
    assert states == ["beyond", "open", "inside", "beyond"]


def test_of_two_margins_the_larger_applies() -> None:
    sli = value_sli(None, margin_absolute=1.0, margin_relative=0.1)
    assert margin_state(sli, comparison(2, 8)) == "inside"
    assert margin_state(sli, comparison(12, 18)) == "beyond"
    assert margin_state(sli, comparison(5, 18)) == "open"


def test_a_relative_margin_of_a_zero_baseline_is_open() -> None:
    series = ratios([0] * 120, [40] * 120)
    found = judged(ratio_sli(series, margin_relative=0.2))
    assert found.outcome == "undecided"
    assert any("baseline of zero or less" in note for note in found.notes)
    both = judged(ratio_sli(series, margin_relative=0.2, margin_absolute=0.005))
    assert both.outcome == "as_expected"


def test_a_baseline_inside_the_fault_is_no_baseline() -> None:
    found = judged(
        value_sli(steps(10, 10)),
        phases=(Phase("baseline", 0, 600), Phase("fault", 0, 600)),
    )
    assert found.outcome == "undecided"
    assert "no usable bins in the baseline" in found.notes


def test_more_bad_events_than_events_is_a_contradiction() -> None:
    found = judged(ratio_sli(ratios([50] * 120, [40] * 120), margin_absolute=0.01, limit_max=0.1))
    assert found.outcome == "undecided"
    assert "more bad events than events" in found.sentence
