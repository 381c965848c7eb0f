"""Makes the probes that are asked throughout a run, each as often as it wants."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from experiments.models import Run
from experiments.services import probing, snapshots, transitions
from experiments.services.outcomes import Outcome

_EARLY = 0.9
"""A probe asked so much of its interval ago is due again: rounds are never quite on time."""


def probe(run: Run) -> Outcome:
    """Make the probes that are due. Never raises for a target that does not answer."""
    document = snapshots.spec_of(run)
    sources = snapshots.sources_of(run)
    asked = [each for each in document.probes if "throughout" in each.at]
    rows = run.readings.filter(kind="probe_throughout").values("name").annotate(at=Max("at"))
    newest: dict[str, datetime] = {row["name"]: row["at"] for row in rows.order_by()}
    now = timezone.now()
    results = [
        probing.probe(each, run.environment, sources)
        for each in asked
        if each.name not in newest
        or now - newest[each.name] >= timedelta(seconds=float(each.every) * _EARLY)
    ]
    again_s = max(1.0, min(float(each.every) for each in asked))
    return Outcome(is_ok=True, reason="", again_s=again_s, findings={"probes": results})


def not_made(run: Run, error: str) -> Outcome:
    """Return a round in which none could be made: each is missing, and asked again in time."""
    document = snapshots.spec_of(run)
    asked = [each for each in document.probes if "throughout" in each.at]
    missing = [probing.Probed(each.name, None, error) for each in asked]
    again_s = max(1.0, min(float(each.every) for each in asked))
    return Outcome(is_ok=False, reason=error, again_s=again_s, findings={"probes": missing})


def commit(run: Run, outcome: Outcome, now: datetime) -> None:
    """Keep the outcomes, and let open pages know."""
    probing.keep(run, outcome.findings["probes"], "throughout", now)
    transitions.touch(run_id=run.pk)
