"""Shows a run in a terminal: its progress, its verdict, and its figures as plain data."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.core.management.base import OutputWrapper
from django.utils import timezone

from experiments.models import Environment, ExperimentVersion, Injection, Run, User
from experiments.services import launching, measuring

_seen: dict[int, int] = {}


def launch(*, version: ExperimentVersion, environment: Environment) -> Run:
    """Request a run as the person ``demo``."""
    return launching.request_run(
        version=version,
        environment=environment,
        user=User.objects.get(username="demo"),
        idempotency_key=secrets.token_hex(8),
    )


def follow(run: Run, out: OutputWrapper) -> bool:
    """Write what is new in the journal. Return whether the run goes on."""
    run.refresh_from_db()
    for event in run.events.filter(pk__gt=_seen.get(run.pk, 0)):
        moved = f"{event.old} → {event.new}: " if event.old else ""
        out.write(f"  {event.at:%H:%M:%S} {moved}{event.message}")
        _seen[run.pk] = event.pk
    return run.is_live


def table(run: Run, out: OutputWrapper) -> None:
    """Write the verdict and a line for each SLI."""
    judgement = run.judgement or {}
    out.write(
        f"\n  {run.verdict.upper().replace('_', ' ')}: {judgement.get('sentence', run.reason)}"
    )
    rows = [("SLI", "expected", "baseline", "fault", "recovery", "reads as")]
    for sli in judgement.get("slis", []):
        rows.append(
            (
                sli["name"],
                sli["expect"].replace("_", " "),
                *(_value(sli, name) for name in ("baseline", "fault", "recovery")),
                sli["outcome"].replace("_", " "),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.write("  " + "  ".join(cells).rstrip())


def _value(sli: dict[str, Any], phase: str) -> str:
    value = sli["phases"].get(phase, {}).get("value")
    return "–" if value is None else measuring.show_value(value, sli["unit"])


def result(run: Run, expected_verdict: str) -> dict[str, Any]:
    """Return the run's figures as plain data."""
    judgement = run.judgement or {}
    injection = run.injections.order_by("position").first()
    evidence = (injection.evidence or {}) if injection else {}
    return {
        "id": run.pk,
        "experiment": str(run.version),
        "status": run.status,
        "reason": run.reason,
        "verdict": run.verdict,
        "expected_verdict": expected_verdict,
        "sentence": judgement.get("sentence", ""),
        "slis": {sli["name"]: _sli(sli) for sli in judgement.get("slis", [])},
        "requested_share": evidence.get("requested_share"),
        "delivered_share": evidence.get("delivered_share"),
        **_delays(run, injection),
        "finished_at": timezone.now().isoformat(),
    }


def _delays(run: Run, injection: Injection | None) -> dict[str, float | None]:
    if injection is None:
        return {}
    return {
        "request_to_injected_ms": _ms(run.requested_at, injection.injected_at),
        "intent_to_injected_ms": _ms(injection.intent_at, injection.injected_at),
        "recovering_to_recovered_ms": _ms(injection.recovering_at, injection.recovered_at),
    }


def _sli(sli: dict[str, Any]) -> dict[str, Any]:
    kept = ("outcome", "expect", "unit", "phases", "effect", "method", "recovery_s", "recovered")
    return {key: sli.get(key) for key in kept}


def _ms(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return round((end - start).total_seconds() * 1000, 1)
