"""What an object of Chaos Mesh says of itself: its conditions, records and events. Pure.

There is no failed state and mostly no status of its own: whether a fault is in effect is read from
``status.experiment.containerRecords``, one for each target, and why not from their events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from drivers.protocol import Json, Observation, Plan, TargetPhase, TargetState

Body = Mapping[str, Any]
Phase = Literal["pending", "active", "partly", "gone", "failed"]

FAILING_S = 4.0
"""For how long applying must have failed before it is said that it will not come."""
MOST_STATES = 200
MOST_EVENTS = 20
_OTHER_SIDE = ".Target"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to apply or recover, as a record tells it."""

    is_failed: bool
    operation: str
    message: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    """One target: ``namespace/pod``, with its container, or what a cloud calls it."""

    id: str
    is_other_side: bool
    phase: str
    injected: int
    recovered: int
    attempts: tuple[Attempt, ...] = ()

    @property
    def was_hit(self) -> bool:
        """Tell whether the fault has been in effect on it."""
        return self.injected > 0 or self.phase.startswith("Injected")

    def failure(self, operation: str) -> str:
        """Return why the newest attempt failed; empty where it did not."""
        tried = [each for each in self.attempts if each.operation == operation]
        return tried[-1].message if tried and tried[-1].is_failed else ""

    def failing_s(self) -> float:
        """Return for how long applying has failed without one success."""
        tried = [each for each in self.attempts if each.operation == "Apply"]
        while tried and any(not each.is_failed for each in tried):
            tried.pop(0)
        times = [each.at for each in tried if each.at is not None]
        return (times[-1] - times[0]).total_seconds() if len(times) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """An object as just read."""

    desired: str
    conditions: Mapping[str, bool]
    records: tuple[Record, ...]
    is_going: bool
    going_since: datetime | None
    is_paused: bool


def read(body: Body) -> Status:
    """Return what matters of an object; what is missing counts as not said."""
    about, status = body.get("metadata") or {}, body.get("status") or {}
    experiment = status.get("experiment") or {}
    conditions = {
        str(each.get("type")): each.get("status") == "True"
        for each in status.get("conditions") or ()
    }
    return Status(
        desired=str(experiment.get("desiredPhase") or ""),
        conditions=conditions,
        records=tuple(_record(each) for each in experiment.get("containerRecords") or ()),
        is_going=bool(about.get("deletionTimestamp")),
        going_since=_time(about.get("deletionTimestamp")),
        is_paused=conditions.get("Paused", False),
    )


def _record(raw: Body) -> Record:
    attempts = tuple(
        Attempt(
            is_failed=each.get("type") == "Failed",
            operation=str(each.get("operation", "")),
            message=str(each.get("message", "")),
            at=_time(each.get("timestamp")),
        )
        for each in raw.get("events") or ()
    )
    return Record(
        id=str(raw.get("id", "")),
        is_other_side=str(raw.get("selectorKey", "")) == _OTHER_SIDE,
        phase=str(raw.get("phase", "")),
        injected=int(raw.get("injectedCount") or 0),
        recovered=int(raw.get("recoveredCount") or 0),
        attempts=attempts,
    )


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def pod_of(record: Record) -> str:
    """Return ``namespace/pod`` of a record of pods."""
    return "/".join(record.id.split("/")[:2])


def settled(body: Body) -> bool:
    """Tell whether an object says how its injection went: every record applied, or tried in vain.

    Selecting nothing leaves no record and is told by events alone.
    """
    found = read(body).records
    return bool(found) and all(each.was_hit or each.failure("Apply") for each in found)


def states(status: Status, vanished: Collection[str], *, is_one_shot: bool) -> list[TargetState]:
    """Return the state of each record. ``vanished``: pods, as ``namespace/pod``, not there now."""
    return [_state(each, status, vanished, is_one_shot) for each in status.records]


def _state(
    record: Record, status: Status, vanished: Collection[str], is_one_shot: bool
) -> TargetState:
    phase, detail = _phase(record, status, is_one_shot)
    if phase == "active" and not is_one_shot and pod_of(record) in vanished:
        phase, detail = "gone", "The pod is not there any more; what replaced it is not hit."
    side = " (the other side)" if record.is_other_side else ""
    return TargetState(name=record.id + side, phase=phase, detail=detail)


