"""Proposes what a newcomer would otherwise have to know: aliases, times, SLIs and starters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.units import Duration
from experiments.analysis.gate import LEAST_BINS
from experiments.models import Alias, Connection, Environment
from experiments.selectors import schedule
from experiments.services import (
    connecting,
    discovering,
    drafts,
    judging,
    launching,
    library,
    snapshots,
)
from experiments.services.discovering import Ready
from experiments.services.library import Starter

MOST_STARTERS = 3
_ALIASES: Mapping[str, str] = {
    "prometheus": "metrics",
    "envoy": "mesh",
    "fake": "rehearsal",
    "chaosmesh": "cluster",
    "kubernetes": "cluster",
    "fis": "aws",
}
_SPARE = 1.05
"""So much more than a verdict needs at least: the newest steps are not always usable."""
_LONGEST_FAULT_S = 900.0
_SHORTEST = {"baseline": 60.0, "lasts": 40.0, "settle": 20.0}


def aliases(connections: Iterable[Connection]) -> list[tuple[str, Connection]]:
    """Return an alias for each connection, every name once.

    A connection whose name ends in an alias that starters use keeps it: ``eu-edge`` is ``edge``.
    """
    wanted = {name for starter in library.starters() for name, _ in starter.connections}
    found: dict[str, Connection] = {}
    for connection in sorted(connections, key=lambda each: not _own(each, wanted)):
        usual = _ALIASES.get(connection.kind, connection.kind)
        choices = (_own(connection, wanted), usual, connection.name)
        name = next((each for each in choices if each and each not in found), connection.name)
        found[name] = connection
    return sorted(found.items())


def _own(connection: Connection, wanted: Iterable[str]) -> str:
    usual = _ALIASES.get(connection.kind, "")
    fitting = {"envoy": {"mesh", "edge", "replica", "zone-a"}}.get(connection.kind, {usual})
    return next(
        (
            name
            for name in sorted(set(wanted) & fitting)
            if re.search(rf"(^|[-_]){name}$", connection.name)
        ),
        "",
    )


def unused() -> list[Connection]:
    """Return the connections that no environment names yet; all of them where each is named."""
    everything = list(Connection.objects.all())
    named = set(Alias.objects.values_list("connection_id", flat=True))
    return [each for each in everything if each.pk not in named] or everything


def answering(connections: Iterable[Connection]) -> list[Connection]:
    """Return the connections that can be used now: a source that is silent says nothing of times.

    Each Prometheus is asked; the others are taken as they are.
    """
    return [
        each for each in connections if each.kind != "prometheus" or connecting.check(each).is_ok
    ]


def times(connections: Iterable[Connection]) -> dict[str, str]:
    """Return how long the starters' phases must be here for a verdict, by their parameters.

    Nothing without a Prometheus.
    """
    sources = [each for each in connections if each.kind == "prometheus"]
    if not sources:
        return {}
    starter = next(each for each in library.starters() if each.document.slis)
    slowest = max(sources, key=lambda each: (each.scrape_interval_s, each.flush_interval_s))
    step = snapshots.least_step(starter.document, dict.fromkeys(starter.document.aliases, slowest))
    steps = {
        "baseline": LEAST_BINS["baseline"] * _SPARE,
        "lasts": (LEAST_BINS["fault"] + judging.SETTLE_STEPS + 1) * _SPARE,
        "settle": 5.0,
    }
    return {
        name: str(Duration(math.ceil(max(_SHORTEST[name], count * step) / 5) * 5))
        for name, count in steps.items()
    }


def longest_fault(values: Mapping[str, str]) -> str:
    """Return a limit for faults: a quarter of an hour, or what ``times`` says that they take."""
    return str(Duration(max(float(Duration(values.get("lasts", "0s"))), _LONGEST_FAULT_S)))


@dataclass(frozen=True, slots=True)
class Fitting:
    """A starter that an environment has everything for, and how long it would last there."""

    starter: Starter
    lasts: str
    asks: tuple[tuple[str, str, str], ...]
    """Its parameters: name, value in the environment, what it is for."""


def starters(environment: Environment) -> tuple[list[Fitting], int]:
    """Return the best starters for the environment, and how many fit in all.

    What breaks something real goes before rehearsals, first steps before the rest.
    """
    bound = launching.bound_in(environment)
    fitting = [
        each for each in library.starters() if not launching.fits(each.document, environment, bound)
    ]
    reals = any(not each.is_rehearsal for each in fitting)
    order = list(library.LEVELS)
    chosen = sorted(
        fitting, key=lambda each: (reals and each.is_rehearsal, order.index(each.level))
    )
    return [_fitting(each, environment) for each in chosen[:MOST_STARTERS]], len(fitting)


def _fitting(starter: Starter, environment: Environment) -> Fitting:
    declared = starter.document.parameters
    values = {
        name: environment.parameters.get(name, each.default) for name, each in declared.items()
    }
    planned = schedule.plan(drafts.settled(starter.raw, environment))
    asks = tuple((name, str(values[name]), each.description) for name, each in declared.items())
    return Fitting(starter, planned.total if planned else "", asks)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that a Prometheus has SLIs of: a service could be measured by it."""

    kind: Ready
    value: str
    reads: Mapping[str, str]
    """What each preset reads now; without those that had no events."""

    @property
    def key(self) -> str:
        """Return what a form calls it."""
        return f"{self.kind.key}:{self.value}"

    @property
    def now(self) -> list[tuple[str, str]]:
        """Return what each preset is and reads now; a dash where nothing happened."""
        return [
            ("p95" if each.kind == "quantile" else "errors", self.reads.get(each.name, ""))
            for each in self.kind.presets
        ]


def candidates(connection: Connection) -> tuple[list[Candidate], tuple[Any, ...]]:
    """Return everything that a service could be measured by, and what was not answered.

    Raises DriverError.
    """
    kinds, untold = discovering.ready(connection)
    found = []
    for kind in kinds:
        reads = discovering.values(connection, kind)
        found += [Candidate(kind, value, reads.get(value, {})) for value in kind.values]
    return found, untold


def slis(
    candidate: Candidate, *, title: str, source: str, wanted: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the SLIs to store for a service, of those wanted (``p95``, ``errors``)."""
    found = []
    for preset in candidate.kind.presets:
        name = "p95" if preset.kind == "quantile" else "errors"
        if name not in wanted:
            continue
        sli: dict[str, Any] = {
            "name": name,
            "title": f"{title} {name}",
            "preset": preset.name,
            "with": candidate.kind.given(candidate.value),
        }
        if preset.kind == "quantile":
            sli["with"] = {**sli["with"], "q": 0.95}
            sli["margin"] = {"relative": "20%"}
        else:
            sli["limit"] = {"max": "1%"}
            sli["margin"] = {"absolute": "0.5%"}
        if source != "metrics":
            sli["source"] = source
        found.append(sli)
    return found


def alias_of(connection: Connection) -> str:
    """Return what environments call the connection, ``metrics`` before other names."""
    names = set(connection.aliases.values_list("name", flat=True))
    return "metrics" if "metrics" in names or not names else min(names)


def slug(text: str) -> str:
    """Return a name that a service may have, made from a label's value."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:63].strip("-_")
