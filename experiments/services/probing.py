"""Makes probes: one HTTP request or one instant query, held against the tolerance."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import regex

from drivers.protocol import DriverError
from experiments import backends
from experiments.backends import HttpAnswer
from experiments.domain import jsonpath
from experiments.domain.method import Probe, Tolerance
from experiments.models import Connection, Environment, Reading, Run
from experiments.services import secrets, transitions

_MATCH_WITHIN_S = 1.0
_SHOWN = 80


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
        sent = secrets.filled(asked.http.headers, environment)
    except secrets.SecretError as error:
        return Probed(asked.name, None, str(error))
    try:
        answer = backends.fetch(
            url=asked.http.url,
            method=asked.http.method,
            headers=sent.headers,
            timeout_s=float(asked.http.timeout),
            allowed=environment.allowed_hosts,
        )
    except DriverError as error:
        # An unreachable service fails its probe; a refused host was never asked.
        return Probed(asked.name, False if error.retryable else None, sent.masked(str(error)))
    # An answer that echoes a secret is masked before anything looks at it: whether a regex matches
    # would tell the secret, one letter after the other.
    text = sent.masked(answer.text, is_cut=answer.is_truncated)
    answer = replace(answer, text=text)
    missed = sent.masked(_missed_of(asked.tolerance, answer))
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
    missed = "; ".join(_missed(asked.tolerance, f"{value:g}", value))
    return Probed(asked.name, not missed, f"{value:g}{': ' if missed else ''}{missed}", value)


def _missed_of(tolerance: Tolerance, answer: HttpAnswer) -> str:
    """Return which tolerance an answer missed, in words; empty when all were met.

    Without a JSONPath the whole answer is what is compared; with one, every value it selects.
    """
    missed = _wrong_status(tolerance, answer.status)
    if tolerance.jsonpath is None:
        return "; ".join([*missed, *_missed(tolerance, answer.text)])
    if answer.is_truncated:
        return "; ".join([*missed, "the answer is too long to be read as JSON"])
    try:
        found = jsonpath.select(tolerance.jsonpath, answer.text)
    except jsonpath.SelectError as error:
        return "; ".join([*missed, str(error)])
    if not found:
        missed.append(f"nothing is at {tolerance.jsonpath}")
    for value in found:
        wrong = _missed(tolerance, _as_text(value), value)
        if wrong:
            missed.append(f"{tolerance.jsonpath} is {_short(_as_text(value))}: {', '.join(wrong)}")
            break
    return "; ".join(missed)


def _wrong_status(tolerance: Tolerance, status: int) -> list[str]:
    if tolerance.status is None:
        return []
    allowed = tolerance.status if isinstance(tolerance.status, tuple) else (tolerance.status,)
    is_allowed = status in allowed
    return [] if is_allowed else [f"the status must be {' or '.join(map(str, allowed))}"]


def _as_text(value: Any) -> str:
    """Return a value of JSON as texts are compared: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _missed(tolerance: Tolerance, text: str, value: Any = None) -> list[str]:
    """Return which bounds a text missed, or the number or the value of JSON that it stands for."""
    missed: list[str] = []
    number = _number(value, text)
    if number is None and (tolerance.min is not None or tolerance.max is not None):
        missed.append("is not a number")
    if number is not None and tolerance.min is not None and number < tolerance.min:
        missed.append(f"must be at least {tolerance.min:g}")
    if number is not None and tolerance.max is not None and number > tolerance.max:
        missed.append(f"must be at most {tolerance.max:g}")
    if tolerance.equals is not None and not _equal(tolerance.equals, text, value):
        wanted = tolerance.equals
        missed.append(
            f"must equal {f'{wanted:g}' if isinstance(wanted, float) else _as_text(wanted)}"
        )
    if tolerance.regex is not None:
        missed += _unmatched(tolerance.regex, text)
    return missed


def _number(value: Any, text: str) -> float | None:
    """Return the number; None for what is none. True and false of JSON are none."""
    try:
        number = float(text.strip() if value is None or isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if isinstance(value, bool) or math.isnan(number) else number


def _unmatched(pattern: str, text: str) -> list[str]:
    """Return that the text does not match. A pattern that explodes ends by itself, and is missed.

    The standard library's matcher has no time-out and stops every other thread meanwhile.
    """
    try:
        found = regex.search(pattern, text, timeout=_MATCH_WITHIN_S, concurrent=True)
    except TimeoutError:
        return [f"{pattern} takes too long to match"]
    return [] if found else [f"must match {pattern}"]


def _equal(wanted: bool | str | float, text: str, value: Any) -> bool:
    if isinstance(wanted, bool):
        return text.strip() == _as_text(wanted)
    number = _number(value, text)
    if isinstance(wanted, int | float) and number is not None:
        return math.isclose(number, wanted, rel_tol=1e-9)
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
