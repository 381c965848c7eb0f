"""Exact intervals of shares, for few events and few bins, where no normal approximation holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, stdtrit  # type: ignore[import-untyped,unused-ignore]

from experiments.analysis.bins import QuantileOfSums
from experiments.analysis.series import Floats

CONFIDENCE = 0.95
NORMAL = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """A two-sided interval; an end is infinite where the data do not bound it."""

    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """Return the interval times a factor, ends in order."""
        ends = (self.low * factor, self.high * factor)
        return Interval(min(ends), max(ends))


@dataclass(frozen=True)
class Share:
    """``bad`` of ``total`` events, with the design effect that dependence between them causes."""

    bad: float
    total: float
    design_effect: float = 1.0

    @property
    def value(self) -> float:
        """Return bad / total."""
        return self.bad / self.total

    @property
    def rare(self) -> float:
        """Return the rarer of the two outcomes' counts: it is what limits the evidence."""
        return min(self.bad, self.total - self.bad)

    def interval(self) -> Interval:
        """Return the Clopper–Pearson interval for the effective number of events.

        Korn and Graubard (1998): divide events and total by the design effect. Counts need not be
        whole numbers.
        """
        bad = min(self.bad, self.total) / self.design_effect
        good = self.total / self.design_effect - bad
        tail = (1 - CONFIDENCE) / 2
        low = 0.0 if bad <= 0 else float(betaincinv(bad, good + 1, tail))
        high = 1.0 if good <= 0 else float(betaincinv(bad + 1, good, 1 - tail))
        return Interval(low, high)


def difference(baseline: Share, fault: Share) -> Interval:
    """Return the interval of fault − baseline by Newcombe's square-and-add.

    Newcombe (1998), method 10, with Clopper–Pearson instead of Wilson limits: wider, and right at
    zero events.
    """
    before, after = baseline.interval(), fault.interval()
    change = fault.value - baseline.value
    low = change - math.hypot(fault.value - after.low, before.high - baseline.value)
    high = change + math.hypot(after.high - fault.value, baseline.value - before.low)
    return Interval(max(low, -1.0), min(high, 1.0))


def relative_change(baseline: Share, fault: Share) -> Interval | None:
    """Return the interval of fault / baseline − 1; None where neither phase had a bad event.

    For rare events by conditioning on their sum (Przyborowski and Wilenski, 1940): given both,
    the fault's events are binomial. Where bad is the usual outcome, the difference over the
    baseline, whose own uncertainty is then slight.
    """
    if baseline.value > 0.5:
        return difference(baseline, fault).scaled(1 / baseline.value)
    effect = max(baseline.design_effect, fault.design_effect)
    both = baseline.bad + fault.bad
    if both <= 0:
        return None
    part = Share(fault.bad, both, effect).interval()
    exposure = baseline.total / fault.total

    def change(share: float) -> float:
        return math.inf if share >= 1 else share / (1 - share) * exposure - 1

    return Interval(change(part.low), change(part.high))


def design_effect(bad: Floats, total: Floats, dependence: float = 0.0) -> float:
    """Return by how much the variance of bad / total exceeds that of independent events; ≥ 1.

    Pearson's dispersion over the bins, times (1 + φ) / (1 − φ) for bins that depend on their
    neighbours with autocorrelation φ; its excess over 1 grows by Student's t for few bins, as
    Korn and Graubard (1998) do. Shapes (n,); 1 where fewer than two bins or no bad events leave
    nothing to estimate it from.
    """
    whole = float(total.sum())
    share = float(bad.sum()) / whole if whole > 0 else 0.0
    if len(bad) < 2 or not 0 < share < 1:
        return 1.0
    pearson = (bad - share * total) ** 2 / (total * share * (1 - share))
    dispersion = float(pearson.sum()) / (len(bad) - 1)
    excess = max(0.0, dispersion * (1 + dependence) / (1 - dependence) - 1)
    student = float(stdtrit(len(bad) - 1, 1 - (1 - CONFIDENCE) / 2))
    return 1.0 + excess * (student / NORMAL) ** 2


def quantile_interval(measure: QuantileOfSums, rows: Floats, sums: Floats) -> Interval:
    """Return the interval of a quantile by inverting the binomial test (Woodruff, 1952).

    The share of requests under the quantile is q within a Clopper–Pearson interval; its ends,
    looked up in the histogram, are the quantile's. Shapes: rows (n, k), sums (k,).
    """
    value = float(measure.value(sums))
    total = float(sums[-1])
    effect = design_effect(np.clip(measure.below(rows, value), 0, rows[:, -1]), rows[:, -1])
    share = Share(measure.q * total, total, effect).interval()

    def looked_up(q: float, beyond: float) -> float:
        at = QuantileOfSums(measure.bounds, min(max(q, 0.0), 1.0))
        return beyond if bool(at.is_capped(sums)) else float(at.value(sums))

    lowest = float(measure.bounds[-2]) if len(measure.bounds) > 1 else -math.inf
    return Interval(looked_up(share.low, lowest), looked_up(share.high, math.inf))
