"""Reads Prometheus, and what answers like it, over its HTTP API.

The errors, the readers' own (drivers/http.py) and one more::

    DriverError
    ├── QueryError              the query or a parameter is wrong, or asks for too much; final
    ├── RequestRefusedError     the connection's options cannot be used; final
    └── SourceUnavailableError  unreachable, too slow, overloaded, not Prometheus; ``retryable``
                                unless only a person can mend it (a refused password, a wrong URL)

A source that is unavailable says nothing about the system under test: its readers record missing
values, never zero.
"""

from __future__ import annotations

import copy
import math
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from drivers.http import (
    RequestRefusedError,
    SourceUnavailableError,
    is_connectable,
    open_client,
    read_at_most,
    sending,
)
from drivers.prometheus_answers import (
    Answer,
    Found,
    NoSuchPathError,
    QueryError,
    Sample,
    TimeSeries,
    WorthAnotherTryError,
    join_series,
    read_duration,
    read_found,
    read_matrix,
    read_samples,
    well_formed,
)
from drivers.protocol import ConnectionConfig, DriverError, Problem

MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_STEPS_PER_REQUEST = 11_000
"""Prometheus refuses more points per series in one range query (web/api/v1/api.go)."""
MAX_STEPS = 500_000
MAX_CLOCK_SKEW_S = 2.0
_LONGEST_GET = 2_000

Moment = datetime | float
"""An aware datetime, or seconds since 1970 in UTC."""

__all__ = [
    "Answer",
    "Moment",
    "Prometheus",
    "QueryError",
    "RequestRefusedError",
    "Sample",
    "SourceUnavailableError",
    "TimeSeries",
]


