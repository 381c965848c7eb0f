"""What each fault of this driver must say and do, and how its states make an observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from drivers.kube.cluster import Cluster
from drivers.protocol import (
    Document,
    DriverError,
    FaultParams,
    FaultRequest,
    Json,
    Observation,
    Plan,
    Problem,
    Targets,
    TargetState,
)

Params = TypeVar("Params", bound=FaultParams)
Found = TypeVar("Found")
"""What one look at the cluster found for these parameters."""


class Procedure(ABC, Generic[Params, Found]):
    """How one fault is judged, planned, injected, observed and recovered.

    Stateless: one serves every cluster. Every ``deadline`` is on ``time.monotonic()``.
    """

    undo: str
    """How and when it is undone, in a sentence."""

    @abstractmethod
    def documents(self, params: Params, token: str) -> tuple[Document, ...]:
        """Return what would be sent, as far as it is known without a call."""

    def namespace(self, params: Params) -> str:
        """Return the namespace that the fault is for, empty where it lies in none."""
        return str(getattr(params, "namespace", ""))

    @abstractmethod
    def look(self, cluster: Cluster, params: Params, deadline: float) -> Found:
        """Read what the fault would meet. Raises DriverError."""

    @abstractmethod
    def problems(self, params: Params, found: Found) -> list[Problem]:
        """Judge what was read."""

    @abstractmethod
    def claims(
        self, cluster: Cluster, params: Params, found: Found, deadline: float
    ) -> tuple[str, ...]:
        """Return the physical things that the fault would hold."""

    @abstractmethod
    def targets(self, params: Params, found: Found) -> Targets:
        """Return what would be hit."""

    @abstractmethod
    def plan(self, cluster: Cluster, request: FaultRequest, found: Found, deadline: float) -> Plan:
        """Return the plan for what was read."""

    @abstractmethod
    def inject(self, cluster: Cluster, plan: Plan, deadline: float) -> dict[str, Json]:
        """Do what is still missing of the plan. Raises DriverError, UnknownOutcomeError."""

    @abstractmethod
    def observe(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read how far the plan is in effect. Raises DriverError where that cannot be read."""

    @abstractmethod
    def recover(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Restore what is ours and read back. Raises DriverError where that cannot be done."""


AnyProcedure = Procedure[Any, Any]


def home_of(plan: Plan) -> str:
    """Return the namespace of the plan's sentinel."""
    return str(plan.details.get("home", ""))


def error(message: str, hint: str = "", where: str = "") -> Problem:
    """Return a problem that prevents the fault."""
    return Problem(message=message, hint=hint, where=where)


def warn(message: str, hint: str = "", where: str = "") -> Problem:
    """Return a problem that explains, and prevents nothing."""
    return Problem(message=message, hint=hint, severity="warning", where=where)


def observation(
    plan: Plan,
    states: Sequence[TargetState],
    *,
    is_injected: bool,
    is_left: bool = False,
    met: tuple[float, float] | None = None,
    evidence: dict[str, Json] | None = None,
    message: str = "",
) -> Observation:
    """Return what was read of every target.

    ``is_injected``: what is not there is gone, not pending. ``is_left``: something of ours is still
    there besides. ``met`` is how many could have met the fault and how many did.
    """
    exposed, affected = met if met is not None else (None, None)
    share = min(1.0, affected / exposed) if exposed and affected is not None else None
    said = " ".join(f"{each.name}: {each.detail}" for each in states[:20] if each.detail)
    return Observation(
        phase=_overall(states, is_injected=is_injected, is_left=is_left),
        targets=tuple(states),
        requested_share=plan.requested_share,
        delivered_share=share,
        exposed=exposed,
        affected=affected,
        evidence=evidence or {},
        message=message or said,
    )


def unreachable(plan: Plan, refused: DriverError, *, is_injected: bool) -> Observation:
    """Return the observation of a plan of which nothing could be read."""
    names = dict.fromkeys(each.name for each in plan.targets) or [plan.token]
    states = [
        TargetState(name=name, phase="unreachable", detail="" if index else str(refused))
        for index, name in enumerate(list(names)[:200])
    ]
    return observation(plan, states, is_injected=is_injected, message=str(refused))


def _overall(
    states: Sequence[TargetState], *, is_injected: bool, is_left: bool
) -> Literal["pending", "active", "partly", "gone", "failed"]:
    phases = {each.phase for each in states}
    if phases == {"active"}:
        return "active"
    if "active" in phases or is_left:
        return "partly"
    # What was not read may still be there: that is never “gone”.
    if "unreachable" in phases:
        return "partly" if is_injected else "pending"
    return "gone" if is_injected else "pending"
