"""Reads what the last 15 minutes show of one SLI or query, of a draft or of a service.

Nothing is stored. A source that hangs is asked once: it holds its asker for its own time-out, and
no further question is asked after that.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from django.core.cache import cache
from pydantic import ValidationError

from drivers.protocol import DriverError, Problem
from drivers.units import Duration, UnitError
from experiments.analysis import outlook
from experiments.analysis.evidence import PhaseName, SliEvidence
from experiments.analysis.series import Floats
from experiments.domain import presets
from experiments.domain.errors import SpecError, from_pydantic
from experiments.domain.slis import Sli
from experiments.models import Connection, Environment
from experiments.selectors import schedule
from experiments.services import drafts, lacking, measuring, querying, snapshots

WINDOW_S = 900.0
OVER = "the last 15 minutes"
MOST_LINES = 10
KEPT_S = 15
_LEAST_BINS = 5
_MOST_BINS = 90
_MOST_POINTS = 180

Role = Literal["sli", "guardrail", "probe"]
_TERMS = {"sli": outlook.SLI, "guardrail": outlook.GUARDRAIL, "probe": outlook.PROBE}
_LISTS: Mapping[str, Role] = {"slis": "sli", "guardrails": "guardrail", "probes": "probe"}


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a query's answer."""

    label: str
    times: Floats
    values: Floats


Phases = Mapping[PhaseName, float]
"""How many seconds of each phase a draft plans."""


@dataclass(frozen=True, slots=True)
class Recent:
    """What was seen, from ``start`` to ``end`` (unix seconds).

    ``note`` says why there is nothing to see; ``refused`` is what the source cannot read, with
    paths below the row.
    """

    label: str = ""
    role: Role = "sli"
    sentence: str = ""
    note: str = ""
    hint: str = ""
    is_silent: bool = False
    """The source did not answer: asking again may help."""
    problems: tuple[Problem, ...] = ()
    wrong: tuple[SpecError, ...] = ()
    """What must be right before anything can be read."""
    refused: tuple[SpecError, ...] = ()
    sli: Sli | None = None
    promise: SliEvidence | None = None
    """The SLI with its series, its limits and its margins in its unit."""
    value: float | None = None
    lines: tuple[Line, ...] = ()
    start: float = 0.0
    end: float = 0.0
    step_s: float = 0.0
    """The bins that were read: a run's own, or as many of them together as a chart can show."""
    asked: tuple[str, ...] = field(default=())
    """The queries that were sent."""
    source: str = ""

    @property
    def is_drawn(self) -> bool:
        """Return whether there is a line to draw."""
        return bool(self.lines) or self.value is not None


def of_draft(
    raw: Mapping[str, Any], environment: Environment | None, *, key: str, place: int
) -> Recent:
    """Return what the draft's item measures: ``key`` is slis, guardrails or probes.

    An item that cannot be read yet, or no environment to read it in, is said in ``note``.
    """
    document = drafts.measured(raw, environment)
    items = document.get(key)
    item = items[place] if isinstance(items, list) and place < len(items) else None
    role = _LISTS.get(key)
    if role is None or not isinstance(item, Mapping):
        return Recent(note="There is no such row.")
    timing = document.get("timing")
    step = timing.get("step") if isinstance(timing, Mapping) else None
    return _of_item(item, environment, role=role, step=step, phases=_phases(document))


def _phases(document: Mapping[str, Any]) -> Phases:
    """Return how many seconds of each phase the draft plans; nothing where it has no timeline."""
    planned = schedule.plan(document)
    return {"baseline": planned.watched_s, "fault": planned.fault_s} if planned else {}


def of_service(raw: Mapping[str, Any], environment: Environment | None) -> Recent:
    """Return what a service's SLI (as its description has it) measures in the environment."""
    return _of_item(raw, environment, role="sli", step=None)


def of_stored(raw: Mapping[str, Any], environment: Environment | None) -> Recent:
    """Return the same of an SLI that is stored, read every KEPT_S seconds at most.

    Everybody who is signed in may look at it: the source is not asked for each of them.
    """
    bound = drafts.connections_of(environment)
    edited = {name: [each.pk, each.updated_at.isoformat()] for name, each in bound.items()}
    about = json.dumps([environment.pk if environment else None, edited, raw], sort_keys=True)
    key = f"recent:{hashlib.sha256(about.encode()).hexdigest()}"
    found: Recent | None = cache.get(key)
    if found is None:
        found = of_service(raw, environment)
        cache.set(key, found, KEPT_S)
    return found


