"""Makes the outside calls of injections: claimed by a conditional update, with no transaction open.

Every outcome is committed only by the attempt that made the call. A carrier that has lost its
attempt writes nothing, and removes whatever it may have injected.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q

from drivers.protocol import (
    Driver,
    DriverError,
    FaultRequest,
    Handle,
    Observation,
    Plan,
    UnknownOutcomeError,
)
from experiments import backends, queue
from experiments.domain.states import MAY_EXIST, SETTLED, InjectionPhase
from experiments.models import Claim, Injection
from experiments.services import clock, conducting, transitions

log = logging.getLogger(__name__)

LEASE_S = 15.0
OBSERVE_EVERY_S = 2.0
SETTLE_READS_S = (0.0, 2.0, 10.0, 30.0, 120.0)
"""How long after the first read-back an unanswered injection is read again."""
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0)
_MAX_INJECT_FAILURES = 5
_LOUD_AFTER = 3
_PHASE = InjectionPhase


def carry(*, injection_id: int) -> None:
    """Make the call that the injection's phase asks for, if it is due and nobody else does."""
    claimed = _claim(injection_id)
    if claimed is None:
        return
    injection, attempt = claimed
    try:
        if injection.phase == _PHASE.INTENT:
            _inject(injection, attempt)
        elif injection.phase == _PHASE.ACTIVE:
            _observe(injection, attempt)
        else:
            _recover(injection, attempt)
    except Exception as error:
        # The carry's edge: a broken driver or row is told and repeated as a backend's failure is.
        log.exception("run %s: %s: the carry failed", injection.run_id, injection.action)
        _broke(injection, attempt, f"{type(error).__name__}: {error}")
    finally:
        conducting.tick(run_id=injection.run_id)


def _claim(injection_id: int) -> tuple[Injection, int] | None:
    now = clock.now()
    free = Q(attempt_deadline__isnull=True) | Q(attempt_deadline__lte=now)
    row = (
        Injection.objects.select_related("connection", "run", "run__version", "run__environment")
        .filter(free, pk=injection_id, phase__in=[p.value for p in MAY_EXIST], due_at__lte=now)
        .first()
    )
    if row is None:
        return None
    # An inject whose carrier was lost may have been sent, and has failed.
    is_lost = row.phase == _PHASE.INTENT and row.attempt_deadline is not None
    row.is_unanswered |= is_lost and row.plan is not None
    row.failures += is_lost
    claimed = Injection.objects.filter(
        free, pk=injection_id, phase=row.phase, attempt=row.attempt
    ).update(
        attempt=F("attempt") + 1,
        attempt_deadline=now + timedelta(seconds=LEASE_S),
        is_unanswered=row.is_unanswered,
        failures=row.failures,
    )
    return (row, row.attempt + 1) if claimed == 1 else None


def _mine(injection: Injection, attempt: int) -> Any:
    return Injection.objects.filter(pk=injection.pk, attempt=attempt, phase=injection.phase)


def _request(injection: Injection) -> FaultRequest:
    model = backends.faults()[injection.fault]
    return FaultRequest(
        model.model_validate(injection.params), injection.token, injection.duration_s
    )


def _plan(injection: Injection) -> Plan:
    return Plan.model_validate(injection.plan)


def _handle(injection: Injection) -> Handle | None:
    return Handle.model_validate(injection.handle) if injection.handle else None


def _wanted(injection: Injection, attempt: int) -> Any:
    """Return the row while the attempt is ours and nobody has stopped the run."""
    return _mine(injection, attempt).filter(run__stop_requested_at__isnull=True)


