"""Makes the outside calls of injections: claimed by a conditional update, with no transaction open.

Every outcome is committed only by the attempt that made the call. A carrier that has lost its
attempt writes nothing, and removes whatever it may have injected.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import F

from drivers.protocol import (
    Driver,
    DriverError,
    FaultRequest,
    Handle,
    Observation,
    Plan,
    UnknownOutcomeError,
)
from experiments import backends
from experiments.domain.states import MAY_EXIST, InjectionPhase
from experiments.models import Injection
from experiments.services import clock, closing, conducting, held, locking, removing, transitions

log = logging.getLogger(__name__)

LEASE_S = 8.0
"""A driver bounds its calls at 5 s: whoever is silent for longer is gone, or will find out late."""
MOST_WAIT_S = 60.0
"""For how long an intent may wait for its carrier: the system was healthy when it was made."""
_FIRST_LOOK_S = 2.0
_MAX_INJECT_FAILURES = 5
_PHASE = InjectionPhase


def carry(*, injection_id: int) -> None:
    """Make the call that the injection's phase asks for, if it is due and nobody else does."""
    claimed = _claim(injection_id)
    if claimed is None:
        return
    injection, attempt = claimed
    try:
        too_late = _too_late(injection)
        if too_late:
            _inject_failed(injection, attempt, DriverError(too_late))
        elif injection.phase == _PHASE.INTENT:
            _inject(injection, attempt)
        elif injection.phase == _PHASE.ACTIVE:
            _observe(injection, attempt)
        else:
            removing.recover(injection, attempt)
    except (OperationalError, InterfaceError) as error:
        # Our own database went away: that says nothing of the backend. The lease brings it back.
        log.warning("injection %s: the carry ended: %s", injection.token, error)
    except Exception as error:
        # The carry's edge: a broken driver or row is told and repeated as a backend's failure is.
        log.exception("run %s: %s: the carry failed", injection.run_id, injection.action)
        _broke(injection, attempt, f"{type(error).__name__}: {error}")
    finally:
        conducting.tick(run_id=injection.run_id)


def _claim(injection_id: int) -> tuple[Injection, int] | None:
    now = clock.now()
    free = locking.free(now)
    row = (
        Injection.objects.select_related("connection", "run", "run__version", "run__environment")
        .filter(free, pk=injection_id, phase__in=[p.value for p in MAY_EXIST], due_at__lte=now)
        .first()
    )
    if row is None:
        return None
    # A carrier that was lost has failed; what it was to inject may have been sent.
    is_lost = row.phase != _PHASE.ACTIVE and row.attempt_deadline is not None
    row.is_unanswered |= is_lost and row.phase == _PHASE.INTENT and row.plan is not None
    row.failures += is_lost
    # A plan that was committed since is not ours to make again: it would read our own fault.
    claimed = Injection.objects.filter(
        free,
        pk=injection_id,
        phase=row.phase,
        attempt=row.attempt,
        plan__isnull=row.plan is None,
    ).update(
        attempt=F("attempt") + 1,
        attempt_deadline=now + timedelta(seconds=LEASE_S),
        is_unanswered=row.is_unanswered,
        failures=row.failures,
    )
    return (row, row.attempt + 1) if claimed == 1 else None


def _too_late(injection: Injection) -> str:
    """Return why the fault is not injected any more; empty while it may be.

    One that nobody answered is not repeated after its planned end: whether it was ever in effect
    is not known. One that was never sent waits for no longer than the look before it counts.
    """
    if injection.phase != _PHASE.INTENT or injection.intent_at is None:
        return ""
    waited_s = (clock.now() - injection.intent_at).total_seconds()
    if injection.is_unanswered and waited_s >= injection.duration_s:
        return f"{injection.last_error or 'no answer came'}; by now its time is over."
    if injection.plan is None and waited_s >= MOST_WAIT_S:
        return f"nobody was there to inject it for {waited_s:.0f} s: start again."
    return ""


def _request(injection: Injection) -> FaultRequest:
    model = backends.faults()[injection.fault]
    return FaultRequest(
        model.model_validate(injection.params), injection.token, injection.duration_s
    )


def _wanted(injection: Injection, attempt: int) -> Any:
    """Return the row while the attempt is ours and nobody has stopped the run."""
    return held.mine(injection, attempt).filter(run__stop_requested_at__isnull=True)


def _broke(injection: Injection, attempt: int, error: str) -> None:
    if injection.phase == _PHASE.INTENT:
        _inject_failed(injection, attempt, UnknownOutcomeError(error))
    elif injection.phase == _PHASE.ACTIVE:
        _not_observed(injection, attempt, error)
    else:
        removing.not_gone(
            injection, attempt, Observation(phase="pending", message=error), clock.now()
        )


def _inject(injection: Injection, attempt: int) -> None:
    if injection.failures >= _MAX_INJECT_FAILURES:
        _inject_failed(injection, attempt, DriverError("no carrier came back from injecting it."))
        return
    try:
        driver = backends.driver(injection.connection)
        if injection.plan is None:
            plan = driver.prepare(_request(injection))
            foreign = set(plan.claims) - set(injection.claims)
            if foreign:
                raise DriverError(
                    f"the target has changed since the check: {', '.join(sorted(foreign))}"
                )
        else:
            plan = held.plan_of(injection)
        kept = _wanted(injection, attempt).update(plan=plan.model_dump(mode="json"))
        if kept != 1:
            return  # stopped meanwhile, and nothing was sent
        injection.plan = plan.model_dump(mode="json")
        handle = driver.inject(plan)
    except DriverError as error:
        _inject_failed(injection, attempt, error)
        return
    with transitions.holding(run_id=injection.run_id):
        now = clock.now()
        confirmed = held.mine(injection, attempt).update(
            phase=_PHASE.ACTIVE.value,
            handle=handle.model_dump(mode="json"),
            injected_at=now,
            recover_by=_since(injection, now) + timedelta(seconds=injection.duration_s),
            due_at=now + timedelta(seconds=min(_FIRST_LOOK_S, injection.duration_s)),
            woken_at=None,
            attempt_deadline=None,
            failures=0,
            last_error="",
        )
        if confirmed:
            # The tick may never come to be made: the sweep finds the run then.
            transitions.make_due(run_id=injection.run_id, now=now)
            held.journal(
                injection,
                "inject",
                f"{injection.action}: {injection.fault} is in effect, as read back",
                now,
            )
    if not confirmed:
        _undo_lost_inject(injection, plan, handle)


