"""Makes probes: one HTTP request or one instant query, held against the tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import regex

from drivers.protocol import DriverError
from experiments import backends
from experiments.domain.method import Probe, Tolerance
from experiments.models import Connection, Environment, Reading, Run
from experiments.services import transitions

_MATCH_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Probed:
    """The outcome of one probe; ``passed`` None: it could not be made, which is never a pass."""

    name: str
    passed: bool | None
    detail: str
    value: float | None = None


def probe(asked: Probe, environment: Environment, sources: dict[str, Connection]) -> Probed:
    """Make the probe once. Never raises for an unreachable target: that is an outcome."""
    if asked.http is not None:
        return _http(asked, environment)
    return _promql(asked, sources)


def _http(asked: Probe, environment: Environment) -> Probed:
    assert asked.http is not None  # noqa: S101 — chosen by the caller
    try:
        answer = backends.fetch(
            url=asked.http.url,
            method=asked.http.method,
            headers=asked.http.headers,
            timeout_s=float(asked.http.timeout),
            allowed=environment.allowed_hosts,
        )
    except DriverError as error:
        # An unreachable service fails its probe; a refused host was never asked.
        return Probed(asked.name, False if error.retryable else None, str(error))
    missed = _missed(asked.tolerance, status=answer.status, text=answer.text)
    took = f"{answer.status} in {answer.elapsed_s * 1000:.0f} ms"
    return Probed(asked.name, not missed, f"{took}{': ' if missed else ''}{missed}")


def _promql(asked: Probe, sources: dict[str, Connection]) -> Probed:
    assert asked.promql is not None  # noqa: S101 — chosen by the caller
    try:
        rows = backends.prometheus(sources[asked.promql.source]).instant(asked.promql.query)
    except DriverError as error:
        return Probed(asked.name, None, str(error))
    if not rows or math.isnan(rows[0].value):
        return Probed(asked.name, None, f"{asked.promql.query} returned nothing")
    value = rows[0].value
    missed = _missed(asked.tolerance, value=value, text=f"{value:g}")
    return Probed(asked.name, not missed, f"{value:g}{': ' if missed else ''}{missed}", value)


def _missed(
    tolerance: Tolerance, *, text: str, status: int | None = None, value: float | None = None
) -> str:
    """Return which tolerance was missed, in words; empty when all were met."""
    missed: list[str] = []
    if tolerance.status is not None:
        allowed = tolerance.status if isinstance(tolerance.status, tuple) else (tolerance.status,)
        if status not in allowed:
            missed.append(f"the status must be {' or '.join(map(str, allowed))}")
    number = value
    if number is None and (tolerance.min is not None or tolerance.max is not None):
        try:
            number = float(text.strip())
        except ValueError:
            missed.append("the answer is not a number")
    if number is not None and tolerance.min is not None and number < tolerance.min:
        missed.append(f"must be at least {tolerance.min:g}")
    if number is not None and tolerance.max is not None and number > tolerance.max:
        missed.append(f"must be at most {tolerance.max:g}")
    if tolerance.equals is not None and not _equal(tolerance.equals, text, value):
        missed.append(f"must equal {tolerance.equals}")
    if tolerance.regex is not None:
        missed += _unmatched(tolerance.regex, text)
    return "; ".join(missed)


def _unmatched(pattern: str, text: str) -> list[str]:
    """Return that the text does not match. A pattern that explodes ends by itself, and is missed.

    The standard library's matcher has no time-out and stops every other thread meanwhile.
    """
    try:
        found = regex.search(pattern, text, timeout=_MATCH_WITHIN_S, concurrent=True)
    except TimeoutError:
        return [f"{pattern} takes too long to match"]
    return [] if found else [f"must match {pattern}"]


def _equal(wanted: str | float, text: str, value: float | None) -> bool:
    if value is not None and isinstance(wanted, int | float):
        return math.isclose(value, wanted, rel_tol=1e-9)
    return text.strip() == str(wanted).strip()


def keep(run: Run, results: list[Probed], moment: str, now: datetime) -> None:
    """Keep one reading for each probe, and a line of the journal."""
    for result in results:
        Reading.objects.update_or_create(
            run=run,
            kind=f"probe_{moment}",
            name=result.name,
            at=now,
            defaults={
                "value": result.value,
                "is_breach": None if result.passed is None else not result.passed,
                "note": result.detail,
            },
        )
        word = {True: "passed", False: "failed", None: "could not be made"}[result.passed]
        transitions.journal(
            run=run,
            kind="probe",
            message=f"{result.name} at the {moment}: {word} ({result.detail})",
            actor="engine",
            now=now,
        )
