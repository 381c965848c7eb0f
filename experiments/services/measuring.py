"""Reads SLIs from Prometheus: series in bins, and exact totals of phases from raw counters.

A bin ends at a whole multiple of the step, so that two reads of one bin are one sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.units import Duration
from experiments import backends
from experiments.analysis.bins import Measure, QuantileOfSums, RatioOfSums, columns
from experiments.analysis.evidence import (
    HistogramTotals,
    Phase,
    RatioTotals,
    SliEvidence,
    Totals,
)
from experiments.analysis.series import (
    Floats,
    HistogramSeries,
    RatioSeries,
    Series,
    ValueSeries,
)
from experiments.domain import promql
from experiments.domain.slis import Sli
from experiments.models import Connection

_KINDS: dict[str, type[Series]] = {
    "ratio": RatioSeries,
    "quantile": HistogramSeries,
    "value": ValueSeries,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What was read of one SLI; ``problem`` says which query returned nothing, and why."""

    series: Series | None
    problem: str = ""


def queries(sli: Sli, window_s: float) -> tuple[str, ...]:
    """Return the queries that the SLI's bins come from."""
    measure = sli.measure
    if measure.ratio is not None:
        return (
            promql.increase(measure.ratio.bad, window_s),
            promql.increase(measure.ratio.total, window_s),
        )
    if measure.quantile is not None:
        return (promql.bucket_increase(measure.quantile.histogram, window_s),)
    return (promql.value(measure.value or ""),)


def grid(start: float, end: float, step_s: float) -> tuple[float, float] | None:
    """Return the first and last bin end within (start, end], on multiples of the step."""
    first = math.floor(start / step_s + 1e-9) + 1
    last = math.floor(end / step_s + 1e-9)
    return None if last < first else (first * step_s, last * step_s)


def read_series(
    sli: Sli, source: Connection, *, start: float, end: float, step_s: float
) -> Measured:
    """Read the bins that end within (start, end], unix seconds. Raises DriverError."""
    span = grid(start, end, step_s)
    if span is None:
        return Measured(None, "the time is shorter than one step")
    times = np.round(np.arange(round((span[1] - span[0]) / step_s) + 1) * step_s + span[0], 3)
    reader = backends.prometheus(source)
    asked = queries(sli, step_s)
    answers = [reader.range(query, span[0], span[1], step_s) for query in asked]
    timing = {"step_s": step_s, "window_s": step_s}
    if sli.measure.kind == "ratio":
        bad, total = (_one(answer, times, step_s) for answer in answers)
        series: Series = RatioSeries(times, bad=bad, total=total, **timing)
        main = 1
    elif sli.measure.kind == "quantile":
        main = 0
        bounds = sorted({bound for row in answers[0] if (bound := _le(row.labels)) is not None})
        if not bounds or not math.isinf(bounds[-1]):
            return Measured(None, f"{asked[0]} returned no buckets up to +Inf")
        counts = np.full((len(times), len(bounds)), np.nan)
        for row in answers[0]:
            bound = _le(row.labels)
            if bound is not None:
                counts[:, bounds.index(bound)] = _place(row.times, row.values, times, step_s)
        series = HistogramSeries(times, bounds=np.array(bounds), counts=counts, **timing)
    else:
        main = 0
        if len(answers[0]) > 1:
            return Measured(None, f"{asked[0]} returned {len(answers[0])} series; sum them to one")
        series = ValueSeries(times, values=_one(answers[0], times, step_s), **timing)
    if not answers[main]:
        return Measured(series, f"{asked[main]} returned nothing")
    return Measured(series)


def value_series(rows: Sequence[Any], span: tuple[float, float], step_s: float) -> ValueSeries:
    """Return the first series of an answer on its grid, gaps as gaps."""
    times = np.round(np.arange(round((span[1] - span[0]) / step_s) + 1) * step_s + span[0], 3)
    return ValueSeries(times, values=_one(rows, times, step_s), step_s=step_s, window_s=step_s)


def _le(labels: Mapping[str, str]) -> float | None:
    try:
        return float(labels["le"])
    except (KeyError, ValueError):
        return None


def _place(at: Floats, values: Floats, times: Floats, step_s: float) -> Floats:
    out = np.full(len(times), np.nan)
    if len(times):
        index = np.round((at - times[0]) / step_s).astype(int)
        fits = (index >= 0) & (index < len(times))
        out[index[fits]] = values[fits]
    return out


def _one(answer: Sequence[Any], times: Floats, step_s: float) -> Floats:
    """Return the values of the only series on the grid; missing where there is none."""
    if not answer:
        return np.full(len(times), np.nan)
    return _place(answer[0].times, answer[0].values, times, step_s)


