"""Removes the faults of a halted scope in this very process: no queue, no beat, no worker.

For the hour in which nothing else of ChaosWeb runs: only the database and the backends are needed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import DatabaseError, close_old_connections, connections

from experiments.domain.states import (
    LIVE,
    MAY_EXIST,
    SETTLED,
    InjectionPhase,
    Status,
)
from experiments.models import Halt, Injection, Orphan, Run
from experiments.selectors import halting as selector
from experiments.services import carrying, conducting, halting

log = logging.getLogger(__name__)

_AGAIN_S = 0.5
_AT_ONCE = 16
_WITH_FAULTS = sorted(status.value for status in LIVE - {Status.SETTLING, Status.JUDGING})
_TO_REMOVE = sorted(phase.value for phase in MAY_EXIST - {InjectionPhase.UNSETTLED})


@dataclass(frozen=True, slots=True)
class Recovery:
    """How the faults of the scope stand after the attempt."""

    gone: tuple[Injection, ...]
    """Read back as gone, or never sent."""
    unsettled: tuple[Injection, ...]
    """Read back as gone; an unanswered call may yet bring it back, so that it is read again."""
    left: tuple[Injection, ...]
    """Not confirmed as gone: may still be broken."""
    unchecked: tuple[Injection, ...]
    """Said to be removed by hand, and not yet read back."""
    orphans: tuple[Orphan, ...]
    """On a backend of the scope, and looked after by no run."""
    not_stopped: tuple[Run, ...]
    """Live runs that could not be stopped."""

    @property
    def is_confirmed(self) -> bool:
        """Return whether every fault of the scope was read back as gone."""
        return not (self.left or self.unchecked or self.orphans or self.not_stopped)


def recover_here(
    *,
    halt: Halt,
    within_s: float = 60.0,
    tell: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Recovery:
    """Remove every fault in the halt's scope from here; give up waiting after ``within_s``.

    ``tell`` is told each change. What this process does not see confirmed stays in the ledger, and
    any keeper goes on with it. Raises DatabaseError when the database is not there at the end.
    """
    deadline = time.monotonic() + within_s
    seen: dict[int, str] = {}
    while True:
        try:
            is_over = _round(halt, seen, tell)
        except DatabaseError as error:
            log.warning("the database does not answer: %s", error)
            close_old_connections()
            is_over = False
        if is_over or time.monotonic() >= deadline:
            return _found(halt, seen)
        pause(_AGAIN_S)


def _round(halt: Halt, seen: dict[int, str], tell: Callable[[str], None]) -> bool:
    """Stop, advance and carry once. Return whether nothing is left to do."""
    _, failed = halting.order_stops(halt)
    mine = Run.objects.filter(status__in=_WITH_FAULTS, stop_requested_at__isnull=False)
    if halt.environment is not None:
        mine = mine.filter(environment=halt.environment)
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="halt") as pool:
        # The removal of what may exist comes first: a thousand runs without faults can wait.
        due = list(selector.faults(halt.environment).values_list("pk", "run_id"))
        _watch(halt, seen, tell)
        list(pool.map(_tick, dict.fromkeys(run_id for _, run_id in due)))
        list(pool.map(_carry, [pk for pk, _ in due]))
        list(pool.map(_tick, list(mine.values_list("pk", flat=True))))
    _watch(halt, seen, tell)
    left = selector.faults(halt.environment).filter(phase__in=_TO_REMOVE).exists()
    return not (left or failed or mine.exists())


def _watch(halt: Halt, seen: dict[int, str], tell: Callable[[str], None]) -> None:
    """Remember every fault that was seen, and tell what has changed."""
    rows = {row.pk: row for row in selector.faults(halt.environment)}
    missing = [pk for pk in seen if pk not in rows]
    rows |= Injection.objects.select_related("run").in_bulk(missing)
    for pk, row in sorted(rows.items()):
        state = f"{row.phase} after {row.failures} failures" if row.failures else row.phase
        if seen.get(pk) != state:
            seen[pk] = state
            why = f": {row.last_error}" if row.failures else ""
            tell(f"run {row.run_id} {row.action}: {state}{why}")


def _found(halt: Halt, seen: Iterable[int]) -> Recovery:
    rows = list(Injection.objects.select_related("run", "connection").filter(pk__in=list(seen)))
    unchecked = Injection.objects.select_related("run", "connection").filter(
        unchecked_since__isnull=False
    )
    if halt.environment is not None:
        unchecked = unchecked.filter(run__environment=halt.environment)
    by_hand = tuple(unchecked)
    known = {row.pk for row in by_hand}
    rows = [row for row in rows if row.pk not in known]
    return Recovery(
        gone=tuple(row for row in rows if row.phase in SETTLED),
        unsettled=tuple(row for row in rows if row.phase == InjectionPhase.UNSETTLED),
        left=tuple(
            row
            for row in rows
            if row.phase not in SETTLED and row.phase != InjectionPhase.UNSETTLED
        ),
        unchecked=by_hand,
        orphans=tuple(selector.orphans(halt.environment)),
        not_stopped=tuple(selector.stoppable(halt.environment)),
    )


def _carry(injection_id: int) -> None:
    try:
        carrying.carry(injection_id=injection_id)
    except Exception:  # the edge of one carry: the others must go on
        log.exception("injection %s: not carried", injection_id)
    finally:
        connections.close_all()


def _tick(run_id: int) -> None:
    try:
        conducting.tick(run_id=run_id)
    except Exception:  # the edge of one tick: the others must go on
        log.exception("run %s: not advanced", run_id)
    finally:
        connections.close_all()
