"""What ``bench.stop`` asks of the installation's database, in a process of its own.

It is the agent of ``tests/system`` (see there) with more commands.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django

django.setup()

from bench import torture_agent  # noqa: E402
from experiments.engine import guardrails  # noqa: E402
from experiments.models import Run  # noqa: E402
from experiments.services import snapshots  # noqa: E402
from tests.system import agent  # noqa: E402


def facts(runs: list[int]) -> dict[str, dict[str, Any]]:
    """Return what the ledger says of each run's one fault and one guardrail.

    Moments are in seconds since 1970, by the database's clock. ``breached_at``: the end of the bin
    that completed the breach; ``blind_at``: when the guardrail's patience ended, or would end.
    """
    found = Run.objects.select_related("version", "environment").filter(pk__in=runs)
    return {str(run.pk): _fact(run) for run in found.prefetch_related("injections")}


def _fact(run: Run) -> dict[str, Any]:
    rows = list(run.injections.all())
    row = rows[0] if rows else None
    moments = ("injected_at", "recover_by", "recovering_at", "gone_at", "recovered_at")
    fact: dict[str, Any] = {name: _seconds(getattr(row, name, None)) for name in moments}
    fact |= {
        "status": run.status,
        "ended_by": run.stop_ended_by,
        "reason": run.stop_reason or run.reason,
        "phase": row.phase if row is not None else "",
        "breached_at": None,
        "blind_at": None,
    }
    document = snapshots.spec_of(run)
    guardrail = document.guardrails[0]
    read = run.readings.filter(kind="guardrail", is_breach__isnull=False).order_by("at")
    samples = list(read.values_list("at", "is_breach"))
    for last in range(1, len(samples) + 1):
        window = samples[:last][-guardrail.breaches.of :]
        if sum(bool(is_breach) for _, is_breach in window) >= guardrail.breaches.count:
            fact["breached_at"] = _seconds(samples[last - 1][0])
            break
    pace = snapshots.pace_of(document, snapshots.sources_of(run))
    if run.baseline_at is not None:
        newest = max([run.baseline_at, *(at for at, _ in samples)])
        fact["blind_at"] = _seconds(newest + guardrails.patience(guardrail, pace))
    return fact


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def services(runs: list[int]) -> dict[str, str]:
    """Return which service each run watches."""
    found = Run.objects.filter(pk__in=runs).values_list("pk", "parameters")
    return {str(pk): parameters["service"] for pk, parameters in found}


def main() -> None:
    """Answer commands until there are no more."""
    mine = (torture_agent.world, facts, services)
    agent._COMMANDS.update({each.__name__: each for each in mine})
    agent.main()


if __name__ == "__main__":
    main()
