"""Services for pages: what is written down of each, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils.dateparse import parse_datetime

from experiments.domain.slis import ServiceSli
from experiments.models import Environment, Experiment, Injection, Run, Service
from experiments.selectors import authoring, ledger, overview

_LAST_RUNS = 10


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One line of the list; ``service`` is None for a name that only experiments know."""

    name: str
    service: Service | None
    experiments: int
    last_judged: Run | None
    live: int

    @property
    def title(self) -> str:
        """Return what pages call it."""
        return str(self.service) if self.service else self.name


@dataclass(frozen=True, slots=True)
class NamedSli:
    """One SLI of a service, in words."""

    reference: str
    watched: authoring.Watched
    source: str
    is_higher_better: bool
    changed_at: datetime | None
    users: tuple[Experiment, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """Where a service lives in one environment."""

    environment: Environment
    where: str
    labels: tuple[tuple[str, str], ...]

    @property
    def is_known(self) -> bool:
        """Return whether anything is written down."""
        return bool(self.where or self.labels)


def listing() -> list[ServiceRow]:
    """Return every service, and every name that an experiment has for one, by name."""
    written = {service.name: service for service in Service.objects.all()}
    counts: dict[str, int] = {}
    used = Experiment.objects.filter(archived_at=None).exclude(service="").order_by()
    for name in used.values_list("service", flat=True):
        counts[name] = counts.get(name, 0) + 1
    judged, live = _last_judged(), _live()
    return [
        ServiceRow(
            name, written.get(name), counts.get(name, 0), judged.get(name), live.get(name, 0)
        )
        for name in sorted({*written, *counts})
    ]


def _last_judged() -> dict[str, Run]:
    rows = (
        Run.objects.exclude(verdict="")
        .exclude(version__experiment__service="")
        .order_by()
        .values("version__experiment__service")
        .annotate(last=Max("pk"))
    )
    newest = {row["version__experiment__service"]: row["last"] for row in rows}
    shown = Run.objects.only("id", "verdict", "ended_at", "requested_at")
    found = shown.in_bulk(list(newest.values()))
    return {name: found[pk] for name, pk in newest.items() if pk in found}


def _live() -> dict[str, int]:
    """Return how many faults may be there now, by the service of their experiment."""
    found: dict[str, int] = {}
    rows = Injection.objects.filter(ledger.MAYBE_THERE).order_by()
    for name in rows.values_list("run__version__experiment__service", flat=True):
        found[name] = found.get(name, 0) + 1
    return found


def one(name: str) -> Service | None:
    """Return the service of that name."""
    return Service.objects.filter(name=name).first()


def is_used(name: str) -> bool:
    """Return whether an experiment has the name for its service."""
    return Experiment.objects.filter(service=name, archived_at=None).exists()


def slis(service: Service, read: Sequence[ServiceSli]) -> list[NamedSli]:
    """Return the SLIs of a service in words, with who uses them."""
    users = authoring.users_of(service.name)
    changes: Mapping[str, str] = service.sli_changes
    return [
        NamedSli(
            f"{service.name}.{sli.name}",
            authoring.in_words(sli),
            sli.source,
            sli.direction == "higher_is_better",
            parse_datetime(str(changes.get(sli.name, ""))),
            tuple(users.get(sli.name, ())),
        )
        for sli in read
    ]


def looks_in(service: Service | None) -> tuple[list[Environment], Environment | None]:
    """Return the environments that have a Prometheus, and one to begin with: where it lives."""
    found = Environment.objects.filter(aliases__connection__kind="prometheus").distinct()
    places = service.places if service else {}
    environments = list(found)
    at_home = (each for each in environments if each.name in places)
    return environments, next(at_home, environments[0] if environments else None)


def homes(service: Service | None) -> list[Home]:
    """Return where a service lives, environment by environment."""
    places = service.places if service else {}
    found = []
    for environment in Environment.objects.all():
        place = places.get(environment.name, {})
        labels = tuple(sorted((place.get("labels") or {}).items()))
        found.append(Home(environment, place.get("where", ""), labels))
    return found


def last_runs(name: str) -> list[Run]:
    """Return the newest runs of experiments on a service."""
    found = Run.objects.filter(version__experiment__service=name).order_by("-pk")
    related = ("environment", "version__experiment", "requested_by")
    shown = found.select_related(*related).defer("version__document", "version__text")
    return list(shown[:_LAST_RUNS])


def live_faults(name: str, catalogue: ledger.Catalogue) -> list[ledger.LiveFault]:
    """Return the faults that may be there now because of experiments on a service."""
    found = ledger.live().filter(run__version__experiment__service=name)
    return [ledger.in_words(injection, catalogue) for injection in found]


def coverage(
    name: str, families: Sequence[str], catalogue: ledger.Catalogue
) -> list[tuple[str, overview.Cell]]:
    """Return the last verdict of a service under every family of faults."""
    table = overview.coverage(families, catalogue)
    cells = next((cells for service, cells in table.rows if service == name), ())
    return list(zip(table.families, cells, strict=bool(cells)))
