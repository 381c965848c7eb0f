"""Finds out what a Prometheus is good for: how often it scrapes, which SLIs it has data for.

Only reads. Nothing is taken for granted: an interval that the server does not tell is measured.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.protocol import DriverError, Problem
from drivers.units import Duration
from experiments import backends
from experiments.domain import presets, promql
from experiments.domain.presets import Preset
from experiments.models import Connection
from experiments.services import abreast, connecting, measuring

WINDOW_S = 300.0
"""What a present value is computed over."""
_MEASURED_S = 180.0
_ANY = "chaosweb-any-value"
_SENTINEL = re.compile(rf'(\w+)="{_ANY}"')
_ASKED_AT_ONCE = 6
_MOST_VALUES = 100
_FIRST = ("envoy", "sock_shop", "istio")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the server scrapes, in seconds, and how that is known."""

    scrape_s: float | None
    how: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """One kind of thing that ready-made SLIs measure, and which of them the server has.

    ``label`` tells them apart in its metrics, ``field`` in the presets; a kind without a field of
    its own is told apart by ``job``.
    """

    key: str
    title: str
    label: str
    field: str
    presets: tuple[Preset, ...]
    values: tuple[str, ...]
    jobs: tuple[str, ...]
    more: int = 0
    """How many values are not listed."""

    def given(self, value: str) -> dict[str, Any]:
        """Return the fields with which a preset measures the value."""
        if self.field:
            return {self.field: value}
        return {"matchers": promql.matcher(self.label, value)}


@dataclass(frozen=True, slots=True)
class Found:
    """What a Prometheus says of itself."""

    reached: connecting.Reached
    pace: Pace = Pace(None)
    ready: tuple[Ready, ...] = ()


def look(connection: Connection) -> Found:
    """Ask the server for everything; what it refuses is a problem among the others."""
    reached = connecting.check(connection)
    if not reached.is_ok:
        return Found(reached)
    problems = list(reached.problems)
    found: tuple[Ready, ...] = ()
    pace = Pace(None)
    try:
        found, untold = ready(connection)
        problems += untold
        pace = measure_pace(connection, {job for each in found for job in each.jobs})
    except DriverError as error:
        problems.append(_warning(error, connection))
    return Found(connecting.Reached(tuple(problems), reached.says), pace, found)


def _warning(error: DriverError, connection: Connection) -> Problem:
    return Problem(
        message=error.message, hint=error.hint, severity="warning", where=connection.name
    )


def measure_pace(connection: Connection, jobs: Iterable[str] = ()) -> Pace:
    """Return how often what matters is scraped: the slowest of these jobs, or of all.

    Raises DriverError.
    """
    reader = backends.prometheus(connection)
    told = reader.scrape_intervals()
    wanted = {job: told[job] for job in jobs if job in told} or told
    if wanted:
        job = max(wanted, key=lambda name: wanted[name])
        return Pace(wanted[job], f"as its list of targets says of job {job}" if job else "")
    gaps: list[float] = []
    for series in reader.raw("up", time.time(), _MEASURED_S):
        gaps += [later - earlier for earlier, later in itertools.pairwise(series.times)]
    if not gaps:
        return Pace(None)
    # Scrapes come at even times; what is off by less is the network's.
    seconds = round(statistics.median(gaps), 1) or round(statistics.median(gaps), 3)
    return Pace(seconds, "as measured over the last three minutes")


def ready(connection: Connection) -> tuple[tuple[Ready, ...], tuple[Problem, ...]]:
    """Return the ready-made SLIs that the server has data for now, and what it did not answer.

    Raises DriverError when it does not even tell the names of its metrics.
    """
    names = set(backends.prometheus(connection).metric_names())
    kinds = [kind for kind in _kinds() if names.intersection(_metrics(kind.presets))]

    def find(kind: Ready) -> Ready | Problem:
        try:
            return _filled(connection, kind)
        except DriverError as error:
            return _warning(error, connection)

    found = abreast.for_each(kinds, find, threads=_ASKED_AT_ONCE)
    untold = tuple(each for each in found if isinstance(each, Problem))
    return tuple(each for each in found if isinstance(each, Ready) and each.values), untold


