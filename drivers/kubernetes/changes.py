"""Faults that set one value of one object, and put back what it was.

The object carries the injection's token while its value is ours; every write names the version that
it was decided on, so that nobody's change in between is lost.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from drivers.kube.api import ConflictError
from drivers.kube.cluster import Cluster
from drivers.kubernetes import sentinels
from drivers.kubernetes.payload import Reference, holder, marked
from drivers.kubernetes.procedure import Found, Params, Procedure, home_of, observation
from drivers.protocol import (
    DriverError,
    Json,
    Observation,
    Plan,
    TargetState,
    UnknownOutcomeError,
)

Body = dict[str, Any]
MOST_TRIES = 5
"""How often a write is decided anew because somebody else changed the object meanwhile."""


def object_of(plan: Plan) -> Reference:
    """Return the object that a plan is about."""
    return Reference(**plan.details["object"])


def before(plan: Plan) -> Json:
    """Return the value that was there before."""
    return plan.undo[object_of(plan).label]["value"]


class Change(Procedure[Params, Found]):
    """How one value of one object is set and put back."""

    patch_kind = "merge"

    @abstractmethod
    def value(self, body: Body, plan: Plan) -> Json:
        """Return the value as the object has it now."""

    @abstractmethod
    def change(self, plan: Plan, value: Json) -> Body:
        """Return the patch that sets the value, without metadata."""

    @abstractmethod
    def words(self, value: Json) -> str:
        """Say the value: “3 pods”, “the image shop/web:1”."""

    @abstractmethod
    def met(self, body: Body, plan: Plan) -> tuple[float, float]:
        """Return how many targets could have met the fault by now, and how many did."""

    def after(self, cluster: Cluster, plan: Plan, deadline: float) -> None:
        """Do what putting the value back does not do by itself."""

    def inject(self, cluster: Cluster, plan: Plan, deadline: float) -> dict[str, Json]:
        """Create the sentinel, then set the value; do nothing that is done already."""
        body = cluster.api.get(object_of(plan).path, deadline=deadline)
        kept = sentinels.find(cluster, home_of(plan), plan.token, deadline)
        self._refuse(cluster, plan, body, deadline, is_kept=kept is not None)
        if kept is None:
            sentinels.create(cluster, home_of(plan), plan, deadline)
        try:
            self._set(cluster, plan, body, deadline)
        except UnknownOutcomeError:
            raise
        except DriverError as refused:
            if kept is None:
                withdraw(cluster, plan, refused, deadline)
            raise
        return {}

    def observe(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read the object. Without a handle, what is as it was reads ``pending``."""
        body = cluster.api.find(object_of(plan).path, deadline=deadline)
        is_kept = False
        if body is not None and not is_answered and self.value(body, plan) == plan.details["set"]:
            home = home_of(plan)
            is_kept = sentinels.find(cluster, home, plan.token, deadline) is not None
        return self._observed(plan, body, is_kept=is_kept, is_answered=is_answered)

    def recover(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Put the value back where it is ours, read back, and delete the sentinel last."""
        at, home = object_of(plan).path, home_of(plan)
        is_kept = sentinels.find(cluster, home, plan.token, deadline) is not None

        def undo(body: Body) -> Body | None:
            is_ours = self._is_ours(plan, body, is_kept=is_kept, is_answered=is_answered)
            if not is_ours and holder(body) != plan.token:
                return None
            return self.change(plan, before(plan)) if is_ours else {}

        body = cluster.api.find(at, deadline=deadline)
        if body is not None and self._write(cluster, plan, body, undo, None, deadline):
            body = cluster.api.find(at, deadline=deadline)
        seen = self._observed(
            plan, body, is_kept=is_kept, is_answered=is_answered, is_injected=True
        )
        if seen.phase == "gone":
            self.after(cluster, plan, deadline)
            if is_kept:
                sentinels.remove(cluster, home, plan.token, deadline)
        return seen.model_copy(update={"delivered_share": None, "exposed": None, "affected": None})

    def _set(self, cluster: Cluster, plan: Plan, body: Body, deadline: float) -> None:
        def set_it(now: Body) -> Body | None:
            if self.value(now, plan) == plan.details["set"] and holder(now) == plan.token:
                return None
            self._refuse(cluster, plan, now, deadline, is_kept=True)
            return self.change(plan, plan.details["set"])

        if not self._write(cluster, plan, body, set_it, plan.token, deadline):
            return
        now = cluster.api.get(object_of(plan).path, deadline=deadline)
        if self.value(now, plan) != plan.details["set"]:
            raise UnknownOutcomeError(
                f"{object_of(plan)} took the change and shows {self.words(self.value(now, plan))}.",
                hint="A webhook or a controller may have set it back.",
            )

    def _write(
        self,
        cluster: Cluster,
        plan: Plan,
        body: Body,
        decide: Callable[[Body], Body | None],
        token: str | None,
        deadline: float,
    ) -> bool:
        """Patch the object as decided from what it is, anew after each conflict.

        Return whether anything was written. Raises ConflictError once it lost too often.
        """
        at = object_of(plan).path
        tries = 0
        while (patch := decide(body)) is not None:
            sent = {**patch, "metadata": marked(token, body["metadata"]["resourceVersion"])}
            try:
                cluster.api.patch(at, sent, kind=self.patch_kind, deadline=deadline)
            except ConflictError:
                tries += 1
                if tries == MOST_TRIES:
                    raise
                body = cluster.api.get(at, deadline=deadline)
            else:
                return True
        return False

    def _refuse(
        self, cluster: Cluster, plan: Plan, body: Body, deadline: float, *, is_kept: bool
    ) -> None:
        """Raise why the value must not be set over what is there."""
        held = holder(body)
        if held and held != plan.token:
            raise sentinels.taken(held, str(object_of(plan)))
        if not is_kept:
            home = home_of(plan)
            other = sentinels.held_by_another(cluster, home, plan.token, plan.claims, deadline)
            if other is not None:
                raise other
        now, was = self.value(body, plan), before(plan)
        is_ours = now == plan.details["set"] and (held == plan.token or is_kept)
        if not is_ours and now != was:
            raise DriverError(
                f"{object_of(plan)} had {self.words(was)} when the fault was planned and has "
                f"{self.words(now)} now.",
                hint="Somebody else changed it: plan again.",
            )

    def _is_ours(self, plan: Plan, body: Body, *, is_kept: bool, is_answered: bool) -> bool:
        """Tell whether the value is there because we set it."""
        if self.value(body, plan) != plan.details["set"]:
            return False
        if held := holder(body):
            return held == plan.token
        is_same = body["metadata"]["uid"] == plan.details["uid"]
        return is_same and (is_kept or is_answered)

    def _observed(
        self,
        plan: Plan,
        body: Body | None,
        *,
        is_kept: bool,
        is_answered: bool,
        is_injected: bool | None = None,
    ) -> Observation:
        is_injected = is_answered if is_injected is None else is_injected
        of = object_of(plan)
        if body is None:
            state = TargetState(name=of.label, phase="foreign", detail="It is not there any more.")
            return observation(plan, [state], is_injected=is_injected)
        now = self.value(body, plan)
        evidence: dict[str, Json] = {of.label: {"value": now, "counts": _counts(body)}}
        if self._is_ours(plan, body, is_kept=is_kept, is_answered=is_answered):
            state = TargetState(name=of.label, phase="active")
            return observation(
                plan,
                [state],
                is_injected=is_injected,
                met=self.met(body, plan),
                evidence=evidence,
            )
        if now == before(plan):
            phase = TargetState(name=of.label, phase="gone" if is_injected else "pending")
            return observation(plan, [phase], is_injected=is_injected, evidence=evidence)
        detail = f"It has {self.words(now)}: neither ours nor what was before."
        if now == plan.details["set"] and holder(body):
            detail = f"Injection {holder(body)} holds it."
        state = TargetState(name=of.label, phase="foreign", detail=detail)
        return observation(plan, [state], is_injected=is_injected, evidence=evidence)


def _counts(body: Body) -> dict[str, int]:
    """Return the numbers of an object's status, such as its ready replicas."""
    status = body.get("status") or {}
    return {key: value for key, value in status.items() if isinstance(value, int)}


def withdraw(cluster: Cluster, plan: Plan, refused: DriverError, deadline: float) -> None:
    """Delete the sentinel of a fault that was refused. Raises UnknownOutcomeError if it stays."""
    try:
        sentinels.remove(cluster, home_of(plan), plan.token, deadline)
    except DriverError as stays:
        raise UnknownOutcomeError(
            f"{refused.message} Its record could not be removed: {stays.message}",
            retryable=refused.retryable,
            hint=refused.hint,
        ) from refused
