"""A fault must show that it was there."""

from __future__ import annotations

import pytest

from experiments.analysis.evidence import FaultEvidence
from experiments.analysis.exercise import check_fault


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (FaultEvidence("f", took_effect=True), "took_effect"),
        (FaultEvidence("f", took_effect=None), "not_exercised"),
        (FaultEvidence("f", took_effect=False), "not_exercised"),
        (FaultEvidence("f", 0.0, took_effect=True), "not_exercised"),
        (FaultEvidence("f", 0.5, 0.0, took_effect=True), "not_exercised"),
        (FaultEvidence("f", 0.5, None, 900, 0, True), "not_exercised"),
        (FaultEvidence("f", 0.5, None, 0, 0, True), "not_exercised"),
        (FaultEvidence("f", 0.5, None, 0, None, True), "not_exercised"),
        (FaultEvidence("f", 0.5, None, 900, 451, True), "took_effect"),
        (FaultEvidence("f", 0.5, None, 900, 451, None), "took_effect"),
        (FaultEvidence("f", 0.5, None, 900, 451, False), "doubtful"),
        (FaultEvidence("f", 0.5, None, 900, 250, True), "doubtful"),
        (FaultEvidence("f", 0.1, None, 900, 250, True), "doubtful"),
        (FaultEvidence("f", 0.5, None, 12, 3, True), "took_effect"),
        (FaultEvidence("f", 0.5, None, 900, 420, True), "took_effect"),
        (FaultEvidence("f", 0.5, 0.4, took_effect=True), "doubtful"),
        (FaultEvidence("f", 0.5, 0.48, took_effect=True), "took_effect"),
        (FaultEvidence("f", 0.5, 0.25, 1000, None, True), "doubtful"),
    ],
)
def test_outcome(fault: FaultEvidence, outcome: str) -> None:
    assert check_fault(fault).outcome == outcome


def test_the_sentence_says_what_was_delivered() -> None:
    found = check_fault(FaultEvidence("slow", 0.5, None, 900, 225, True, "by its counters"))
    assert found.sentence == "slow reached 25 % where 50 % were requested (by its counters)."
    assert found.delivered_low is not None
    assert found.delivered_low < 0.25