def _broke(injection: Injection, attempt: int, error: str) -> None:
    if injection.phase == _PHASE.INTENT:
        _inject_failed(injection, attempt, UnknownOutcomeError(error))
    elif injection.phase == _PHASE.ACTIVE:
        _not_observed(injection, attempt, error)
    else:
        _not_gone(injection, attempt, Observation(phase="pending", message=error), clock.now())


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
            plan = _plan(injection)
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
        confirmed = _mine(injection, attempt).update(
            phase=_PHASE.ACTIVE.value,
            handle=handle.model_dump(mode="json"),
            injected_at=now,
            recover_by=now + timedelta(seconds=injection.duration_s),
            due_at=now + timedelta(seconds=min(OBSERVE_EVERY_S, injection.duration_s)),
            woken_at=None,
            attempt_deadline=None,
            failures=0,
            last_error="",
        )
        if confirmed:
            _journal(
                injection,
                "inject",
                f"{injection.action}: {injection.fault} is in effect, as read back",
                now,
            )
    if not confirmed:
        _undo_lost_inject(injection, plan, handle)


def _inject_failed(injection: Injection, attempt: int, error: DriverError) -> None:
    failures = injection.failures + 1
    is_final = not error.retryable or failures >= _MAX_INJECT_FAILURES
    with transitions.holding(run_id=injection.run_id):
        now = clock.now()
        kept = _mine(injection, attempt).update(
            failures=failures,
            last_error=str(error),
            is_final_failure=is_final,
            is_unanswered=injection.is_unanswered or isinstance(error, UnknownOutcomeError),
            # Given up: the run's next tick begins its removal, and nobody injects again.
            due_at=None if is_final else now + _backoff(failures),
            woken_at=None,
            attempt_deadline=None,
        )
        if kept:
            _journal(injection, "error", f"{injection.action}: inject failed: {error}", now)
    if not kept and injection.plan is not None:
        _undo_lost_inject(injection, _plan(injection), None)


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
        conducting.begin_recovery(
            injection=current, reason="an inject came late", actor="engine", now=clock.now()
        )
        queue.wake("carry", current.pk)


def _observe(injection: Injection, attempt: int) -> None:
    try:
        driver = backends.driver(injection.connection)
        seen = driver.observe(_plan(injection), _handle(injection))
        if seen.phase in ("gone", "partly") and injection.on_drift == "reinject":
            if not _reinject(injection, attempt, driver):
                return
            seen = driver.observe(_plan(injection), _handle(injection))
    except DriverError as error:
        _not_observed(injection, attempt, str(error))
        return
    now = clock.now()
    kept = _mine(injection, attempt).update(
        **_observed(seen, now),
        evidence=_evidence(injection, seen),
        due_at=now + timedelta(seconds=OBSERVE_EVERY_S),
        woken_at=None,
        attempt_deadline=None,
        last_error="",
    )
    if kept:
        transitions.touch(run_id=injection.run_id)