def _phase(record: Record, status: Status, is_one_shot: bool) -> tuple[TargetPhase, str]:
    is_ending = status.desired == "Stop"
    failed = (record.failure("Recover") if is_ending else "") or record.failure("Apply")
    if record.phase == "Injected/Wait":
        return "active", failed or "Chaos Mesh is removing it."
    if record.phase == "Injected" or (is_one_shot and record.was_hit):
        return "active", failed
    if is_ending and record.phase == "Not Injected":
        if status.is_paused:
            return "gone", "Somebody paused it."
        return "gone", "Chaos Mesh has ended it." if record.was_hit else "It was never in effect."
    if is_ending:
        return "pending", failed or "Chaos Mesh waits to remove what it never applied."
    if failed and record.failing_s() >= FAILING_S:
        return "failed", failed
    return "pending", failed or "Chaos Mesh has not applied it yet."


def overall(found: Sequence[TargetState]) -> Phase:
    """Return what the states of all records say together."""
    phases = {each.phase for each in found}
    if phases == {"active"}:
        return "active"
    if "active" in phases:
        return "partly"
    if "failed" in phases:
        return "failed"
    return "gone" if phases == {"gone"} else "pending"


def observation(
    plan: Plan, body: Body, events: Iterable[Body], vanished: Collection[str], *, is_one_shot: bool
) -> Observation:
    """Return how far a plan's object is in effect.

    Exposed are the pods that matched when it was planned, affected those that it has hit. Where
    Chaos Mesh selected none, both are 0 and the fault has failed: it is never taken for a success.
    """
    status, told = read(body), warnings(events)
    found = states(status, vanished, is_one_shot=is_one_shot)
    phase, message = overall(found), _message(status, found)
    own = [each for each in status.records if not each.is_other_side]
    hit = {pod_of(each) if "/" in each.id else each.id for each in own if each.was_hit}
    matching = plan.details.get("matching")
    exposed = float(max(matching or 0, len(hit)) or len(own))
    if not status.records:
        phase, message = _unselected(status, told)
        exposed = 0.0 if phase == "failed" else float(matching or 0)
        name = f"{plan.details['namespace']}/{plan.details['name']}"
        state: TargetPhase = "failed" if phase == "failed" else "pending"
        found = [TargetState(name=name, phase=state, detail=message)]
    elif is_one_shot and status.desired == "Stop":
        message = "It has happened. " + message
    return Observation(
        phase=phase,
        targets=tuple(found[:MOST_STATES]),
        requested_share=plan.requested_share,
        delivered_share=min(1.0, len(hit) / exposed) if exposed else None,
        exposed=exposed,
        affected=float(len(hit)),
        evidence=evidence(status, told),
        message=message.strip(),
    )


def _message(status: Status, found: Sequence[TargetState]) -> str:
    active = sum(each.phase == "active" for each in found)
    said = f"{active} of {len(found)} targets are hit, as Chaos Mesh's records say."
    others = [each for each in found if each.phase != "active" and each.detail]
    if others:
        said += f" {others[0].name}: {others[0].detail}"
    if len(others) > 1:
        said += f" And {len(others) - 1} more."
    return f"{said} Somebody has deleted it." if status.is_going else said


def _unselected(status: Status, told: Sequence[str]) -> tuple[Phase, str]:
    refused = [each for each in told if "select targets" in each]
    if refused:
        return "failed", f"Chaos Mesh selected no target. It says: {refused[-1]}"
    if status.conditions.get("Selected"):
        return "failed", "Chaos Mesh selected no target: nothing is hit."
    return "pending", "Chaos Mesh has not selected its targets yet."


def warnings(events: Iterable[Body]) -> list[str]:
    """Return the messages of the warnings among an object's events, oldest first, each once."""
    listed = sorted(events, key=lambda each: str((each.get("metadata") or {}).get("name", "")))
    said = [str(each.get("message", "")) for each in listed if each.get("type") == "Warning"]
    return list(dict.fromkeys(said))


def evidence(status: Status, told: Sequence[str]) -> dict[str, Json]:
    """Return the records and warnings as the journal keeps them."""
    return {
        "desired": status.desired,
        "records": [
            {
                "id": each.id,
                "phase": each.phase,
                "injected": each.injected,
                "recovered": each.recovered,
                "failed": each.failure("Apply") or each.failure("Recover"),
            }
            for each in status.records[:MOST_STATES]
        ],
        "events": list(told)[-MOST_EVENTS:],
    }
