"""Advances runs by short, repeatable ticks: lock, load, decide, commit; no outside call inside.

Every dispatch happens after commit. Running a tick twice changes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce

from experiments import queue
from experiments.domain.method import Checkpoint, FaultAction, Wait
from experiments.domain.rules import NO_DATA
from experiments.domain.states import MAY_EXIST, TERMINAL, EndedBy, InjectionPhase, Status
from experiments.engine import blind, steps
from experiments.engine import decide as engine
from experiments.engine import watching as guarding
from experiments.engine.snapshot import ActionState, CallState, RunSnapshot
from experiments.models import ActionRecord, Call, Injection, Run
from experiments.services import clock, shared, snapshots, transitions

log = logging.getLogger(__name__)

_ROUNDS = 64
_NOT_DECIDED_BY = ("version__document", "version__text", "judgement", "problems")
_PLAIN = (Status.CHECKING, Status.BASELINE, Status.INJECTING)
"""A move to one of these changes the run's own row and nothing else."""


def tick(*, run_id: int) -> None:
    """Advance the run as far as it goes now. Never raises for a run that cannot be advanced."""
    for _ in range(_ROUNDS):
        try:
            with transaction.atomic():
                if not _step(run_id):
                    return
        except transitions.LostRaceError as error:
            log.info("run %s: %s", run_id, error)
            return
        except (OperationalError, InterfaceError) as error:
            # A busy or absent database says nothing about the run; the sweep comes again.
            log.warning("run %s: not advanced now: %s", run_id, error)
            return
        except Exception as error:
            log.exception("run %s: the tick failed", run_id)
            _give_up(run_id, error)
            return
    log.error("run %s: still something due after %s rounds", run_id, _ROUNDS)


def _step(run_id: int) -> bool:
    """Take the steps due now, in one transaction. Return whether to look again at once."""
    rows = Run.objects.select_related("version", "environment").defer(*_NOT_DECIDED_BY)
    if connection.features.has_select_for_update:
        rows = rows.select_for_update(of=("self",))
    run = rows.filter(pk=run_id).first()
    if run is None or not run.is_live:
        return False
    now = clock.now()
    snapshot = snapshots.load(run)
    due = engine.decide(snapshot, now)
    while due:
        for step in due:
            _apply(run, step, now)
        after = _after(snapshot, run, due, now)
        if after is None:
            return True
        snapshot = after
        due = engine.decide(snapshot, now)
    Run.objects.filter(pk=run_id).update(
        next_due=engine.next_due(snapshot, now), blind_at=guarding.blind_at(snapshot, now)
    )
    return False


def _after(
    before: RunSnapshot, run: Run, taken: tuple[steps.Step, ...], now: datetime
) -> RunSnapshot | None:
    """Return the snapshot with the steps taken; None when only the database can tell.

    The start of a run takes half a dozen steps: reading everything again after each would cost
    more than all the rest, and the run is held meanwhile, so that nobody else can move it.
    """
    calls, injections = dict(before.calls), dict(before.injections)
    actions = dict(before.actions)
    for step in taken:
        match step:
            case steps.Move(to=to) if to in _PLAIN:
                before = replace(
                    before,
                    status=Status(run.status),
                    status_since=run.status_since,
                    injecting_at=run.injecting_at,
                )
            case steps.Ask(kind="check" as kind) if kind not in calls:
                calls[kind] = CallState(kind, due_at=now, woken_at=now)
            case steps.Wake(kind="carry", action=action):
                injections[action] = replace(injections[action], woken_at=now)
            case steps.Wake(kind=kind):
                calls[kind] = replace(calls[kind], woken_at=now)
            case steps.Begin(action=action) if (
                action in injections and injections[action].phase is InjectionPhase.PLANNED
            ):
                actions[action] = ActionState(now)
                injections[action] = replace(
                    injections[action], phase=InjectionPhase.INTENT, due_at=now, woken_at=now
                )
            case _:
                return None
    return replace(before, calls=calls, injections=injections, actions=actions)


