"""What a run's stored series say so far: badges and values for a page, never a conclusion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from experiments.analysis import gate, live
from experiments.analysis.evidence import Phase, RunEvidence, Series, SliEvidence
from experiments.analysis.judgement import PhaseValue
from experiments.domain.spec import Experiment
from experiments.engine.snapshot import Pace
from experiments.models import Run
from experiments.selectors import runs
from experiments.services import judging, measuring, shared, snapshots

_NOTHING = PhaseValue(None, 0)


@dataclass(frozen=True, slots=True)
class LiveSli:
    """One SLI of a run that still goes on; values are in the SLI's unit."""

    name: str
    badge: live.Badge
    baseline: PhaseValue
    fault: PhaseValue
    recovery: PhaseValue
    note: str


def pace_of(run: Run, document: Experiment) -> Pace:
    """Return the run's step and how often its sources advance."""
    return snapshots.pace_of(document, snapshots.sources_of(run))


def promises(document: Experiment) -> dict[str, SliEvidence]:
    """Return what is predicted of each SLI, limits and margins in its unit, without any data."""
    return {sli.name: measuring.evidence_of(sli, None, {}, "") for sli in document.slis}


def phases_of(run: Run, document: Experiment, now: datetime) -> tuple[Phase, ...]:
    """Return the phases of the run: those it was judged by, or those that happened so far."""
    judged = (run.judgement or {}).get("phases")
    if judged:
        return tuple(Phase(part["name"], part["start"], part["end"]) for part in judged)
    found = judging.phases_of(run, document, now)
    if not found and run.baseline_at is not None:
        end = run.injecting_at or run.ended_at or now
        return (Phase("baseline", run.baseline_at.timestamp(), end.timestamp()),)
    return found


def read(
    run: Run, document: Experiment, names: Iterable[str] | None = None
) -> tuple[dict[str, Series], dict[str, str]]:
    """Return the series by SLI, and what is wrong with those that lack one.

    An ended run has series of its own; a live one shares them with all who watch the same.
    """
    found: dict[str, Series] = {}
    problems: dict[str, str] = {}
    for row in runs.series_of(run, names):
        try:
            found[row.sli] = measuring.read_stored(row.kind, bytes(row.payload))
        except ValueError as error:
            problems[row.sli] = f"what was stored cannot be read: {error}"
        else:
            if row.problem and not len(found[row.sli].times):
                problems[row.sli] = row.problem
    if not run.is_live:
        return found, problems
    for name, seen in shared.of_run(run, document, names).items():
        if name not in found and seen.series is not None:
            found[name] = seen.series
        if seen.problem and not (name in found and len(found[name].times)):
            problems[name] = seen.problem
    return found, problems


def slis(
    run: Run,
    document: Experiment,
    *,
    pace: Pace,
    phases: tuple[Phase, ...],
    series: Mapping[str, Series],
    problems: Mapping[str, str],
) -> list[LiveSli]:
    """Return a badge and the values of each SLI so far."""
    evidence = RunEvidence(
        phases=phases,
        slis=tuple(
            measuring.evidence_of(sli, series.get(sli.name), {}, problems.get(sli.name, ""))
            for sli in document.slis
        ),
        settle_s=judging.SETTLE_STEPS * pace.step_s,
        scrape_interval_s=pace.scrape_s,
        step_s=pace.step_s,
    )
    found: list[LiveSli] = []
    for sli, seen in zip(evidence.slis, live.so_far(evidence), strict=True):
        recovery = _NOTHING
        if sli.series is not None and len(sli.series.times) and evidence.phases_named("recovery"):
            recovery = gate.read(sli, evidence).phase_value("recovery")
        found.append(LiveSli(seen.name, seen.badge, seen.baseline, seen.fault, recovery, seen.note))
    return found
