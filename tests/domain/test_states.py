"""The whole transition table, refused moves too."""

from __future__ import annotations

from graphlib import TopologicalSorter
from itertools import product

import pytest

from experiments.domain.states import (
    BEFORE_FAULTS,
    INJECTION_MOVES,
    LIVE,
    MAY_EXIST,
    SETTLED,
    TERMINAL,
    TRANSITIONS,
    IllegalMoveError,
    InjectionPhase,
    Status,
    check_move,
)

ALLOWED = {
    "requested": {"checking", "refused", "stopped", "errored"},
    "checking": {"baseline", "refused", "stopped", "errored"},
    "baseline": {"injecting", "refused", "stopped", "errored"},
    "injecting": {"recovering"},
    "recovering": {"settling"},
    "settling": {"judging"},
    "judging": {"completed", "stopped", "errored"},
    "completed": set(),
    "stopped": set(),
    "errored": set(),
    "refused": set(),
}


@pytest.mark.parametrize(("old", "new"), list(product(Status, Status)))
def test_a_run_moves_only_along_the_table(old, new):
    if new in ALLOWED[old]:
        check_move(old, new)
    else:
        with pytest.raises(IllegalMoveError, match=f"from {old} to {new}"):
            check_move(old, new)


def test_the_table_knows_every_status_and_is_frozen():
    assert set(TRANSITIONS) == set(Status)
    with pytest.raises(TypeError):
        TRANSITIONS[Status.STOPPED] = frozenset()  # type: ignore[index]


def test_no_run_comes_to_a_status_twice():
    TopologicalSorter(TRANSITIONS).prepare()


def test_every_status_is_live_or_ended():
    assert {"completed", "stopped", "errored", "refused"} == TERMINAL
    assert set(Status) == LIVE | TERMINAL
    assert not LIVE & TERMINAL


def test_a_run_that_may_have_injected_ends_only_through_the_judge():
    after = LIVE - BEFORE_FAULTS
    for status in after - {Status.JUDGING}:
        assert not TRANSITIONS[status] & TERMINAL
        assert TRANSITIONS[status] <= after
    for status in BEFORE_FAULTS:
        assert Status.COMPLETED not in TRANSITIONS[status]


def test_every_phase_is_to_come_or_may_exist_or_is_settled():
    assert {InjectionPhase.PLANNED} | MAY_EXIST | SETTLED == set(InjectionPhase)
    assert not MAY_EXIST & SETTLED
    assert set(INJECTION_MOVES) == set(InjectionPhase)


def test_what_may_exist_settles_only_as_gone_or_never_sent():
    for phase in MAY_EXIST - {InjectionPhase.INTENT}:
        assert InjectionPhase.CANCELLED not in INJECTION_MOVES[phase]
    for phase in MAY_EXIST & {InjectionPhase.INTENT, InjectionPhase.ACTIVE}:
        assert InjectionPhase.RECOVERED not in INJECTION_MOVES[phase]
    assert not INJECTION_MOVES[InjectionPhase.CANCELLED]