def _not_observed(injection: Injection, attempt: int, error: str) -> None:
    _mine(injection, attempt).update(
        last_error=error,
        due_at=clock.now() + timedelta(seconds=OBSERVE_EVERY_S),
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
    plan, handle = _plan(injection), _handle(injection)
    try:
        driver.inject(plan)
    except DriverError as error:
        is_unanswered = was_unanswered or isinstance(error, UnknownOutcomeError)
        if _mine(injection, attempt).update(is_unanswered=is_unanswered) != 1:
            _undo_lost_inject(injection, plan, handle)
        raise
    if _mine(injection, attempt).update(is_unanswered=was_unanswered) != 1:
        _undo_lost_inject(injection, plan, handle)
        return False
    message = f"{injection.action}: was lost on its backend and injected again"
    _journal(injection, "drift", message, clock.now())
    return True


def _observed(seen: Observation, now: datetime) -> dict[str, Any]:
    return {"observation": seen.model_dump(mode="json"), "observed_at": now}


def _evidence(injection: Injection, seen: Observation) -> Any:
    """Keep the newest observation that saw the fault there: a lost one tells of no share."""
    if seen.phase in ("active", "partly"):
        return seen.model_dump(mode="json")
    return injection.evidence


def _recover(injection: Injection, attempt: int) -> None:
    plan, handle = _plan(injection), _handle(injection)
    evidence = injection.evidence
    try:
        driver = backends.driver(injection.connection)
        if injection.failures == 0 and _ended_as_planned(injection):
            evidence = _evidence(injection, driver.observe(plan, handle))
    except DriverError as error:
        log.warning("injection %s: not observed before removal: %s", injection.token, error)
    try:
        driver = backends.driver(injection.connection)
        seen = driver.recover(plan, handle)
    except DriverError as error:
        seen = Observation(phase="pending", message=str(error))
    now = clock.now()
    if seen.phase != "gone":
        _not_gone(injection, attempt, seen, now)
        return
    gone_at = injection.gone_at or now
    reads = injection.settle_reads + 1
    is_settled = not injection.is_unanswered or reads >= len(SETTLE_READS_S)
    with transitions.holding(run_id=injection.run_id):
        changes: dict[str, Any] = {
            **_observed(seen, now),
            "evidence": evidence,
            "gone_at": gone_at,
            "settle_reads": reads,
            "woken_at": None,
            "attempt_deadline": None,
            "failures": 0,
            "last_error": "",
        }
        if is_settled:
            changes |= {"phase": _PHASE.RECOVERED.value, "recovered_at": now, "due_at": None}
        else:
            wait = timedelta(seconds=SETTLE_READS_S[reads])
            changes |= {"phase": _PHASE.UNSETTLED.value, "due_at": gone_at + wait}
        if _mine(injection, attempt).update(**changes) != 1:
            return
        if is_settled:
            message = f"{injection.action}: is gone, as read back"
            _journal(injection, "recovered", f"{message}. {seen.message}".strip(" ."), now)
            release_claims(injection=injection, now=now)
        elif reads == 1:
            message = "is gone, but an unanswered call may yet take effect: it is read again"
            _journal(injection, "recover", f"{injection.action}: {message}", now)


def _ended_as_planned(injection: Injection) -> bool:
    return (
        injection.recover_by is not None
        and injection.recovering_at is not None
        and injection.recovering_at >= injection.recover_by
    )


def _not_gone(injection: Injection, attempt: int, seen: Observation, now: datetime) -> None:
    failures = injection.failures + 1
    detail = seen.message or ", ".join(
        f"{target.name} is {target.phase} {target.detail}".strip() for target in seen.targets
    )
    with transitions.holding(run_id=injection.run_id):
        kept = _mine(injection, attempt).update(
            **_observed(seen, now),
            phase=_PHASE.RECOVERING.value,
            failures=failures,
            last_error=detail,
            gone_at=None,
            settle_reads=0,
            due_at=now + _backoff(failures),
            woken_at=None,
            attempt_deadline=None,
        )
        if kept and failures in (1, _LOUD_AFTER):
            message = f"{injection.action}: removal is not confirmed ({detail}); trying again"
            _journal(injection, "error", message, now)
    if kept and failures >= _LOUD_AFTER:
        log.critical(
            "run %s: %s may still be broken since %s: %s. By hand: %s",
            injection.run_id,
            injection.action,
            injection.injected_at or injection.intent_at,
            detail,
            "; ".join((injection.plan or {}).get("by_hand", [])),
        )


def _backoff(failures: int) -> timedelta:
    return timedelta(seconds=_RETRY_S[min(failures, len(_RETRY_S)) - 1])


def release_claims(*, injection: Injection, now: datetime) -> None:
    """Release what the injection held, unless another action of the run still needs it."""
    others: set[str] = set()
    for row in Injection.objects.filter(run_id=injection.run_id).exclude(pk=injection.pk):
        if row.phase not in SETTLED:
            others |= set(row.claims)
    Claim.objects.filter(
        run_id=injection.run_id,
        key__in=set(injection.claims) - others,
        released_at__isnull=True,
    ).update(released_at=now)


def _journal(injection: Injection, kind: str, message: str, now: datetime) -> None:
    transitions.journal(
        run=injection.run,
        kind=kind,
        message=message,
        actor="engine",
        now=now,
        details={"action": injection.action},
    )
