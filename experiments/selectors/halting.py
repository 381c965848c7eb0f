"""Reads for the halt: what is halted, what a halt would stop, links and webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from experiments.domain.states import LIVE, Status
from experiments.models import Environment, Halt, Injection, Orphan, Run, StopLink, Webhook
from experiments.selectors import ledger, words

STOPPABLE_VALUES = sorted(status.value for status in LIVE - {Status.JUDGING})
"""A run that is being judged has no fault left and ends by itself."""
_LIVE_VALUES = sorted(status.value for status in LIVE)
_PAST = 20


@dataclass(frozen=True, slots=True)
class Place:
    """What lives in one environment."""

    environment: Environment
    runs: int
    """Live runs that a halt stops."""
    ending: int
    """Live runs that were stopped already or are being judged."""
    faults: int
    """Faults that may exist, those that are being removed included."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One environment, or everything (None), and what lives in it."""

    environment: Environment | None
    places: tuple[Place, ...]

    @property
    def name(self) -> str:
        """Return what pages call it."""
        return str(self.environment) if self.environment else "everything"

    @property
    def runs(self) -> int:
        """Return how many live runs a halt stops."""
        return sum(place.runs for place in self.places)

    @property
    def ending(self) -> int:
        """Return how many live runs end already."""
        return sum(place.ending for place in self.places)

    @property
    def faults(self) -> int:
        """Return how many faults may exist."""
        return sum(place.faults for place in self.places)

    @property
    def live_places(self) -> tuple[Place, ...]:
        """Return the environments in which something lives."""
        return tuple(place for place in self.places if place.runs or place.ending or place.faults)

    @property
    def consequence(self) -> str:
        """Say what a halt does here and to how many."""
        stopped = (
            f"{words.counted(self.runs, 'live run')} {'is' if self.runs == 1 else 'are'} stopped"
            if self.runs
            else "no run is live"
        )
        removed = (
            f"{words.counted(self.faults, 'fault')} {'is' if self.faults == 1 else 'are'} removed"
            if self.faults
            else "no fault is there to remove"
        )
        return f"{stopped}, {removed}, new runs are refused until an admin resumes"


@dataclass(frozen=True, slots=True)
class HaltRow:
    """One active halt and what is left to end under it."""

    halt: Halt
    scope: Scope

    @property
    def is_over(self) -> bool:
        """Return whether nothing in its scope lives any more."""
        return not (self.scope.runs or self.scope.ending or self.scope.faults)


def active(environment: Environment | None) -> Halt | None:
    """Return the halt that holds here: that of the installation before the environment's own."""
    rows = halts().filter(lifted_at__isnull=True)
    if environment is None:
        return rows.filter(environment__isnull=True).first()
    holding = list(rows.filter(Q(environment__isnull=True) | Q(environment=environment)))
    return min(holding, key=lambda halt: halt.environment_id or 0, default=None)


def halts() -> QuerySet[Halt]:
    """Return every halt, newest first."""
    return Halt.objects.select_related("environment")


def all_active() -> list[Halt]:
    """Return every halt that nobody has lifted; that of the installation first."""
    rows = halts().filter(lifted_at__isnull=True)
    return sorted(rows, key=lambda halt: (halt.environment is not None, str(halt)))


def past() -> list[Halt]:
    """Return the newest halts that were lifted."""
    return list(halts().filter(lifted_at__isnull=False)[:_PAST])


def refusal(halt: Halt) -> str:
    """Say why no run may start, since when, and what would change it."""
    return (
        f"{name_of(halt)} has been halted since {halt.since:%Y-%m-%d %H:%M:%S} UTC by {halt.actor}"
        f" ({halt.reason}): no run may start until an admin resumes"
    )


def stop_reason(halt: Halt) -> str:
    """Say why the runs under the halt are stopped."""
    return f"{name_of(halt)} was halted by {halt.actor}: {halt.reason}"


def name_of(halt: Halt) -> str:
    """Return what is halted."""
    return str(halt.environment) if halt.environment else "everything"


def scope_summary(environment: Environment | None) -> Scope:
    """Return what lives in the environment, or everywhere, by environment; three queries."""
    places = Environment.objects.all()
    if environment is not None:
        places = places.filter(pk=environment.pk)
    is_left = Q(status__in=STOPPABLE_VALUES, stop_requested_at__isnull=True)
    runs = {
        row["environment"]: (row["live"], row["left"])
        for row in Run.objects.filter(status__in=_LIVE_VALUES)
        .order_by()
        .values("environment")
        .annotate(live=Count("pk"), left=Count("pk", filter=is_left))
    }
    faults = dict(
        Injection.objects.filter(phase__in=ledger.MAY_EXIST_VALUES)
        .order_by()
        .values_list("run__environment")
        .annotate(Count("pk"))
    )
    found = []
    for place in places:
        live, left = runs.get(place.pk, (0, 0))
        found.append(Place(place, left, live - left, faults.get(place.pk, 0)))
    return Scope(environment, tuple(found))


def rows(everywhere: Scope) -> list[HaltRow]:
    """Return the active halts with what is left under each."""
    found = []
    for halt in all_active():
        mine = [
            place
            for place in everywhere.places
            if halt.environment is None or place.environment == halt.environment
        ]
        found.append(HaltRow(halt, Scope(halt.environment, tuple(mine))))
    return found


def stoppable(environment: Environment | None) -> QuerySet[Run]:
    """Return the live runs of the scope that nobody has stopped yet, oldest first."""
    live = Run.objects.filter(status__in=STOPPABLE_VALUES, stop_requested_at__isnull=True).order_by(
        "pk"
    )
    return live if environment is None else live.filter(environment=environment)


def faults(environment: Environment | None) -> QuerySet[Injection]:
    """Return the faults of the scope that may exist."""
    live = ledger.live()
    return live if environment is None else live.filter(run__environment=environment)


def orphans(environment: Environment | None) -> QuerySet[Orphan]:
    """Return the faults in the scope's backends that no run looks after."""
    found = Orphan.objects.filter(gone_at__isnull=True).select_related("connection")
    if environment is None:
        return found
    return found.filter(connection__aliases__environment=environment).distinct()


def links(now: datetime) -> QuerySet[StopLink]:
    """Return the stop links that still work, newest first."""
    return StopLink.objects.filter(revoked_at__isnull=True, expires_at__gt=now).select_related(
        "environment", "run__version__experiment", "created_by"
    )


def webhooks() -> QuerySet[Webhook]:
    """Return the webhooks that still work."""
    return Webhook.objects.filter(revoked_at__isnull=True).select_related(
        "environment", "created_by"
    )