def _apply(run: Run, step: steps.Step, now: datetime) -> None:
    match step:
        case steps.Move(to=to, reason=reason, actor=actor, ended_by=ended_by):
            if to in TERMINAL and run.status == Status.BASELINE:
                _keep_measured(run, now)
            transitions.move(run=run, to=to, reason=reason, actor=actor, now=now, ended_by=ended_by)
        case steps.Ask(kind=kind):
            _, is_new = Call.objects.get_or_create(run=run, kind=kind, defaults={"due_at": now})
            if is_new:
                _wake_call(run, kind, now)
        case steps.Wake(kind="carry", action=action):
            _wake_carry(run, action, now)
        case steps.Wake(kind=kind):
            _wake_call(run, kind, now)
        case steps.Begin(action=action):
            _begin(run, action, now)
        case steps.Open(name=name, reason=reason):
            _open_checkpoint(run, name, reason, now)
        case steps.Finish(action=action, outcome=outcome):
            closed = run.actions.filter(name=action, finished_at__isnull=True).update(
                finished_at=now, outcome=outcome
            )
            _settle_waiting(run)
            if closed and action.startswith(NO_DATA):
                message = f"{action}: {outcome}"
                transitions.journal(
                    run=run, kind="checkpoint", message=message, actor="engine", now=now
                )
        case steps.Recover(action=action, reason=reason, actor=actor):
            row = run.injections.get(action=action)
            begin_recovery(injection=row, reason=reason, actor=actor, now=now)
            _wake_carry(run, action, now)
        case steps.Stop(order=order):
            transitions.order_stop(
                run=run,
                ended_by=order.ended_by,
                actor=order.actor,
                reason=order.reason,
                now=now,
                is_on_data=order.is_on_data,
            )


