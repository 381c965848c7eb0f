"""Writes the PromQL of SLIs, and computes phase totals from raw counters. Makes no call.

People give bare selectors, such as ``requests_total{service="orders",code=~"5.."}``; everything
around them is written here. Per-bin counts come from ``increase``, which extrapolates: they are
estimates. Phase totals come from the counters' own values at the edges of the phase, see
``phase_total``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOOKBACK_S = 300.0
"""How far before a phase its starting values are looked for; Prometheus's own default."""

SeriesKey = frozenset[tuple[str, str]]
"""What identifies a series: its labels without the metric's name."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_STRING = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
_MATCHER = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*({_STRING})\s*")
_EXAMPLE = 'requests_total{service="orders"}'


class SelectorError(ValueError):
    """A text that is no bare selector; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class _Selector:
    name: str
    matchers: tuple[str, ...]
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}{{{','.join(self.matchers)}}}" if self.matchers else self.name


def check_selector(text: str) -> str | None:
    """Return what is wrong with a bare counter selector, or None. Prometheus has the last word."""
    try:
        _read(text)
    except SelectorError as error:
        return str(error)
    return None


def check_histogram(text: str) -> str | None:
    """Return what is wrong with the selector of a classic histogram's buckets, or None."""
    try:
        selector = _read(text)
    except SelectorError as error:
        return str(error)
    if not selector.name.endswith("_bucket"):
        return f"“{selector.name}” is no classic histogram; write the name that ends in _bucket"
    if "le" in selector.labels:
        return "a matcher on le leaves out buckets that the quantile needs; remove it"
    return None


def check_matchers(text: str) -> str | None:
    """Return what is wrong with a list such as ``pod="a",zone=~"eu.*"``, or None; may be empty."""
    try:
        read_matchers(text)
    except SelectorError as error:
        return str(error)
    return None


def read_matchers(text: str) -> tuple[str, ...]:
    """Return the matchers of a list without braces. Raises SelectorError."""
    body = text.strip()
    if not body:
        return ()
    matchers, _ = _read_matchers(body)
    return matchers


def matcher(label: str, value: str, operator: str = "=") -> str:
    """Write one matcher with its value escaped. Raises SelectorError."""
    if operator not in ("=", "!=", "=~", "!~"):
        raise SelectorError(f"“{operator}” compares no label; use =, !=, =~ or !~")
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label):
        raise SelectorError(f"“{label}” is no label; use letters, digits and _")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{label}{operator}"{escaped}"'


def parts(selector: str) -> tuple[str, tuple[str, ...]]:
    """Return a bare selector's metric and its matchers, one by one. Raises SelectorError."""
    found = _read(selector)
    return found.name, found.matchers


def with_matchers(selector: str, *matchers: str) -> str:
    """Return the selector narrowed by more matchers. Raises SelectorError."""
    found = _read(selector)
    added = tuple(one for text in matchers for one in read_matchers(text))
    return str(_Selector(found.name, found.matchers + added, ()))


def duration(seconds: float) -> str:
    """Write a duration as Prometheus reads it, to the millisecond: ``500ms``, ``1m30s``.

    Raises ValueError below one millisecond or when not finite.
    """
    if not math.isfinite(seconds) or round(seconds * 1000) < 1:
        raise ValueError(f"{seconds!r} seconds is no duration for PromQL")
    text, left = "", round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text


def increase(selector: str, window_s: float) -> str:
    """Write the events in each window, over all series. Raises SelectorError.

    An estimate: Prometheus extrapolates to the window's ends, and misses a new series' first value.
    """
    return f"sum(increase({_read(selector)}[{duration(window_s)}]))"


def bucket_increase(histogram: str, window_s: float) -> str:
    """Write the events in each window at or below each ``le``. Raises SelectorError."""
    return f"sum by (le) (increase({_read_histogram(histogram)}[{duration(window_s)}]))"


def ratio(bad: str, total: str, window_s: float) -> str:
    """Write bad events over all events, 0 to 1. Raises SelectorError.

    ``bad`` absent counts as 0 while ``total`` is there; ``total`` absent gives no value, and a
    window without events NaN: both are missing, never 0.
    """
    every = increase(total, window_s)
    return f"({increase(bad, window_s)} or vector(0)) / {every}"


