"""Experiments, their versions and their last verdicts, for the pages of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Q

from drivers.protocol import FaultParams
from experiments.domain import spec, uses
from experiments.domain.slis import Quantity, ServiceSli, Sli
from experiments.domain.spec import Checkpoint, FaultAction
from experiments.models import Connection, Environment, Experiment, ExperimentVersion, Run
from experiments.selectors import named_slis

PER_PAGE = 30
_LAST_RUNS = 10


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to."""

    text: str = ""
    service: str = ""
    tag: str = ""
    archived: bool = False
    """The archived ones instead of the others."""

    @property
    def is_any(self) -> bool:
        """Return whether anything is narrowed."""
        return bool(self.text or self.service or self.tag)


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """One line of the list."""

    experiment: Experiment
    version: ExperimentVersion
    tags: tuple[str, ...]
    faults: tuple[str, ...]
    last_run: Run | None
    last_judged: Run | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The list, with the choices of its filters."""

    page: Page[ExperimentRow]
    services: list[str]
    tags: list[str]
    is_empty: bool
    """No experiment at all, filtered or not."""
    archived_count: int = 0


def listing(filters: Filters, page: str | None) -> Listing:
    """Return a page of experiments, the last changed first."""
    everything = Experiment.objects.filter(archived_at__isnull=not filters.archived)
    services = sorted({name for name in everything.values_list("service", flat=True) if name})
    found = everything
    if filters.text:
        wanted = Q(name__icontains=filters.text) | Q(title__icontains=filters.text)
        found = found.filter(wanted | Q(service__icontains=filters.text))
    if filters.service:
        found = found.filter(service=filters.service)
    newest = _newest_versions(archived=filters.archived)
    archived = Experiment.objects.filter(archived_at__isnull=False).count()
    tags = {version.experiment_id: _tags(version) for version in newest.values()}
    chosen = [
        experiment
        for experiment in found
        if experiment.pk in newest and (not filters.tag or filters.tag in tags[experiment.pk])
    ]
    paged: Page[Any] = Paginator(chosen, PER_PAGE).get_page(page)
    paged.object_list = _rows(list(paged.object_list), newest)
    return Listing(
        paged,
        services,
        sorted({tag for each in tags.values() for tag in each}),
        not newest and not archived,
        archived,
    )


def _newest_versions(*, archived: bool = False) -> dict[int, ExperimentVersion]:
    rows = ExperimentVersion.objects.filter(experiment__archived_at__isnull=not archived)
    numbers: dict[int, tuple[int, int]] = {}
    for pk, experiment, number in rows.values_list("pk", "experiment_id", "number"):
        numbers[experiment] = max(numbers.get(experiment, (0, 0)), (number, pk))
    found = rows.filter(pk__in=[pk for _, pk in numbers.values()]).select_related("author")
    return {version.experiment_id: version for version in found}


def _tags(version: ExperimentVersion) -> tuple[str, ...]:
    return tuple(map(str, (version.document.get("metadata") or {}).get("tags") or ()))


def _rows(
    experiments: list[Experiment], newest: Mapping[int, ExperimentVersion]
) -> list[ExperimentRow]:
    last: dict[int, Run] = {}
    judged: dict[int, Run] = {}
    runs = Run.objects.filter(version__experiment__in=experiments).select_related("environment")
    for run in runs.select_related("version").defer("version__document", "version__text"):
        last.setdefault(run.version.experiment_id, run)
        if run.verdict:
            judged.setdefault(run.version.experiment_id, run)
    return [
        ExperimentRow(
            each,
            newest[each.pk],
            _tags(newest[each.pk]),
            tuple(
                dict.fromkeys(
                    str(action["fault"])
                    for action in newest[each.pk].document.get("method", [])
                    if "fault" in action
                )
            ),
            last.get(each.pk),
            judged.get(each.pk),
        )
        for each in experiments
    ]


def one(name: str) -> Experiment | None:
    """Return the experiment of that name."""
    return Experiment.objects.filter(name=name).first()


def versions(experiment: Experiment) -> list[ExperimentVersion]:
    """Return every version, the newest first."""
    return list(experiment.versions.select_related("author"))


def version(experiment: Experiment, number: int) -> ExperimentVersion | None:
    """Return one version."""
    return experiment.versions.select_related("author").filter(number=number).first()


def last_runs(experiment: Experiment) -> list[Run]:
    """Return the newest runs of any version."""
    found = Run.objects.filter(version__experiment=experiment)
    return list(found.select_related("environment", "version", "requested_by")[:_LAST_RUNS])


def environments() -> list[Environment]:
    """Return every environment with its aliases."""
    return list(Environment.objects.prefetch_related("aliases__connection"))


def bound(environment: Environment) -> dict[str, Connection]:
    """Return the connections by alias, of one of ``environments``; asks no database."""
    return {alias.name: alias.connection for alias in environment.aliases.all()}


def aliases() -> list[str]:
    """Return every alias that some environment has."""
    found = Environment.objects.values_list("aliases__name", flat=True).distinct()
    return sorted(name for name in found if name)


@dataclass(frozen=True, slots=True)
class Watched:
    """One SLI of a document, in words."""

    name: str
    title: str
    what: str
    queries: tuple[str, ...]
    expects: str
    limit: str
    margin: str
    is_critical: bool
    use: str = ""
    """The SLI of a service that it is a copy of."""
    service: str = ""
    sli: str = ""
    news: str = ""
    """What has become of that since."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a document, in words."""

    name: str
    kind: str
    fault: str
    says: str
    starts: str
    note: str


