"""Makes the outside calls of a run that are no injection's, each claimed like a carry.

``check`` asks backends and sources whether the run can be; ``gate`` whether the system is healthy
just before the first fault; ``probe`` makes the probes asked throughout; ``judge`` ends the run.
(``watch`` is a row of the same kind, looked at by ``watching`` for many runs at once.)
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import F

from drivers.protocol import DriverError
from experiments.domain.states import LIVE
from experiments.models import Call, Run
from experiments.services import (
    checking,
    clock,
    conducting,
    gating,
    judging,
    locking,
    throughout,
    transitions,
)
from experiments.services.outcomes import Outcome

log = logging.getLogger(__name__)

_RETRY_S = (1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class _Kind:
    make: Callable[[Run], Outcome]
    lease_s: float
    commit: Callable[[Run, Outcome, datetime], None]
    give_up: Callable[[Run, str], Outcome]
    patience: int


def _nothing(run: Run, outcome: Outcome, now: datetime) -> None:
    """Commit nothing beyond the outcome."""


def _refused(run: Run, error: str) -> Outcome:
    return Outcome(is_ok=False, reason=error)


_KINDS = {
    "check": _Kind(checking.check, 30.0, checking.commit, _refused, 3),
    "gate": _Kind(gating.gate, 30.0, gating.commit, _refused, 3),
    "probe": _Kind(throughout.probe, 60.0, throughout.commit, throughout.not_made, 1),
    "judge": _Kind(judging.judge, 90.0, judging.commit, judging.without_data, 4),
}


def make(*, run_id: int, kind: str) -> None:
    """Make the call if it is due and nobody else does, and tick the run afterwards."""
    claimed = _claim(run_id, kind)
    if claimed is None:
        return
    run, call, attempt = claimed
    outcome: Outcome | None = None
    error = ""
    try:
        if call.failures >= _KINDS[kind].patience:
            raise DriverError(f"nobody came back from the {kind} in time.")
        outcome = _KINDS[kind].make(run)
    except DriverError as failure:
        error = str(failure)
    except (OperationalError, InterfaceError) as failure:
        # Our own database went away: that says nothing of the run. The lease brings it back.
        log.warning("run %s: the %s ended: %s", run_id, kind, failure)
        _release(call, attempt)
        return
    except Exception as failure:
        log.exception("run %s: %s failed", run_id, kind)
        error = f"{type(failure).__name__}: {failure}"
    try:
        if outcome is None and call.failures + 1 >= _KINDS[kind].patience:
            outcome = _KINDS[kind].give_up(run, error)
        _commit(run, call, attempt, outcome, error)
    except (OperationalError, InterfaceError) as failure:
        log.warning("run %s: the outcome of %s is not kept: %s", run_id, kind, failure)
        _release(call, attempt)
        return
    except Exception as failure:
        # The call's edge: an outcome that cannot be kept counts as a failure, never for ever.
        log.exception("run %s: the outcome of %s cannot be kept", run_id, kind)
        _commit_broken(run, call, attempt, f"{type(failure).__name__}: {failure}")
    conducting.tick(run_id=run_id)


def _release(call: Call, attempt: int) -> None:
    """Have the call made again soon if the database answers by now; else its lease runs out."""
    with contextlib.suppress(DatabaseError, InterfaceError):
        Call.objects.filter(pk=call.pk, attempt=attempt, finished_at__isnull=True).update(
            attempt_deadline=None, due_at=clock.now() + timedelta(seconds=_RETRY_S[0])
        )


def _commit_broken(run: Run, call: Call, attempt: int, error: str) -> None:
    """Count a failure; end a call that was to be given up and whose end cannot be kept either."""
    if call.failures + 1 < _KINDS[call.kind].patience or call.kind == "probe":
        _commit(run, call, attempt, None, error)
        return
    Call.objects.filter(pk=call.pk, attempt=attempt, finished_at__isnull=True).update(
        finished_at=clock.now(),
        attempt_deadline=None,
        error=error,
        outcome={"is_ok": False, "reason": error},
    )


def _claim(run_id: int, kind: str) -> tuple[Run, Call, int] | None:
    now = clock.now()
    free = locking.free(now)
    call = (
        Call.objects.select_related("run", "run__version", "run__environment")
        .filter(
            free,
            run_id=run_id,
            kind=kind,
            due_at__lte=now,
            finished_at__isnull=True,
            run__status__in=sorted(status.value for status in LIVE),
        )
        .first()
    )
    if call is None:
        return None
    lease = now + timedelta(seconds=_KINDS[kind].lease_s)
    # A call whose caller never came back has failed, and counts.
    call.failures += call.attempt_deadline is not None
    claimed = Call.objects.filter(free, pk=call.pk, attempt=call.attempt).update(
        attempt=F("attempt") + 1, attempt_deadline=lease, failures=call.failures
    )
    return (call.run, call, call.attempt + 1) if claimed == 1 else None


def _commit(run: Run, call: Call, attempt: int, outcome: Outcome | None, error: str) -> None:
    with transitions.holding(run_id=run.pk):
        now = clock.now()
        changes: dict[str, Any] = {"attempt_deadline": None, "woken_at": None, "error": error}
        if outcome is None:
            failures = call.failures + 1
            wait = _RETRY_S[min(failures, len(_RETRY_S)) - 1]
            changes |= {"failures": failures, "due_at": now + timedelta(seconds=wait)}
        elif outcome.again_s is not None:
            changes |= {"failures": 0, "due_at": now + timedelta(seconds=outcome.again_s)}
        else:
            changes |= {
                "finished_at": now,
                "outcome": {"is_ok": outcome.is_ok, "reason": outcome.reason},
            }
        mine = Call.objects.filter(pk=call.pk, attempt=attempt, finished_at__isnull=True)
        if mine.update(**changes) != 1:
            return
        # The tick may never come to be made: the sweep finds the run then.
        transitions.make_due(run_id=run.pk, now=now)
        if outcome is None:
            transitions.journal(
                run=run, kind="error", message=f"{call.kind}: {error}", actor="engine", now=now
            )
        else:
            _KINDS[call.kind].commit(run, outcome, now)
