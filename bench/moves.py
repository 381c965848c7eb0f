"""How late things that were due were done, from a log of every move of their due moment. Pure.

A row's due moment moves forward when what was due has been done. Of a run it moves twice: the sweep
claims it for ``lease_s``, and its tick moves it to where it belongs. A sweep's claim is no tick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TICK, WATCH, OBSERVE = "tick", "watch", "observe"


@dataclass(frozen=True, slots=True)
class Move:
    """One committed change of a due moment; moments in seconds since 1970."""

    kind: str
    row: int
    old: float
    new: float
    at: float
    """When it was committed."""


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was due, and when it was done; ``at`` None: not yet."""

    kind: str
    row: int
    due_at: float
    at: float | None

    def late_s(self, now: float) -> float:
        """Return how late it was done; how late it is by now, if it is not."""
        return (now if self.at is None else self.at) - self.due_at


def done(
    moves: Iterable[Move], undone: Iterable[tuple[str, int, float]], *, lease_s: float
) -> list[Done]:
    """Return what was due and done, and what is due now: ``undone`` as (kind, row, due moment)."""
    found: list[Done] = []
    claimed: dict[int, float] = {}
    for move in sorted(moves, key=lambda each: each.at):
        if move.kind != TICK:
            found.append(Done(move.kind, move.row, move.old, move.at))
        elif (due_at := _ticked(move, claimed, lease_s)) is not None:
            found.append(Done(TICK, move.row, due_at, move.at))
    for kind, row, due_at in undone:
        since = claimed.pop(row, due_at) if kind == TICK else due_at
        found.append(Done(kind, row, since, None))
    # Claimed by a sweep a moment ago, and not ticked yet.
    found += [Done(TICK, row, due_at, None) for row, due_at in claimed.items()]
    return found


def _ticked(move: Move, claimed: dict[int, float], lease_s: float) -> float | None:
    """Return for when the tick was due that this move ends; None when it ends none."""
    was_due = move.old <= move.at
    if was_due:
        claimed.setdefault(move.row, move.old)
    if move.new <= move.at:
        return None  # made due, by an outcome or an order
    if was_due and lease_s - 1.0 < move.new - move.at <= lease_s:
        return None  # the sweep's claim
    return claimed.pop(move.row, None)
