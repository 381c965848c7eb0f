"""Removes a fault: asks for removal, reads back, and is loud while it cannot be confirmed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from drivers.protocol import DriverError, Observation
from experiments import backends
from experiments.domain.states import SETTLED, InjectionPhase
from experiments.models import Claim, Injection
from experiments.services import clock, held, notifying, transitions

log = logging.getLogger(__name__)

SETTLE_READS_S = (0.0, 2.0, 10.0, 30.0, 120.0)
"""How long after the first read-back an unanswered injection is read again."""
_LOUD_AFTER = 3
_PHASE = InjectionPhase


def recover(injection: Injection, attempt: int) -> None:
    """Ask once for removal and commit what was read back; the engine repeats it until gone."""
    plan, handle = held.plan_of(injection), held.handle_of(injection)
    evidence = injection.evidence
    try:
        driver = backends.driver(injection.connection)
        if injection.failures == 0 and _ended_as_planned(injection):
            evidence = held.evidence(injection, driver.observe(plan, handle))
    except DriverError as error:
        log.warning("injection %s: not observed before removal: %s", injection.token, error)
    try:
        driver = backends.driver(injection.connection)
        seen = driver.recover(plan, handle)
    except DriverError as error:
        seen = Observation(phase="pending", message=str(error))
    now = clock.now()
    if seen.phase != "gone":
        not_gone(injection, attempt, seen, now)
        return
    gone_at = injection.gone_at or now
    reads = injection.settle_reads + 1
    is_settled = not injection.is_unanswered or reads >= len(SETTLE_READS_S)
    with transitions.holding(run_id=injection.run_id):
        changes: dict[str, Any] = {
            **held.observed(seen, now),
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
        if held.mine(injection, attempt).update(**changes) != 1:
            return
        if is_settled:
            message = f"{injection.action}: is gone, as read back"
            held.journal(injection, "recovered", f"{message}. {seen.message}".strip(" ."), now)
            transitions.make_due(run_id=injection.run_id, now=now)
            release_claims(injection=injection, now=now)
        elif reads == 1:
            message = "is gone, but an unanswered call may yet take effect: it is read again"
            held.journal(injection, "recover", f"{injection.action}: {message}", now)
    if injection.failures >= _LOUD_AFTER:
        notifying.removed_after_all(injection)


def _ended_as_planned(injection: Injection) -> bool:
    return (
        injection.recover_by is not None
        and injection.recovering_at is not None
        and injection.recovering_at >= injection.recover_by
    )


def not_gone(injection: Injection, attempt: int, seen: Observation, now: datetime) -> None:
    """Commit that the fault may still be there, and when to try again."""
    failures = injection.failures + 1
    detail = seen.message or ", ".join(
        f"{target.name} is {target.phase} {target.detail}".strip() for target in seen.targets
    )
    was_seen = seen.phase == "active" or any(each.phase == "active" for each in seen.targets)
    # What was read as gone, and was not seen again, still counts: a backend that did not answer
    # says nothing. The last read comes after the whole settling time either way.
    earlier: dict[str, Any] = {"gone_at": None, "settle_reads": 0} if was_seen else {}
    with transitions.holding(run_id=injection.run_id):
        kept = held.mine(injection, attempt).update(
            **held.observed(seen, now),
            **earlier,
            phase=_PHASE.RECOVERING.value,
            failures=failures,
            last_error=detail,
            due_at=now + held.backoff(failures),
            woken_at=None,
            attempt_deadline=None,
        )
        if kept and failures in (1, _LOUD_AFTER):
            message = f"{injection.action}: removal is not confirmed ({detail}); trying again"
            held.journal(injection, "error", message, now)
    if kept and notifying.is_worth_telling(failures):
        notifying.not_removed(injection, detail)
    if kept and failures >= _LOUD_AFTER:
        log.critical(
            "run %s: %s may still be broken since %s: %s. By hand: %s",
            injection.run_id,
            injection.action,
            injection.injected_at or injection.intent_at,
            detail,
            "; ".join((injection.plan or {}).get("by_hand", [])),
        )


def release_claims(*, injection: Injection, now: datetime) -> None:
    """Release what the injection held, unless another action of the run still needs it."""
    others: set[str] = set()
    for row in Injection.objects.filter(run_id=injection.run_id).exclude(pk=injection.pk):
        # What a person removed by hand holds its claims until its backend says that it is gone.
        if row.phase not in SETTLED or row.unchecked_since is not None:
            others |= set(row.claims)
    Claim.objects.filter(
        run_id=injection.run_id,
        key__in=set(injection.claims) - others,
        released_at__isnull=True,
    ).update(released_at=now)


def retake_claims(*, injection: Injection, now: datetime) -> None:
    """Hold again what a fault that came back holds; tell of what another run holds by now.

    To be called while its run is held.
    """
    ours = Claim.objects.filter(run_id=injection.run_id, released_at__isnull=True)
    missing = set(injection.claims) - set(ours.values_list("key", flat=True))
    taken: set[str] = set()
    for key in sorted(missing):
        try:
            with transaction.atomic():
                Claim.objects.create(key=key, run_id=injection.run_id, reserved_at=now)
        except IntegrityError:
            taken.add(key)
    if missing - taken:
        keys = ", ".join(sorted(missing - taken))
        held.journal(injection, "recover", f"{injection.action}: holds {keys} again", now)
    for claim in Claim.objects.filter(key__in=taken, released_at__isnull=True):
        message = f"{injection.action}: {claim.key} is held by run {claim.run_id} by now"
        held.journal(injection, "error", message, now)
