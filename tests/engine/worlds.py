"""Snapshots for decisions: a document, and a run of it at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from drivers.fake import FAULTS
from experiments.domain import spec
from experiments.domain.states import EndedBy, InjectionPhase, Status
from experiments.engine.snapshot import (
    ActionState,
    CallState,
    InjectionState,
    Pace,
    RunSnapshot,
    Sample,
    StopOrder,
)

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
STOP = StopOrder(EndedBy.PERSON, "bob", "enough")
CATALOGUE = {model.kind: model for model in FAULTS}


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def fault(name: str = "one", **changes: Any) -> dict[str, Any]:
    return {"name": name, "fault": "fake.abort", "via": "mesh", "duration": "10s"} | changes


def experiment(*method: dict[str, Any], **changes: Any) -> spec.Experiment:
    raw: dict[str, Any] = {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": "decided"},
        "hypothesis": "It holds.",
        "slis": [{"name": "load", "value": "load", "limit": {"max": 100}}],
        "timing": {"baseline": "60s", "settle": "30s", "step": "5s"},
        "method": list(method) or [fault()],
    }
    return spec.parse(raw | changes, faults=CATALOGUE).or_raise()


def run(status: str, *method: dict[str, Any], **changes: Any) -> RunSnapshot:
    """Return a run that came to the status at T0."""
    document = changes.pop("document", {})
    given: dict[str, Any] = {"pace": Pace(step_s=5, scrape_s=1), "injecting_at": T0} | changes
    return RunSnapshot(Status(status), experiment(*method, **document), T0, **given)


def injection(phase: str, action: str = "one", **changes: Any) -> dict[str, InjectionState]:
    return {action: InjectionState(action, InjectionPhase(phase), **changes)}


def done(kind: str, is_ok: bool = True, reason: str = "so it is") -> dict[str, CallState]:
    return {kind: CallState(kind, T0, finished_at=T0, is_ok=is_ok, reason=reason)}


def pending(kind: str, **changes: Any) -> dict[str, CallState]:
    return {kind: CallState(kind, **({"due_at": T0} | changes))}


def began(**moments: float | tuple[float, float]) -> dict[str, ActionState]:
    """Return actions by name: when each began, or began and ended, in seconds after T0."""
    return {
        name: ActionState(at(moment[0]), at(moment[1]))
        if isinstance(moment, tuple)
        else ActionState(at(moment))
        for name, moment in moments.items()
    }


def samples(*breaches: bool | None, first: float = 5, step: float = 5) -> tuple[Sample, ...]:
    """Return samples a step apart; None is one without data."""
    return tuple(
        Sample(
            at(first + index * step),
            None if breach is None else 80.0 if breach else 1.0,
            breach,
            "load returned nothing" if breach is None else "",
        )
        for index, breach in enumerate(breaches)
    )