class Prometheus:
    """One Prometheus server. Thread-safe; open one per process and keep it.

    Options: ``url`` (with a path prefix if there is one), ``timeout_s`` (5), ``headers``,
    ``username``, ``ca_file``, and for its callers ``scrape_interval_s`` and ``flush_interval_s``.
    Secrets: ``bearer``, or ``password`` beside the username. Raises RequestRefusedError for
    options that cannot be used.
    """

    def __init__(self, config: ConnectionConfig) -> None:
        options = config.options
        self.url = _read_url(options.get("url"))
        self.timeout_s = _read_seconds(options, "timeout_s") or 5.0
        self.scrape_interval_s = _read_seconds(options, "scrape_interval_s")
        self.flush_interval_s = _read_seconds(options, "flush_interval_s")
        headers = dict(options.get("headers") or {})
        bearer, username = config.secrets.get("bearer"), options.get("username")
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        auth = None
        if username and not bearer:
            auth = httpx.BasicAuth(str(username), config.secrets.get("password", ""))
        self._client = open_client(headers=headers, auth=auth, ca_file=options.get("ca_file"))
        self._can_format: bool | None = None

    def within(self, seconds: float) -> Self:
        """Return a reader of the same server, over the same connections, that waits no longer."""
        made = copy.copy(self)
        made.timeout_s = min(self.timeout_s, seconds)
        return made

    def instant(self, query: str, at: Moment | None = None) -> Answer[Sample]:
        """Return the query's value for each series at one moment, now by default.

        A scalar is one sample without labels. Raises QueryError and SourceUnavailableError.
        """
        form = {"query": query} | ({} if at is None else {"time": _stamp(at)})
        return read_samples(self._ask("query", form))

    def raw(self, selector: str, at: Moment, length_s: float) -> Answer[TimeSeries]:
        """Return every scraped sample of the ``length_s`` seconds before ``at``, as scraped.

        Takes a bare selector. Raises QueryError and SourceUnavailableError.
        """
        form = {"query": f"{selector}[{round(length_s * 1000)}ms]", "time": _stamp(at)}
        return read_matrix(self._ask("query", form))

    def range(
        self, query: str, start: Moment, end: Moment, step: float, most: int = 0
    ) -> Answer[TimeSeries]:
        """Return the query's values every ``step`` seconds from ``start`` to ``end`` inclusive.

        ``most`` is how many series are enough (0: all of them); older servers give all.
        Asks in slices when the server would refuse so many steps; each slice has the time-out
        for itself. Raises QueryError (also for more than 500 000 steps) and
        SourceUnavailableError.
        """
        # Whole milliseconds, as Prometheus counts them: slices then meet on one grid.
        first_ms, last_ms, step_ms = (_millis(start), _millis(end), round(step * 1000))
        if step_ms < 1 or last_ms < first_ms:
            raise QueryError("A range needs a step of at least 1 ms and an end after its start.")
        steps = (last_ms - first_ms) // step_ms + 1
        if steps > MAX_STEPS:
            raise QueryError(f"The range has {steps} steps, over {MAX_STEPS}; take a longer step.")
        parts: dict[frozenset[tuple[str, str]], list[TimeSeries]] = {}
        answer = Answer[TimeSeries]()
        for offset in range(0, steps, MAX_STEPS_PER_REQUEST):
            count = min(MAX_STEPS_PER_REQUEST, steps - offset)
            low_ms = first_ms + offset * step_ms
            form = {
                "query": query,
                "start": f"{low_ms / 1000:.3f}",
                "end": f"{(low_ms + (count - 1) * step_ms) / 1000:.3f}",
                "step": f"{step_ms / 1000:.3f}",
                **({"limit": str(most)} if most else {}),
            }
            found = self._ask("query_range", form)
            for series in read_matrix(found):
                parts.setdefault(frozenset(series.labels.items()), []).append(series)
            found.annotate(answer)
        answer.extend(map(join_series, parts.values()))
        return answer

    def label_values(
        self, label: str, match: Iterable[str] = (), *, since: Moment | None = None, most: int = 0
    ) -> list[str]:
        """Return the label's known values, sorted, among the series that match any selector.

        ``since`` leaves out what was only there before it; at most ``most`` come (0: all).
        """
        if not re.fullmatch(r"[a-zA-Z_]\w*", label, re.ASCII):
            raise QueryError(f"“{label}” is not a label's name.")
        return self._texts(f"label/{label}/values", match, since, most)

    def label_names(
        self, match: Iterable[str] = (), *, since: Moment | None = None, most: int = 0
    ) -> list[str]:
        """Return the known label names, sorted, among the series that match any selector.

        ``since`` and ``most`` are as of ``label_values``.
        """
        return self._texts("labels", match, since, most)

    def scrape_intervals(self) -> dict[str, float]:
        """Return the longest interval, in seconds, at which each job's targets are scraped.

        As the server's own list of targets says; empty where it keeps none or does not say, as a
        query front-end that others write to. Raises SourceUnavailableError.
        """
        try:
            found = self._ask("targets", {"state": "active"})
        except (NoSuchPathError, QueryError):
            return {}
        longest: dict[str, float] = {}
        with well_formed(self.url):
            for target in (found.content or {}).get("activeTargets") or ():
                seconds = read_duration(str(target.get("scrapeInterval", "")))
                job = str(target["labels"].get("job", ""))
                if seconds:
                    longest[job] = max(longest.get(job, 0.0), seconds)
        return longest

    def metric_names(self) -> list[str]:
        """Return the names of all metrics that the server holds, sorted."""
        return self.label_values("__name__")

    def metadata(self, *, most: int = 0) -> dict[str, list[Mapping[str, str]]]:
        """Return what targets say of their metrics: type, help and unit, by the metric's name.

        A name has several where targets differ; at most ``most`` names come (0: all).
        """
        found = self._ask("metadata", {"limit": str(most)} if most else {})
        with well_formed(self.url):
            return {
                str(name): [
                    {key: str(row.get(key, "")) for key in ("type", "help", "unit")} for row in rows
                ]
                for name, rows in list((found.content or {}).items())[: most or None]
            }

    def series(
        self, match: Iterable[str], start: Moment, end: Moment, *, most: int = 0
    ) -> Answer[Mapping[str, str]]:
        """Return the labels of each series that matches any selector between two moments.

        At most ``most`` come (0: all).
        """
        form: dict[str, str | list[str]] = {"match[]": list(match)}
        form |= {"start": _stamp(start), "end": _stamp(end)}
        form |= {"limit": str(most)} if most else {}
        found = self._ask("series", form)
        with well_formed(self.url):
            answer = Answer[Mapping[str, str]](dict(row) for row in found.content[: most or None])
        return found.annotate(answer)

    def parse(self, query: str) -> str:
        """Return the query as the server would lay it out, or as given if it cannot.

        Raises QueryError with the server's message when it does not parse.
        """
        if self._can_format is not False:
            try:
                text = self._ask("format_query", {"query": query}).content
            except NoSuchPathError:
                self._can_format = False
            else:
                self._can_format = True
                return text if isinstance(text, str) else query
        # In 1970 there is nothing to read, so this costs no more than parsing.
        self._ask("query", {"query": query, "time": "0"})
        return query

    def ready(self) -> bool:
        """Return whether the server answers queries now."""
        try:
            self.instant("vector(1)")
        except DriverError:
            return False
        return True

    def check(self) -> list[Problem]:
        """Return what stands in the way: not reachable, no API, no target up, clocks apart."""
        try:
            before_s = time.time()
            clock = self.instant("time()")
            after_s = time.time()
            targets = self.instant("up")
        except DriverError as error:
            return [Problem(message=error.message, hint=error.hint, where=self.url)]
        problems = []
        skew_s = clock[0].value - (before_s + after_s) / 2 if clock else 0.0
        if abs(skew_s) > MAX_CLOCK_SKEW_S + (after_s - before_s):
            problems.append(
                self._warning(
                    f"Its clock differs from ours by {skew_s:+.1f} s.",
                    "Phases would be read at the wrong moments: synchronise both clocks.",
                )
            )
        down = sorted(_name_target(target) for target in targets if target.value == 0)
        if not targets:
            problems.append(
                self._warning("It scrapes no target.", "Unless others write to it, add targets.")
            )
        elif down:
            named = ", ".join(down[:5]) + (" …" if len(down) > 5 else "")
            what = "No target is" if len(down) == len(targets) else f"{len(down)} targets are not"
            problems.append(self._warning(f"{what} up: {named}.", "Its series have gaps."))
        return problems

    def close(self) -> None:
        """Free the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _warning(self, message: str, hint: str) -> Problem:
        return Problem(message=message, hint=hint, severity="warning", where=self.url)

    def _texts(self, path: str, match: Iterable[str], since: Moment | None, most: int) -> list[str]:
        form: dict[str, str | list[str]] = {"match[]": list(match)}
        form |= {} if since is None else {"start": _stamp(since)}
        # Servers before 2.53 know no limit and give all.
        form |= {"limit": str(most)} if most else {}
        found = self._ask(path, form)
        with well_formed(self.url):
            return sorted(str(text) for text in found.content or ())[: most or None]

    def _ask(self, path: str, form: Mapping[str, str | list[str]]) -> Found:
        """Ask once, and once more after a lost connection or a 503, within one time-out."""
        deadline_s = time.monotonic() + self.timeout_s
        try:
            return self._ask_once(path, form, deadline_s)
        except WorthAnotherTryError as error:
            pause_s = min(error.pause_s, deadline_s - time.monotonic())
            if pause_s > 0:
                time.sleep(pause_s)
            if time.monotonic() >= deadline_s:
                raise
        return self._ask_once(path, form, deadline_s)

    def _ask_once(self, path: str, form: Mapping[str, str | list[str]], deadline_s: float) -> Found:
        url = f"{self.url}/api/v1/{path}"
        # Labels' values are known to GET only; elsewhere a long query travels as a form.
        if len(urlencode(form, doseq=True)) > _LONGEST_GET and not path.startswith("label/"):
            request = self._client.build_request("POST", url, data=form)
        else:
            try:
                request = self._client.build_request("GET", url, params=form)
            except httpx.InvalidURL as error:
                raise QueryError(f"The selector is too long: {error}.") from error
        try:
            with sending(self._client, request, deadline_s) as response:
                raw, is_truncated = read_at_most(response, MAX_ANSWER_BYTES, deadline_s)
        except SourceUnavailableError as error:
            lost = isinstance(error.__cause__, httpx.TransportError)
            if lost and not isinstance(error.__cause__, httpx.TimeoutException):
                raise WorthAnotherTryError(error.message, hint=error.hint) from error
            raise
        if is_truncated:
            raise QueryError(
                f"The answer is larger than {MAX_ANSWER_BYTES >> 20} MiB.",
                hint="Ask for fewer series, or a longer step.",
            )
        return read_found(self.url, response, raw)


def _read_url(url: Any) -> str:
    hint = "Write http://host:9090 or https://host/prefix."
    try:
        parsed = httpx.URL(str(url or "").strip())
    except httpx.InvalidURL as error:
        raise RequestRefusedError(f"“{url}” is not a URL: {error}.", hint=hint) from error
    if parsed.userinfo:
        raise RequestRefusedError(
            "The URL holds a name or password.", hint="Give them as username and password."
        )
    if parsed.scheme not in ("http", "https") or not is_connectable(parsed) or parsed.query:
        raise RequestRefusedError(f"“{url}” is not the URL of a Prometheus.", hint=hint)
    return str(parsed).rstrip("/")


def _read_seconds(options: Mapping[str, Any], name: str) -> float | None:
    if options.get(name) is None:
        return None
    try:
        seconds = float(options[name])
    except (TypeError, ValueError):
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise RequestRefusedError(f"{name} must be a number of seconds above zero.")
    return seconds


def _millis(moment: Moment) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = moment.timestamp()
    return round(moment * 1000)


def _stamp(moment: Moment) -> str:
    return f"{_millis(moment) / 1000:.3f}"


def _name_target(target: Sample) -> str:
    return f"{target.labels.get('job', '?')} {target.labels.get('instance', '?')}"
