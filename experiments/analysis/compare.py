"""Comparing: the effect of the fault on one measure, with intervals that respect dependence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

from experiments.analysis import exact
from experiments.analysis.bins import Measure, QuantileOfSums
from experiments.analysis.exact import CONFIDENCE, NORMAL, Interval
from experiments.analysis.series import Floats

REPLICATES = 1000
_MOST_DEPENDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Sample:
    """One phase of one SLI: usable rows (n, k) and the phase's summed columns (k,)."""

    rows: Floats
    sums: Floats


@dataclass(frozen=True)
class Comparison:
    """The effect of a fault: fault − baseline, and fault / baseline − 1 where that exists.

    ``level`` is the interval of the fault phase's own value, against which limits are held.
    """

    baseline: float
    fault: float
    absolute: Interval
    relative: Interval | None
    level: Interval
    method: str
    notes: tuple[str, ...] = ()

    @property
    def relative_change(self) -> float | None:
        """Return fault / baseline − 1, None where the baseline is not positive."""
        return self.fault / self.baseline - 1 if self.baseline > 0 else None


def autocorrelation(*influences: Floats) -> float:
    """Return the lag-1 autocorrelation φ pooled over phases, within [0, 0.95].

    Each phase is centred by itself, so that the fault's step is no dependence. Corrected for the
    bias −(1 + 3φ)/n of each phase's estimate (Kendall, 1954). A negative φ counts as 0.
    """
    weighted, bins, phases = 0.0, 0, 0
    for influence in influences:
        centred = influence - influence.mean() if len(influence) else influence
        power = float(centred @ centred)
        if len(centred) < 3 or power <= 0:
            continue
        weighted += len(centred) * float(centred[:-1] @ centred[1:]) / power
        bins, phases = bins + len(centred), phases + 1
    if not bins:
        return 0.0
    bias = phases / bins
    corrected = (weighted / bins + bias) / max(1 - 3 * bias, 0.1)
    return min(max(corrected, 0.0), _MOST_DEPENDENCE)


def effective_bins(bins: int, dependence: float) -> float:
    """Return how many independent bins these are worth: n (1 − φ) / (1 + φ)."""
    return bins * (1 - dependence) / (1 + dependence)


