"""Feeds guardrails and live charts while a run goes on: one read of each SLI for both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from drivers.protocol import DriverError
from experiments.analysis.series import Series as Bins
from experiments.domain.slis import Sli
from experiments.domain.spec import Experiment
from experiments.engine import guardrails
from experiments.engine.snapshot import Pace
from experiments.models import Reading, Run, Series
from experiments.services import measuring, probing, snapshots, transitions
from experiments.services.outcomes import Outcome

_LEAD_STEPS = 2
_LEAST_EVERY_S = 1.0


def watch(run: Run) -> Outcome:
    """Read the newest bins of every SLI and make the probes that are due. Never raises.

    A source that does not answer is asked once in a round: its SLIs go without data.
    """
    document = snapshots.spec_of(run)
    sources = snapshots.sources_of(run)
    pace = snapshots.pace_of(document, sources)
    end = timezone.now().timestamp() - pace.scrape_s
    stored = {row.sli: row for row in run.series.all()}
    silent: dict[str, str] = {}
    measured: dict[str, measuring.Measured] = {}
    for sli in document.slis:
        if sli.source in silent:
            measured[sli.name] = measuring.Measured(None, silent[sli.source])
            continue
        earlier = _stored(stored.get(sli.name))
        start = _start(run, earlier, pace)
        try:
            measured[sli.name] = measuring.read_series(
                sli, sources[sli.source], start=start, end=end, step_s=pace.step_s
            )
        except DriverError as error:
            silent[sli.source] = str(error)
            measured[sli.name] = measuring.Measured(None, str(error))
    probes = [
        probing.probe(asked, run.environment, sources)
        for asked in document.probes
        if "throughout" in asked.at and _probe_due(run, asked.name, float(asked.every))
    ]
    return Outcome(
        is_ok=True,
        reason="",
        again_s=_every(document, pace),
        findings={"measured": measured, "probes": probes},
    )


def without_data(run: Run, error: str) -> Outcome:
    """Return a round that read nothing, so that the next one comes in time."""
    document = snapshots.spec_of(run)
    pace = snapshots.pace_of(document, snapshots.sources_of(run))
    measured = {sli.name: measuring.Measured(None, error) for sli in document.slis}
    findings = {"measured": measured, "probes": []}
    return Outcome(is_ok=False, reason=error, again_s=_every(document, pace), findings=findings)


def _every(document: Experiment, pace: Pace) -> float:
    wanted = [pace.step_s, *(float(guardrail.every) for guardrail in document.guardrails)]
    wanted += [float(p.every) for p in document.probes if "throughout" in p.at]
    return max(_LEAST_EVERY_S, min(wanted))


def _stored(row: Series | None) -> Bins | None:
    return None if row is None else measuring.read_stored(row.kind, bytes(row.payload))


def _start(run: Run, earlier: Bins | None, pace: Pace) -> float:
    if earlier is not None and len(earlier.times):
        return float(earlier.times[-1]) - _LEAD_STEPS * pace.step_s
    since = run.baseline_at or run.requested_at
    return since.timestamp() - _LEAD_STEPS * pace.step_s


def _probe_due(run: Run, name: str, every_s: float) -> bool:
    newest = run.readings.filter(kind="probe_throughout", name=name).order_by("-at").first()
    return newest is None or timezone.now() - newest.at >= timedelta(seconds=every_s * 0.9)


def commit(run: Run, outcome: Outcome, now: datetime) -> None:
    """Merge the bins into the run's series and write each guardrail's new samples."""
    document = snapshots.spec_of(run)
    measured: dict[str, measuring.Measured] = outcome.findings["measured"]
    stored = {row.sli: row for row in run.series.all()}
    for sli in document.slis:
        keep(run, sli, stored.get(sli.name), measured[sli.name], now)
    _guardrail_readings(run, document, measured, now)
    probing.keep(run, outcome.findings["probes"], "throughout", now)
    transitions.touch(run_id=run.pk)


def keep(
    run: Run, sli: Sli, row: Series | None, measured: measuring.Measured, now: datetime
) -> None:
    """Merge what was read into the stored series of the SLI."""
    series: Any = measured.series
    if series is None:
        if row is not None:
            Series.objects.filter(pk=row.pk).update(problem=measured.problem)
        return
    earlier: Any = _stored(row)
    if earlier is not None and earlier.step_s == series.step_s:
        series = earlier.merge(series)
    step_s = series.step_s
    Series.objects.update_or_create(
        run=run,
        sli=sli.name,
        defaults={
            "kind": sli.measure.kind,
            "payload": series.to_bytes(),
            "problem": measured.problem,
            "queries": list(measuring.queries(sli, step_s)),
            "updated_at": now,
        },
    )


def _guardrail_readings(
    run: Run, document: Experiment, measured: dict[str, measuring.Measured], now: datetime
) -> None:
    """Write one reading for each new bin: a bin read twice is one sample."""
    since = (run.baseline_at or now).timestamp()
    for guardrail in document.guardrails:
        sli = document.sli(guardrail.sli)
        found = measured[sli.name]
        rows: list[Reading] = []
        if found.series is not None:
            values = measuring.bin_values(sli, found.series)
            edge = guardrail.above if guardrail.above is not None else guardrail.below
            bound = sli.in_unit(edge if edge is not None else 0.0)
            for at, value in zip(found.series.times, values, strict=True):
                if at > since and np.isfinite(value):
                    rows.append(
                        Reading(
                            run=run,
                            kind="guardrail",
                            name=guardrail.name,
                            at=datetime.fromtimestamp(float(at), UTC),
                            value=float(value),
                            is_breach=guardrails.is_breach(guardrail, float(value), bound),
                            note=measuring.show(sli, float(value)),
                        )
                    )
        Reading.objects.bulk_create(rows, ignore_conflicts=True)
        if found.problem:
            Reading.objects.filter(
                run=run, kind="guardrail", name=guardrail.name, is_breach__isnull=True
            ).delete()
            Reading.objects.create(
                run=run, kind="guardrail", name=guardrail.name, at=now, note=found.problem
            )
