"""Makes stored series that look measured: noise around levels, and a gap in the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.utils import timezone

from experiments.analysis.series import HistogramSeries, RatioSeries, ValueSeries
from experiments.models import Run, Series

BOUNDS = np.array([0.01, 0.025, 0.05, 0.06, 0.07, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, np.inf])


@dataclass(frozen=True)
class Levels:
    """What a stored series shows before, under and after the fault."""

    before: float
    under: float
    after: float | None = None


LEVELS = {
    "carts_p95": Levels(0.06, 0.15),
    "orders_p95": Levels(0.062, 0.064),
    "orders_errors": Levels(0.003, 0.003),
    "queue_length": Levels(12, 19),
}


def series(
    run: Run, levels: dict[str, Levels] | None = None, until: datetime | None = None
) -> None:
    """Store the series of every SLI of the run, a gap of two bins in each baseline."""
    assert run.baseline_at is not None
    step = 5.0
    end = until or run.ended_at or timezone.now()
    first = np.ceil(run.baseline_at.timestamp() / step) * step
    times = np.arange(first, end.timestamp() - 10, step)
    times = np.delete(times, [8, 9]) if len(times) > 12 else times
    start = run.injecting_at.timestamp() if run.injecting_at else np.inf
    stop = run.recovering_at.timestamp() if run.recovering_at else np.inf
    for name, level in {**LEVELS, **(levels or {})}.items():
        random = np.random.default_rng(len(name))
        under = (times - step >= start) & (times <= stop)
        after = level.before if level.after is None else level.after
        value = np.where(under, level.under, np.where(times > stop, after, level.before))
        store(run, name, times, value * random.normal(1, 0.03, len(times)), random)


def store(run: Run, name: str, times: Any, value: Any, random: Any) -> None:
    """Store one series around these values."""
    timing = {"step_s": 5.0, "window_s": 5.0}
    kept: RatioSeries | HistogramSeries | ValueSeries
    total = random.poisson(500, len(times)).astype(float)
    if name.endswith("_p95"):
        kind = "quantile"
        sigma, z = 0.4, 1.645
        median = value / np.exp(sigma * z)
        share = 1 / (1 + np.exp(-1.7 * np.log(BOUNDS[None, :-1] / median[:, None]) / sigma))
        counts = np.column_stack([share * total[:, None], total])
        kept = HistogramSeries(times, bounds=BOUNDS, counts=counts, **timing)
    elif name.endswith("_errors"):
        kind = "ratio"
        bad = random.binomial(total.astype(int), np.clip(value, 0, 1)).astype(float)
        kept = RatioSeries(times, bad=bad, total=total, **timing)
    else:
        kind = "value"
        kept = ValueSeries(times, values=np.round(value), **timing)
    Series.objects.create(
        run=run, sli=name, kind=kind, payload=kept.to_bytes(), updated_at=timezone.now()
    )
