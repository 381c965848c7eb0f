"""Bins: which belong to a phase, what they add up to, and the measure taken of the sums.

Every SLI comes down to additive columns per bin and a function of their sums, so that a ratio or a
quantile of any phase is computed from summed counts and never averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from experiments.analysis.evidence import HistogramTotals, Phase, RatioTotals, SliEvidence, Totals
from experiments.analysis.series import Floats, HistogramSeries, Mask, RatioSeries, Series

_SLACK = 1e-6
"""Share of a step by which a bin may miss a phase's edge: floating point, not data."""


class Measure(Protocol):
    """What is computed of summed columns."""

    @property
    def counts_requests(self) -> bool:
        """Return whether its events are requests."""

    def value(self, sums: Floats) -> Floats:
        """Return the measure of sums of shape (..., k): shape (...)."""

    def events(self, rows: Floats) -> Floats:
        """Return the events (requests) of rows of shape (..., k): shape (...)."""

    def influence(self, rows: Floats, value: float) -> Floats:
        """Return each bin's pull on the measure, up to a factor: rows (n, k) to (n,)."""


@dataclass(frozen=True)
class RatioOfSums:
    """First column over second: bad over total, or the sum of values over their number."""

    counts_requests: bool = True

    def value(self, sums: Floats) -> Floats:
        """Return first over second column, NaN where the second is not positive."""
        part, whole = sums[..., 0], sums[..., 1]
        answer = np.full(np.shape(part), np.nan)
        np.divide(part, whole, out=answer, where=whole > 0)
        return answer

    def events(self, rows: Floats) -> Floats:
        """Return the second column."""
        answer: Floats = rows[..., 1]
        return answer

    def influence(self, rows: Floats, value: float) -> Floats:
        """Return bad − ratio × total: the linear term of a ratio of sums."""
        answer: Floats = rows[:, 0] - value * rows[:, 1]
        return answer


@dataclass(frozen=True, eq=False)
class QuantileOfSums:
    """A quantile of summed cumulative buckets, interpolated as Prometheus does."""

    bounds: Floats
    q: float
    counts_requests: bool = True

    def value(self, sums: Floats) -> Floats:
        """Return the quantile, linear inside its bucket; NaN without events.

        As ``histogram_quantile``: the lowest bucket starts at 0 where its bound is positive, and
        a quantile in the +Inf bucket is the largest finite bound (see ``is_capped``).
        """
        return self._interpolated(sums)[0]

    def is_capped(self, sums: Floats) -> Mask:
        """Tell where the quantile lies in the +Inf bucket, so that only a lower end is known."""
        return np.asarray(self._interpolated(sums)[1] == len(self.bounds) - 1, dtype=np.bool_)

    def bucket(self, sums: Floats) -> tuple[float, float]:
        """Return lower and upper bound of the bucket that holds the quantile of sums (k,)."""
        index = int(self._interpolated(sums)[1])
        lower = float(self.bounds[index - 1]) if index else min(0.0, float(self.bounds[0]))
        return lower, float(self.bounds[index])

    def events(self, rows: Floats) -> Floats:
        """Return the +Inf column."""
        answer: Floats = rows[..., -1]
        return answer

    def below(self, rows: Floats, value: float) -> Floats:
        """Return the events at or under a value, interpolated: rows (n, k) to (n,)."""
        bounds = self.bounds[:-1]
        if not len(bounds) or value >= bounds[-1]:
            answer: Floats = rows[:, max(len(bounds) - 1, 0)]
            return answer
        upper = int(np.searchsorted(bounds, value))
        high = rows[:, upper]
        low = rows[:, upper - 1] if upper else np.zeros(len(rows))
        start = bounds[upper - 1] if upper else min(0.0, float(bounds[0]))
        width = bounds[upper] - start
        share = (value - start) / width if width > 0 else 1.0
        between: Floats = low + (high - low) * min(max(share, 0.0), 1.0)
        return between

    def influence(self, rows: Floats, value: float) -> Floats:
        """Return q × events − events under the quantile (Bahadur's linear term)."""
        answer: Floats = self.q * rows[:, -1] - self.below(rows, value)
        return answer

    def _interpolated(self, sums: Floats) -> tuple[Floats, Floats]:
        # `increase` extrapolates each bucket by itself, so that a sum may fall by a little.
        cumulative = np.maximum.accumulate(sums, axis=-1)
        rank = self.q * cumulative[..., -1:]
        index = np.argmax(cumulative >= rank, axis=-1)
        at = index[..., None]
        upper = self.bounds[index]
        over = np.take_along_axis(cumulative, at, -1)[..., 0]
        first = index == 0
        under = np.where(
            first, 0.0, np.take_along_axis(cumulative, np.maximum(at - 1, 0), -1)[..., 0]
        )
        lower = np.where(first, np.minimum(0.0, upper), self.bounds[np.maximum(index - 1, 0)])
        share = np.zeros(np.shape(over))
        np.divide(rank[..., 0] - under, over - under, out=share, where=over > under)
        capped = index == len(self.bounds) - 1
        width = np.where(capped, 0.0, np.where(capped, 0.0, upper) - lower)
        value = np.where(capped & first, np.nan, lower + width * share)
        # A first bound of zero or less has no lower end to interpolate from.
        value = np.where(first & (upper <= 0), upper, value)
        return np.where(cumulative[..., -1] > 0, value, np.nan), index.astype(np.float64)


def measure_of(sli: SliEvidence) -> Measure:
    """Return the measure of an SLI that has a series."""
    if isinstance(sli.series, HistogramSeries):
        assert sli.q is not None  # noqa: S101  SliEvidence refuses a quantile without q
        return QuantileOfSums(sli.series.bounds, sli.q)
    return RatioOfSums(counts_requests=sli.kind == "ratio")