def _of_item(
    item: Mapping[str, Any],
    environment: Environment | None,
    *,
    role: Role,
    step: Any,
    phases: Phases | None = None,
) -> Recent:
    wanted = _missing_measure(item, role)
    if wanted:
        return Recent(note=wanted)
    try:
        sli = _sli_of(item, role)
        promise = measuring.evidence_of(sli, None, {}, "")
    except (ValidationError, UnitError, presets.PresetError) as error:
        return Recent(note="Shown once its fields are right.", wrong=_wrong(error))
    label = str(item.get("title") or item.get("name") or "It")
    if environment is None:
        return Recent(label, note="Pick an environment to look in: “Preview in”.")
    source = drafts.connections_of(environment).get(sli.source)
    if source is None or source.kind != "prometheus":
        told = "no connection" if source is None else f"a connection of kind {source.kind}"
        return Recent(
            label,
            note=f"{environment} has {told} called “{sli.source}”.",
            hint="Bind the alias on the environment's page, or choose another source.",
        )
    step_s = _step(step, source)
    return _read(sli, promise, source, label=label, role=role, step_s=step_s, phases=phases or {})


def _missing_measure(item: Mapping[str, Any], role: Role) -> str:
    """Return what is not written yet; an empty row is no error."""
    if role == "probe":
        check = item.get("promql")
        written = isinstance(check, Mapping) and str(check.get("query") or "").strip()
        return "" if written else "Write a PromQL query first."
    if role == "guardrail":
        return "" if str(item.get("promql") or "").strip() else "Write its PromQL first."
    if "${" in str([item.get(key) for key in ("ratio", "quantile", "value", "with", "source")]):
        return (
            "It has a parameter without a value: give the parameter a default, or an environment."
        )
    if any(item.get(key) for key in ("ratio", "quantile", "value", "preset")):
        return ""
    if item.get("use"):
        return f"No service has an SLI “{item['use']}”."
    return "Say first what it measures."


def _sli_of(item: Mapping[str, Any], role: Role) -> Sli:
    """Return the item as an SLI; what it is called does not matter here. Raises ValueError."""
    if role == "sli":
        known = {key: item[key] for key in item if key not in ("use", "copied", "name")}
        sli = Sli.model_validate({**known, "name": "it"})
        sli.measure  # noqa: B018  a preset is written out, or raises
        return sli
    if role == "guardrail":
        bounds = {"max": item.get("above"), "min": item.get("below")}
        query, source, unit = item["promql"], item.get("source"), item.get("unit")
    else:
        tolerance = item.get("tolerance")
        met = tolerance if isinstance(tolerance, Mapping) else {}
        bounds = {key: met.get(key) for key in ("max", "min")}
        query, source, unit = item["promql"]["query"], item["promql"].get("source"), None
    return Sli.model_validate(
        {
            "name": "it",
            "value": str(query),
            "source": str(source or querying.SOURCE),
            "unit": unit or None,
            "limit": {key: each for key, each in bounds.items() if each is not None} or None,
        }
    )


def _wrong(error: ValueError) -> tuple[SpecError, ...]:
    if isinstance(error, ValidationError):
        return tuple(from_pydantic(error))
    return (SpecError((), str(error)),)


def _step(given: Any, source: Connection) -> float:
    """Return the step of a run, unless so few of its bins fit that nothing would be seen."""
    least = snapshots.least_step_of(source)
    try:
        step = float(Duration(given)) if given not in (None, "auto") else least
    except UnitError:
        return least
    return step if 0 < step <= WINDOW_S / _LEAST_BINS else least


def _read(
    sli: Sli,
    promise: SliEvidence,
    source: Connection,
    *,
    label: str,
    role: Role,
    step_s: float,
    phases: Phases,
) -> Recent:
    end = time.time() - source.scrape_interval_s
    together = math.ceil(WINDOW_S / _MOST_BINS / step_s)
    found = Recent(
        label,
        role,
        sli=sli,
        promise=promise,
        start=end - WINDOW_S,
        end=end,
        step_s=together * step_s,
        asked=measuring.queries(sli, together * step_s),
        source=sli.source,
    )
    try:
        patience = lacking.Patience(source)
        if sli.measure.kind == "value":
            return _of_query(sli, found, patience, role, step_s)
        return _of_counts(sli, found, patience, step_s, phases)
    except DriverError as error:
        if error.retryable:
            return replace(found, note=error.message, hint=error.hint, is_silent=True)
        refused = _refused(sli, source, error)
        return replace(found, note="Prometheus cannot read it.", refused=refused)