def block_length(dependence: float, bins: int) -> int:
    """Return the block length of the circular block bootstrap, between 1 and a quarter of n.

    Politis and White (2004) with the spectrum of an AR(1): (√6 φ / (1 − φ²))^⅔ n^⅓.
    """
    best: float = (math.sqrt(6) * dependence / (1 - dependence**2)) ** (2 / 3) * bins ** (1 / 3)
    return max(1, min(round(best), bins // 4))


def correction(dependence: float, bins: int, length: int) -> float:
    """Return what the bootstrap's spread must be multiplied by.

    Blocks of finite length see only part of the long-run variance, and resampling about the
    sample's own mean loses more. For an AR(1) the expected bootstrap variance of a mean is
    (S − L l / n) / n with S = 1 + 2 Σ_{k<l} (1 − k / l) φ^k, where the truth is L / n with
    L = (1 + φ) / (1 − φ) less its finite-sample part (Lahiri, 2003, ch. 2–3).
    """
    lags = np.arange(1, max(length, bins))
    powers = dependence ** lags.astype(np.float64)
    seen = 1 + 2 * float(((1 - lags / length) * powers)[: length - 1].sum())
    truth = 1 + 2 * float(((1 - lags / bins) * powers)[: bins - 1].sum())
    return math.sqrt(truth / max(seen - truth * length / bins, 0.05 * truth))


def block_weights(
    rng: np.random.Generator, bins: int, length: int, replicates: int = REPLICATES
) -> Floats:
    """Return how often each bin is drawn in each replicate, shape (replicates, bins).

    Circular blocks (Politis and Romano, 1992): every bin is as likely as any other.
    """
    blocks = math.ceil(bins / length)
    starts = rng.integers(0, bins, size=(replicates, blocks, 1))
    drawn = (starts + np.arange(length)).reshape(replicates, -1)[:, :bins] % bins
    flat = (drawn + bins * np.arange(replicates)[:, None]).ravel()
    counted = np.bincount(flat, minlength=replicates * bins)
    return counted.reshape(replicates, bins).astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Replicates of one phase's measure (B,), and how to widen them."""

    point: float
    centre: float
    draws: Floats
    widen: float
    freedom: float
    is_capped: bool

    @property
    def deviations(self) -> Floats:
        answer: Floats = self.widen * (self.draws - self.centre)
        return answer

    @property
    def log_deviations(self) -> Floats | None:
        if self.point <= 0 or self.centre <= 0 or not (self.draws > 0).all():
            return None
        answer: Floats = self.widen * np.log(self.draws / self.centre)
        return answer


def _resample(
    measure: Measure, sample: Sample, dependence: float, rng: np.random.Generator
) -> _Resampled:
    bins = len(sample.rows)
    length = block_length(dependence, bins)
    sums = block_weights(rng, bins, length) @ sample.rows
    centre_sums = sample.rows.sum(axis=0)
    capped = isinstance(measure, QuantileOfSums) and bool(
        measure.is_capped(sample.sums) or np.mean(measure.is_capped(sums)) > (1 - CONFIDENCE) / 2
    )
    return _Resampled(
        point=float(measure.value(sample.sums)),
        centre=float(measure.value(centre_sums)),
        draws=measure.value(sums),
        widen=correction(dependence, bins, length),
        freedom=max(effective_bins(bins, dependence) - 1, 1.0),
        is_capped=capped,
    )


def _student(freedom: float) -> float:
    """Return by how much Student's t is wider than the normal at the two-sided 95 %."""
    return float(stdtrit(freedom, 1 - (1 - CONFIDENCE) / 2)) / NORMAL


def _pooled_freedom(first: _Resampled, second: _Resampled) -> float:
    """Return Welch and Satterthwaite's degrees of freedom of a difference."""
    one, two = (float(np.var(phase.deviations)) for phase in (first, second))
    if one + two <= 0:
        return first.freedom + second.freedom
    return (one + two) ** 2 / (one**2 / first.freedom + two**2 / second.freedom)


def _ends(deviations: Floats, widen: float) -> tuple[float, float]:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(deviations, [tail, 100 - tail])
    return widen * float(low), widen * float(high)


def by_bootstrap(
    measure: Measure,
    baseline: Sample,
    fault: Sample,
    rng: np.random.Generator,
    dependence: float,
) -> Comparison:
    """Return the effect with 95 % intervals by circular block bootstrap over bins.

    Whole bins of counts are drawn within each phase and the measure is taken of their sums. The
    point is the measure of the phase's own totals; the bootstrap supplies the deviations about
    it, widened by ``correction`` and by Student's t for the effective number of bins. A quantile
    in the +Inf bucket has no upper end.
    """
    before = _resample(measure, baseline, dependence, rng)
    after = _resample(measure, fault, dependence, rng)
    student = _student(_pooled_freedom(before, after))

    change = after.point - before.point
    low, high = _ends(after.deviations - before.deviations, student)
    absolute = Interval(
        -math.inf if before.is_capped else change + low,
        math.inf if after.is_capped else change + high,
    )
    relative = None
    logs = before.log_deviations, after.log_deviations
    if logs[0] is not None and logs[1] is not None:
        low, high = _ends(logs[1] - logs[0], student)
        times = after.point / before.point
        relative = Interval(
            -1.0 if before.is_capped else times * math.exp(low) - 1,
            math.inf if after.is_capped else times * math.exp(high) - 1,
        )
    elif before.point > 0:
        relative = absolute.scaled(1 / before.point)
    low, high = _ends(after.deviations, _student(after.freedom))
    lowest = after.point + low
    level = Interval(
        max(lowest, 0.0) if measure.counts_requests else lowest,
        math.inf if after.is_capped else after.point + high,
    )
    notes = tuple(
        f"the {name}'s quantile lies above the largest finite bucket: only a lower end is known"
        for name, phase in (("baseline", before), ("fault phase", after))
        if phase.is_capped
    )
    return Comparison(
        before.point, after.point, absolute, relative, level, "block bootstrap", notes
    )


def share_of(sample: Sample) -> exact.Share:
    """Return a ratio's phase as a share, its design effect taken from the bins."""
    bad, total = (float(value) for value in sample.sums)
    dependence = 0.0
    if min(bad, total - bad) >= 10 and len(sample.rows) >= 10:
        share = bad / total
        dependence = autocorrelation(sample.rows[:, 0] - share * sample.rows[:, 1])
    effect = exact.design_effect(sample.rows[:, 0], sample.rows[:, 1], dependence)
    return exact.Share(max(min(bad, total), 0.0), total, effect)


def by_exact(baseline: exact.Share, fault: exact.Share) -> Comparison:
    """Return the effect on a ratio with few bad events, from phase totals by exact intervals."""
    clustered = max(baseline.design_effect, fault.design_effect)
    notes = (
        (f"bad events came in clusters: intervals widened by √{clustered:.1f}",)
        if clustered > 1.5
        else ()
    )
    return Comparison(
        baseline.value,
        fault.value,
        exact.difference(baseline, fault),
        exact.relative_change(baseline, fault),
        fault.interval(),
        "exact",
        notes,
    )


def level_of(measure: Measure, sample: Sample, is_share: bool) -> Interval | None:
    """Return an interval of one phase's value that few bins can bear; None where they cannot.

    It answers one question, whether a limit is broken beyond doubt, when the data do not suffice
    for a comparison. At least three bins, five for a plain value.
    """
    bins = len(sample.rows)
    if bins < 3 or not np.isfinite(measure.value(sample.sums)):
        return None
    if is_share:
        return share_of(sample).interval()
    if isinstance(measure, QuantileOfSums):
        return exact.quantile_interval(measure, sample.rows, sample.sums)
    if bins < 5:
        return None
    values = sample.rows[:, 0]
    worth = max(effective_bins(bins, autocorrelation(values)), 2.0)
    spread = float(stdtrit(worth - 1, 1 - (1 - CONFIDENCE) / 2)) * float(values.std(ddof=1))
    centre = float(values.mean())
    return Interval(centre - spread / math.sqrt(worth), centre + spread / math.sqrt(worth))
