"""What Prometheus may read of ChaosWeb: everything comes from the database, at each scrape.

Several web processes answer, and none keeps a number of its own: whichever is asked says the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db.models import Count, Min, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from experiments.domain.states import LIVE, InjectionPhase
from experiments.models import Environment, Halt, Injection, Orphan, Run
from experiments.selectors import ledger, runs

_WHERE = ("environment", "service", "run")
"""The labels of a live fault: alerts are muted by ``equal: [environment, service]``."""
_LIVE_STATUSES = sorted(status.value for status in LIVE)


class Metrics(Collector):
    """Reads the database at ``now``, in seven queries however much is live."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric. Raises DatabaseError."""
        environments = dict(Environment.objects.order_by("name").values_list("pk", "name"))
        yield from _faults()
        yield _orphans()
        yield _live_runs(environments)
        yield _halted(environments)
        yield _overdue(self._now)
        yield _ended(environments)


def _faults() -> Iterator[Metric]:
    live = GaugeMetricFamily(
        "chaosweb_fault_live",
        "1 for each run of which at least one fault may be in effect.",
        labels=_WHERE,
    )
    unconfirmed = GaugeMetricFamily(
        "chaosweb_fault_unconfirmed",
        "1 for each run with a fault whose removal was tried and is not confirmed.",
        labels=_WHERE,
    )
    told = GaugeMetricFamily(
        "chaosweb_fault_info",
        "1 for each fault that may be in effect; backend is the kind of its connection.",
        labels=(*_WHERE, "action", "fault", "phase", "connection", "backend"),
    )
    found: dict[tuple[str, str, str], bool] = {}
    for row in _may_be_live():
        run = row.run
        where = (run.environment.name, run.version.experiment.service, str(run.pk))
        is_unchecked = row.unchecked_since is not None
        is_failing = row.phase == InjectionPhase.RECOVERING and row.failures > 0
        found[where] = found.get(where, False) or is_unchecked or is_failing
        connection = row.connection
        told.add_metric(
            (*where, row.action, row.fault, row.phase, connection.name, connection.kind), 1
        )
    for where, is_unconfirmed in found.items():
        live.add_metric(where, 1)
        if is_unconfirmed:
            unconfirmed.add_metric(where, 1)
    yield live
    yield unconfirmed
    yield told


def _may_be_live() -> Iterator[Injection]:
    """Return what may exist, and what was closed by hand and is not yet seen gone."""
    return (
        Injection.objects.filter(
            Q(phase__in=ledger.MAY_EXIST_VALUES) | Q(unchecked_since__isnull=False)
        )
        .select_related("connection", "run__version__experiment", "run__environment")
        .only(
            "action",
            "fault",
            "phase",
            "failures",
            "unchecked_since",
            "connection__name",
            "connection__kind",
            "run__environment__name",
            "run__version__experiment__service",
        )
        .order_by("run_id", "position")
        .iterator()
    )


def _orphans() -> Metric:
    family = GaugeMetricFamily(
        "chaosweb_orphans",
        "Faults of ours on a backend that no run looks after.",
        labels=("connection",),
    )
    rows = Orphan.objects.order_by().values("connection__name")
    for row in rows.annotate(left=Count("pk", filter=Q(gone_at__isnull=True))):
        family.add_metric((row["connection__name"],), row["left"])
    return family


def _live_runs(environments: Mapping[int, str]) -> Metric:
    family = GaugeMetricFamily(
        "chaosweb_runs", "Runs that have not ended.", labels=("environment", "status")
    )
    rows = Run.objects.filter(status__in=runs.LIVE_VALUES).order_by()
    keys = rows.values_list("environment_id", "status")
    counts = {(place, status): count for place, status, count in keys.annotate(n=Count("*"))}
    for place, name in environments.items():
        for status in _LIVE_STATUSES:
            family.add_metric((name, status), counts.get((place, status), 0))
    return family


def _halted(environments: Mapping[int, str]) -> Metric:
    family = GaugeMetricFamily(
        "chaosweb_halted",
        "1 while no run may start; without an environment: of the whole installation.",
        labels=("environment",),
    )
    halted = set(Halt.objects.filter(lifted_at__isnull=True).values_list("scope", flat=True))
    for scope in ("", *environments.values()):
        family.add_metric((scope,), scope in halted)
    return family


def _overdue(now: datetime) -> Metric:
    due = Run.objects.filter(status__in=runs.LIVE_VALUES).aggregate(due=Min("next_due"))["due"]
    late_s = max(0.0, (now - due).total_seconds()) if due else 0.0
    return GaugeMetricFamily(
        "chaosweb_run_overdue_seconds",
        "How long the most overdue live run has waited to be advanced; 0 when none waits.",
        value=late_s,
    )


def _ended(environments: Mapping[int, str]) -> Metric:
    """Count all runs that ever ended: a read of the index ``run_ended`` alone, no row of a run."""
    family = CounterMetricFamily(
        "chaosweb_runs_ended",
        "Runs that have ended; verdict is empty where nothing was judged.",
        labels=("environment", "verdict", "status"),
    )
    rows = Run.objects.filter(ended_at__isnull=False).order_by()
    keys = rows.values_list("environment_id", "verdict", "status")
    for place, verdict, status, count in keys.annotate(n=Count("*")):
        if place in environments:  # else it was made since: the next scrape has it
            family.add_metric((environments[place], verdict, status), count)
    return family