def _keep_measured(run: Run, now: datetime) -> None:
    """Keep what was measured of a run that is never judged. The move itself matters more."""
    try:
        with transaction.atomic():
            document = snapshots.spec_of(run)
            shared.keep(run, document, shared.of_run(run, document), now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # an edge: the run must end whatever is wrong with what it would keep
        log.exception("run %s: what was measured is not kept", run.pk)


def _wake_call(run: Run, kind: str, now: datetime) -> None:
    Call.objects.filter(run=run, kind=kind).update(woken_at=now)
    if kind == "watch":
        queue.wake("watch", [run.pk], queue=queue.LOOKS)
        return
    # Nobody waits for a judge or a probe; a start waits for its check and its gate.
    lane = queue.LOOKS if kind in ("judge", "probe") else queue.CONTROL
    queue.wake("make_call", run.pk, kind, queue=lane)


def _wake_carry(run: Run, action: str, now: datetime) -> None:
    row = run.injections.get(action=action)
    if row.phase not in MAY_EXIST:
        return
    Injection.objects.filter(pk=row.pk).update(woken_at=now)
    queue.wake("carry", row.pk)


def _begin(run: Run, name: str, now: datetime) -> None:
    document = snapshots.spec_of(run)
    action = next(action for action in document.method if action.name == name)
    kind = {FaultAction: "fault", Checkpoint: "checkpoint", Wait: "wait"}[type(action)]
    _, is_new = ActionRecord.objects.get_or_create(
        run=run, name=name, defaults={"kind": kind, "started_at": now}
    )
    if not is_new:
        return
    if isinstance(action, FaultAction):
        run.injections.filter(action=name, phase=InjectionPhase.PLANNED.value).update(
            phase=InjectionPhase.INTENT.value, intent_at=now, due_at=now
        )
        _wake_carry(run, name, now)
        message = f"{name}: {action.fault} is to be injected"
    elif isinstance(action, Checkpoint):
        Run.objects.filter(pk=run.pk).update(waiting_for="checkpoint")
        message = f"{name}: waiting for a person: {action.checkpoint}"
    else:
        message = f"{name}: waiting for {action.wait}"
    transitions.journal(run=run, kind="action", message=message, actor="engine", now=now)


def _open_checkpoint(run: Run, name: str, reason: str, now: datetime) -> None:
    _, is_new = ActionRecord.objects.get_or_create(
        run=run, name=name, defaults={"kind": "checkpoint", "started_at": now}
    )
    if is_new:
        Run.objects.filter(pk=run.pk).update(waiting_for="checkpoint")
        message = f"{name}: waiting for a person: {reason}"
        transitions.journal(run=run, kind="action", message=message, actor="engine", now=now)


def _settle_waiting(run: Run) -> None:
    if not run.actions.filter(kind="checkpoint", finished_at__isnull=True).exists():
        Run.objects.filter(pk=run.pk).update(waiting_for="")


def recover_all(*, run: Run, reason: str, actor: str, now: datetime) -> None:
    """Begin to remove every fault of the run, and dispatch it; the caller holds the run."""
    wanted = [phase.value for phase in engine.WANTED]
    for row in run.injections.filter(phase__in=wanted).select_related("run"):
        _begin_recovery(row, reason, actor, now)
        _wake_carry(run, row.action, now)


def begin_recovery(*, injection: Injection, reason: str, actor: str, now: datetime) -> None:
    """Note that the fault is to be removed now; cancel it if nothing was ever sent.

    An intent without a plan was never sent: a carrier sends only after it has committed the plan
    under a phase that is still ``intent``. One with a plan that somebody has claimed may be on its
    way: it is unanswered.
    """
    with transitions.holding(run_id=injection.run_id):
        _begin_recovery(injection, reason, actor, now)


def _begin_recovery(injection: Injection, reason: str, actor: str, now: datetime) -> None:
    rows = Injection.objects.filter(pk=injection.pk)
    never_sent = Q(phase=InjectionPhase.PLANNED.value) | Q(
        phase=InjectionPhase.INTENT.value, plan__isnull=True
    )
    cancelled = rows.filter(never_sent).update(
        phase=InjectionPhase.CANCELLED.value, recovered_at=now, due_at=None, attempt_deadline=None
    )
    if cancelled:
        if injection.intent_at is not None:
            message = f"{injection.action}: cancelled before anything was sent ({reason})"
            transitions.journal(
                run=injection.run, kind="injection", message=message, actor=actor, now=now
            )
        return
    begun = [InjectionPhase.INTENT, InjectionPhase.ACTIVE, InjectionPhase.RECOVERED]
    moved = rows.filter(phase__in=[phase.value for phase in begun]).update(
        # An inject that somebody has claimed may be on its way; one that failed was answered.
        is_unanswered=Case(
            When(
                phase=InjectionPhase.INTENT.value,
                attempt_deadline__isnull=False,
                then=Value(True),
            ),
            default=F("is_unanswered"),
        ),
        phase=InjectionPhase.RECOVERING.value,
        # A fault that came back was first removed then: its phase must not cover the time between.
        recovering_at=Coalesce(F("recovering_at"), Value(now)),
        due_at=now,
        woken_at=None,
        # Whoever holds the attempt has lost it: its outcome will find another number.
        attempt=F("attempt") + 1,
        attempt_deadline=None,
        failures=0,
        settle_reads=0,
        gone_at=None,
    )
    if moved:
        transitions.journal(
            run=injection.run,
            kind="recover",
            message=f"{injection.action}: removal begins ({reason})",
            actor=actor,
            now=now,
        )


def _give_up(run_id: int, error: Exception) -> None:
    """End a run that cannot be decided: whatever it injected is recovered without its document."""
    reason = f"the run could not be advanced: {type(error).__name__}: {error}"
    try:
        for _ in range(_ROUNDS):
            with transitions.holding(run_id=run_id):
                if not _step_blind(run_id, reason):
                    return
    except Exception:  # the tick's edge: the sweep and the keeper come again
        log.exception("run %s: could not be given up now", run_id)


def _step_blind(run_id: int, reason: str) -> bool:
    rows = Run.objects.select_related("version", "environment")
    run = rows.filter(pk=run_id).first()
    if run is None or not run.is_live:
        return False
    now = clock.now()
    if run.stop_requested_at is None:
        transitions.order_stop(
            run=run, ended_by=EndedBy.ERROR, actor="engine", reason=reason, now=now
        )
        return True
    due = blind.decide(snapshots.load_blind(run), now)
    for step in due:
        _apply(run, step, now)
    if not due:
        again = now + timedelta(seconds=blind.AGAIN_S)
        Run.objects.filter(pk=run_id).update(next_due=again)
    return bool(due)