def quantile(histogram: str, q: float, window_s: float) -> str:
    """Write a quantile, in the unit of the histogram's buckets. Raises SelectorError, ValueError.

    A window without events gives NaN, which is missing.
    """
    if not 0 < q < 1:
        raise ValueError(f"the quantile {q!r} must lie between 0 and 1")
    return f"histogram_quantile({q!r}, {bucket_increase(histogram, window_s)})"


def value(query: str) -> str:
    """Return a free query as it is. Raises ValueError when there is none."""
    if not query.strip():
        raise ValueError("a value needs a PromQL query")
    return query.strip()


def edge_start(selector: str, lookback_s: float = LOOKBACK_S) -> str:
    """Write each series' last value up to the evaluation time: ask it at the phase's start.

    Looks past staleness markers: after one failed scrape just before the phase, a plain selector
    would hold no series, and each counter's whole life would count as the phase's.
    """
    return f"last_over_time({_read(selector)}[{duration(lookback_s)}])"


def edge_end(selector: str, phase_s: float) -> str:
    """Write each series' last value within the phase: ask it at the phase's end.

    So a series that ended within the phase, as of a killed pod, still counts.
    """
    return f"last_over_time({_read(selector)}[{duration(phase_s)}])"


def edge_resets(selector: str, phase_s: float, lookback_s: float = LOOKBACK_S) -> str:
    """Write each series' resets since the sample that ``edge_start`` saw: ask at the phase's end.

    Resets over lookback and phase, less those within the lookback: ``resets`` over the phase alone
    would miss the one between the last sample before it and the first within.
    """
    bare = _read(selector)
    whole = f"resets({bare}[{duration(lookback_s + phase_s)}])"
    before = f"resets({bare}[{duration(lookback_s)}] offset {duration(phase_s)})"
    return f"({whole} - {before}) or {whole}"


def series_key(labels: Mapping[str, str]) -> SeriesKey:
    """Return what identifies a series in every edge query: ``resets`` drops the metric's name."""
    return frozenset((name, text) for name, text in labels.items() if name != "__name__")


@dataclass(frozen=True, slots=True)
class PhaseTotal:
    """The events that a counter saw in one phase.

    ``count`` is None when no series was scraped within the phase: missing, not 0. ``reset`` are
    series whose counter restarted; for these ``count`` holds only what came after the restart.
    ``appeared`` are series that began within the phase, ``vanished`` those never scraped in it.
    """

    count: float | None
    reset: frozenset[SeriesKey] = frozenset()
    appeared: frozenset[SeriesKey] = frozenset()
    vanished: frozenset[SeriesKey] = frozenset()

    @property
    def is_exact(self) -> bool:
        """Return whether ``count`` is exact; otherwise it is a lower bound, or None."""
        return self.count is not None and not self.reset and not self.vanished


def phase_total(
    start: Mapping[SeriesKey, float],
    end: Mapping[SeriesKey, float],
    resets: Mapping[SeriesKey, float] | None = None,
) -> PhaseTotal:
    """Return the events between the last scrape before a phase and the last scrape within it.

    ``start``, ``end`` and ``resets`` are the answers to ``edge_start``, ``edge_end`` and
    ``edge_resets``. Promises, for whole-number counters: exact, with no extrapolation, when
    ``is_exact``. A series unknown at the start began within the phase, from 0 (wrong only for an
    old process that Prometheus began to scrape within the phase, hence ``appeared``). A series
    with a reset, told by ``resets`` or by a value below its start, adds its value since the last
    reset: a lower bound, which ``series_total`` makes exact up to the last scrape before the
    restart. Without ``resets`` a counter that restarted and overtook its start goes unnoticed.
    Events after a series' last scrape are in no counter and in no total.
    """
    first = {key: count for key, count in start.items() if math.isfinite(count)}
    last = {key: count for key, count in end.items() if math.isfinite(count)}
    told = resets or {}
    reset = frozenset(
        key for key, count in last.items() if told.get(key, 0) > 0 or count < first.get(key, 0)
    )
    count = math.fsum(
        count if key in reset else count - first.get(key, 0.0) for key, count in last.items()
    )
    return PhaseTotal(
        count=count if last else None,
        reset=reset,
        appeared=frozenset(last.keys() - first.keys()),
        vanished=frozenset(first.keys() - last.keys()),
    )


