"""Reads what Prometheus answered into types; makes no call. Entered from drivers/prometheus.py.

The errors are drawn there; those that only steer its retries are here too, below
SourceUnavailableError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from drivers.http import SourceUnavailableError
from drivers.protocol import DriverError

T = TypeVar("T")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


class QueryError(DriverError):
    """The query is wrong or asks for too much: asking again will not help."""


class WorthAnotherTryError(SourceUnavailableError):
    """A lost connection or an overloaded server; ``pause_s`` is how long to wait first."""

    pause_s = 0.0


class OverloadedError(WorthAnotherTryError):
    """The server answered 503."""

    pause_s = 0.2


class NoSuchPathError(SourceUnavailableError):
    """The server has no such part of the API."""


class Answer(list[T]):
    """What a query found. ``warnings`` say that it may be partial, ``infos`` that it may be odd."""

    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One value. ``time`` is seconds since 1970; ``value`` may be NaN or infinite."""

    labels: Mapping[str, str]
    time: float
    value: float


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values over time: two arrays of one length, times ascending in seconds since 1970.

    A step without a value is absent from both. Values may be NaN or infinite.
    """

    labels: Mapping[str, str]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """A successful answer: its ``data`` as JSON gave it, and the notes beside it."""

    place: str
    content: Any
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()

    def annotate(self, answer: Answer[T]) -> Answer[T]:
        """Add these notes to the answer's own and return it."""
        answer.warnings = tuple(dict.fromkeys(answer.warnings + self.warnings))
        answer.infos = tuple(dict.fromkeys(answer.infos + self.infos))
        return answer


def read_found(place: str, response: httpx.Response, raw: bytes) -> Found:
    """Return a success, or raise what its status and body mean."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _not_the_api(place, response) from error
    if not isinstance(body, dict) or body.get("status") not in ("success", "error"):
        raise _not_the_api(place, response)
    if body["status"] == "error" or not response.is_success:
        raise _refusal(place, response.status_code, body)
    return Found(place, body.get("data"), _notes(body, "warnings"), _notes(body, "infos"))


def read_samples(found: Found) -> Answer[Sample]:
    """Return a vector's or a scalar's samples. Raises QueryError for anything else."""
    answer = Answer[Sample]()
    with well_formed(found.place):
        kind, result = found.content["resultType"], found.content["result"]
        if kind == "scalar":
            answer.append(Sample({}, float(result[0]), float(result[1])))
        elif kind == "vector":
            for row in result:
                _refuse_native_histogram(row, "value")
                when, value = row["value"]
                answer.append(Sample(dict(row["metric"]), float(when), float(value)))
        else:
            hint = "A range such as [5m] needs a function around it." if kind == "matrix" else ""
            raise QueryError(f"The query gives a {kind}, not one value per series.", hint=hint)
    return found.annotate(answer)


def read_matrix(found: Found) -> Answer[TimeSeries]:
    """Return a matrix's series. Raises QueryError for anything else."""
    answer = Answer[TimeSeries]()
    with well_formed(found.place):
        kind, result = found.content["resultType"], found.content["result"]
        if kind != "matrix":
            raise QueryError(f"The query gives a {kind}, not values over time.")
        for row in result:
            _refuse_native_histogram(row, "values")
            pairs = row["values"]
            answer.append(
                TimeSeries(
                    dict(row["metric"]),
                    np.array([float(when) for when, _ in pairs], dtype=np.float64),
                    # float() reads the "NaN", "+Inf" and "-Inf" that Prometheus writes.
                    np.array([float(value) for _, value in pairs], dtype=np.float64),
                )
            )
    return found.annotate(answer)


def read_duration(text: str) -> float | None:
    """Return a duration as Prometheus writes it (``1m30s``, ``400ms``) in seconds; None if none."""
    if not re.fullmatch(r"(\d+(ms|[smhdwy]))+", text):
        return None
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def join_series(parts: Sequence[TimeSeries]) -> TimeSeries:
    """Return one series from its slices in order of time."""
    return TimeSeries(
        parts[0].labels,
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


@contextmanager
def well_formed(place: str) -> Iterator[None]:
    """Turn the errors of reading a body of an unexpected shape into SourceUnavailableError."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise SourceUnavailableError(
            f"{place} answered in a form that is not Prometheus's.", retryable=False
        ) from error


def _refuse_native_histogram(row: Mapping[str, Any], expected: str) -> None:
    if expected not in row and ("histogram" in row or "histograms" in row):
        raise QueryError(
            "The query gives native histograms, not numbers.",
            hint="Use histogram_quantile, histogram_count or histogram_sum.",
        )


def _notes(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = body.get(name)
    return tuple(str(note) for note in found) if isinstance(found, list) else ()


def _refusal(place: str, status: int, body: Mapping[str, Any]) -> DriverError:
    kind = str(body.get("errorType", ""))
    message = str(body.get("error") or f"{place} answered {status} without saying why.")
    if kind == "timeout":
        # Asking again would only make a slow server slower.
        return SourceUnavailableError(f"{place} gave up on the query: {message}")
    if status == 503:
        return OverloadedError(f"{place} cannot answer now: {message}")
    if status == 404:
        return NoSuchPathError(f"{place}: {message}", retryable=False)
    if status in (401, 403):
        return _access_refused(place, status)
    if kind in ("bad_data", "execution") or status in (400, 422):
        return QueryError(message)
    return SourceUnavailableError(f"{place} failed ({kind or status}): {message}")


def _not_the_api(place: str, response: httpx.Response) -> SourceUnavailableError:
    status = response.status_code
    if status in (401, 403):
        return _access_refused(place, status)
    if status == 503:
        return OverloadedError(f"{place} is not ready: it answered 503.")
    if status == 429 or status >= 500:
        return SourceUnavailableError(f"{place} answered {status}.")
    if response.is_redirect:
        return SourceUnavailableError(
            f"{place} redirects to {response.headers.get('location', 'nowhere')}.",
            retryable=False,
            hint="Is it a login page, or is the URL's scheme or path prefix wrong?",
        )
    if status >= 400:
        return NoSuchPathError(
            f"{place} answered {status}, without Prometheus's API.",
            retryable=False,
            hint="Check the URL and its path prefix.",
        )
    kind = response.headers.get("content-type", "no content type")
    return SourceUnavailableError(
        f"{place} answered {status} with {kind}, not with Prometheus's JSON.",
        retryable=False,
        hint="Is a login page or another server in front of it?",
    )


def _access_refused(place: str, status: int) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"{place} refused access ({status}).",
        retryable=False,
        hint="Check the connection's bearer token, or its username and password.",
    )
