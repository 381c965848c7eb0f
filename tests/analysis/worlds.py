"""Small worlds with known truth, from which evidence is made."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.analysis.evidence import (
    FaultEvidence,
    HistogramSeries,
    Phase,
    RatioSeries,
    RunEvidence,
    SliEvidence,
    ValueSeries,
)
from experiments.analysis.series import Floats

STEP = 5.0
BOUNDS = np.array([0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, np.inf])
TOOK = FaultEvidence("slow-carts", 1.0, None, 1000, 1000, True)


def phases(baseline: int = 60, fault: int = 60, recovery: int = 0) -> tuple[Phase, ...]:
    """Phases of so many bins, from time 0, one after the other."""
    ends = np.cumsum([baseline, fault, recovery]) * STEP
    found = [Phase("baseline", 0.0, float(ends[0])), Phase("fault", float(ends[0]), float(ends[1]))]
    if recovery:
        found.append(Phase("recovery", float(ends[1]), float(ends[2])))
    return tuple(found)


def bin_ends(count: int) -> Floats:
    return np.arange(1, count + 1) * STEP


def ar1(rng: np.random.Generator, count: int, phi: float) -> Floats:
    """AR(1) noise of unit variance."""
    shocks = rng.standard_normal(count + 100) * np.sqrt(1 - phi**2)
    noise = np.zeros(count + 100)
    for at in range(1, count + 100):
        noise[at] = phi * noise[at - 1] + shocks[at]
    return noise[100:]


def values(*levels: Floats) -> ValueSeries:
    joined = np.concatenate(levels)
    return ValueSeries(bin_ends(len(joined)), joined, step_s=STEP, window_s=STEP)


def ratios(bad: Any, total: Any) -> RatioSeries:
    bad, total = np.asarray(bad, float), np.asarray(total, float)
    return RatioSeries(bin_ends(len(bad)), bad, total, step_s=STEP, window_s=STEP)


def histograms(
    rng: np.random.Generator, medians: Any, requests: int = 100, sigma: float = 0.4
) -> HistogramSeries:
    """Log-normal latencies in buckets, one median per bin."""
    draws = rng.lognormal(np.log(np.asarray(medians))[:, None], sigma, (len(medians), requests))
    counts = (draws[:, :, None] <= BOUNDS).sum(axis=1).astype(float)
    ends = bin_ends(len(medians))
    return HistogramSeries(ends, BOUNDS, counts, step_s=STEP, window_s=STEP)


def value_sli(series: ValueSeries | None, **changes: Any) -> SliEvidence:
    known: dict[str, Any] = {"name": "load", "kind": "value", "margin_absolute": 1.0}
    return SliEvidence(series=series, **{**known, **changes})


def ratio_sli(series: RatioSeries | None, **changes: Any) -> SliEvidence:
    known: dict[str, Any] = {"name": "errors", "kind": "ratio", "unit": "ratio"}
    return SliEvidence(series=series, **{**known, **changes})


def latency_sli(series: HistogramSeries | None, **changes: Any) -> SliEvidence:
    known: dict[str, Any] = {"name": "orders_p95", "kind": "quantile", "unit": "s", "q": 0.95}
    return SliEvidence(series=series, **{**known, **changes})


def run(*slis: SliEvidence, **changes: Any) -> RunEvidence:
    known: dict[str, Any] = {"phases": phases(), "faults": (TOOK,)}
    return RunEvidence(slis=slis, **{**known, **changes})
