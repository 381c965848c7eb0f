"""m of the n newest distinct samples, or silence for too long."""

from __future__ import annotations

import pytest

from experiments.engine.guardrails import is_breach, patience, rule
from experiments.engine.snapshot import Pace
from tests.engine.worlds import T0, at, experiment, samples

PACE = Pace(step_s=5, scrape_s=1)


def guardrail(**changes):
    raw = {"name": "g", "sli": "load", "above": 50, "breaches": "2 of 3", "every": "5s"}
    return experiment(guardrails=[raw | changes]).guardrails[0]


def ruling(*breaches, now=None, **changes):
    seen = samples(*breaches)
    moment = at(5 * len(seen)) if now is None else at(now)
    return rule(guardrail(**changes), seen, watched_since=T0, now=moment, pace=PACE)


@pytest.mark.parametrize(
    ("breaches", "state"),
    [
        ((), "quiet"),
        ((True,), "quiet"),
        ((False, True), "quiet"),
        ((True, True), "breached"),
        ((True, False, True), "breached"),
        ((True, False, False, True), "quiet"),
        ((True, True, False, False), "quiet"),
        ((False, False, True, True), "breached"),
        ((True, True, True, False), "breached"),
    ],
)
def test_so_many_of_the_newest_samples_breach(breaches, state):
    assert ruling(*breaches).state == state


def test_samples_without_data_do_not_count_as_samples():
    assert ruling(True, None, None, True).state == "breached"
    assert ruling(None, None, None).state == "quiet", "not for long enough yet"


def test_a_breach_is_told_with_its_values_and_bound():
    assert ruling(True, False, True).reason == (
        "g: 2 of the last 3 readings of load were above 50: 80 at 12:00:05, 80 at 12:00:15"
    )
    assert "below 50" in ruling(True, True, above=None, below=50).reason


def test_above_and_below_are_beyond_the_bound_not_at_it():
    above, below = guardrail(), guardrail(above=None, below=50)
    assert [is_breach(above, value, 50) for value in (49, 50, 51)] == [False, False, True]
    assert [is_breach(below, value, 50) for value in (49, 50, 51)] == [True, False, False]


def test_patience_covers_the_lag_and_three_looks_or_two_steps():
    assert patience(guardrail(), PACE).total_seconds() == 7 + 15
    assert patience(guardrail(every="1s"), PACE).total_seconds() == 7 + 10


def test_silence_speaks_only_after_the_patience():
    assert ruling(now=21.9).state == "quiet"
    assert ruling(now=22).state == "no_data"
    assert ruling(False, now=5 + 21.9).state == "quiet"
    late = ruling(False, now=5 + 23)
    assert late.state == "no_data"
    assert late.reason == "g: no new data of load for 23 s"


def test_silence_says_why_where_that_is_known():
    assert "(load returned nothing)" in ruling(False, None, now=60).reason


def test_an_old_breach_still_counts_while_nothing_new_comes():
    assert ruling(True, True, now=500).state == "breached"


def test_the_watch_has_its_time_from_its_own_start():
    old = samples(False)
    fresh = rule(guardrail(), old, watched_since=at(1000), now=at(1010), pace=PACE)
    assert fresh.state == "quiet"
