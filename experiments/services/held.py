"""One injection as one attempt holds it: its row, its plan, and the outcomes it may commit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from drivers.protocol import Handle, Observation, Plan
from experiments.models import Injection
from experiments.services import transitions

_LEAST_EVERY_S = 2.0
_MOST_EVERY_S = 30.0
_LOOKS_PER_FAULT = 60
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0)


def mine(injection: Injection, attempt: int) -> Any:
    """Return the row while the attempt is ours and the phase is the one it was claimed in."""
    return Injection.objects.filter(pk=injection.pk, attempt=attempt, phase=injection.phase)


def plan_of(injection: Injection) -> Plan:
    """Return the plan as it was committed."""
    return Plan.model_validate(injection.plan)


def handle_of(injection: Injection) -> Handle | None:
    """Return what inject returned, if it did."""
    return Handle.model_validate(injection.handle) if injection.handle else None


def observed(seen: Observation, now: datetime) -> dict[str, Any]:
    """Return the fields that keep an observation."""
    return {"observation": seen.model_dump(mode="json"), "observed_at": now}


def evidence(injection: Injection, seen: Observation) -> Any:
    """Keep the newest observation that saw the fault there: a lost one tells of no share."""
    if seen.phase in ("active", "partly"):
        return seen.model_dump(mode="json")
    return injection.evidence


def every_s(injection: Injection) -> float:
    """Return how often, in seconds, the fault is observed: about sixty times, every 2 to 30 s."""
    wanted = injection.duration_s / _LOOKS_PER_FAULT
    return min(_MOST_EVERY_S, max(_LEAST_EVERY_S, wanted))


def backoff(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row."""
    return timedelta(seconds=_RETRY_S[min(failures, len(_RETRY_S)) - 1])


def journal(injection: Injection, kind: str, message: str, now: datetime) -> None:
    """Write a line about the injection into its run's journal."""
    transitions.journal(
        run=injection.run,
        kind=kind,
        message=message,
        actor="engine",
        now=now,
        details={"action": injection.action},
    )
