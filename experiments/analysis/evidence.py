"""Evidence: everything the judge may know about a run, as frozen dataclasses.

Times are unix seconds. Phases come from confirmed injections and recoveries that were read back,
never from the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from experiments.analysis.series import (
    Floats,
    HistogramSeries,
    RatioSeries,
    Series,
    ValueSeries,
    check_bounds,
)

__all__ = [
    "FaultEvidence",
    "HistogramSeries",
    "HistogramTotals",
    "Phase",
    "ProbeEvidence",
    "RatioSeries",
    "RatioTotals",
    "RunEvidence",
    "Series",
    "SliEvidence",
    "Totals",
    "ValueSeries",
]

PhaseName = Literal["baseline", "fault", "recovery"]
Kind = Literal["ratio", "quantile", "value"]
Expect = Literal["holds", "may_degrade", "degrades"]
Direction = Literal["lower_is_better", "higher_is_better"]
EndedBy = Literal["plan", "person", "guardrail", "halt", "backend", "error"]


@dataclass(frozen=True)
class Phase:
    """A stretch of the run. Several of one name, which may overlap, are judged together.

    Where names overlap the fault wins: what touches it is neither baseline nor recovery.
    """

    name: PhaseName
    start: float
    end: float


@dataclass(frozen=True)
class RatioTotals:
    """Bad and all events of a phase, from raw counters at the edges of its judged part.

    The judged part leaves the settle time out: it starts ``settle_s`` after the phase does.
    """

    bad: float
    total: float


@dataclass(frozen=True, eq=False)
class HistogramTotals:
    """Cumulative bucket counts of a phase, from raw counters; shapes (k,), ``bounds`` to +inf."""

    bounds: Floats
    counts: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", np.array(self.bounds, dtype=np.float64))
        object.__setattr__(self, "counts", np.array(self.counts, dtype=np.float64))
        check_bounds(self.bounds)
        if self.counts.shape != self.bounds.shape:
            raise ValueError("bounds and counts must have the same shape")


Totals = RatioTotals | HistogramTotals


@dataclass(frozen=True, eq=False)
class SliEvidence:
    """One SLI: what was predicted of it and what was read.

    Limits, ``margin_absolute`` and values are in the SLI's unit (a ratio counts from 0 to 1);
    ``margin_relative`` is a share of the baseline (0.2 is 20 %). Of two margins the larger
    applies. ``totals`` lacks a phase, or holds None for it, where the raw counters could not be
    read. ``problem`` says why there are no data: the query that returned nothing.
    """

    name: str
    kind: Kind
    series: Series | None
    expect: Expect = "holds"
    direction: Direction = "lower_is_better"
    unit: str = ""
    limit_min: float | None = None
    limit_max: float | None = None
    margin_absolute: float | None = None
    margin_relative: float | None = None
    critical: bool = False
    q: float | None = None
    totals: Mapping[str, Totals | None] = field(default_factory=dict)
    problem: str | None = None

    def __post_init__(self) -> None:
        wanted = {"ratio": RatioSeries, "quantile": HistogramSeries, "value": ValueSeries}
        if self.series is not None and not isinstance(self.series, wanted[self.kind]):
            raise ValueError(f"a {self.kind} SLI needs a {wanted[self.kind].__name__}")
        if self.kind == "quantile" and not (self.q is not None and 0 < self.q < 1):
            raise ValueError("a quantile SLI needs q between 0 and 1")

    @property
    def worse_sign(self) -> float:
        """Return +1 where a rise is worse, −1 where a fall is."""
        return 1.0 if self.direction == "lower_is_better" else -1.0


@dataclass(frozen=True)
class FaultEvidence:
    """What the backend and its counters say of one fault.

    Shares count from 0 to 1: ``affected`` of ``exposed`` requests (or targets) got the fault.
    ``took_effect`` is the backend's confirmation, None where it could not say.
    """

    action: str
    requested_share: float | None = None
    delivered_share: float | None = None
    exposed: int | None = None
    affected: int | None = None
    took_effect: bool | None = None
    detail: str = ""
    doubt: str = ""
    """Why it cannot be relied on though it took effect: lost early, too short to be seen."""


@dataclass(frozen=True)
class ProbeEvidence:
    """The outcome of one probe; ``passed`` is None where it could not be made."""

    name: str
    at: Literal["start", "end", "throughout"]
    passed: bool | None
    detail: str = ""


@dataclass(frozen=True, eq=False)
class RunEvidence:
    """All that is known of a run.

    ``settle_s`` is dropped right after each inject and each recover: two range widths.
    ``guardrail_on_data`` tells a breach from a stop because no data came.
    """

    phases: tuple[Phase, ...]
    slis: tuple[SliEvidence, ...] = ()
    faults: tuple[FaultEvidence, ...] = ()
    probes: tuple[ProbeEvidence, ...] = ()
    ended_by: EndedBy = "plan"
    guardrail_on_data: bool = False
    settle_s: float = 0.0
    scrape_interval_s: float = 5.0
    step_s: float = 5.0

    def phases_named(self, name: PhaseName) -> tuple[Phase, ...]:
        """Return the phases of that name in the order of time."""
        found = (phase for phase in self.phases if phase.name == name)
        return tuple(sorted(found, key=lambda phase: phase.start))
