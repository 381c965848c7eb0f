"""What a tick may do: the steps that a decision consists of."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.domain.states import EndedBy, Status
from experiments.engine.snapshot import StopOrder


@dataclass(frozen=True, slots=True)
class Move:
    """Change the run's status."""

    to: Status
    reason: str
    actor: str = "engine"
    ended_by: EndedBy | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Have an outside call of the run made for the first time, from ``due_at`` on."""

    kind: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Dispatch a call that is due (``action`` empty) or an injection's carry."""

    kind: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin an action: for a fault, the ledger's intent."""

    action: str


@dataclass(frozen=True, slots=True)
class Open:
    """Have the run wait for a person at a checkpoint that its document does not have."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End an action that is no fault, or a fault whose removal began."""

    action: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Recover:
    """Begin to remove a fault, or cancel it if nothing was sent."""

    action: str
    reason: str
    actor: str = "engine"


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run early."""

    order: StopOrder


Step = Move | Ask | Wake | Begin | Open | Finish | Recover | Stop
