"""The look before the first fault: we do not inject into a sick system."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
from django.utils import timezone

from drivers.protocol import Problem
from experiments.domain.method import Guardrail
from experiments.domain.slis import Sli
from experiments.engine import guardrails
from experiments.engine.snapshot import Pace
from experiments.models import Run
from experiments.services import measuring, probing, snapshots
from experiments.services.outcomes import Outcome, problems_json, tell

_LEAST_STEPS = 5


def gate(run: Run) -> Outcome:
    """Return whether every limit is met, every guardrail fed and quiet, every start probe passed.

    Raises DriverError when Prometheus cannot be asked.
    """
    document = snapshots.spec_of(run)
    sources = snapshots.sources_of(run)
    pace = snapshots.pace_of(document, sources)
    now = timezone.now().timestamp()
    end = now - pace.scrape_s
    began = run.baseline_at.timestamp() if run.baseline_at else now
    start = min(began, end - _LEAST_STEPS * pace.step_s)
    problems: list[Problem] = []
    for sli in document.measures:
        measured = measuring.read_series(
            sli, sources[sli.source], start=start, end=end, step_s=pace.step_s
        )
        problems += _sick(sli, measured)
        problems += [
            problem
            for guardrail in document.guardrails
            if document.watched(guardrail) == sli
            for problem in _speaks(guardrail, sli, measured, now, pace)
        ]
    probes = [
        probing.probe(asked, run.environment, sources)
        for asked in document.probes
        if "start" in asked.at
    ]
    for result in probes:
        if not result.passed:
            outcome = "failed" if result.passed is False else "could not be made"
            problems.append(
                Problem(message=f"the start probe {outcome}: {result.detail}", where=result.name)
            )
    return Outcome(
        is_ok=not problems,
        reason=f"not healthy before the fault: {tell(tuple(problems))}"
        if problems
        else "the system is healthy: limits met, guardrails quiet, start probes passed",
        problems=tuple(problems),
        findings={"probes": probes},
    )


def _sick(sli: Sli, measured: measuring.Measured) -> list[Problem]:
    overall = measuring.overall(sli, measured.series) if measured.series else math.nan
    if measured.problem or math.isnan(overall):
        asked = measuring.queries(sli, measured.series.window_s if measured.series else 60)
        reason = measured.problem or f"{asked[-1]} gave no value"
        return [
            Problem(
                message=f"no data: {reason}.",
                hint="Is the target scraped? A query that gives nothing while all is well is "
                "written with “or vector(0)”."
                if sli.measure.kind == "value"
                else "Is the target scraped, and is there traffic?",
                where=sli.name,
            )
        ]
    found = []
    if sli.limit is not None:
        for bound, sign, word in ((sli.limit.max, 1, "above"), (sli.limit.min, -1, "below")):
            if bound is not None and sign * (overall - sli.in_unit(bound)) > 0:
                message = f"is already {word} its limit {bound}: {measuring.show(sli, overall)}."
                found.append(Problem(message=message, where=sli.name))
    return found


def _speaks(
    guardrail: Guardrail, sli: Sli, measured: measuring.Measured, now: float, pace: Pace
) -> list[Problem]:
    """Return what the guardrail would say at once: breaches, or that it has become blind."""
    if measured.series is None:
        return []
    values = measuring.bin_values(sli, measured.series)
    present = np.isfinite(values)
    newest = values[present][-guardrail.breaches.of :]
    edge = guardrail.above if guardrail.above is not None else guardrail.below
    bound = sli.in_unit(edge if edge is not None else 0.0)
    breaches = [value for value in newest if guardrails.is_breach(guardrail, value, bound)]
    if len(breaches) >= guardrail.breaches.count:
        shown = ", ".join(measuring.show(sli, value) for value in breaches)
        return [Problem(message=f"would stop the run at once: {shown}.", where=guardrail.name)]
    if guardrail.no_data != "ignore" and len(newest):
        silent_s = now - float(measured.series.times[present][-1])
        if silent_s >= guardrails.patience(guardrail, pace).total_seconds():
            message = f"is blind: no new data of {guardrail.watches} for {silent_s:.0f} s."
            return [Problem(message=message, where=guardrail.name)]
    return []


def commit(run: Run, outcome: Outcome, now: datetime) -> None:
    """Keep what was found, and a reading for each start probe."""
    kept = [*run.problems, *problems_json(outcome.problems)]
    Run.objects.filter(pk=run.pk).update(problems=kept)
    probing.keep(run, outcome.findings.get("probes", []), "start", now)
