"""The states of a run and of an injection, and which moves there are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """Where a run stands."""

    REQUESTED = "requested"
    CHECKING = "checking"
    BASELINE = "baseline"
    INJECTING = "injecting"
    RECOVERING = "recovering"
    SETTLING = "settling"
    JUDGING = "judging"
    COMPLETED = "completed"
    STOPPED = "stopped"
    ERRORED = "errored"
    REFUSED = "refused"


_S = Status
TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        _S.REQUESTED: frozenset({_S.CHECKING, _S.REFUSED, _S.STOPPED, _S.ERRORED}),
        _S.CHECKING: frozenset({_S.BASELINE, _S.REFUSED, _S.STOPPED, _S.ERRORED}),
        _S.BASELINE: frozenset({_S.INJECTING, _S.REFUSED, _S.STOPPED, _S.ERRORED}),
        _S.INJECTING: frozenset({_S.RECOVERING}),
        _S.RECOVERING: frozenset({_S.SETTLING}),
        _S.SETTLING: frozenset({_S.JUDGING}),
        _S.JUDGING: frozenset({_S.COMPLETED, _S.STOPPED, _S.ERRORED}),
        _S.COMPLETED: frozenset(),
        _S.STOPPED: frozenset(),
        _S.ERRORED: frozenset(),
        _S.REFUSED: frozenset(),
    }
)
"""A run that may have injected only leaves through recovering, settling and judging."""

TERMINAL = frozenset(status for status, moves in TRANSITIONS.items() if not moves)
LIVE = frozenset(Status) - TERMINAL
BEFORE_FAULTS = frozenset({_S.REQUESTED, _S.CHECKING, _S.BASELINE})


class EndedBy(StrEnum):
    """What ended a run."""

    PLAN = "plan"
    PERSON = "person"
    GUARDRAIL = "guardrail"
    HALT = "halt"
    BACKEND = "backend"
    ERROR = "error"


class Verdict(StrEnum):
    """What a run showed."""

    HELD = "held"
    DEVIATED = "deviated"
    INCONCLUSIVE = "inconclusive"
    NOT_EXERCISED = "not_exercised"


class InjectionPhase(StrEnum):
    """Where one injection stands in the ledger."""

    PLANNED = "planned"
    """Its action is not due yet: nothing was sent."""
    INTENT = "intent"
    """A carrier may be calling, or have called, inject."""
    ACTIVE = "active"
    """The backend confirmed it."""
    RECOVERING = "recovering"
    """It is to be removed; removal is not confirmed."""
    UNSETTLED = "unsettled"
    """Read back as gone once, but an unanswered call may yet take effect: it is read again."""
    RECOVERED = "recovered"
    """Read back as gone, for good."""
    CANCELLED = "cancelled"
    """Nothing was ever sent."""


_I = InjectionPhase
INJECTION_MOVES: Mapping[InjectionPhase, frozenset[InjectionPhase]] = MappingProxyType(
    {
        _I.PLANNED: frozenset({_I.INTENT, _I.CANCELLED}),
        _I.INTENT: frozenset({_I.ACTIVE, _I.RECOVERING, _I.CANCELLED}),
        _I.ACTIVE: frozenset({_I.RECOVERING}),
        _I.RECOVERING: frozenset({_I.UNSETTLED, _I.RECOVERED}),
        _I.UNSETTLED: frozenset({_I.RECOVERING, _I.RECOVERED}),
        _I.RECOVERED: frozenset({_I.RECOVERING}),
        _I.CANCELLED: frozenset(),
    }
)
"""``recovered → recovering`` is a fault that came back, seen by comparing with the backend."""

MAY_EXIST = frozenset({_I.INTENT, _I.ACTIVE, _I.RECOVERING, _I.UNSETTLED})
SETTLED = frozenset({_I.RECOVERED, _I.CANCELLED})


class IllegalMoveError(ValueError):
    """A move that the transition table does not hold."""


def check_move(old: Status, new: Status) -> None:
    """Refuse a move that is not in the table. Raises IllegalMoveError."""
    if new not in TRANSITIONS[old]:
        raise IllegalMoveError(f"a run cannot move from {old} to {new}")
