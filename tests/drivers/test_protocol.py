"""What an observation and an error tell by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.protocol import DriverError, Observation, TargetState, UnknownOutcomeError


def observed(phase: Any, *targets: Any) -> Observation:
    states = tuple(TargetState(name=f"t{n}", phase=each) for n, each in enumerate(targets))
    return Observation(phase=phase, targets=states)


@pytest.mark.parametrize(
    ("phase", "targets"),
    [
        ("gone", ("gone",)),
        ("gone", ("foreign", "gone")),
        ("gone", ()),
        ("partly", ("active", "gone")),
        ("partly", ("active", "foreign")),
        ("partly", ("active", "failed")),
        ("partly", ("active", "pending")),
        ("partly", ("unreachable", "gone")),
        ("partly", ("unreachable", "foreign", "active")),
        ("partly", ("unreachable", "failed")),
        ("failed", ("failed",)),
        ("failed", ("unreachable",)),
    ],
)
def test_what_was_read_to_be_missing_is_lost(phase: str, targets: tuple[str, ...]) -> None:
    assert observed(phase, *targets).is_lost


@pytest.mark.parametrize(
    ("phase", "targets"),
    [
        ("active", ("active", "active")),
        ("partly", ("active", "unreachable")),
        ("partly", ("unreachable", "unreachable")),
        ("pending", ("pending", "pending")),
        ("pending", ()),
    ],
)
def test_what_was_not_read_is_not_lost(phase: str, targets: tuple[str, ...]) -> None:
    assert not observed(phase, *targets).is_lost


def test_an_observation_is_unknown_when_no_target_was_read() -> None:
    assert observed("partly", "unreachable", "unreachable").is_unknown
    assert not observed("partly", "unreachable", "active").is_unknown
    assert not observed("gone").is_unknown


def test_both_are_read_from_what_the_ledger_kept() -> None:
    kept = observed("partly", "unreachable").model_dump(mode="json")
    assert not {"is_lost", "is_unknown"} & kept.keys()
    assert Observation.model_validate(kept).is_unknown


def test_an_unknown_outcome_may_be_final() -> None:
    assert UnknownOutcomeError("lost").retryable
    error = UnknownOutcomeError("lost", retryable=False, hint="Look.")
    assert isinstance(error, DriverError)
    assert (error.retryable, str(error)) == (False, "lost Look.")