def watched(document: spec.Experiment) -> list[Watched]:
    """Return what the document watches."""
    news = named_slis.news(document.slis)
    return [in_words(sli, news=news.get(sli.name, "")) for sli in document.slis]


def in_words(sli: Sli | ServiceSli, *, news: str = "") -> Watched:
    """Describe one SLI, of a document or of a service."""
    use = (sli.use or "") if isinstance(sli, Sli) else ""
    measure = sli.measure
    what: str = measure.kind
    queries: tuple[str, ...] = (measure.value or "",)
    if measure.ratio is not None:
        what, queries = "ratio", (measure.ratio.bad, measure.ratio.total)
    elif measure.quantile is not None:
        what, queries = f"{measure.quantile.q:g} quantile", (measure.quantile.histogram,)
    margin = ""
    if sli.margin is not None and sli.margin.relative is not None:
        margin = f"{sli.margin.relative} of the baseline"
    elif sli.margin is not None and sli.margin.absolute is not None:
        points = " (points)" if measure.unit == "ratio" else ""
        margin = f"{_amount(sli.margin.absolute, measure.unit)}{points}"
    bounds = []
    if sli.limit is not None and sli.limit.max is not None:
        bounds.append(f"≤ {_amount(sli.limit.max, measure.unit)}")
    if sli.limit is not None and sli.limit.min is not None:
        bounds.append(f"≥ {_amount(sli.limit.min, measure.unit)}")
    return Watched(
        sli.name,
        sli.label,
        f"{sli.preset} · {what}" if sli.preset else what,
        queries,
        sli.expect.replace("_", " ") if isinstance(sli, Sli) else "",
        ", ".join(bounds),
        margin,
        isinstance(sli, Sli) and sli.critical,
        use,
        use.partition(".")[0],
        use.partition(".")[2],
        news,
    )


def _amount(quantity: Quantity, unit: str) -> str:
    if isinstance(quantity, str) and not quantity.replace(".", "", 1).isdigit():
        return quantity
    return f"{quantity} {unit}".strip() if unit != "ratio" else str(quantity)


def steps(document: spec.Experiment) -> list[Step]:
    """Return what the document does, in order."""
    found = []
    for index, action in enumerate(document.method):
        if isinstance(action, FaultAction):
            kind, fault = "fault", action.fault
            says = f"{action.params.sentence()}, for {action.duration}"
            drift = {"stop": "stops the run", "reinject": "is injected again", "ignore": "goes on"}
            note = f"via {action.via} · if it vanishes early: {drift[action.on_drift]}"
        elif isinstance(action, Checkpoint):
            kind, fault = "checkpoint", ""
            says = action.checkpoint
            note = f"waits for a person, at most {action.timeout}"
        else:
            kind, fault, says, note = "wait", "", f"waits {action.wait}", ""
        starts = _starts(action.start, index)
        found.append(Step(action.name, kind, fault, says, starts, note))
    return found


def _starts(start: Any, index: int) -> str:
    if start is None:
        return "after the one above" if index else "first"
    later = f", {start.delay} later" if start.delay else ""
    if start.with_:
        return f"with {', '.join(start.with_)}{later}"
    if start.after:
        return f"after {', '.join(start.after)}{later}"
    return f"at the beginning{later}"


def blast_radius(document: spec.Experiment) -> str:
    """Say in one sentence what a run breaks, where and for how long."""
    parts = [
        f"{action.params.sentence()} through {action.via} for {action.duration}"
        for action in document.faults
    ]
    said = "; then ".join(parts) if len(parts) < 4 else f"{'; '.join(parts[:3])}; and more"
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def irreversible(
    document: spec.Experiment, catalogue: Mapping[str, type[FaultParams]]
) -> list[str]:
    """Return the names of the actions whose faults cannot be undone."""
    return [each.name for each in document.faults if catalogue[each.fault].undo == "none"]


def usage(kind: str) -> list[Experiment]:
    """Return the experiments whose newest version uses the fault."""
    found: Iterable[ExperimentVersion] = _newest_versions().values()
    names = [
        version.experiment_id
        for version in found
        if any(action.get("fault") == kind for action in version.document.get("method", []))
    ]
    return list(Experiment.objects.filter(pk__in=names).order_by("title"))


def of_service(name: str) -> list[ExperimentRow]:
    """Return the experiments on a service, the last changed first."""
    newest = _newest_versions()
    found = Experiment.objects.filter(archived_at=None, service=name)
    return _rows([each for each in found if each.pk in newest], newest)


def users_of(service: str) -> dict[str, list[Experiment]]:
    """Return the experiments whose newest versions use the service's SLIs, by the SLI's name."""
    wanted: dict[int, list[str]] = {}
    for pk, version in _newest_versions().items():
        for reference in uses.references(version.document):
            of, _, name = reference.partition(".")
            if of == service:
                wanted.setdefault(pk, []).append(name)
    found: dict[str, list[Experiment]] = {}
    for experiment in Experiment.objects.filter(pk__in=wanted).order_by("title"):
        for name in dict.fromkeys(wanted[experiment.pk]):
            found.setdefault(name, []).append(experiment)
    return found
