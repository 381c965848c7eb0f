"""Runs: one with its ledger, and lists of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform

from experiments.domain.states import LIVE, Status, Verdict
from experiments.models import Environment, Experiment, Run, Series
from experiments.selectors import words

LIVE_VALUES = sorted(status.value for status in LIVE)
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs a person wants to see; empty means all. Unknown values are ignored."""

    status: str = ""
    verdict: str = ""
    experiment: str = ""
    environment: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Filters:
        """Read them from the address."""
        status, verdict = query.get("status", ""), query.get("verdict", "")
        return cls(
            status=status if status in {"live", *Status} else "",
            verdict=verdict if verdict in set(Verdict) else "",
            experiment=query.get("experiment", "").strip(),
            environment=query.get("environment", "").strip(),
        )

    @property
    def is_any(self) -> bool:
        """Return whether anything is filtered."""
        return any((self.status, self.verdict, self.experiment, self.environment))

    def as_query(self, page: int) -> str:
        """Return the address's query for these filters and a page."""
        given = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name)}
        return urlencode({**given, "page": page})


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a list."""

    run: Run
    who: str
    sentence: str
    duration: str
    """Empty while the run is live: the browser counts."""


def one(pk: int) -> Run | None:
    """Return a run with its version, place, person, ledger and actions."""
    return (
        Run.objects.select_related(
            "version__experiment", "version__author", "environment", "requested_by"
        )
        .defer("version__text")
        .prefetch_related("injections__connection", "actions")
        .filter(pk=pk)
        .first()
    )


def brief(pk: int) -> Run | None:
    """Return a run as a poll or a command needs it: no ledger, no document."""
    return (
        Run.objects.select_related("version__experiment", "environment", "requested_by")
        .defer("version__document", "version__text", "judgement")
        .filter(pk=pk)
        .first()
    )


def listed(filters: Filters) -> QuerySet[Run]:
    """Return the runs that match, newest first, without their documents and judgements."""
    runs = (
        Run.objects.select_related("version__experiment", "environment", "requested_by")
        .defer("version__document", "version__text", "judgement", "problems", "parameters")
        .annotate(told=KeyTextTransform("sentence", "judgement"))
        .order_by("-id")
    )
    if filters.status == "live":
        runs = runs.filter(status__in=LIVE_VALUES)
    elif filters.status:
        runs = runs.filter(status=filters.status)
    if filters.verdict:
        runs = runs.filter(verdict=filters.verdict)
    if filters.experiment:
        runs = runs.filter(version__experiment__name=filters.experiment)
    if filters.environment:
        runs = runs.filter(environment__name=filters.environment)
    return runs


def rows(runs: Iterable[Run]) -> list[RunRow]:
    """Return the rows of a list."""
    return [
        RunRow(
            run=run,
            who=words.person(run.requested_by),
            sentence=getattr(run, "told", None) or run.reason or run.stop_reason,
            duration=_duration(run.requested_at, run.ended_at),
        )
        for run in runs
    ]


def _duration(start: datetime, end: datetime | None) -> str:
    return words.length((end - start).total_seconds()) if end else ""


def choices() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the experiments and the environments that a list can be filtered by."""
    experiments = Experiment.objects.order_by("title").values_list("name", "title")
    environments = [(each.name, str(each)) for each in Environment.objects.only("name", "title")]
    return list(experiments), environments


def series_of(run: Run, names: Iterable[str] | None = None) -> list[Series]:
    """Return the run's stored series, of all SLIs or of some."""
    stored = run.series.order_by("sli")
    return list(stored if names is None else stored.filter(sli__in=list(names)))


def measured_slis(run: Run) -> list[str]:
    """Return the names of the SLIs that have a stored series."""
    return list(run.series.values_list("sli", flat=True))


def checkpoints(run: Run) -> list[str]:
    """Return the checkpoints that wait for a person now."""
    waiting = run.actions.filter(kind="checkpoint", finished_at__isnull=True)
    return list(waiting.values_list("name", flat=True))
