"""What the overview shows: live faults, live runs, last verdicts and coverage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Max, QuerySet, Window
from django.db.models.functions import RowNumber

from experiments.domain.states import InjectionPhase
from experiments.models import (
    Experiment,
    Injection,
    Reading,
    Run,
    Service,
)
from experiments.selectors import ledger, orphans, runs, words

_LAST_VERDICTS = 8
_NEVER_SENT = (InjectionPhase.PLANNED.value, InjectionPhase.CANCELLED.value)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one fault is live, for the badge of the navigation."""

    environment: str


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One fault that may exist, with whom to ask and what watches it."""

    fault: ledger.LiveFault
    who: str
    service: Service | None
    guardrails: str
    is_guarded: bool


@dataclass(frozen=True, slots=True)
class Live:
    """Everything that is broken on purpose now, and the runs that have not broken anything yet.

    ``key`` changes only when something that the panel shows has changed.
    """

    rows: tuple[LiveRow, ...]
    orphans: tuple[orphans.OrphanRow, ...]
    waiting: tuple[runs.RunRow, ...]
    last_gone_at: datetime | None
    key: str

    @property
    def etag(self) -> str:
        """Return the version of the panel."""
        return f'"{self.key}"'

    @property
    def headers(self) -> str:
        """Return the headers with which an open page asks whether the panel has changed."""
        return json.dumps({"If-None-Match": self.etag})

    @property
    def unconfirmed(self) -> int:
        """Return how many removals could not be confirmed, or were only told, orphans included."""
        told = (row.fault.is_unconfirmed or row.fault.is_unchecked for row in self.rows)
        return sum(told) + len(self.orphans)


@dataclass(frozen=True, slots=True)
class Cell:
    """The last verdict of one service under one family of faults; no run means never."""

    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Services by families of faults."""

    families: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    tested: int
    total: int


def places() -> list[Place]:
    """Return where faults may be live, one entry for each, ordered by environment: one query."""
    mine = Injection.objects.filter(ledger.MAYBE_THERE).order_by()
    names = mine.values_list("run__environment__name").union(orphans.places(), all=True)
    return [Place(name) for name in sorted(name for (name,) in names)]


def live(catalogue: ledger.Catalogue) -> Live:
    """Return what is broken on purpose now, in a fixed number of queries."""
    injections = list(ledger.live())
    ids = {injection.run_id for injection in injections}
    readings = _newest_readings(ids)
    services = _services({injection.run.version.experiment.service for injection in injections})
    rows = []
    for injection in injections:
        run = injection.run
        text, is_guarded = _guardrails(run, readings.get(run.pk, []))
        rows.append(
            LiveRow(
                fault=ledger.in_words(injection, catalogue),
                who=words.person(run.requested_by),
                service=services.get(run.version.experiment.service),
                guardrails=text,
                is_guarded=is_guarded,
            )
        )
    waiting = runs.rows(
        runs.listed(runs.Filters(status="live")).exclude(pk__in=ids).order_by("id")[:50]
    )
    lost = orphans.rows(orphans.still_there())
    last = None
    if not rows and not lost:
        last = Injection.objects.exclude(injected_at=None).aggregate(last=Max("recovered_at"))[
            "last"
        ]
    return Live(tuple(rows), tuple(lost), tuple(waiting), last, _key(rows, lost, waiting))


def _key(
    rows: Iterable[LiveRow], lost: Iterable[orphans.OrphanRow], waiting: Iterable[runs.RunRow]
) -> str:
    shown: list[Any] = []
    for row in rows:
        injection = row.fault.injection
        shown.append(
            (
                injection.pk,
                injection.phase,
                injection.recover_by,
                injection.failures and injection.due_at,
                row.fault.alarm,
                row.guardrails,
                injection.run.stop_requested_at,
            )
        )
    shown += [
        (row.orphan.pk, row.orphan.attempts, row.orphan.last_error, row.targets) for row in lost
    ]
    shown += [(row.run.pk, row.run.status, row.run.waiting_for) for row in waiting]
    return hashlib.blake2b(repr(shown).encode(), digest_size=8).hexdigest()


def _newest_readings(ids: Iterable[int]) -> dict[int, list[Reading]]:
    newest = Window(RowNumber(), partition_by=[F("run_id"), F("name")], order_by=F("at").desc())
    rows = (
        Reading.objects.filter(kind="guardrail", run_id__in=ids).annotate(nth=newest).filter(nth=1)
    )
    found: dict[int, list[Reading]] = {}
    for row in rows:
        found.setdefault(row.run_id, []).append(row)
    return found


def _guardrails(run: Run, newest: Sequence[Reading]) -> tuple[str, bool]:
    """Say what the run's guardrails see, and whether all of them see something harmless."""
    declared = len(run.version.document.get("guardrails") or ()) + len(run.guardrails)
    if not declared:
        return "no guardrail watches", False
    if run.status not in ("baseline", "injecting"):
        return "guardrails off duty: the fault is being removed", False
    breaches = sorted(row.name for row in newest if row.is_breach)
    if breaches:
        return f"beyond its bound: {', '.join(breaches)}", False
    if len(newest) < declared or any(row.is_breach is None for row in newest):
        return "guardrails without data", False
    return f"{words.counted(declared, 'guardrail')} quiet", True


def _services(names: Iterable[str]) -> Mapping[str, Service]:
    wanted = {name for name in names if name}
    return Service.objects.in_bulk(wanted, field_name="name") if wanted else {}


def verdicts() -> list[runs.RunRow]:
    """Return the last verdicts, newest first."""
    judged = runs.listed(runs.Filters()).exclude(verdict="").exclude(ended_at=None)
    return runs.rows(judged.order_by("-ended_at")[:_LAST_VERDICTS])


def coverage(families: Sequence[str], catalogue: ledger.Catalogue) -> Coverage:
    """Return the last verdict of every service under every family. Rehearsals prove nothing."""
    tried = (
        Injection.objects.exclude(phase__in=_NEVER_SENT)
        .exclude(connection__kind="fake")
        .exclude(run__verdict="")
        .order_by()
        .values("run__version__experiment__service", "fault")
        .annotate(last=Max("run_id"))
    )
    newest: dict[tuple[str, str], int] = {}
    for row in tried:
        service = row["run__version__experiment__service"]
        model = catalogue.get(row["fault"])
        family = model.family if model else row["fault"].split(".")[-1]
        if service:
            newest[(service, family)] = max(newest.get((service, family), 0), row["last"])
    columns = tuple(dict.fromkeys([*families, *(family for _, family in newest)]))
    found = Run.objects.only("id", "verdict", "ended_at").in_bulk(set(newest.values()))
    names = sorted({*_known_services(), *(service for service, _ in newest)})
    rows = tuple(
        (
            name,
            tuple(
                Cell(found.get(newest[(name, family)]) if (name, family) in newest else None)
                for family in columns
            ),
        )
        for name in names
    )
    return Coverage(columns, rows, len(newest), len(names) * len(columns))


def _known_services() -> set[str]:
    written: QuerySet[Experiment, str] = (
        Experiment.objects.filter(archived_at=None)
        .exclude(service="")
        .values_list("service", flat=True)
    )
    return {*Service.objects.values_list("name", flat=True), *written}
