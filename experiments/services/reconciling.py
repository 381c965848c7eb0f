"""Compares what the backends hold with the ledger: a fault of ours that nobody looks after goes.

An orphan is a fault whose injection the ledger calls recovered or cancelled, or does not know (an
older backup was restored). It is kept as a row, shown, and removed until it was read back as gone.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from drivers.protocol import DriverError, Observation, Owned, Plan
from experiments import backends
from experiments.domain.states import MAY_EXIST, InjectionPhase
from experiments.models import Connection, Injection, Orphan, User
from experiments.services import (
    abreast,
    checking,
    clock,
    closing,
    notifying,
    people,
    transitions,
)

log = logging.getLogger(__name__)

ASKED_BUDGET_S = 15.0
"""What removals may take in all when a person waits for the answer."""
_BUDGET_S = 60.0
_THREADS = 16
_MOST_TOLD = 10_000
_told: set[tuple[int, str]] = set()
"""The faults of other installations that this process has logged."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one connection answered: orphans found now, and those not yet read back as gone."""

    found: int = 0
    remaining: int = 0
    problem: str = ""
    """Why its backend could not be asked; nothing is known then."""


def is_compared(connection: Connection) -> bool:
    """Return whether faults can be on the connection at all."""
    return backends.is_driver(connection.kind)


def reconcile() -> int:
    """Ask every driver for our faults and begin to remove the orphans. Return how many there were.

    Backends are asked at the same time: a hung one does not hold the others.
    """
    rows = [row for row in Connection.objects.all() if is_compared(row)]
    return sum(each.found for each in abreast.for_each(rows, compare, threads=_THREADS))


def remove_again() -> int:
    """Compare the connections that have orphans once more. Return how many connections."""
    live = Orphan.objects.filter(gone_at__isnull=True)
    held = Connection.objects.filter(pk__in=live.values("connection"))
    rows = [row for row in held if is_compared(row)]
    abreast.for_each(rows, compare, threads=_THREADS)
    return len(rows)


def compare_now(*, connection: Connection, user: User) -> Comparison:
    """Compare one connection while a person waits. Raises PermissionDenied."""
    people.require(user, "launch_run", "compare connections with the ledger")
    return compare(connection, budget_s=ASKED_BUDGET_S)


def compare(connection: Connection, *, budget_s: float = _BUDGET_S) -> Comparison:
    """Ask the connection's driver for our faults, and try to remove each orphan once.

    Removals end after ``budget_s``: those tried least often come first.
    """
    until = time.monotonic() + budget_s
    asked_at = clock.now()
    kept = Orphan.objects.filter(connection=connection, gone_at__isnull=True)
    try:
        owned = backends.driver(connection).owned()
    except DriverError as error:
        log.warning("%s could not be compared with the ledger: %s", connection, error)
        for orphan in kept:
            if not _is_in_ledger(orphan):
                _not_gone(orphan, f"It could not be looked for: {error}")
        return Comparison(remaining=kept.count(), problem=str(error))
    cared_for = set(
        Injection.objects.filter(
            token__in=[fault.token for fault in owned],
            phase__in=[phase.value for phase in MAY_EXIST],
        ).values_list("token", flat=True)
    )
    found = sum(
        _look_after(connection, fault, asked_at) for fault in owned if fault.token not in cared_for
    )
    for orphan in kept.order_by("attempts", "pk"):
        if time.monotonic() >= until:
            break
        if not _is_in_ledger(orphan):
            _remove(connection, orphan, {fault.token for fault in owned})
    return Comparison(found=found, remaining=kept.count())


def _look_after(connection: Connection, fault: Owned, asked_at: datetime) -> bool:
    """Keep the fault as an orphan if it is one; have the ledger remove what it can."""
    row = Injection.objects.select_related("run").filter(token=fault.token).first()
    if row is None and not fault.token.startswith(checking.own_prefix()):
        _tell_of_a_foreign_one(connection, fault)
        return False
    if row is not None and row.phase in MAY_EXIST:
        return False
    if row is not None and row.recovered_at is not None and row.recovered_at >= asked_at:
        return False  # removed while the backend was being asked
    now = clock.now()
    if row is not None and row.unchecked_since is not None:
        log.critical("run %s: %s was not removed by hand: it is there", row.run_id, row.action)
        closing.reopen(
            injection=row,
            reason="it was said to be removed by hand, and was found on its backend",
            actor="reconcile",
            now=now,
        )
        return False
    is_new = _keep(connection, fault, now)
    log.critical("orphaned fault %s on %s (%s)", fault.token, connection, _where(fault))
    if is_new:
        notifying.orphan_found(connection, fault)
    if row is None:
        return True
    if row.phase == InjectionPhase.RECOVERED:
        closing.reopen(
            injection=row, reason="found on its backend", actor="reconcile", now=clock.now()
        )
    elif is_new:
        transitions.journal(
            run=row.run,
            kind="error",
            message=f"{row.action}: is {row.phase}, and was found on {connection}: it is removed",
            actor="reconcile",
            now=now,
            details={"action": row.action},
        )
    return True


