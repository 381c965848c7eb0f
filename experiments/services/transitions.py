"""The only writer of ``Run.status``, and the journal that explains every move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from experiments.domain.states import (
    BEFORE_FAULTS,
    LIVE,
    MAY_EXIST,
    TERMINAL,
    EndedBy,
    Status,
    Verdict,
    check_move,
)
from experiments.models import Call, Claim, Run, RunEvent

_MOMENTS = {
    Status.BASELINE: "baseline_at",
    Status.INJECTING: "injecting_at",
    Status.RECOVERING: "recovering_at",
    Status.SETTLING: "settling_at",
}


_MOVED = [
    *("status", "status_since", "page_version", "next_due", "waiting_for"),
    *("baseline_at", "injecting_at", "recovering_at", "settling_at", "ended_at"),
    *("reason", "ended_by", "verdict"),
]
"""What a move may have changed: the rest of a run that somebody holds stays as it was read."""


class LostRaceError(RuntimeError):
    """The run had moved on meanwhile; nothing was written."""


def move(
    *,
    run: Run,
    to: Status,
    reason: str,
    actor: str,
    now: datetime,
    ended_by: EndedBy | None = None,
) -> None:
    """Change the run's status and write why, in one transaction.

    Raises IllegalMoveError for a move that the table does not hold, LostRaceError when the run
    moved meanwhile.
    """
    old = Status(run.status)
    check_move(old, to)
    changes: dict[str, Any] = {
        "status": to.value,
        "status_since": now,
        "page_version": F("page_version") + 1,
    }
    if to in _MOMENTS:
        changes[_MOMENTS[to]] = now
    if to in TERMINAL:
        changes |= {"ended_at": now, "reason": reason, "waiting_for": ""}
        changes |= {"next_due": None, "blind_at": None}
        if ended_by is not None:
            changes["ended_by"] = ended_by.value
        if (old in BEFORE_FAULTS and to is Status.STOPPED) or (
            old is Status.JUDGING and not run.verdict
        ):
            changes["verdict"] = Verdict.INCONCLUSIVE.value
    with transaction.atomic():
        if Run.objects.filter(pk=run.pk, status=old.value).update(**changes) != 1:
            raise LostRaceError(f"run {run.pk} is no longer {old}")
        journal(
            run=run,
            kind="status",
            message=reason,
            actor=actor,
            now=now,
            old=old.value,
            new=to.value,
        )
        calls = Call.objects.filter(run=run, finished_at__isnull=True)
        if to is Status.JUDGING:
            calls.exclude(kind="judge").update(finished_at=now)
        if to in TERMINAL:
            # Asked once more here, at the only door: a fault may have come back meanwhile.
            if run.injections.filter(phase__in=[phase.value for phase in MAY_EXIST]).exists():
                raise LostRaceError(f"run {run.pk} cannot end: a fault of it may be live")
            calls.update(finished_at=now)
            # What a person removed by hand stays held until its backend says that it is gone.
            unchecked = run.injections.filter(unchecked_since__isnull=False)
            kept = {key for row in unchecked for key in row.claims}
            held = Claim.objects.filter(run=run, released_at__isnull=True)
            held.exclude(key__in=kept).update(released_at=now)
    run.refresh_from_db(fields=_MOVED)


def journal(
    *,
    run: Run,
    kind: str,
    message: str,
    actor: str,
    now: datetime,
    old: str = "",
    new: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Write one line of the journal, and let open pages know that there is something new."""
    RunEvent.objects.create(
        run=run,
        at=now,
        kind=kind,
        old=old,
        new=new,
        actor=actor,
        message=message,
        details=details or {},
    )
    if kind != "status":
        touch(run_id=run.pk)


@contextmanager
def holding(*, run_id: int) -> Iterator[None]:
    """Hold the run for one transaction. Every writer takes the run first: no two can deadlock."""
    with transaction.atomic():
        rows = Run.objects.select_for_update().filter(pk=run_id)
        list(rows.values_list("pk", flat=True))
        yield


@contextmanager
def holding_all(run_ids: Iterable[int]) -> Iterator[None]:
    """Hold several runs for one transaction, always in the order of their ids."""
    with transaction.atomic():
        rows = Run.objects.select_for_update().filter(pk__in=list(run_ids)).order_by("pk")
        list(rows.values_list("pk", flat=True))
        yield


def touch(*, run_id: int) -> None:
    """Let open pages of the run know that something visible has changed."""
    touch_all([run_id])


def touch_all(run_ids: Iterable[int]) -> None:
    """Let open pages of the runs know that something visible has changed."""
    Run.objects.filter(pk__in=list(run_ids)).update(page_version=F("page_version") + 1)


def make_due(*, run_id: int, now: datetime) -> None:
    """Have the run looked at by the next sweep, whatever becomes of whoever calls this."""
    Run.objects.filter(pk=run_id, next_due__gt=now).update(next_due=now)


def order_stop(
    *,
    run: Run,
    ended_by: EndedBy,
    actor: str,
    reason: str,
    now: datetime,
    is_on_data: bool = False,
) -> bool:
    """Note that the run is to end early; the first order counts. Return whether this was it.

    A run that is being judged has nothing left to stop, and its verdict was asked for without a
    stop: only an error ends it otherwise.
    """
    stoppable = LIVE if ended_by is EndedBy.ERROR else LIVE - {Status.JUDGING}
    with transaction.atomic():
        moved = Run.objects.filter(
            pk=run.pk, stop_requested_at__isnull=True, status__in=[s.value for s in stoppable]
        ).update(
            stop_requested_at=now,
            stop_ended_by=ended_by.value,
            stop_actor=actor,
            stop_reason=reason,
            is_stopped_on_data=is_on_data,
            next_due=now,
            page_version=F("page_version") + 1,
        )
        if moved:
            journal(run=run, kind="stop", message=reason, actor=actor, now=now)
    return bool(moved)
