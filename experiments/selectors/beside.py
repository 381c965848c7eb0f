"""What goes on in an environment now, and would go on beside a new run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from experiments.domain.states import LIVE
from experiments.models import Claim, Environment, Run
from experiments.selectors import ledger, words

_LIVE_VALUES = sorted(status.value for status in LIVE)
_MOST = 10


@dataclass(frozen=True, slots=True)
class LiveRun:
    """One run that has not ended: what it is, whose, and what it breaks."""

    pk: int
    title: str
    status: str
    who: str
    faults: tuple[str, ...]
    """The actions whose faults may exist now."""
    until: datetime | None
    """When the last of these is removed as planned; None while nothing is live."""


def live_runs(environment: Environment) -> list[LiveRun]:
    """Return the environment's live runs, the newest first, at most ten."""
    rows = (
        Run.objects.filter(environment=environment, status__in=_LIVE_VALUES)
        .select_related("version__experiment", "requested_by")
        .prefetch_related("injections")
        .defer("version__document", "version__text", "judgement")
        .order_by("-pk")
    )
    return [_described(run) for run in rows[:_MOST]]


def holders(keys: Iterable[str]) -> dict[str, LiveRun]:
    """Return who holds each of the claims that is held."""
    held = (
        Claim.objects.filter(key__in=list(keys), released_at__isnull=True)
        .select_related("run__version__experiment", "run__requested_by")
        .prefetch_related("run__injections")
    )
    return {claim.key: _described(claim.run) for claim in held}


def _described(run: Run) -> LiveRun:
    live = [row for row in run.injections.all() if ledger.may_be_there(row)]
    ends = [row.recover_by for row in live if row.recover_by is not None]
    return LiveRun(
        run.pk,
        str(run.version.experiment),
        run.status,
        words.person(run.requested_by),
        tuple(row.action for row in live),
        max(ends, default=None),
    )