def columns(series: Series) -> Floats:
    """Return additive columns per bin, shape (n, k); a missing bin is a row of NaN."""
    if isinstance(series, RatioSeries):
        bad = np.where(np.isnan(series.bad) & np.isfinite(series.total), 0.0, series.bad)
        rows = np.column_stack([bad, series.total])
    elif isinstance(series, HistogramSeries):
        rows = np.maximum.accumulate(series.counts, axis=1) if len(series.times) else series.counts
    else:
        rows = np.column_stack([series.values, np.ones(len(series.values))])
    return np.where(np.isfinite(rows).all(axis=1)[:, None], rows, np.nan)


@dataclass(frozen=True, eq=False)
class PhaseBins:
    """The bins of a phase on their regular grid, gaps included.

    ``grid`` has shape (n, k), a missing bin is a row of NaN; ``starts`` (n,) is when each bin
    begins, in unix seconds; ``merged`` is how many neighbours each bin was made of.
    """

    grid: Floats
    starts: Floats
    merged: int = 1

    @property
    def present(self) -> Mask:
        """Return which bins were read, shape (n,)."""
        return np.asarray(np.isfinite(self.grid).all(axis=1), dtype=np.bool_)

    @property
    def missing_share(self) -> float:
        """Return the share of bins that should be there and are not; 1 for a phase without any."""
        return 1.0 - float(self.present.mean()) if len(self.grid) else 1.0

    def usable(self, measure: Measure) -> Floats:
        """Return the rows that were read and hold any events, shape (m, k)."""
        rows = self.grid[self.present]
        answer: Floats = rows[measure.events(rows) > 0]
        return answer

    def values(self, measure: Measure) -> Floats:
        """Return the measure of each bin, NaN where missing or empty, shape (n,)."""
        return measure.value(np.where(self.present[:, None], self.grid, 0.0))

    def merge_neighbours(self, count: int) -> PhaseBins:
        """Return bins made of ``count`` neighbours each; an incomplete last group is left out."""
        groups = len(self.grid) // count
        if count == 1:
            return self
        stacked = self.grid[: groups * count].reshape(groups, count, self.grid.shape[1])
        there = np.asarray(np.isfinite(stacked).all(axis=2), dtype=np.bool_)
        summed = np.where(there[..., None], stacked, 0.0).sum(axis=1)
        summed[~there.any(axis=1)] = np.nan
        return PhaseBins(summed, self.starts[: groups * count : count], self.merged * count)


def bins_in(
    series: Series,
    phases: Sequence[Phase],
    settle_s: float = 0.0,
    outside: Sequence[Phase] = (),
) -> PhaseBins:
    """Return the bins that lie wholly inside the phases, each once, de-overlapped.

    A bin covers (end − window, end]. Where windows overlap (step < window), bins nearer than a
    window to the one kept before are left out: overlapping windows fake evidence.

    Args:
        series: all bins that were read.
        phases: phases of one name; they may overlap, as those of two faults at once do.
        settle_s: left out after the start of each phase, also inside another.
        outside: bins that touch one of these phases do not count.
    """
    rows = columns(series)
    if not len(series.times) or not phases:
        return PhaseBins(np.empty((0, rows.shape[1])), np.empty(0))
    origin, step, slack = float(series.times[0]), series.step_s, _SLACK * series.step_s
    first = math.floor((min(phase.start for phase in phases) - origin) / step)
    last = math.ceil((max(phase.end for phase in phases) - origin) / step)
    ticks = np.arange(first, last + 1)
    ends: Floats = np.asarray(origin + ticks * step, dtype=np.float64)
    starts: Floats = np.asarray(ends - series.window_s, dtype=np.float64)
    inside = np.zeros(len(ticks), dtype=np.bool_)
    for phase in phases:
        inside |= (starts >= phase.start - slack) & (ends <= phase.end + slack)
    unsettled = [(phase.start, phase.start + settle_s) for phase in phases]
    for begin, end in unsettled + [(phase.start, phase.end) for phase in outside]:
        inside &= (ends <= begin + slack) | (starts >= end - slack)
    chosen = _apart(ticks[inside], math.ceil(series.window_s / step - _SLACK))
    position = np.rint((series.times - origin) / step).astype(np.int64)
    known = np.isin(position, chosen)
    grid = np.full((len(chosen), rows.shape[1]), np.nan)
    grid[np.searchsorted(chosen, position[known])] = rows[known]
    return PhaseBins(grid, starts[chosen - first])


def _apart(ticks: npt.NDArray[np.int64], stride: int) -> npt.NDArray[np.int64]:
    """Return the ticks that are at least ``stride`` after the one kept before."""
    if stride <= 1:
        return ticks
    kept: list[int] = []
    for tick in ticks.tolist():
        if not kept or tick - kept[-1] >= stride:
            kept.append(tick)
    return np.array(kept, dtype=np.int64)


def sums_of(bins: PhaseBins, totals: Totals | None, measure: Measure) -> tuple[Floats, bool]:
    """Return the phase's summed columns (k,), and whether they come from raw counters.

    Totals that cannot be (no events, a reset counter, other buckets) yield to the bins' sums.
    """
    raw: Floats | None = None
    if isinstance(totals, RatioTotals):
        raw = np.array([totals.bad, totals.total])
    elif (
        isinstance(totals, HistogramTotals)
        and isinstance(measure, QuantileOfSums)
        and np.array_equal(totals.bounds, measure.bounds)
    ):
        raw = totals.counts
    if raw is not None and np.isfinite(raw).all() and raw.min() >= 0 and measure.events(raw) > 0:
        return raw, True
    return np.asarray(bins.grid[bins.present].sum(axis=0)), False