def measure_of(sli: Sli, series: Series) -> Measure:
    """Return what is computed of the series' summed columns."""
    if isinstance(series, HistogramSeries):
        quantile = sli.measure.quantile
        return QuantileOfSums(series.bounds, quantile.q if quantile else 0.95)
    return RatioOfSums(counts_requests=isinstance(series, RatioSeries))


def bin_values(sli: Sli, series: Series) -> Floats:
    """Return the SLI's value in each bin, NaN where it is missing."""
    return measure_of(sli, series).value(columns(series))


def overall(sli: Sli, series: Series) -> float:
    """Return the SLI's value over all its bins, from summed counts; NaN without data."""
    rows = columns(series)
    present = rows[np.isfinite(rows).all(axis=1)]
    if not len(present):
        return math.nan
    return float(measure_of(sli, series).value(present.sum(axis=0)))


def show(sli: Sli, value: float) -> str:
    """Return the value as people read it: ``1.2 %``, ``155 ms``."""
    return show_value(value, sli.measure.unit)


def show_value(value: float, unit: str) -> str:
    """Return a value of a unit as people read it."""
    if unit == "ratio":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return str(Duration(float(f"{value:.3g}")))
    return f"{value:.4g} {unit}".strip()


def read_stored(kind: str, payload: bytes) -> Series:
    """Return a stored series. Raises ValueError when it is damaged."""
    return _KINDS[kind].from_bytes(bytes(payload))


def read_totals(
    sli: Sli, source: Connection, phases: Iterable[Phase], settle_s: float
) -> dict[str, Totals | None]:
    """Return exact totals of each phase's judged part from raw counters; None where not exact.

    Phases of one name are added up. The settle time after each inject and recover is left out.
    Raises DriverError.
    """
    found: dict[str, list[Totals | None]] = {}
    for phase in phases:
        start = phase.start + (0 if phase.name == "baseline" else settle_s)
        if phase.end > start:
            found.setdefault(phase.name, []).append(_total(sli, source, start, phase.end))
    return {name: _add(parts) for name, parts in found.items()}


def _total(sli: Sli, source: Connection, start: float, end: float) -> Totals | None:
    measure = sli.measure
    if measure.ratio is not None:
        bad = promql.phase_total(*_edges(measure.ratio.bad, source, start, end))
        total = promql.phase_total(*_edges(measure.ratio.total, source, start, end))
        if total.count is None or not total.is_exact or not (bad.is_exact or bad.count is None):
            return None
        return RatioTotals(bad=bad.count or 0.0, total=total.count)
    if measure.quantile is not None:
        buckets = promql.phase_buckets(*_edges(measure.quantile.histogram, source, start, end))
        if not buckets or not all(bucket.is_exact for bucket in buckets.values()):
            return None
        counts = [bucket.count or 0.0 for bucket in buckets.values()]
        return HistogramTotals(np.array(list(buckets)), np.array(counts))
    return None


def _edges(selector: str, source: Connection, start: float, end: float) -> tuple[Any, Any, Any]:
    reader = backends.prometheus(source)
    length = end - start
    asked = (
        (promql.edge_start(selector), start),
        (promql.edge_end(selector, length), end),
        (promql.edge_resets(selector, length), end),
    )
    first, last, resets = (
        {promql.series_key(row.labels): row.value for row in reader.instant(query, moment)}
        for query, moment in asked
    )
    return first, last, resets


def _add(parts: Sequence[Totals | None]) -> Totals | None:
    if all(isinstance(part, RatioTotals) for part in parts):
        return RatioTotals(
            sum(part.bad for part in parts if isinstance(part, RatioTotals)),
            sum(part.total for part in parts if isinstance(part, RatioTotals)),
        )
    histograms = [part for part in parts if isinstance(part, HistogramTotals)]
    if len(histograms) < len(parts):
        return None
    bounds = histograms[0].bounds
    if any(not np.array_equal(part.bounds, bounds) for part in histograms[1:]):
        return None
    return HistogramTotals(bounds, np.sum([part.counts for part in histograms], axis=0))


def evidence_of(
    sli: Sli, series: Series | None, totals: Mapping[str, Totals | None], problem: str
) -> SliEvidence:
    """Return what the judge may know of one SLI, every quantity in the SLI's unit."""
    measure = sli.measure
    limit, margin = sli.limit, sli.margin
    return SliEvidence(
        name=sli.name,
        kind=measure.kind,
        series=series,
        expect=sli.expect,
        direction=sli.direction,
        unit=measure.unit,
        limit_min=sli.in_unit(limit.min) if limit and limit.min is not None else None,
        limit_max=sli.in_unit(limit.max) if limit and limit.max is not None else None,
        margin_absolute=sli.in_unit(margin.absolute)
        if margin and margin.absolute is not None
        else None,
        margin_relative=margin.relative.ratio if margin and margin.relative is not None else None,
        critical=sli.critical,
        q=measure.quantile.q if measure.quantile else None,
        totals=totals,
        problem=problem or None,
    )
