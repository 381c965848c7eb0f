"""Outlook: what an SLI's newest bins say of it, and what would keep a verdict from being reached.

Enters one SLI with what was read of it without any fault; leave a sentence and problems, by the
same rules that a verdict is reached by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from drivers.protocol import Problem
from drivers.units import Duration
from experiments.analysis import gate
from experiments.analysis.bins import QuantileOfSums, columns, measure_of
from experiments.analysis.evidence import PhaseName, SliEvidence
from experiments.analysis.series import Floats, Series
from experiments.analysis.sli import coarse_bucket, margin_at
from experiments.analysis.wording import amount, counted, margin, number

_MOST_NOTED = 2
"""A gap of so many bins is worth a word; a single missing bin is not."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a bound is called: that of an SLI, of a guardrail or of a probe."""

    most: str = "its limit is at most"
    least: str = "its limit is at least"
    beyond: str = "its limit"
    then: str = "A run is refused while a limit is broken before any fault."


SLI = Terms()
GUARDRAIL = Terms(
    "it stops above",
    "it stops below",
    "where it stops a run",
    "A run is refused while a guardrail is not quiet before any fault.",
)
PROBE = Terms(
    "it may be at most",
    "it must be at least",
    "what its tolerance allows",
    "A run is refused while a start probe fails.",
)


def value_of(sli: SliEvidence) -> float:
    """Return the SLI's value over all its bins, from summed counts; NaN without data."""
    rows = _present(sli.series)
    return float(measure_of(sli).value(rows.sum(axis=0))) if len(rows) else math.nan


def allowed(sli: SliEvidence, value: float) -> float | None:
    """Return how bad the SLI may become by its margin alone; None without one."""
    given = margin_at(sli, value)
    return None if given is None else value + sli.worse_sign * given


def sentence(sli: SliEvidence, label: str, value: float, over: str, terms: Terms = SLI) -> str:
    """Say what the SLI is and what its limit and margin allow: “p95 is 31 ms over …”."""
    parts = [f"{label} is {amount(value, sli.unit)} over {over}"]
    for bound, words in ((sli.limit_max, terms.most), (sli.limit_min, terms.least)):
        if bound is not None:
            parts.append(f"{words} {amount(bound, sli.unit)}")
    end = allowed(sli, value)
    if end is not None:
        way = "up" if sli.worse_sign > 0 else "down"
        parts.append(f"a margin of {margin(sli)} allows {way} to {amount(end, sli.unit)}")
    return f"{'; '.join(parts)}."


def problems(
    sli: SliEvidence,
    bin_s: float,
    terms: Terms = SLI,
    planned: Mapping[PhaseName, float] | None = None,
) -> list[Problem]:
    """Return what would keep a run on data like these from starting, or from a verdict.

    ``bin_s`` is how long a bin of the run would be; what was read may be in longer ones.
    ``planned`` is how many seconds of each phase the run would have, where that is known.
    """
    rows = _present(sli.series)
    if sli.series is None or not len(rows):
        return []
    found = [*_gaps(sli.series)]
    sums: Floats = rows.sum(axis=0)
    value = float(measure_of(sli).value(sums))
    if not math.isfinite(value):
        found.append(
            Problem(
                message="There was no request in this time, so there is no value.",
                hint="Send traffic through it: a run without requests is refused.",
            )
        )
        return found
    found += _beyond(sli, value, terms)
    if sli.kind == "ratio" and sums[0] > gate.MOST_BAD * sums[1]:
        found.append(
            Problem(
                message=f"There are more bad events ({number(sums[0])}) than events"
                f" ({number(sums[1])}).",
                hint="The bad ones must be part of all: do both selectors have the same matchers?",
            )
        )
    found += _no_margin(sli, value)
    measure = measure_of(sli)
    if isinstance(measure, QuantileOfSums):
        found += _few(sli.series, rows, bin_s, planned or {})
        found += _coarse(sli, measure, sums, value)
    return found


def _present(series: Series | None) -> Floats:
    rows = columns(series) if series is not None else np.empty((0, 1))
    found: Floats = rows[np.isfinite(rows).all(axis=1)]
    return found