def _where(fault: Owned) -> str:
    return ", ".join(target.name for target in fault.targets)


def _tell_of_a_foreign_one(connection: Connection, fault: Owned) -> None:
    """Log a fault of another installation, once in this process: it is theirs to remove."""
    told = (connection.pk, fault.token)
    if told in _told:
        return
    if len(_told) >= _MOST_TOLD:
        _told.clear()
    _told.add(told)
    log.warning(
        "fault %s on %s (%s) is another installation's", fault.token, connection, _where(fault)
    )


def _keep(connection: Connection, fault: Owned, now: datetime) -> bool:
    """Write the orphan down, with every target it was ever seen on. Return whether it is new."""
    seen = {
        "targets": [target.model_dump(mode="json") for target in fault.targets],
        "by_hand": list(fault.plan.by_hand) if fault.plan else [],
        "plan": fault.plan.model_dump(mode="json") if fault.plan else None,
        "last_seen_at": now,
    }
    orphan, is_new = Orphan.objects.get_or_create(
        connection=connection, token=fault.token, defaults={**seen, "first_seen_at": now}
    )
    if is_new:
        return True
    if orphan.gone_at is not None:
        # It came back: what was known of it then is over.
        again = {"first_seen_at": now, "gone_at": None, "attempts": 0, "last_error": ""}
        Orphan.objects.filter(pk=orphan.pk).update(**seen, **again)
        return True
    if orphan.plan is not None and fault.plan is not None:
        # A target that does not answer now may hold it still.
        plan = _joined(Plan.model_validate(orphan.plan), fault.plan)
        seen |= {
            "plan": plan.model_dump(mode="json"),
            "targets": [target.model_dump(mode="json") for target in plan.targets],
            "by_hand": list(plan.by_hand),
        }
    Orphan.objects.filter(pk=orphan.pk).update(**seen)
    return False


def _joined(old: Plan, new: Plan) -> Plan:
    """Return a plan for the targets of both, as the newer one has them."""
    targets = {target.name: target for target in (*old.targets, *new.targets)}
    return new.model_copy(
        update={
            "targets": tuple(targets.values()),
            "claims": tuple(sorted({*old.claims, *new.claims})),
            "undo": old.undo | new.undo,
            "counters": old.counters | new.counters,
            "details": old.details | new.details,
            "by_hand": tuple(dict.fromkeys((*old.by_hand, *new.by_hand))),
        }
    )


def _is_in_ledger(orphan: Orphan) -> bool:
    """Return whether the ledger looks after the fault; note when it has read it back as gone."""
    row = Injection.objects.filter(token=orphan.token).first()
    if row is None or row.phase in (InjectionPhase.PLANNED, InjectionPhase.CANCELLED):
        return False
    is_gone = row.phase == InjectionPhase.RECOVERED and row.unchecked_since is None
    if is_gone and row.recovered_at is not None and row.recovered_at >= orphan.last_seen_at:
        Orphan.objects.filter(pk=orphan.pk).update(gone_at=row.recovered_at, last_error="")
    return True


def _remove(connection: Connection, orphan: Orphan, listed: set[str]) -> None:
    """Ask once for removal and keep what was read back."""
    if orphan.plan is None and orphan.token in listed:
        _not_gone(orphan, "Its backend does not hold enough to remove it: remove it by hand.")
        return
    seen = Observation(phase="gone")
    if orphan.plan is not None:
        try:
            plan = Plan.model_validate(orphan.plan)
            seen = backends.driver(connection).recover(plan, None)
        except DriverError as error:
            seen = Observation(phase="pending", message=str(error))
    if seen.phase != "gone":
        told = (f"{each.name} is {each.phase}" for each in seen.targets if each.phase != "gone")
        _not_gone(orphan, seen.message or ", ".join(told) or "Its removal is not confirmed.")
        return
    went = Orphan.objects.filter(pk=orphan.pk, gone_at__isnull=True).update(
        attempts=F("attempts") + 1, last_error="", gone_at=clock.now()
    )
    if went:
        log.warning("orphaned fault %s on %s is gone, as read back", orphan.token, connection)


def _not_gone(orphan: Orphan, error: str) -> None:
    rows = Orphan.objects.filter(pk=orphan.pk, gone_at__isnull=True)
    rows.update(attempts=F("attempts") + 1, last_error=error)
    log.critical(
        "orphaned fault %s on %s may still be there since %s: %s. By hand: %s",
        orphan.token,
        orphan.connection,
        orphan.first_seen_at,
        error,
        "; ".join(orphan.by_hand),
    )
