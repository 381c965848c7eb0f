"""What watches a run: its guardrails, its probes, and the checkpoints where it waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from experiments.domain import mandatory
from experiments.domain.method import Checkpoint, Guardrail
from experiments.domain.spec import Experiment
from experiments.engine import guardrails
from experiments.engine.snapshot import Pace, Sample
from experiments.models import Environment, Reading, Run
from experiments.selectors import words

_MOST_SAMPLES = 40


@dataclass(frozen=True, slots=True)
class GuardrailRow:
    """One guardrail with its newest samples; marks are quiet, breach or missing, oldest first."""

    name: str
    rule: str
    no_data: str
    marks: tuple[str, ...]
    text: str
    state: str
    reads_as: str
    newest: datetime | None
    value: str
    is_of_environment: bool = False


NO_DATA = {
    "stop": "no data stops the run",
    "ignore": "no data is ignored",
    "checkpoint": "without data it asks a person",
}


def rule_of(guardrail: Guardrail) -> str:
    """Return what the guardrail stops at, on one line."""
    side = "above" if guardrail.above is not None else "below"
    bound = guardrail.above if guardrail.above is not None else guardrail.below
    shown = f"{bound:g}" if isinstance(bound, float) else bound
    return f"{guardrail.watches} {side} {shown}, {guardrail.breaches}"


def of_environment(environment: Environment) -> list[tuple[str, str, str]]:
    """Return name, rule and what happens without data, of each guardrail of an environment."""
    found, _ = mandatory.read(environment.guardrails)
    return [(each.name, rule_of(each), NO_DATA[each.no_data]) for each in found]


def newest_samples(run: Run) -> dict[str, list[Reading]]:
    """Return the newest readings of each guardrail, oldest first, in one query."""
    newest = Window(RowNumber(), partition_by=[F("name")], order_by=F("at").desc())
    rows = run.readings.filter(kind="guardrail").annotate(nth=newest).filter(nth__lte=_MOST_SAMPLES)
    found: dict[str, list[Reading]] = defaultdict(list)
    for row in sorted(rows, key=lambda reading: reading.at):
        found[row.name].append(row)
    return found


def guardrail_rows(run: Run, document: Experiment, pace: Pace, now: datetime) -> list[GuardrailRow]:
    """Return what each guardrail has seen last."""
    if not document.guardrails or (run.baseline_at is None and not run.is_live):
        return []
    samples = newest_samples(run)
    rows = []
    written = len(document.guardrails) - len(run.guardrails)
    for index, guardrail in enumerate(document.guardrails):
        readings = samples.get(guardrail.name, [])[-guardrail.breaches.of :]
        marks = tuple(_mark(reading.is_breach) for reading in readings)
        seen = [reading for reading in readings if reading.is_breach is not None]
        ruling = guardrails.rule(
            guardrail,
            [Sample(row.at, row.value, row.is_breach, row.note) for row in readings],
            watched_since=run.baseline_at or now,
            now=now,
            pace=pace,
        )
        state, reads_as = _reads_as(run, guardrail.name, ruling.state, bool(seen))
        rows.append(
            GuardrailRow(
                name=guardrail.name,
                rule=rule_of(guardrail),
                no_data=NO_DATA[guardrail.no_data],
                marks=("empty",) * (guardrail.breaches.of - len(marks)) + marks,
                text=_marks_text(marks),
                state=state,
                reads_as=reads_as,
                newest=seen[-1].at if seen else None,
                value=seen[-1].note if seen else "",
                is_of_environment=index >= written,
            )
        )
    return rows


def _reads_as(run: Run, name: str, ruled: str, has_samples: bool) -> tuple[str, str]:
    """Return the badge's outcome and words of one guardrail."""
    if run.stop_actor == f"guardrail {name}":
        return "tripped", "stopped the run"
    if run.baseline_at is None:
        return "", "not watching yet" if run.is_live else "never watched"
    if run.status not in ("baseline", "injecting"):
        if not has_samples:
            return "missing", "saw nothing"
        return ("breached", "beyond its bound") if ruled == "breached" else ("quiet", "quiet")
    return {"no_data": ("missing", "no data")}.get(ruled, (ruled, ruled))