def _gaps(series: Series) -> Iterator[Problem]:
    """Yield how much is missing, and when the longest gap was."""
    is_missing = [not np.isfinite(row).all() for row in columns(series)]
    count, every = sum(is_missing), len(is_missing)
    longest, length, run = 0, 0, 0
    for place, missing in enumerate(is_missing):
        run = run + 1 if missing else 0
        if run > length:
            longest, length = place - run + 1, run
    share = count / every
    if length < _MOST_NOTED and share < gate.MOST_MISSING:
        return
    begin = np.datetime64(round(float(series.times[longest]) - series.step_s), "s")
    ended = np.datetime64(round(float(series.times[longest + length - 1])), "s")
    message = (
        f"{count} of {counted(every, 'bin')} are missing ({100 * share:.0f} %), the longest"
        f" stretch from {str(begin)[11:]} to {str(ended)[11:]} UTC."
    )
    if share >= gate.MOST_MISSING:
        yield Problem(
            message=message,
            hint=f"In a baseline like this there would be no verdict: less than"
            f" {100 * gate.MOST_MISSING:.0f} % of its bins may be missing.",
            severity="warning",
        )
    else:
        yield Problem(message=message, severity="warning")


def _beyond(sli: SliEvidence, value: float, terms: Terms) -> Iterator[Problem]:
    for bound, sign, word in ((sli.limit_max, 1, "above"), (sli.limit_min, -1, "below")):
        if bound is not None and sign * (value - bound) > 0:
            yield Problem(
                message=f"It is {word} {terms.beyond} already: {amount(bound, sli.unit)}.",
                hint=terms.then,
            )


def _no_margin(sli: SliEvidence, value: float) -> Iterator[Problem]:
    if sli.margin_relative is not None and sli.margin_absolute is None and value <= 0:
        yield Problem(
            message=f"A margin of {margin(sli)} of {amount(value, sli.unit)} is none.",
            hint="Give it an absolute margin, in the SLI's unit.",
            severity="warning",
        )


def _few(
    series: Series, rows: Floats, bin_s: float, planned: Mapping[PhaseName, float]
) -> Iterator[Problem]:
    """Yield how much longer the phases must be where neighbouring bins are merged."""
    requests = float(rows[:, -1].mean()) * bin_s / series.window_s
    merged = gate.neighbours_for(requests)
    if merged == 1:
        return
    least = {phase: Duration(bins * merged * bin_s) for phase, bins in gate.LEAST_BINS.items()}
    if all(planned.get(phase, 0.0) >= float(seconds) for phase, seconds in least.items()):
        return
    yield Problem(
        message=f"A run's bins are {Duration(bin_s)} long: about {number(requests)} requests fall"
        f" into each, and {gate.LEAST_REQUESTS_PER_BIN} are needed, so that {merged} neighbouring"
        " bins would be merged into one.",
        hint=f"Watch at least {least['baseline']} of baseline and {least['fault']} of fault, or"
        " send more requests.",
        severity="warning",
    )


def _coarse(
    sli: SliEvidence, measure: QuantileOfSums, sums: Floats, value: float
) -> Iterator[Problem]:
    """Yield that the bucket around the value is wider than the margin, and what would do."""
    bucket = low, high = measure.bucket(sums)
    if math.isinf(high):
        yield Problem(
            message=f"It lies above the largest bucket, {amount(low, sli.unit)}: how far is not"
            " known.",
            hint="The histogram needs a larger bucket; until then no verdict is certain.",
            severity="warning",
        )
        return
    given = margin_at(sli, value)
    if given is None or coarse_bucket(sli, value, bucket, bucket) is None:
        return
    width = high - low
    ends = f"{amount(low, sli.unit)} to {amount(high, sli.unit)}"
    message = (
        f"It lies in the bucket {ends}, and where in it is not measured. The bucket is"
        f" {amount(width, sli.unit)} wide, the margin {amount(given, sli.unit)}:"
    )
    if sli.expect == "degrades":
        start = next((b for b in measure.bounds[:-1] if b - high >= given), None)
        told = f"from {amount(float(start), sli.unit)} on" if start is not None else "at no value"
        yield Problem(
            message=f"{message} a change to a neighbouring bucket cannot be told from none.",
            hint=f"That it degrades would be certain {told}.",
            severity="warning",
        )
        return
    share = f", or {math.ceil(100 * width / value)} %," if value > 0 else ""
    yield Problem(
        message=f"{message} the verdict could only be inconclusive.",
        hint=f"A margin of {amount(width, sli.unit)}{share} would do, or buckets around"
        f" {amount(value, sli.unit)} that are no further apart than {amount(given, sli.unit)}.",
        severity="warning",
    )
