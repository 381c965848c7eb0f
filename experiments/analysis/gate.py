"""The data gate: what was read of an SLI, phase by phase, and whether that can bear a decision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from experiments.analysis.bins import (
    Measure,
    PhaseBins,
    QuantileOfSums,
    bins_in,
    measure_of,
    sums_of,
)
from experiments.analysis.compare import Sample, autocorrelation, effective_bins
from experiments.analysis.evidence import PhaseName, RunEvidence, SliEvidence
from experiments.analysis.judgement import PhaseValue
from experiments.analysis.series import Series
from experiments.analysis.wording import listed

LEAST_BINS: Mapping[PhaseName, int] = {"baseline": 30, "fault": 15}
LEAST_BINS_EXACT = 3
"""An exact interval needs bins only to see whether bad events come in clusters."""
MOST_MISSING = 0.20
LEAST_REQUESTS_PER_BIN = 50
FEW_EVENTS = 10
MOST_BAD = 1.1
"""Bad over total beyond which the two cannot belong together: `increase` errs by up to 9 %."""
LEAST_EFFECTIVE_BINS = 5
_NAMED: Mapping[PhaseName, str] = {
    "baseline": "the baseline",
    "fault": "the fault phase",
    "recovery": "the recovery",
}
_JUDGED: tuple[PhaseName, ...] = ("baseline", "fault")


@dataclass(frozen=True, eq=False)
class Read:
    """One SLI's bins and sums by phase, neighbours merged where requests are few."""

    measure: Measure
    bins: Mapping[PhaseName, PhaseBins]
    samples: Mapping[PhaseName, Sample]
    is_share: bool
    notes: tuple[str, ...]

    def value(self, name: PhaseName) -> float:
        """Return the SLI in a phase, from sums; NaN without events."""
        return float(self.measure.value(self.samples[name].sums))

    def phase_value(self, name: PhaseName) -> PhaseValue:
        """Return the SLI in a phase with what it rests on."""
        sample = self.samples[name]
        value = self.value(name)
        counted = self.measure.counts_requests
        return PhaseValue(
            value=value if math.isfinite(value) else None,
            n_bins=len(sample.rows),
            n_events=float(self.measure.events(sample.sums)) if counted else None,
            bad=float(sample.sums[0]) if self.is_share else None,
        )

    @property
    def is_contradictory(self) -> bool:
        """Return whether bad events outnumber all events by more than `increase` can err."""
        if not self.is_share:
            return False
        sums = [self.samples[name].sums for name in _JUDGED]
        return any(bad > MOST_BAD * total for bad, total in sums)

    @property
    def has_few_events(self) -> bool:
        """Return whether a ratio has fewer than ten events of its rarer kind in either phase."""
        if not self.is_share:
            return False
        sums = [self.samples[name].sums for name in _JUDGED]
        return any(min(bad, total - bad) < FEW_EVENTS for bad, total in sums)

    @property
    def dependence(self) -> float:
        """Return the autocorrelation of neighbouring bins, pooled over baseline and fault."""
        rows = [self.samples[name].rows for name in _JUDGED]
        return autocorrelation(
            *(
                self.measure.influence(part, float(self.measure.value(part.sum(axis=0))))
                for part in rows
                if len(part)
            )
        )


def phase_bins(series: Series, run: RunEvidence, name: PhaseName) -> PhaseBins:
    """Return the bins by which a phase is judged: settled, and untouched by any fault but its own.

    A baseline needs no settling.
    """
    return bins_in(
        series,
        run.phases_named(name),
        settle_s=0.0 if name == "baseline" else run.settle_s,
        outside=() if name == "fault" else run.phases_named("fault"),
    )