def _mark(is_breach: bool | None) -> str:
    return {True: "breach", False: "quiet", None: "missing"}[is_breach]


def _marks_text(marks: Sequence[str]) -> str:
    if not marks:
        return "no sample yet"
    counts = [(mark, marks.count(mark)) for mark in ("quiet", "breach", "missing")]
    told = ", ".join(f"{count} {mark}" for mark, count in counts if count)
    return f"the newest {words.counted(len(marks), 'sample')}: {told}"


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One probe at one moment of the run."""

    name: str
    moment: str
    asks: str
    outcome: str
    text: str
    detail: str
    at: datetime | None


def probe_rows(run: Run, document: Experiment) -> list[ProbeRow]:
    """Return the newest outcome of every probe at each of its moments, and how often it failed."""
    if not document.probes or (run.baseline_at is None and not run.is_live):
        return []
    found: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for row in run.readings.filter(kind__startswith="probe_").order_by("at"):
        found[(row.name, row.kind.removeprefix("probe_"))].append(row)
    rows = []
    for probe in document.probes:
        asks = f"{probe.http.method} {probe.http.url}" if probe.http else ""
        asks = probe.promql.query if probe.promql else asks
        for moment in probe.at:
            readings = found.get((probe.name, moment), [])
            failed = [row for row in readings if row.is_breach]
            shown = (failed or readings)[-1] if readings else None
            outcome, text = _probe_outcome(readings, failed, run.is_live)
            rows.append(
                ProbeRow(
                    name=probe.name,
                    moment=moment,
                    asks=asks,
                    outcome=outcome,
                    text=text,
                    detail=shown.note if shown else "",
                    at=shown.at if shown else None,
                )
            )
    return rows


def _probe_outcome(
    readings: Sequence[Reading], failed: Sequence[Reading], is_live: bool
) -> tuple[str, str]:
    if not readings:
        return "", "not made yet" if is_live else "not made"
    if failed:
        many = len(readings) > 1
        return "failed", f"failed {len(failed)} of {len(readings)} times" if many else "failed"
    unmade = sum(row.is_breach is None for row in readings)
    if unmade:
        return "missing", "could not be made"
    return "passed", "passed" if len(readings) == 1 else f"passed {len(readings)} times"


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint that waits for a person."""

    name: str
    question: str
    since: datetime
    until: datetime | None


def checkpoint_rows(run: Run, document: Experiment | None) -> list[CheckpointRow]:
    """Return the checkpoints that wait now."""
    if not run.is_live:
        return []
    asked = {
        action.name: (action.checkpoint, float(action.timeout))
        for action in (document.method if document else ())
        if isinstance(action, Checkpoint)
    }
    records = list(run.actions.all())
    if document is not None:
        asked |= _asked_by_guardrails(document, {record.name for record in records})
    rows = []
    for record in records:
        if record.kind == "checkpoint" and record.finished_at is None:
            question, timeout_s = asked.get(record.name, (record.name, None))
            until = None
            if timeout_s is not None:
                until = record.started_at + timedelta(seconds=timeout_s)
            rows.append(CheckpointRow(record.name, question, record.started_at, until))
    return rows


def _asked_by_guardrails(document: Experiment, names: set[str]) -> dict[str, tuple[str, float]]:
    """Return the question and the time-out of each checkpoint that a guardrail has opened."""
    guards = {guardrail.name for guardrail in document.guardrails}
    found: dict[str, tuple[str, float]] = {}
    for guardrail in document.guardrails:
        for name in guardrails.checkpoint_names(guardrail.name, guards - {guardrail.name}):
            if name not in names:
                break
            question = f"{guardrail.name} sees no data of {guardrail.watches}. Go on without it?"
            found[name] = (question, guardrails.CHECKPOINT_S)
    return found
