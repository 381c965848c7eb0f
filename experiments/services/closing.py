"""Closes a fault that a person removed by hand, and has its backend say whether that is so.

The run may go on and be judged; the claims stay held until the fault was read back as gone. A fault
that is still there is removed as any other, whatever has become of its run.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from drivers.protocol import DriverError, Handle, Observation
from experiments import backends, queue
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.domain.states import InjectionPhase
from experiments.models import Injection, Run, User
from experiments.services import (
    abreast,
    clock,
    conducting,
    held,
    people,
    removing,
    transitions,
)

log = logging.getLogger(__name__)

REASON_LENGTH = 500
_CLOSABLE = (InjectionPhase.RECOVERING.value, InjectionPhase.UNSETTLED.value)
_MOST = 64
_THREADS = 8
_ANSWERED_BY = timedelta(seconds=removing.SETTLE_READS_S[-1])
"""An unanswered inject may take effect for so long after the fault first read as gone."""


class NotUnconfirmedError(RuntimeError):
    """The fault's removal did not fail: there is nothing to close by hand."""


def close_by_hand(*, injection: Injection, user: User, reason: str) -> None:
    """Note that the person removed the fault by hand: its run goes on, and it is checked.

    Raises PermissionDenied, InvalidDocumentError for a missing or too long reason, and
    NotUnconfirmedError unless at least one removal has failed.
    """
    people.require(user, "launch_run", "say that a fault was removed by hand")
    said = _reason(reason)
    with transitions.holding(run_id=injection.run_id):
        now = clock.now()
        closed = Injection.objects.filter(
            pk=injection.pk, phase__in=_CLOSABLE, failures__gt=0
        ).update(
            phase=InjectionPhase.RECOVERED.value,
            recovered_at=now,
            due_at=None,
            woken_at=None,
            # Whoever holds the attempt has lost it: its outcome will find another number.
            attempt=F("attempt") + 1,
            attempt_deadline=None,
            gone_at=None,
            by_hand_at=now,
            by_hand_by=user.username,
            by_hand_reason=said,
            unchecked_since=now,
        )
        if closed != 1:
            injection.refresh_from_db()
            raise NotUnconfirmedError(_why_not(injection))
        Run.objects.filter(pk=injection.run_id, next_due__gt=now).update(next_due=now)
        transitions.journal(
            run=injection.run,
            kind="by_hand",
            message=f"{injection.action}: removed by hand, says {user.username}: {said}",
            actor=user.username,
            now=now,
            details={"action": injection.action},
        )
        queue.wake("tick", injection.run_id)
    injection.refresh_from_db()


def _reason(given: str) -> str:
    said = given.replace("\x00", "").strip()
    wrong = ""
    if not said:
        wrong = "is missing: say what you did, and where"
    elif len(said) > REASON_LENGTH:
        wrong = f"is longer than {REASON_LENGTH} characters"
    if wrong:
        raise InvalidDocumentError([SpecError(("reason",), wrong)])
    return said


def _why_not(injection: Injection) -> str:
    if injection.unchecked_since is not None:
        return (
            f"{injection.action}: {injection.by_hand_by} said already that it was removed by hand."
        )
    if injection.phase == InjectionPhase.RECOVERED:
        return f"{injection.action} is gone, as read back: there is nothing to remove by hand."
    if injection.phase == InjectionPhase.CANCELLED:
        return f"{injection.action} was never sent: there is nothing to remove."
    return (
        f"{injection.action} is {injection.phase}, and no removal of it has failed:"
        " stop the run and let ChaosWeb remove it."
    )


def check_closed() -> int:
    """Ask the backends for the faults that were closed by hand. Return how many they told of.

    Those that nobody has asked for longest come first.
    """
    rows = (
        Injection.objects.select_related("connection", "run")
        .defer("run__judgement")
        .filter(unchecked_since__isnull=False, phase=InjectionPhase.RECOVERED.value)
        .order_by(F("observed_at").asc(nulls_first=True))[:_MOST]
    )
    return sum(abreast.for_each(list(rows), _check, threads=_THREADS))


def _check(injection: Injection) -> bool:
    plan = held.plan_of(injection)
    # Without a handle nothing there reads as pending: whether it was injected is not the question.
    handle = held.handle_of(injection) or Handle(token=plan.token)
    try:
        seen = backends.driver(injection.connection).observe(plan, handle)
    except DriverError as error:
        seen = Observation(phase="pending", message=str(error))
    now = clock.now()
    if seen.phase == "gone":
        return _is_gone(injection, seen, now)
    if _is_there(seen):
        log.critical(
            "run %s: %s was said to be removed by hand by %s, and is still there: %s",
            injection.run_id,
            injection.action,
            injection.by_hand_by,
            seen.message or seen.phase,
        )
        return reopen(
            injection=injection,
            reason="it was said to be removed by hand, and is still there",
            actor="engine",
            now=now,
        )
    _mine(injection).update(**held.observed(seen, now), last_error=seen.message, gone_at=None)
    log.warning("injection %s: not checked yet: %s", injection.token, seen.message)
    return False


def _mine(injection: Injection) -> QuerySet[Injection]:
    """Return the row while it is still closed as it was read."""
    return Injection.objects.filter(
        pk=injection.pk,
        phase=InjectionPhase.RECOVERED.value,
        unchecked_since=injection.unchecked_since,
    )


def _is_there(seen: Observation) -> bool:
    """Tell whether something of the fault was read; a target that was not read tells nothing."""
    if seen.phase in ("active", "failed"):
        return True
    is_read = not any(each.phase in ("unreachable", "failed") for each in seen.targets)
    return seen.phase == "partly" and (
        is_read
        or any(
            each.phase == "active" or (each.phase == "gone" and each.detail)
            for each in seen.targets
        )
    )


def _is_gone(injection: Injection, seen: Observation, now: datetime) -> bool:
    kept = {**held.observed(seen, now), "last_error": ""}
    first = injection.gone_at or now
    if injection.is_unanswered and now - first < _ANSWERED_BY:
        _mine(injection).update(**kept, gone_at=first)
        return False
    with transitions.holding(run_id=injection.run_id):
        if _mine(injection).update(**kept, unchecked_since=None) != 1:
            return False
        message = f"{injection.action}: checked: it is gone, as read back"
        held.journal(injection, "recovered", f"{message}. {seen.message}".strip(" ."), now)
        removing.release_claims(injection=injection, now=now)
    return True


def reopen(*, injection: Injection, reason: str, actor: str, now: datetime) -> bool:
    """Have a fault removed that the ledger had called recovered; it holds its claims again.

    The run may have ended: its verdict stays. Return whether this call was the one that did it.
    """
    with transitions.holding(run_id=injection.run_id):
        if _mine(injection).update(unchecked_since=None) != 1:
            return False
        conducting.begin_recovery(injection=injection, reason=reason, actor=actor, now=now)
        removing.retake_claims(injection=injection, now=now)
        queue.wake("carry", injection.pk)
    return True