def read(sli: SliEvidence, run: RunEvidence) -> Read:
    """Return what was read of an SLI that has a series, by phase."""
    assert sli.series is not None  # noqa: S101  the caller has asked
    measure, is_share = measure_of(sli), sli.kind == "ratio"
    notes: list[str] = []
    summed: list[str] = []
    bins: dict[PhaseName, PhaseBins] = {}
    sums = {}
    for name in _NAMED:
        bins[name] = phase_bins(sli.series, run, name)
        sums[name], is_raw = sums_of(bins[name], sli.totals.get(name), measure)
        if not is_raw and sli.kind != "value" and bins[name].present.any():
            summed.append(_NAMED[name])
    if summed:
        notes.append(f"totals of {listed(summed)} are summed bins, not raw counters")
    if isinstance(measure, QuantileOfSums):
        count, note = _neighbours(measure, bins)
        bins = {name: part.merge_neighbours(count) for name, part in bins.items()}
        notes += note
    samples = {name: Sample(part.usable(measure), sums[name]) for name, part in bins.items()}
    return Read(measure, bins, samples, is_share, tuple(notes))


def _neighbours(
    measure: Measure, bins: Mapping[PhaseName, PhaseBins]
) -> tuple[int, tuple[str, ...]]:
    """Return how many neighbouring bins to merge for 50 requests per bin on average."""
    averages = []
    for name in _JUDGED:
        rows = bins[name].grid[bins[name].present]
        averages.append(float(measure.events(rows).mean()) if len(rows) else 0.0)
    least = min(averages)
    if least <= 0 or least >= LEAST_REQUESTS_PER_BIN:
        return 1, ()
    count = neighbours_for(least)
    note = (
        f"{least:.0f} requests per bin, needs {LEAST_REQUESTS_PER_BIN}:"
        f" {count} neighbouring bins merged into one"
    )
    return count, (note,)


def neighbours_for(requests: float) -> int:
    """Return how many neighbouring bins of so many requests each have 50 of them together."""
    return max(1, math.ceil(LEAST_REQUESTS_PER_BIN / requests))


def shortcomings(read_: Read, missing: Mapping[PhaseName, float]) -> tuple[str, ...]:
    """Return why these data cannot bear a decision, and what would; empty when they can.

    Args:
        read_: the SLI's bins and sums.
        missing: share of missing bins by phase, before merging.
    """
    is_exact = read_.has_few_events
    found: list[str] = []
    if read_.is_contradictory:
        found.append("there are more bad events than events: the bad ones must be part of them")
    for name in _JUDGED:
        where, sample = _NAMED[name], read_.samples[name]
        if not len(read_.bins[name].grid) and not len(sample.rows):
            found.append(f"no usable bins in {where}")
            continue
        if missing[name] >= MOST_MISSING:
            found.append(
                f"{100 * missing[name]:.0f} % of the bins in {where} are missing;"
                f" less than {100 * MOST_MISSING:.0f} % may be"
            )
        if not np.isfinite(read_.value(name)):
            what = "requests" if read_.measure.counts_requests else "values"
            found.append(f"no {what} in {where}")
            continue
        needed = LEAST_BINS_EXACT if is_exact else LEAST_BINS[name]
        if len(sample.rows) < needed:
            merged = read_.bins[name].merged
            after = f" after merging {merged} neighbours each" if merged > 1 else ""
            found.append(
                f"only {len(sample.rows)} usable bins in {where}{after}; needs {needed}:"
                " run longer or take a shorter step"
            )
    if found or is_exact:
        return tuple(found)
    dependence = read_.dependence
    for name in _JUDGED:
        bins = len(read_.samples[name].rows)
        worth = effective_bins(bins, dependence)
        if worth < LEAST_EFFECTIVE_BINS:
            found.append(
                f"neighbouring bins depend on each other (autocorrelation {dependence:.2f}):"
                f" {bins} bins in {_NAMED[name]} are worth {worth:.1f} independent ones;"
                f" needs {LEAST_EFFECTIVE_BINS}: run longer"
            )
    return tuple(found)


def missing_shares(sli: SliEvidence, run: RunEvidence) -> dict[PhaseName, float]:
    """Return the share of missing bins in baseline and fault phase, before any merging."""
    assert sli.series is not None  # noqa: S101  the caller has asked
    return {name: phase_bins(sli.series, run, name).missing_share for name in _JUDGED}
