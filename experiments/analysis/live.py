"""So far: badges for a run that is still going. They describe, they never conclude."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from experiments.analysis import gate
from experiments.analysis.compare import Comparison
from experiments.analysis.evidence import RunEvidence, SliEvidence
from experiments.analysis.exact import Interval
from experiments.analysis.judgement import PhaseValue
from experiments.analysis.sli import limit_state, margin_state

Badge = Literal["within so far", "outside so far", "worse so far, as expected", "too few data yet"]
_LEAST_BASELINE_BINS = 5
_LEAST_FAULT_BINS = 3
_NOTHING = PhaseValue(None, 0)


@dataclass(frozen=True)
class SoFar:
    """One SLI of a live run: a badge, and its values so far in the SLI's unit."""

    name: str
    badge: Badge
    baseline: PhaseValue
    fault: PhaseValue
    note: str = ""


def so_far(evidence: RunEvidence) -> list[SoFar]:
    """Return a badge for each SLI from its values alone: no interval, so never “holds”.

    The phase that still runs ends now.
    """
    return [_badge(sli, evidence) for sli in evidence.slis]


def _badge(sli: SliEvidence, run: RunEvidence) -> SoFar:
    if sli.problem is not None or sli.series is None or not len(sli.series.times):
        note = sli.problem or "nothing was read of it yet"
        return SoFar(sli.name, "too few data yet", _NOTHING, _NOTHING, note)
    read = gate.read(sli, run)
    before, after = read.phase_value("baseline"), read.phase_value("fault")
    bins = read.bins["baseline"].merged
    if before.value is None or after.value is None:
        return SoFar(sli.name, "too few data yet", before, after, "one phase has no data yet")
    if before.n_bins * bins < _LEAST_BASELINE_BINS or after.n_bins * bins < _LEAST_FAULT_BINS:
        return SoFar(sli.name, "too few data yet", before, after, "a few bins more are needed")
    change = after.value - before.value
    relative = change / before.value if before.value > 0 else None
    points = Comparison(
        baseline=before.value,
        fault=after.value,
        absolute=Interval(change, change),
        relative=None if relative is None else Interval(relative, relative),
        level=Interval(after.value, after.value),
        method="so far",
    )
    return SoFar(sli.name, _compared(sli, points), before, after)


def _compared(sli: SliEvidence, points: Comparison) -> Badge:
    if limit_state(sli, points.level) == "beyond":
        return "outside so far"
    is_worse = margin_state(sli, points) == "beyond"
    if sli.expect == "holds":
        only_relative = sli.margin_relative is not None and sli.margin_absolute is None
        change = sli.worse_sign * points.absolute.low
        is_worse = is_worse or (only_relative and points.relative is None and change > 0)
        return "outside so far" if is_worse and math.isfinite(change) else "within so far"
    return "worse so far, as expected" if is_worse else "within so far"