def _of_counts(
    sli: Sli, found: Recent, patience: lacking.Patience, bin_s: float, phases: Phases
) -> Recent:
    """Return the bins of a ratio or a quantile, its value over all of them, and what is wrong."""
    measured = measuring.read_series(
        sli, patience.source, start=found.start, end=found.end, step_s=found.step_s
    )
    if measured.series is None or measured.problem:
        problem = lacking.why(sli, measured.problem, found.step_s, patience)
        return replace(found, note=problem.message, hint=problem.hint)
    promise = replace(found.promise, series=measured.series) if found.promise else None
    assert promise is not None  # noqa: S101  _read has put it there
    value = outlook.value_of(promise)
    problems = (
        *outlook.problems(promise, bin_s, planned=phases),
        *lacking.bad_events(sli, measured.series, patience),
    )
    found = replace(found, promise=promise, problems=problems)
    if not math.isfinite(value):
        return replace(found, note=f"There is no value over {OVER}.")
    said = outlook.sentence(promise, found.label, value, OVER)
    return replace(found, value=value, sentence=said)


def _of_query(
    sli: Sli, found: Recent, patience: lacking.Patience, role: Role, bin_s: float
) -> Recent:
    """Return the lines of a free query; one line has a value and is held against its limits."""
    step = found.step_s if role == "sli" else _fine_step(patience.source)
    found = replace(found, step_s=step)
    span = measuring.grid(found.start, found.end, step)
    assert span is not None  # noqa: S101  the window is longer than five steps
    rows = patience.reader().range(found.asked[0], *span, step, most=MOST_LINES + 1)
    if not rows:
        return replace(
            found,
            note=f"The query returned nothing over {OVER}.",
            hint="Is the target scraped, and are the names right? A query that gives nothing while"
            " all is well is written with “or vector(0)”.",
        )
    lines = tuple(_line(row, rows) for row in rows[:MOST_LINES])
    found = replace(found, lines=lines)
    if len(rows) > 1:
        return replace(found, sentence=_several(len(rows)), problems=_too_many(role))
    series = measuring.value_series(rows, span, step)
    promise = replace(found.promise, series=series) if found.promise else None
    assert promise is not None  # noqa: S101  _read has put it there
    value = outlook.value_of(promise)
    if not math.isfinite(value):
        return replace(found, lines=(), note=f"The query gave no number over {OVER}.")
    said = outlook.sentence(promise, found.label, value, f"{OVER}, on average", _TERMS[role])
    problems = tuple(outlook.problems(promise, bin_s, _TERMS[role]))
    return replace(found, promise=promise, value=value, sentence=said, problems=problems)


def _fine_step(source: Connection) -> float:
    return max(source.scrape_interval_s, WINDOW_S / _MOST_POINTS)


def _line(row: Any, rows: Any) -> Line:
    """Return a series with the labels that tell it from the others."""
    labels = dict(row.labels)
    shared = set.intersection(*(set(each.labels.items()) for each in rows)) if len(rows) > 1 else ()
    own = {key: text for key, text in labels.items() if (key, text) not in shared}
    said = ", ".join(f"{key}={text}" for key, text in sorted(own.items()) if key != "__name__")
    name = labels.get("__name__", "")
    return Line(said or name or "value", np.asarray(row.times), np.asarray(row.values))


def _several(count: int) -> str:
    if count > MOST_LINES:
        return f"It gives more than {MOST_LINES} series; the first {MOST_LINES} are drawn."
    return f"It gives {count} series over {OVER}."


def _too_many(role: Role) -> tuple[Problem, ...]:
    if role == "probe":
        hint = "Sum them to one, or match just one, to be sure which it is."
        told = "A probe looks at the first series only."
        return (Problem(message=told, hint=hint, severity="warning"),)
    what = "An SLI" if role == "sli" else "A guardrail"
    told = f"{what} needs one series: with several there are no data."
    return (Problem(message=told, hint="Sum them, as in sum(…), or match just one."),)


def _refused(sli: Sli, source: Connection, error: DriverError) -> tuple[SpecError, ...]:
    """Return which of the row's queries the server cannot read, and why."""
    raw = sli.model_dump(mode="json", by_alias=True, exclude_none=True)
    for path, _, query in querying.in_document({"slis": [raw]}):
        message, silence = querying.said(source, query)
        if silence:
            break
        if message:
            return (SpecError(path[2:], message),)
    return (SpecError((), error.message),)
