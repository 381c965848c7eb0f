"""Finds what is due in the database, and has it done: many at once, in chunks.

The sweep dispatches through the queue, every half second; the keeper takes what nobody has looked
after for too long, without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from experiments import queue
from experiments.domain.states import LIVE, MAY_EXIST, InjectionPhase
from experiments.models import Call, Injection, Run
from experiments.services import clock, locking, observing, watching

_LIVE = sorted(status.value for status in LIVE)
_TO_REMOVE = sorted(phase.value for phase in MAY_EXIST if phase is not InjectionPhase.ACTIVE)
_RUN_LEASE_S = 5.0
_RUN_LIMIT = 1000
_TICKS_AT_ONCE = 20
LOOKS_AT_ONCE = 50


def sweep() -> int:
    """Claim the runs that are due and dispatch them, then the looks. Return how many runs."""
    now = clock.now()
    with transaction.atomic():
        due = locking.skip_locked(Run.objects.filter(_due(now), status__in=_LIVE))
        found = list(due.order_by("next_due").values_list("pk", flat=True)[:_RUN_LIMIT])
        Run.objects.filter(pk__in=found).update(
            next_due=now + timedelta(seconds=_RUN_LEASE_S), blind_at=None
        )
        for chunk in _chunks(found, _TICKS_AT_ONCE):
            queue.wake("tick_all", chunk, queue=queue.TICKS)
    for chunk in _chunks(watching.due(now=now), LOOKS_AT_ONCE):
        queue.wake("watch", chunk, queue=queue.LOOKS)
    for chunk in observing.due(now=now, at_once=LOOKS_AT_ONCE):
        queue.wake("observe", chunk, queue=queue.LOOKS)
    return len(found)


def _due(moment: datetime) -> Q:
    """Return which runs are due by then: by their own plan, or by a guardrail's silence."""
    return Q(next_due__lte=moment) | Q(blind_at__lte=moment)


def overdue_runs(*, grace_s: float) -> list[int]:
    """Return the runs that nobody has looked after for ``grace_s`` too long."""
    before = clock.now() - timedelta(seconds=grace_s)
    due = Run.objects.filter(_due(before), status__in=_LIVE).order_by("next_due")
    return list(due.values_list("pk", flat=True)[:_RUN_LIMIT])


def overdue_injections(*, grace_s: float) -> list[int]:
    """Return the injections to inject or to remove that nobody carries."""
    now = clock.now()
    unclaimed = locking.free(now)
    rows = Injection.objects.filter(
        unclaimed, phase__in=_TO_REMOVE, due_at__lte=now - timedelta(seconds=grace_s)
    ).order_by("due_at")
    return list(rows.values_list("pk", flat=True)[:_RUN_LIMIT])


def overdue_looks(*, grace_s: float) -> tuple[list[list[int]], list[list[int]]]:
    """Return the runs that nobody watches and the faults that nobody observes, in chunks."""
    now = clock.now()
    watches = list(_chunks(watching.due(now=now, grace_s=grace_s), LOOKS_AT_ONCE))
    return watches, observing.due(now=now, grace_s=grace_s, at_once=LOOKS_AT_ONCE)


def overdue_calls(*, grace_s: float) -> list[tuple[int, str]]:
    """Return (run, kind) of the outside calls that nobody has made for ``grace_s`` too long."""
    now = clock.now()
    rows = Call.objects.filter(
        locking.free(now),
        run__status__in=_LIVE,
        finished_at__isnull=True,
        due_at__lte=now - timedelta(seconds=grace_s),
    ).exclude(kind="watch")
    return list(rows.order_by("due_at").values_list("run_id", "kind")[:_RUN_LIMIT])


def _chunks(pks: Sequence[int], size: int) -> Iterator[list[int]]:
    return (list(pks[first : first + size]) for first in range(0, len(pks), size))
