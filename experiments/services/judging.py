"""Ends a run with a verdict: reads everything once more, keeps it, and has it judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, cast

from django.utils import timezone

from drivers.protocol import Observation
from experiments.analysis import verdict
from experiments.analysis.evidence import (
    EndedBy,
    FaultEvidence,
    HistogramTotals,
    Phase,
    ProbeEvidence,
    RatioTotals,
    RunEvidence,
    Totals,
)
from experiments.analysis.series import fits
from experiments.domain.spec import Experiment
from experiments.engine.snapshot import Pace
from experiments.models import Injection, Run
from experiments.services import measuring, probing, shared, snapshots
from experiments.services.outcomes import Outcome

_LEAD_STEPS = 5
_MOST_LOST = 0.2
"""A fault that was missing for a larger part of its time, and was put back, was not there."""
SETTLE_STEPS = 2
"""Bins dropped right after each inject and recover: two widths of the window (verdict.md, 0)."""


def phases_of(run: Run, document: Experiment, now: datetime) -> tuple[Phase, ...]:
    """Return the phases as they happened: from confirmed injections and read-back removals."""
    injected = [(row, row.injected_at) for row in run.injections.all() if row.injected_at]
    # The baseline ends where the first fault may have begun, confirmed or not.
    begun = [row.intent_at for row in run.injections.all() if row.intent_at and row.plan]
    first = min(begun, default=run.injecting_at)
    found: list[Phase] = []
    if run.baseline_at is not None and first is not None:
        start = _baseline_start(run, document, first)
        found.append(Phase("baseline", start.timestamp(), first.timestamp()))
    spans = [
        (at, max(at, min(row.lost_at or now, row.recovering_at or row.recovered_at or now)))
        for row, at in injected
    ]
    found += [Phase("fault", at.timestamp(), end.timestamp()) for at, end in sorted(spans)]
    gone = [moment for row, _ in injected if (moment := row.gone_at or row.recovered_at)]
    if gone and len(gone) == len(injected):
        began = max(gone).timestamp()
        settled = run.settling_at.timestamp() if run.settling_at else began
        end = min(settled + float(document.timing.settle), now.timestamp())
        found.append(Phase("recovery", began, max(began, end)))
    return tuple(found)


def _baseline_start(run: Run, document: Experiment, first: datetime) -> datetime:
    """Return where the fault-free time before the first fault begins."""
    last = document.timing.baseline.last
    if last is None:
        return run.baseline_at or first
    start = first - timedelta(seconds=float(last))
    # History counts from where the last fault of another run in this environment was gone.
    others = Injection.objects.filter(
        run__environment=run.environment, injected_at__lt=first, recovered_at__gt=start
    ).exclude(run=run)
    settle = timedelta(seconds=float(document.timing.settle))
    ends = [row.recovered_at + settle for row in others if row.recovered_at]
    return min(first, max([start, *ends]))


def _overlap(phases: Sequence[Phase]) -> bool:
    faults = sorted((p.start, p.end) for p in phases if p.name == "fault")
    return any(later[0] < earlier[1] for earlier, later in pairwise(faults))


def judge(run: Run) -> Outcome:
    """Make the end probes, read every series once more, and judge. Raises DriverError."""
    return _judge(run, problem="")


def without_data(run: Run, error: str) -> Outcome:
    """Judge with what was kept while the run went on: the source does not answer any more."""
    return _judge(run, problem=error)


def _judge(run: Run, problem: str) -> Outcome:
    document = snapshots.spec_of(run)
    sources = snapshots.sources_of(run)
    pace = snapshots.pace_of(document, sources)
    now = timezone.now()
    phases = phases_of(run, document, now)
    settle_s = SETTLE_STEPS * pace.step_s
    known = shared.of_run(run, document)
    measured: dict[str, measuring.Measured] = {}
    totals: dict[str, dict[str, Totals | None]] = {}
    for sli in document.slis:
        earlier = known[sli.name].series if sli.name in known else None
        if problem or not phases:
            measured[sli.name] = measuring.Measured(earlier, problem)
            continue
        source = sources[sli.source]
        start = min(phase.start for phase in phases) - _LEAD_STEPS * pace.step_s
        end = max(phase.end for phase in phases)
        found = measuring.read_series(sli, source, start=start, end=end, step_s=pace.step_s)
        # What was read while the run went on fills only what the source has forgotten since, and
        # only in the same buckets: coarser ones would hide a change.
        series: Any = found.series
        if series is not None and earlier is not None and fits(earlier, series):
            series = cast(Any, earlier).merge(series)
        measured[sli.name] = measuring.Measured(series or earlier, found.problem)
        # Counters at the edges of overlapping phases would count their common part twice.
        if not _overlap(phases):
            totals[sli.name] = measuring.read_totals(sli, source, phases, settle_s)
    probes = [
        probing.probe(asked, run.environment, sources)
        for asked in document.probes
        if "end" in asked.at
    ]
    evidence = RunEvidence(
        phases=phases,
        slis=tuple(
            measuring.evidence_of(
                sli,
                measured[sli.name].series,
                totals.get(sli.name, {}),
                measured[sli.name].problem,
            )
            for sli in document.slis
        ),
        faults=tuple(
            _fault(row, settle_s if document.slis else 0.0) for row in run.injections.all()
        ),
        probes=(
            *_earlier_probes(run, document),
            *(_probe(result, "end") for result in probes),
        ),
        ended_by=cast(EndedBy, run.stop_ended_by or "plan"),
        guardrail_on_data=run.is_stopped_on_data,
        settle_s=settle_s,
        scrape_interval_s=pace.scrape_s,
        step_s=pace.step_s,
    )
    judgement = verdict.judge(evidence, seed=run.pk)
    return Outcome(
        is_ok=True,
        reason=judgement.sentence,
        findings={
            "judgement": judgement,
            "measured": measured,
            "totals": totals,
            "probes": probes,
            "phases": phases,
            "pace": pace,
        },
    )


def _fault(row: Injection, settle_s: float) -> FaultEvidence:
    seen = Observation.model_validate(row.evidence) if row.evidence else None
    requested = seen.requested_share if seen else (row.plan or {}).get("requested_share")
    return FaultEvidence(
        action=row.action,
        requested_share=requested,
        delivered_share=seen.delivered_share if seen else None,
        exposed=None if seen is None or seen.exposed is None else round(seen.exposed),
        affected=None if seen is None or seen.affected is None else round(seen.affected),
        took_effect=True if row.injected_at else None if row.is_unanswered else False,
        detail=row.last_error or (seen.message if seen else ""),
        doubt=_doubt(row, settle_s),
    )


def _doubt(row: Injection, settle_s: float) -> str:
    if row.lost_s > _MOST_LOST * row.duration_s:
        return f"it was missing on its backend for {row.lost_s:.0f} s before it was injected again"
    if row.lost_at is not None:
        return f"it was missing on its backend from {row.lost_at:%H:%M:%S} on"
    end = row.recovering_at or row.recovered_at
    if row.injected_at and end and 0 < (end - row.injected_at).total_seconds() <= settle_s:
        return f"it was shorter than the {settle_s:g} s that are left out after each inject"
    return ""


def _probe(result: probing.Probed, at: Literal["start", "end", "throughout"]) -> ProbeEvidence:
    return ProbeEvidence(result.name, at, result.passed, result.detail)


def _earlier_probes(run: Run, document: Experiment) -> list[ProbeEvidence]:
    """Return the probes made so far; of one made throughout, its first failure if it had one.

    One that was to be made throughout counts from the first fault on, and one that was never made
    is there without an outcome: it proves nothing.
    """
    found: dict[tuple[str, str], ProbeEvidence] = {
        (probe.name, "throughout"): ProbeEvidence(
            probe.name, "throughout", None, "it was never made while a fault was there"
        )
        for probe in document.probes
        if "throughout" in probe.at
    }
    never = dict(found)
    for row in run.readings.filter(kind__in=["probe_start", "probe_throughout"]):
        if row.kind == "probe_throughout" and (
            run.injecting_at is None or row.at < run.injecting_at
        ):
            continue
        at = cast(Literal["start", "throughout"], row.kind.removeprefix("probe_"))
        passed = None if row.is_breach is None else not row.is_breach
        known = found.get((row.name, at))
        if (
            known is None
            or known is never.get((row.name, at))
            or (known.passed is not False and passed is not True)
        ):
            found[(row.name, at)] = ProbeEvidence(row.name, at, passed, row.note)
    return list(found.values())


def commit(run: Run, outcome: Outcome, now: datetime) -> None:
    """Keep the series, the totals, the end probes and the judgement with the run."""
    document = snapshots.spec_of(run)
    found = outcome.findings
    shared.keep(
        run,
        document,
        found["measured"],
        now=now,
        totals=lambda name: _totals_json(found["totals"].get(name, {})),
    )
    probing.keep(run, found["probes"], "end", now)
    judgement = found["judgement"].to_json()
    pace: Pace = found["pace"]
    judgement["step_s"] = pace.step_s
    judgement["phases"] = [
        {"name": phase.name, "start": phase.start, "end": phase.end} for phase in found["phases"]
    ]
    Run.objects.filter(pk=run.pk).update(verdict=judgement["verdict"], judgement=judgement)


def _totals_json(totals: dict[str, Totals | None]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, total in totals.items():
        if isinstance(total, RatioTotals):
            out[name] = {"bad": total.bad, "total": total.total}
        elif isinstance(total, HistogramTotals):
            out[name] = {
                "bounds": [None if bound == float("inf") else bound for bound in total.bounds],
                "counts": list(total.counts),
            }
    return out
