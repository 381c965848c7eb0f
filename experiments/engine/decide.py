"""Decide what is due: a pure function of a snapshot and a moment.

``decide`` returns the steps to take now, at most one move of the status among them and that one
last; the caller commits them and asks again until nothing is due. ``next_due`` says when to look
again by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from experiments.domain.method import Checkpoint, FaultAction, Wait
from experiments.domain.states import (
    BEFORE_FAULTS,
    MAY_EXIST,
    SETTLED,
    TERMINAL,
    EndedBy,
    InjectionPhase,
    Status,
)
from experiments.engine import watching
from experiments.engine.snapshot import CallState, InjectionState, RunSnapshot, StopOrder
from experiments.engine.steps import Ask, Begin, Finish, Move, Open, Recover, Step, Stop, Wake

HEARTBEAT_S = 600.0
"""How often a run is looked at when nothing is due: whatever happens in it makes it due."""

GATE_HOLDS_S = 60.0
"""For how long the look before the first fault counts: whoever injects later does not know."""

WANTED = frozenset({InjectionPhase.PLANNED, InjectionPhase.INTENT, InjectionPhase.ACTIVE})
"""Phases of an injection that nobody has begun to remove."""


def decide(run: RunSnapshot, now: datetime) -> tuple[Step, ...]:
    """Return what is due now; empty when nothing is."""
    if run.status in TERMINAL:
        return ()
    stop = run.stop or run.halt or watching.stop(run, now) or _failure(run)
    if stop is not None and run.stop is None and run.status not in BEFORE_FAULTS:
        return (Stop(stop),)
    steps: list[Step] = [*_wakes(run, now)]
    steps += _BY_STATUS[run.status](run, now, stop)
    return tuple(steps)


def _requested(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    if stop:
        return _end_before_faults(run, stop)
    return [Ask("check"), Move(Status.CHECKING, "checking the backends, the data and the claims")]


def _checking(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    if stop:
        return _end_before_faults(run, stop)
    call = run.calls.get("check")
    if call is None or call.finished_at is None:
        return []
    if not call.is_ok:
        return [Move(Status.REFUSED, call.reason)]
    watches = [Ask("watch")] if run.spec.measures else []
    if any("throughout" in probe.at for probe in run.spec.probes):
        watches.append(Ask("probe"))
    return [*watches, Move(Status.BASELINE, call.reason)]


def _baseline(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    if stop:
        return _end_before_faults(run, stop)
    if now < _baseline_ends(run):
        return []
    if not (run.spec.measures or any("start" in probe.at for probe in run.spec.probes)):
        return [Move(Status.INJECTING, "nothing is to be measured before the first fault")]
    call = run.calls.get("gate")
    if call is None:
        return [Ask("gate")]
    if call.finished_at is None:
        return []
    refusal = "" if call.is_ok else call.reason
    waited_s = (now - call.finished_at).total_seconds()
    if waited_s > GATE_HOLDS_S:
        refusal = f"the look before the first fault is {waited_s:.0f} s old: start again"
    if refusal:
        cancelled = [Recover(name, "the run is refused") for name in run.injections]
        return [*cancelled, Move(Status.REFUSED, refusal)]
    return [Move(Status.INJECTING, call.reason)]


def _injecting(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    if stop:
        reason = f"{stop.ended_by}: {stop.reason}"
        return [*_recover_all(run, stop), *_finish_open(run, "stopped"), _recovering(reason)]
    if all(
        (state := run.actions.get(action.name)) is not None and state.finished_at is not None
        for action in run.spec.method
    ):
        # Nothing is left that a person could let begin.
        return [*_finish_open(run, "every action has ended"), _recovering("every action has ended")]
    steps: list[Step] = [*watching.checkpoints(run, now)]
    is_held = any(isinstance(step, Open) for step in steps) or bool(watching.waiting(run))
    for action in run.spec.method:
        state = run.actions.get(action.name)
        if state is None:
            due = _starts_at(run, action.name)
            if due is not None and due <= now and not is_held:
                steps.append(Begin(action.name))
        elif state.finished_at is not None:
            continue
        elif isinstance(action, Wait):
            if now >= state.started_at + _span(action.wait):
                steps.append(Finish(action.name, "waited"))
        elif isinstance(action, Checkpoint):
            if now >= state.started_at + _span(action.timeout):
                order = StopOrder(
                    EndedBy.PERSON, "engine", f"nobody answered “{action.checkpoint}” in time"
                )
                return [Stop(order)]
        elif (injection := run.injections.get(action.name)) is not None:
            steps += _end_of_fault(action, injection, now)
    return steps


def _end_of_fault(action: FaultAction, injection: InjectionState, now: datetime) -> list[Step]:
    if injection.phase in SETTLED:
        return [Finish(action.name, "recovered")]
    if injection.phase in (InjectionPhase.RECOVERING, InjectionPhase.UNSETTLED):
        return [Finish(action.name, "recovering")]
    if injection.recover_by is not None and injection.recover_by <= now:
        return [Recover(action.name, f"its {action.duration} are over")]
    return []


def _recovering_status(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    left = [i for i in run.injections.values() if i.phase not in SETTLED]
    if not left:
        return [Move(Status.SETTLING, "every fault is gone, as read back or said by a person")]
    return [
        Recover(injection.action, "the run is recovering")
        for injection in left
        if injection.phase in WANTED
    ]


def _settling(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    if now < _settled_at(run) or _may_be_live(run):
        return []
    return [Ask("judge"), Move(Status.JUDGING, "the system had its time to settle")]


def _judging(run: RunSnapshot, now: datetime, stop: StopOrder | None) -> list[Step]:
    call = run.calls.get("judge")
    if call is None:
        return [Ask("judge")]
    if call.finished_at is None or _may_be_live(run):
        return []
    if stop is None and not call.is_ok:
        reason = f"the run could not be judged: {call.reason}"
        return [Move(Status.ERRORED, reason, ended_by=EndedBy.ERROR)]
    if stop is None:
        return [Move(Status.COMPLETED, call.reason, ended_by=EndedBy.PLAN)]
    return [ended_early(stop)]


_BY_STATUS = {
    Status.REQUESTED: _requested,
    Status.CHECKING: _checking,
    Status.BASELINE: _baseline,
    Status.INJECTING: _injecting,
    Status.RECOVERING: _recovering_status,
    Status.SETTLING: _settling,
    Status.JUDGING: _judging,
}


def _recovering(reason: str) -> Move:
    return Move(Status.RECOVERING, reason)


def _may_be_live(run: RunSnapshot) -> bool:
    """Return whether a fault came back after it was read as gone: nothing ends before it goes."""
    return any(injection.phase in MAY_EXIST for injection in run.injections.values())


def _end_before_faults(run: RunSnapshot, stop: StopOrder) -> list[Step]:
    return [*_recover_all(run, stop), ended_before_faults(stop)]


def ended_early(stop: StopOrder) -> Move:
    """Return the move that ends a run which was judged after a stop."""
    to = Status.ERRORED if stop.ended_by is EndedBy.ERROR else Status.STOPPED
    return Move(to, stop.reason, stop.actor, stop.ended_by)


def ended_before_faults(stop: StopOrder) -> Move:
    """Return the move that ends a run which has injected nothing."""
    if stop.ended_by is EndedBy.GUARDRAIL:
        return Move(Status.REFUSED, f"before any fault, {stop.reason}", stop.actor)
    to = Status.ERRORED if stop.ended_by is EndedBy.ERROR else Status.STOPPED
    return Move(to, f"before any fault: {stop.reason}", stop.actor, stop.ended_by)


def _recover_all(run: RunSnapshot, stop: StopOrder) -> Iterator[Recover]:
    for injection in run.injections.values():
        if injection.phase in WANTED:
            yield Recover(injection.action, stop.reason, stop.actor)


def _finish_open(run: RunSnapshot, outcome: str) -> Iterator[Finish]:
    for name, state in run.actions.items():
        if state.finished_at is None:
            yield Finish(name, outcome)


def _failure(run: RunSnapshot) -> StopOrder | None:
    if run.status is not Status.INJECTING:
        return None
    for action in run.spec.faults:
        injection = run.injections.get(action.name)
        if injection is None:
            continue
        if injection.is_final_failure and injection.phase is InjectionPhase.INTENT:
            reason = f"{action.name} could not be injected: {injection.last_error}"
            return StopOrder(EndedBy.BACKEND, "engine", reason)
        if (
            injection.phase is InjectionPhase.ACTIVE
            and injection.is_lost
            and action.on_drift == "stop"
        ):
            reason = f"{action.name} was lost on its backend ({injection.observed_phase})"
            return StopOrder(EndedBy.BACKEND, "engine", reason)
    return None


def _baseline_ends(run: RunSnapshot) -> datetime:
    return run.status_since + timedelta(seconds=run.spec.timing.baseline.wait_s)


def _settled_at(run: RunSnapshot) -> datetime:
    settle = float(run.spec.timing.settle)
    # The last bin of the settling time can only be read once its scrapes are in.
    lag = run.pace.lag_s if run.spec.measures and settle else 0.0
    return run.status_since + timedelta(seconds=settle + lag)


def _starts_at(run: RunSnapshot, name: str) -> datetime | None:
    """Return when the action is due to begin; None while what it waits for has not happened."""
    assert run.injecting_at is not None  # noqa: S101 — the run is injecting
    names = [action.name for action in run.spec.method]
    position = names.index(name)
    start = run.spec.method[position].start
    delay = _span(start.delay) if start else timedelta()
    moments: list[datetime | None]
    if start and start.with_:
        moments = [_began_at(run, other) for other in start.with_]
    elif start and start.after:
        moments = [_ended_at(run, other) for other in start.after]
    elif start is None and position > 0:
        moments = [_ended_at(run, names[position - 1])]
    else:
        moments = [run.injecting_at]
    known = [moment for moment in moments if moment is not None]
    return max(known) + delay if len(known) == len(moments) else None


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=float(seconds))


def _began_at(run: RunSnapshot, name: str) -> datetime | None:
    state = run.actions.get(name)
    return state.started_at if state else None


def _ended_at(run: RunSnapshot, name: str) -> datetime | None:
    """Return when an action ended; a fault has ended once its removal was read back."""
    injection = run.injections.get(name)
    if injection is not None:
        return injection.recovered_at if injection.phase in SETTLED else None
    state = run.actions.get(name)
    return state.finished_at if state else None


LOOKS = frozenset({"watch"})
"""Calls that the sweep dispatches itself, many runs at once: they need no decision."""


def is_paced(item: CallState | InjectionState) -> bool:
    """Return whether the run's ticks see to the item; the sweep sees to looks by itself."""
    if isinstance(item, CallState):
        return item.finished_at is None and item.kind not in LOOKS
    return item.phase in MAY_EXIST and item.phase is not InjectionPhase.ACTIVE