def _since(injection: Injection, now: datetime) -> datetime:
    """Return when the fault may have begun: an unanswered inject may have taken effect long ago."""
    return (injection.intent_at or now) if injection.is_unanswered else now


def _inject_failed(injection: Injection, attempt: int, error: DriverError) -> None:
    failures = injection.failures + 1
    is_final = not error.retryable or failures >= _MAX_INJECT_FAILURES
    with transitions.holding(run_id=injection.run_id):
        now = clock.now()
        kept = held.mine(injection, attempt).update(
            failures=failures,
            last_error=str(error),
            is_final_failure=is_final,
            is_unanswered=injection.is_unanswered or isinstance(error, UnknownOutcomeError),
            # Given up: the run's next tick begins its removal, and nobody injects again.
            due_at=None if is_final else now + held.backoff(failures),
            woken_at=None,
            attempt_deadline=None,
        )
        if kept:
            transitions.make_due(run_id=injection.run_id, now=now)
            held.journal(injection, "error", f"{injection.action}: inject failed: {error}", now)
    if not kept and injection.plan is not None:
        _undo_lost_inject(injection, held.plan_of(injection), None)


def _undo_lost_inject(injection: Injection, plan: Plan, handle: Handle | None) -> None:
    """Remove what a carrier injected after it had lost its attempt, and have it read back again.

    A later attempt that injects the same token looks after the fault: there is nothing to undo.
    """
    current = Injection.objects.get(pk=injection.pk)
    if current.phase in (_PHASE.INTENT, _PHASE.ACTIVE):
        return
    log.error("injection %s: the attempt was lost while injecting; removing it", injection.token)
    try:
        backends.driver(injection.connection).recover(plan, handle)
    except DriverError as error:
        log.critical("injection %s: may still be there: %s", injection.token, error)
    Injection.objects.filter(pk=injection.pk).update(is_unanswered=True)
    current = Injection.objects.select_related("run").get(pk=injection.pk)
    if current.phase == _PHASE.RECOVERED:
        closing.reopen(
            injection=current, reason="an inject came late", actor="engine", now=clock.now()
        )


def _observe(injection: Injection, attempt: int) -> None:
    try:
        driver = backends.driver(injection.connection)
        seen = driver.observe(held.plan_of(injection), held.handle_of(injection))
        if seen.is_lost and injection.on_drift == "reinject":
            now = clock.now()
            injection.lost_at = injection.lost_at or now
            held.mine(injection, attempt).update(
                **held.observed(seen, now), lost_at=injection.lost_at
            )
            if not _reinject(injection, attempt, driver):
                return
            seen = driver.observe(held.plan_of(injection), held.handle_of(injection))
            if not seen.is_lost:
                injection.lost_s += (clock.now() - injection.lost_at).total_seconds()
                injection.lost_at = None
    except DriverError as error:
        _not_observed(injection, attempt, str(error))
        return
    now = clock.now()
    kept = held.mine(injection, attempt).update(
        **held.observed(seen, now),
        evidence=held.evidence(injection, seen),
        lost_at=injection.lost_at or (now if seen.is_lost else None),
        lost_s=injection.lost_s,
        due_at=now + timedelta(seconds=held.every_s(injection)),
        woken_at=None,
        attempt_deadline=None,
        last_error="",
    )
    if kept:
        transitions.touch(run_id=injection.run_id)
        if seen.is_lost:
            transitions.make_due(run_id=injection.run_id, now=now)


def _not_observed(injection: Injection, attempt: int, error: str) -> None:
    held.mine(injection, attempt).update(
        last_error=error,
        due_at=clock.now() + timedelta(seconds=held.every_s(injection)),
        woken_at=None,
        attempt_deadline=None,
    )


def _reinject(injection: Injection, attempt: int, driver: Driver) -> bool:
    """Inject a lost fault again unless it is being removed. Return whether it is still ours.

    The row says “unanswered” while the call is on its way: whoever removes the fault meanwhile
    reads it back for long enough. Raises DriverError.
    """
    was_unanswered = injection.is_unanswered
    if _wanted(injection, attempt).update(is_unanswered=True) != 1:
        return False
    plan, handle = held.plan_of(injection), held.handle_of(injection)
    try:
        driver.inject(plan)
    except DriverError as error:
        is_unanswered = was_unanswered or isinstance(error, UnknownOutcomeError)
        if held.mine(injection, attempt).update(is_unanswered=is_unanswered) != 1:
            _undo_lost_inject(injection, plan, handle)
        raise
    if held.mine(injection, attempt).update(is_unanswered=was_unanswered) != 1:
        _undo_lost_inject(injection, plan, handle)
        return False
    message = f"{injection.action}: was lost on its backend and injected again"
    held.journal(injection, "drift", message, clock.now())
    return True
