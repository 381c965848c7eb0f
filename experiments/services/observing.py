"""Observes live faults, many at once: a fault that is as it should be costs a row's update.

A fault that is not is left to a carry of its own, which knows what to do about drift.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from drivers.protocol import DriverError, Observation
from experiments import backends, queue
from experiments.domain.states import InjectionPhase
from experiments.models import Injection
from experiments.services import carrying, clock, held, locking, transitions

log = logging.getLogger(__name__)

LEASE_S = 12.0
_ROUND_S = 6.0
_ACTIVE = InjectionPhase.ACTIVE.value


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look found; ``error`` says why it found nothing."""

    row: Injection
    observation: Observation | None
    error: str = ""

    @property
    def needs_carry(self) -> bool:
        return self.observation is not None and self.observation.is_lost


def due(
    *, now: datetime, grace_s: float = 0.0, limit: int = 2000, at_once: int = 50
) -> list[list[int]]:
    """Return the live faults that nobody has been asked to observe, in chunks.

    Those that could not be observed last time are apart from the others, each connection for
    itself: a backend that hangs holds back no other's. Those that are returned count as asked for;
    after a while they are returned again.
    """
    before = now - timedelta(seconds=grace_s)
    free = locking.free(now)
    unasked = locking.unasked(now)
    with transaction.atomic():
        rows = locking.skip_locked(
            Injection.objects.filter(free, unasked, phase=_ACTIVE, due_at__lte=before)
        )
        fields = ("pk", "connection_id", "last_error")
        asked = list(rows.order_by("due_at").values_list(*fields)[:limit])
        Injection.objects.filter(pk__in=[pk for pk, _, _ in asked]).update(woken_at=now)
    groups: dict[int | None, list[int]] = {}
    for pk, where, error in asked:
        groups.setdefault(where if error else None, []).append(pk)
    return [
        pks[first : first + at_once]
        for pks in groups.values()
        for first in range(0, len(pks), at_once)
    ]


def observe(*, injection_ids: Iterable[int]) -> int:
    """Observe the faults that are due and claimed by nobody. Return how many were."""
    now = clock.now()
    lease = now + timedelta(seconds=LEASE_S)
    rows = _claim(list(injection_ids), now, lease)
    silent: dict[int, str] = {}
    seen: list[_Seen] = []
    ends_at = time.monotonic() + _ROUND_S
    try:
        for row in rows:
            # What is left when backends are slow is free again, and comes in its turn.
            if time.monotonic() < ends_at:
                seen.append(_observe(row, silent))
        _commit(seen, lease)
    finally:
        Injection.objects.filter(
            pk__in=[row.pk for row in rows], phase=_ACTIVE, attempt_deadline=lease
        ).update(attempt_deadline=None, due_at=clock.now())
    for each in seen:
        # With or without a queue; those left are due, and come in their turn.
        if each.needs_carry and time.monotonic() < ends_at:
            carrying.carry(injection_id=each.row.pk)
    return len(rows)


def _claim(ids: list[int], now: datetime, lease: datetime) -> list[Injection]:
    """Claim the faults for as long as the lease; its moment says whose they are."""
    free = locking.free(now)
    with transaction.atomic():
        rows = locking.skip_locked(
            Injection.objects.filter(free, pk__in=ids, phase=_ACTIVE, due_at__lte=now)
        )
        found = list(rows.select_related("connection"))
        Injection.objects.filter(pk__in=[row.pk for row in found]).update(
            attempt=F("attempt") + 1, attempt_deadline=lease
        )
    return found


def _observe(row: Injection, silent: dict[int, str]) -> _Seen:
    """Observe one fault. A connection that does not answer is asked once in a round."""
    if row.connection_id in silent:
        return _Seen(row, None, silent[row.connection_id])
    try:
        driver = backends.driver(row.connection)
        seen = driver.observe(held.plan_of(row), held.handle_of(row))
        if seen.is_unknown:
            silent[row.connection_id] = seen.message or "None of its targets answers."
            return _Seen(row, None, silent[row.connection_id])
        return _Seen(row, seen)
    except DriverError as error:
        if error.retryable:
            silent[row.connection_id] = str(error)
        return _Seen(row, None, str(error))
    except Exception as error:
        log.exception("injection %s cannot be observed", row.token)
        return _Seen(row, None, f"{type(error).__name__}: {error}")


def _commit(seen: list[_Seen], lease: datetime) -> None:
    moved: set[int] = set()
    same: dict[float, list[int]] = {}
    with transitions.holding_all({each.row.run_id for each in seen}):
        now = clock.now()
        for each in seen:
            row = each.row
            if each.needs_carry:
                moved.add(row.run_id)
                _hand_over(each, lease, now)
                continue
            changes = _changes(each, now)
            if not changes:
                same.setdefault(held.every_s(row), []).append(row.pk)
                continue
            moved.add(row.run_id)
            due_at = now + timedelta(seconds=held.every_s(row))
            _held([row.pk], lease).update(**changes, due_at=due_at, attempt_deadline=None)
        for wait_s, pks in same.items():
            _held(pks, lease).update(
                observed_at=now, due_at=now + timedelta(seconds=wait_s), attempt_deadline=None
            )
        transitions.touch_all(moved)


def _held(pks: list[int], lease: datetime) -> Any:
    return Injection.objects.filter(pk__in=pks, phase=_ACTIVE, attempt_deadline=lease)


def _changes(each: _Seen, now: datetime) -> dict[str, Any]:
    """Return what is new about the fault; empty when it is as it was."""
    row = each.row
    if each.observation is None:
        return {"last_error": each.error}
    found = held.observed(each.observation, now)
    if found["observation"] == row.observation and not row.last_error:
        return {}
    return {**found, "evidence": held.evidence(row, each.observation), "last_error": ""}


def _hand_over(each: _Seen, lease: datetime, now: datetime) -> None:
    """Note that the fault is lost; its run decides, and a carry injects it again if it may."""
    row = each.row
    assert each.observation is not None  # noqa: S101 — it was seen to be lost
    noted = _held([row.pk], lease).update(
        **held.observed(each.observation, now),
        lost_at=row.lost_at or now,
        attempt_deadline=None,
        due_at=now,
        woken_at=None,
    )
    if noted:
        transitions.make_due(run_id=row.run_id, now=now)
        queue.wake("tick", row.run_id)
