"""Recovery is timed from the removal to the first three bins in the band."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.analysis.bins import PhaseBins, RatioOfSums
from experiments.analysis.recovery import Recovery, assess, first_streak
from experiments.analysis.series import Floats

MEANS = RatioOfSums(counts_requests=False)


def made(values: Floats, total: float = 1.0, start: float = 0.0) -> PhaseBins:
    values = np.asarray(values, float)
    grid = np.column_stack([values, np.where(np.isnan(values), np.nan, total)])
    return PhaseBins(grid, start + 5.0 * np.arange(len(values)))


def assessed(before: object, after: object, **changes: object) -> Recovery:
    known = {
        "removed_at": 100.0,
        "watched_until": 200.0,
        "worse_sign": 1.0,
        "is_share": False,
        **changes,
    }
    return assess(MEANS, before, after, **known)  # type: ignore[arg-type]


BAND = made(np.linspace(9, 11, 40))


def test_time_counts_to_the_start_of_the_first_streak() -> None:
    after = made(np.array([30, 20, 10, 30, 10, 10, 10, 10]), start=100)
    found = assessed(BAND, after)
    assert found.is_recovered is True
    assert found.after_s == 20


def test_never_disturbed_recovers_at_once() -> None:
    assert assessed(BAND, made(np.full(5, 10.0), start=100)).after_s == 0


def test_a_window_that_ends_too_early_is_not_recovered() -> None:
    found = assessed(BAND, made(np.array([30, 20, 30, 10, 10]), start=100))
    assert found.is_recovered is False
    assert found.after_s is None
    assert found.watched_s == 100


def test_a_missing_bin_breaks_the_streak() -> None:
    after = made(np.array([10, 10, np.nan, 10, 10]), start=100)
    assert assessed(BAND, after).is_recovered is False


def test_better_than_the_band_is_recovered() -> None:
    assert assessed(BAND, made(np.full(5, 1.0), start=100)).is_recovered is True
    lower = assessed(BAND, made(np.full(5, 1.0), start=100), worse_sign=-1.0)
    assert lower.is_recovered is False


@pytest.mark.parametrize(("bad", "expected"), [(1.0, True), (3.0, False)])
def test_after_no_errors_at_all_one_event_is_within_the_band(bad: float, expected: bool) -> None:
    before, after = made(np.zeros(40), 50), made(np.full(6, bad), 50, 100)
    assert assessed(before, after, is_share=True).is_recovered is expected


def test_too_little_to_see_is_not_assessed() -> None:
    assert assessed(made(np.ones(5)), made(np.ones(9), start=100)).is_recovered is None
    assert assessed(BAND, made(np.ones(2), start=100)).is_recovered is None
    assert "baseline" in assessed(made(np.ones(5)), BAND).note


def test_first_streak() -> None:
    assert first_streak(np.array([True, True, False, True, True, True])) == 3
    assert first_streak(np.array([True, True])) is None