def values(connection: Connection, kind: Ready) -> dict[str, dict[str, str]]:
    """Return what each preset reads now, by the kind's values, as people read it.

    A value without events in the last five minutes is left out. Raises DriverError.
    """
    reader = backends.prometheus(connection)
    found: dict[str, dict[str, str]] = {}
    for preset in kind.presets:
        for sample in reader.instant(_present(preset, kind)):
            if math.isfinite(sample.value):
                shown = measuring.show_value(sample.value, preset.unit)
                found.setdefault(sample.labels.get(kind.label, ""), {})[preset.name] = shown
    return found


def _kinds() -> tuple[Ready, ...]:
    """Return every kind that presets know, those of meshes first, without values."""
    grouped: dict[tuple[str, str], list[Preset]] = {}
    for preset in presets.PRESETS.values():
        needed = next((field.name for field in preset.fields if field.required), "")
        grouped.setdefault((preset.name.partition(".")[0], needed), []).append(preset)
    found = [
        Ready(
            key=f"{family}-{field}".strip("-"),
            title=_title(of[0]),
            label=_label(of[0], field) if field else "job",
            field=field,
            presets=tuple(of),
            values=(),
            jobs=(),
        )
        for (family, field), of in grouped.items()
    ]
    return tuple(sorted(found, key=lambda each: not each.key.startswith(_FIRST)))


def _title(preset: Preset) -> str:
    """Return what the kind is called: “Envoy listener” of “Latency at an Envoy listener”."""
    name = re.sub(r"^\w+ (at|of|from) an? ", "", preset.title)
    return name[0].upper() + name[1:]


def _selectors(preset: Preset) -> dict[str, Any]:
    needed = {field.name: _ANY for field in preset.fields if field.required}
    found: dict[str, Any] = preset.expand(needed)[preset.kind]
    return found


def _label(preset: Preset, field: str) -> str:
    texts = [text for text in _selectors(preset).values() if isinstance(text, str)]
    label = next((match[1] for text in texts if (match := _SENTINEL.search(text))), "")
    if not label:
        raise ValueError(f"{preset.name} writes its {field} into no label")
    return label


def _open(selector: str) -> str:
    """Return a selector of every value of the kind's label."""
    return _SENTINEL.sub(r'\1!=""', selector)


def _all(preset: Preset) -> str:
    """Return the selector of all that the preset counts."""
    selectors = _selectors(preset)
    return _open(selectors["total"] if preset.kind == "ratio" else selectors["histogram"])


def _metrics(of: Iterable[Preset]) -> set[str]:
    return {_all(preset).partition("{")[0] for preset in of}


def _filled(connection: Connection, kind: Ready) -> Ready:
    """Return the kind with the presets and the values that the server has."""
    reader = backends.prometheus(connection)
    has: list[Preset] = []
    found: set[str] = set()
    jobs: set[str] = set()
    for preset in kind.presets:
        by = ", ".join(dict.fromkeys((kind.label, "job")))
        rows = reader.instant(f"count by ({by}) ({_all(preset)})")
        if rows:
            has.append(preset)
        found |= {row.labels.get(kind.label, "") for row in rows}
        jobs |= {row.labels["job"] for row in rows if row.labels.get("job")}
    usable = sorted(
        value for value in found if value and has and not has[0].problems(kind.given(value))
    )
    return Ready(
        key=kind.key,
        title=kind.title,
        label=kind.label,
        field=kind.field,
        presets=tuple(has),
        values=tuple(usable[:_MOST_VALUES]),
        jobs=tuple(sorted(jobs)),
        more=max(0, len(usable) - _MOST_VALUES),
    )


def _present(preset: Preset, kind: Ready) -> str:
    """Write the preset's value over the window, one for each of the kind's values."""
    selectors: Mapping[str, Any] = _selectors(preset)
    window = promql.duration(WINDOW_S)
    if preset.kind == "quantile":
        rates = f"rate({_open(selectors['histogram'])}[{window}])"
        return f"histogram_quantile({selectors['q']}, sum by (le, {kind.label}) ({rates}))"
    bad, total = (
        f"sum by ({kind.label}) (increase({_open(selectors[name])}[{window}]))"
        for name in ("bad", "total")
    )
    return f"(({bad}) or 0 * ({total})) / ({total})"


def in_words(seconds: float) -> str:
    """Return an interval as people write it."""
    return str(Duration(seconds))