def phase_buckets(
    start: Mapping[SeriesKey, float],
    end: Mapping[SeriesKey, float],
    resets: Mapping[SeriesKey, float] | None = None,
) -> dict[float, PhaseTotal]:
    """Return ``phase_total`` for each ``le``, ascending, infinity last; counts are cumulative.

    The three mappings answer the edge queries of a ``_bucket`` selector. Series without a
    readable ``le`` are left out.
    """
    bounds = {key: _bound(key) for key in start.keys() | end.keys()}
    found = sorted({bound for bound in bounds.values() if bound is not None})

    def at(bound: float, samples: Mapping[SeriesKey, float]) -> dict[SeriesKey, float]:
        return {key: count for key, count in samples.items() if bounds.get(key) == bound}

    return {
        bound: phase_total(at(bound, start), at(bound, end), at(bound, resets or {}))
        for bound in found
    }


def series_total(values: Sequence[float], start: float | None = None) -> float:
    """Return one series' events from all its raw values in a phase, in order of time.

    ``start`` is its last value before the phase, None if it began within. Each value below the
    one before it is a reset, and counts from 0. Exact up to the scrape before each restart.
    """
    total, previous = 0.0, start or 0.0
    for current in values:
        total += current - previous if current >= previous else current
        previous = current
    return total


def _bound(key: SeriesKey) -> float | None:
    try:
        # Prometheus 2 keeps le="1", Prometheus 3 writes le="1.0": one bucket.
        bound = float(dict(key)["le"])
    except (KeyError, ValueError):
        return None
    return None if math.isnan(bound) else bound


def _read_histogram(text: str) -> _Selector:
    problem = check_histogram(text)
    if problem:
        raise SelectorError(problem)
    return _read(text)


def _read(text: str) -> _Selector:
    body = text.strip()
    if not body:
        raise SelectorError(f"the selector is empty; write for example {_EXAMPLE}")
    name = _NAME.match(body)
    if name is None:
        raise SelectorError(f"“{body}” must begin with a metric's name; write {_EXAMPLE}")
    rest = body[name.end() :].strip()
    if not rest:
        return _Selector(name[0], (), ())
    if rest[0] == "(" or re.match(r"(by|without)\b", rest):
        raise SelectorError(
            f"“{name[0]}” is a function here; write only the selector inside it, ChaosWeb adds "
            "increase, rate and sum"
        )
    if rest[0] == "[":
        raise SelectorError(
            "the selector has a range in brackets; leave it out, ChaosWeb adds the window"
        )
    if rest[0] != "{":
        raise SelectorError(f"“{rest}” may not follow the name; write {_EXAMPLE}")
    matchers, labels, after = _read_braces(rest[1:])
    if after.startswith("["):
        raise SelectorError(
            "the selector has a range in brackets; leave it out, ChaosWeb adds the window"
        )
    if after:
        raise SelectorError(f"“{after}” may not follow the braces; write only one selector")
    return _Selector(name[0], matchers, labels)


def _read_braces(text: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Split what follows the opening brace into matchers, their labels, and what is after."""
    close = _closing(text)
    matchers, labels = _read_matchers(text[:close])
    return matchers, labels, text[close + 1 :].strip()


def _closing(text: str) -> int:
    at = 0
    while at < len(text):
        if text[at] == "}":
            return at
        string = re.compile(_STRING).match(text, at)
        if string is None and text[at] in "\"'`":
            raise SelectorError(f"the quote before “{text[at + 1 : at + 21]}” is never closed")
        at = string.end() if string else at + 1
    raise SelectorError("the brace { is never closed; end the selector with }")


def _read_matchers(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    matchers, labels, at = [], [], 0
    while at < len(text) and text[at:].strip():
        found = _MATCHER.match(text, at)
        if found is None:
            raise SelectorError(
                f'“{text[at:].strip()}” is no label matcher; write label="value", joined by commas'
            )
        matchers.append("".join(found.groups()))
        labels.append(found[1])
        at = found.end()
        if at < len(text):
            if text[at] != ",":
                raise SelectorError(f"“{text[at:]}” needs a comma before it")
            at += 1
    return tuple(matchers), tuple(labels)
