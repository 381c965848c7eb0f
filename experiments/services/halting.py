"""Halts an environment or the installation: refuses new runs, stops all, and lets runs start again.

The halt is committed before any run is looked at: a run that is created meanwhile finds it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction
from django.db.models import F

from experiments import queue
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.domain.states import MAY_EXIST, EndedBy
from experiments.models import Environment, Halt, Run, RunEvent, User
from experiments.selectors import halting as selector
from experiments.selectors.halting import Scope, active, scope_summary
from experiments.services import clock, conducting, people, transitions

__all__ = ["Halted", "Scope", "active", "halt", "order_stops", "resume", "scope_summary"]

log = logging.getLogger(__name__)

NO_REASON = "no reason was given"
_ACTOR_LENGTH = 150
_REASON_LENGTH = 500
_CHUNK = 100
_LOCK_WAIT_MS = 2000
"""How long one run that somebody else holds may keep the others waiting."""
_TICKING_S = 3.0
"""For how long whoever halts ticks by themselves; the rest is woken."""


@dataclass(frozen=True, slots=True)
class Halted:
    """What one call of ``halt`` did."""

    halt: Halt
    is_new: bool
    """Whether it was not halted before."""
    runs_stopped: int
    """Runs that this very call stopped."""
    faults: int
    """Faults of the scope that may exist: they are being removed."""
    failed: dict[int, str]
    """Runs that could not be stopped, and why: call again."""


def halt(*, environment: Environment | None, actor: str, reason: str) -> Halted:
    """Refuse new runs and stop every live one, of the environment or everywhere (None).

    Idempotent: what is halted stays halted as it was, and runs that live nevertheless are stopped.
    Every stop is committed before the first run is advanced, so that the keeper removes the faults
    whatever dies afterwards. Must not be called inside a transaction.
    """
    row, is_new = _commit(environment, _kept(actor, _ACTOR_LENGTH), kept_reason(reason))
    if is_new:
        log.warning("%s", selector.refusal(row))
    stopped, failed = order_stops(row)
    faults = selector.faults(environment).count()
    _advance(stopped)
    return Halted(row, is_new, len(stopped), faults, failed)


def _commit(environment: Environment | None, actor: str, reason: str) -> tuple[Halt, bool]:
    scope = environment.name if environment else ""
    for _ in range(3):
        known = Halt.objects.filter(environment=environment, lifted_at__isnull=True).first()
        if known is not None:
            return known, False
        # An environment that was renamed while halted must not keep its old name from another.
        others = Halt.objects.filter(scope=scope, lifted_at__isnull=True)
        for other in others.exclude(environment=environment):
            Halt.objects.filter(pk=other.pk).update(scope=f"renamed-{other.pk}")
        try:
            with transaction.atomic(durable=True):
                row = Halt.objects.create(
                    environment=environment,
                    scope=scope,
                    since=clock.now(),
                    actor=actor,
                    reason=reason,
                )
        except IntegrityError:
            continue  # somebody halted it at the same moment
        return row, True
    raise RuntimeError(f"{scope or 'everything'} could neither be halted nor found halted")


def enforce() -> int:
    """Stop every live run that an active halt has missed. Return how many."""
    missed: list[int] = []
    for row in Halt.objects.filter(lifted_at__isnull=True).select_related("environment"):
        missed += order_stops(row)[0]
    _advance(missed)
    return len(missed)


def order_stops(row: Halt) -> tuple[list[int], dict[int, str]]:
    """Commit a stop for every live run in the halt's scope; none of them keeps the others waiting.

    Return the runs that were stopped, and those that could not be, with the error.
    """
    stopped: list[int] = []
    chunks = [run.pk for run in selector.stoppable(row.environment).only("pk")]
    for start in range(0, len(chunks), _CHUNK):
        try:
            stopped += _order_free(row, chunks[start : start + _CHUNK])
        except Exception:  # each of them is tried alone below
            log.exception("halt %s: a batch of runs could not be stopped at once", row.pk)
    failed: dict[int, str] = {}
    for run in selector.stoppable(row.environment):
        try:
            if _order_one(row, run):
                stopped.append(run.pk)
        except Exception as error:  # the halt's edge: one broken run never keeps the others
            log.critical("halt %s: run %s could not be stopped", row.pk, run.pk, exc_info=True)
            failed[run.pk] = f"{type(error).__name__}: {error}"
    return stopped, failed


def _order_free(row: Halt, run_ids: list[int]) -> list[int]:
    """Stop those of the runs that nobody holds just now, as ``transitions.order_stop`` stops one.

    A handful of statements for all of them: a thousand runs are to be stopped within a moment.
    """
    with transaction.atomic():
        free = selector.stoppable(row.environment).filter(pk__in=run_ids)
        if connection.features.has_select_for_update_skip_locked:
            free = free.select_for_update(skip_locked=True)
        found = list(free.values_list("pk", flat=True))
        now, reason = clock.now(), selector.stop_reason(row)
        Run.objects.filter(pk__in=found).update(
            stop_requested_at=now,
            stop_ended_by=EndedBy.HALT.value,
            stop_actor=row.actor,
            stop_reason=reason,
            is_stopped_on_data=False,
            next_due=now,
            page_version=F("page_version") + 1,
        )
        RunEvent.objects.bulk_create(
            RunEvent(run_id=pk, at=now, kind="stop", actor=row.actor, message=reason)
            for pk in found
        )
    return found


def _order_one(row: Halt, run: Run) -> bool:
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
        return transitions.order_stop(
            run=run,
            ended_by=EndedBy.HALT,
            actor=row.actor,
            reason=selector.stop_reason(row),
            now=clock.now(),
        )


def _advance(run_ids: list[int]) -> None:
    """Begin the removals, runs with faults first: here as long as that is quick, then woken."""
    deadline = time.monotonic() + _TICKING_S
    for run_id in _faulty_first(run_ids):
        if time.monotonic() < deadline:
            try:
                conducting.tick(run_id=run_id)
            except Exception:  # its stop is committed: sweep and keeper come to it
                log.exception("run %s: not advanced by the halt", run_id)
        else:
            queue.wake("tick", run_id)


def _faulty_first(run_ids: list[int]) -> Iterator[int]:
    faulty = set(
        Run.objects.filter(
            pk__in=run_ids, injections__phase__in=[phase.value for phase in MAY_EXIST]
        ).values_list("pk", flat=True)
    )
    yield from sorted(faulty)
    yield from (run_id for run_id in run_ids if run_id not in faulty)


def resume(*, halt: Halt, user: User, reason: str) -> bool:
    """Let runs start again. Return whether this call lifted the halt.

    Raises PermissionDenied for anybody but an admin, InvalidDocumentError without a reason.
    """
    people.require(user, "administer", "resume after a halt")
    said = _kept(reason, _REASON_LENGTH)
    if not said:
        raise InvalidDocumentError(
            [SpecError(("reason",), "is missing: say why runs may start again")]
        )
    lifted = Halt.objects.filter(pk=halt.pk, lifted_at__isnull=True).update(
        lifted_at=clock.now(), lifted_by=user.username, lift_reason=said
    )
    if lifted:
        log.warning("%s is no longer halted: %s (%s)", selector.name_of(halt), said, user.username)
    halt.refresh_from_db()
    return bool(lifted)


def kept_reason(reason: str) -> str:
    """Return the reason as it is kept; a halt without one is a halt all the same."""
    return _kept(reason, _REASON_LENGTH) or NO_REASON


def _kept(said: str, most: int) -> str:
    """Return what the database can hold of a text."""
    clean = said.replace("\x00", "").encode("utf-8", "replace").decode()
    return " ".join(clean.split())[:most]