def _wakes(run: RunSnapshot, now: datetime) -> Iterator[Wake]:
    for call in run.calls.values():
        if is_paced(call) and is_due(call, now, run.pace.rewake_s):
            yield Wake(call.kind)
    for injection in run.injections.values():
        if is_paced(injection) and is_due(injection, now, run.pace.rewake_s):
            yield Wake("carry", injection.action)


def is_due(item: CallState | InjectionState, now: datetime, rewake_s: float) -> bool:
    """Return whether the call is to be dispatched: due, unclaimed and not just dispatched."""
    if item.due_at is None or item.due_at > now:
        return False
    if item.attempt_deadline is not None and item.attempt_deadline > now:
        return False
    return item.woken_at is None or (
        item.woken_at < item.due_at or now - item.woken_at >= timedelta(seconds=rewake_s)
    )


def next_due(run: RunSnapshot, now: datetime) -> datetime | None:
    """Return when to look at the run again by itself; None for an ended run."""
    if run.status in TERMINAL:
        return None
    moments = [now + timedelta(seconds=HEARTBEAT_S)]
    items: list[CallState | InjectionState] = [*run.calls.values(), *run.injections.values()]
    for item in items:
        if (
            isinstance(item, InjectionState)
            and item.phase is InjectionPhase.ACTIVE
            and item.recover_by is not None
        ):
            moments.append(item.recover_by)
        if is_paced(item) and item.due_at is not None:
            soonest = max(
                item.due_at,
                item.attempt_deadline or item.due_at,
                item.woken_at + timedelta(seconds=run.pace.rewake_s)
                if item.woken_at and item.woken_at >= item.due_at
                else item.due_at,
            )
            moments.append(soonest)
    if run.status is Status.BASELINE:
        moments.append(_baseline_ends(run))
    if run.status is Status.SETTLING:
        moments.append(_settled_at(run))
    if run.status is Status.INJECTING:
        for action in run.spec.method:
            state = run.actions.get(action.name)
            if state is None:
                due = _starts_at(run, action.name)
                if due is not None:
                    moments.append(due)
            elif state.finished_at is None and isinstance(action, Wait):
                moments.append(state.started_at + _span(action.wait))
            elif state.finished_at is None and isinstance(action, Checkpoint):
                moments.append(state.started_at + _span(action.timeout))
        moments += watching.time_outs(run)
    return min(moment for moment in moments if moment > now)
