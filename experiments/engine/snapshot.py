"""A run as the database holds it at one moment, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from experiments.domain.spec import Experiment
from experiments.domain.states import EndedBy, InjectionPhase, Status


@dataclass(frozen=True, slots=True)
class StopOrder:
    """Somebody or something wants the run to end."""

    ended_by: EndedBy
    actor: str
    reason: str
    is_on_data: bool = False
    """A guardrail that saw breaches, not one that saw nothing."""


@dataclass(frozen=True, slots=True)
class ActionState:
    """When one action began and ended."""

    started_at: datetime
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InjectionState:
    """One row of the ledger, as far as decisions need it."""

    action: str
    phase: InjectionPhase
    due_at: datetime | None = None
    woken_at: datetime | None = None
    attempt_deadline: datetime | None = None
    has_plan: bool = False
    is_final_failure: bool = False
    recover_by: datetime | None = None
    recovered_at: datetime | None = None
    is_lost: bool = False
    """It was seen missing while it was to be there, and was not put back."""
    observed_phase: str = ""
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class CallState:
    """One outside call of the run."""

    kind: str
    due_at: datetime | None
    woken_at: datetime | None = None
    attempt_deadline: datetime | None = None
    finished_at: datetime | None = None
    is_ok: bool | None = None
    """Whether the finished call found nothing in the way."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One distinct reading of a guardrail or a probe; ``is_breach`` None: there was no data."""

    at: datetime
    value: float | None
    is_breach: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the engine is, in seconds."""

    rewake_s: float = 2.0
    """A dispatched call that nobody has claimed is dispatched again after this."""
    step_s: float = 5.0
    """The run's step: how far apart the bins of its SLIs are."""
    scrape_s: float = 5.0
    """How far apart the sources' samples are at most (scrape or flush)."""

    @property
    def lag_s(self) -> float:
        """Return how long after a moment its bin can be read: a step and two scrapes."""
        return self.step_s + 2 * self.scrape_s


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """One run: what it is to do and how far it is."""

    status: Status
    spec: Experiment
    status_since: datetime
    injecting_at: datetime | None = None
    stop: StopOrder | None = None
    halt: StopOrder | None = None
    """A halt holds here, and the run was not stopped by it yet."""
    actions: Mapping[str, ActionState] = field(default_factory=dict)
    injections: Mapping[str, InjectionState] = field(default_factory=dict)
    calls: Mapping[str, CallState] = field(default_factory=dict)
    guardrails: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    """The newest samples of each guardrail, oldest first."""
    watched_since: datetime | None = None
    pace: Pace = Pace()
