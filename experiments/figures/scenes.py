"""The scene that every figure of a run shares: its time, its phases and what happened when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from experiments.analysis.evidence import Phase
from experiments.domain.spec import Experiment
from experiments.models import Run
from experiments.selectors import timeline
from experiments.services import sofar

RED, GREEN, AMBER, SLATE = "#c92a2a", "#2b8a3e", "#e67700", "#868e96"


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, as a line; ``of`` is the action where there are several."""

    at: float
    label: str
    colour: str
    of: str = ""

    @property
    def text(self) -> str:
        """Return the whole label."""
        return f"{self.label} {self.of}".rstrip()


@dataclass(frozen=True, slots=True)
class Scene:
    """What every figure of a run shares, in unix seconds; ``planned`` is the fault still to be."""

    start: float
    end: float
    phases: tuple[Phase, ...]
    moments: tuple[Moment, ...]
    planned: tuple[float, float] | None = None


def scene_of(run: Run, document: Experiment, now: datetime) -> Scene:
    """Return the stretch of time, the phases and the moments of a run."""
    phases = sofar.phases_of(run, document, now)
    moments = tuple(_moments(run))
    begun = (run.baseline_at or run.requested_at).timestamp()
    start = min([begun, *(phase.start for phase in phases)])
    end = timeline.planned_end(run, document, now).timestamp()
    end = max([end, *(phase.end for phase in phases), start + 1.0])
    ends = [
        row.recover_by.timestamp()
        for row in run.injections.all()
        if row.phase == "active" and row.recover_by is not None
    ]
    until = max(ends, default=0.0)
    planned = (now.timestamp(), until) if until > now.timestamp() else None
    return Scene(start, end, phases, moments, planned)


def _moments(run: Run) -> Iterable[Moment]:
    rows = sorted(
        (row for row in run.injections.all() if row.injected_at), key=lambda row: row.position
    )
    many = len(rows) > 1
    for row in rows:
        name = row.action if many else ""
        if row.injected_at is not None:
            yield Moment(row.injected_at.timestamp(), "inject", RED, name)
        if row.recovering_at is not None:
            yield Moment(row.recovering_at.timestamp(), "recover", GREEN, name)
    if run.stop_requested_at is not None:
        yield Moment(run.stop_requested_at.timestamp(), "stop", AMBER)
    if run.ended_at is not None:
        yield Moment(run.ended_at.timestamp(), "verdict" if run.judgement else "end", SLATE)
