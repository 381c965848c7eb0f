"""End a run whose document cannot be read any more: remove its faults, then let it err.

A fault is removed from its ledger row alone, so nothing here needs the document. The run still
passes every state on its way, and ends only when no fault of it may be live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from experiments.domain.states import BEFORE_FAULTS, MAY_EXIST, SETTLED, Status
from experiments.engine import decide as engine
from experiments.engine.snapshot import InjectionState, StopOrder
from experiments.engine.steps import Finish, Move, Recover, Step, Wake

AGAIN_S = 1.0
"""How long after a look the run is looked at again."""


@dataclass(frozen=True, slots=True)
class BlindSnapshot:
    """What the database holds of a run, without its document."""

    status: Status
    stop: StopOrder
    injections: Mapping[str, InjectionState]
    open_actions: tuple[str, ...] = ()
    rewake_s: float = 2.0


def decide(run: BlindSnapshot, now: datetime) -> tuple[Step, ...]:
    """Return what is due now to end the run; empty when nothing is."""
    rows = run.injections.values()
    steps: list[Step] = [
        Wake("carry", row.action)
        for row in rows
        if row.phase in MAY_EXIST and engine.is_due(row, now, run.rewake_s)
    ]
    steps += [
        Recover(row.action, run.stop.reason, run.stop.actor)
        for row in rows
        if row.phase in engine.WANTED
    ]
    move = _move(run)
    if move is not None:
        steps += [Finish(name, "stopped") for name in run.open_actions]
        steps.append(move)
    return tuple(steps)


def _move(run: BlindSnapshot) -> Move | None:
    phases = {row.phase for row in run.injections.values()}
    if run.status in BEFORE_FAULTS:
        return engine.ended_before_faults(run.stop)
    if run.status is Status.INJECTING:
        return Move(Status.RECOVERING, f"{run.stop.ended_by}: {run.stop.reason}")
    if run.status is Status.RECOVERING and phases <= SETTLED:
        return Move(Status.SETTLING, "every fault is gone, as read back or said by a person")
    if run.status is Status.SETTLING and not phases & MAY_EXIST:
        return Move(Status.JUDGING, "nothing is measured: the document cannot be read")
    if run.status is Status.JUDGING and not phases & MAY_EXIST:
        return engine.ended_early(run.stop)
    return None
