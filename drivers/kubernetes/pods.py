"""Delete pods; what made them makes new ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from drivers.kube import health
from drivers.kube.api import ConflictError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import owners
from drivers.kubernetes.faults import DeletePods
from drivers.kubernetes.matching import (
    Matching,
    choose,
    match,
    nothing,
    targets,
    told,
    warnings,
)
from drivers.kubernetes.payload import request
from drivers.kubernetes.procedure import Procedure, error, observation
from drivers.kubernetes.selection import count
from drivers.protocol import (
    Document,
    DriverError,
    FaultRequest,
    Json,
    Observation,
    Plan,
    Problem,
    Target,
    Targets,
    TargetState,
    UnknownOutcomeError,
)

MOST_STATES = 200
"""How many pods are observed one by one; more are counted for each workload."""
_MOST_DOCUMENTS = 20
_LAST_CALL_S = 1.0
"""How long the last deletions may take to be answered: what is not asked is known to be there."""


class PodsDeletion(Procedure[DeletePods, Matching]):
    """Deletes the pods that were chosen, each only while it is the same pod."""

    undo = (
        "Nothing is to be put back: what made the pods makes new ones. It counts as recovered once "
        "every workload has as many ready pods as before."
    )

    def documents(self, params: DeletePods, token: str) -> tuple[Document, ...]:
        """Return the call that each chosen pod gets."""
        where = params.selector.namespace
        at = path("v1", "pods", namespace=where) + "/<pod>"
        return (_document(f"each pod of {params.selector}", at, "<its uid>", params.grace_period),)

    def namespace(self, params: DeletePods) -> str:
        """Return the selection's namespace."""
        return params.selector.namespace

    def look(self, cluster: Cluster, params: DeletePods, deadline: float) -> Matching:
        """Read the pods of the namespace."""
        return match(cluster, params.selector, deadline)

    def problems(self, params: DeletePods, found: Matching) -> list[Problem]:
        """Refuse a selection of nothing, and pods that nothing would make again."""
        if absent := nothing(found):
            return absent
        bare = [pod.name for pod in found.pods if pod.owner is None]
        if bare:
            hint = "Select the pods of a Deployment, StatefulSet or DaemonSet."
            said = f"Nothing would make these pods again: {told(bare)}."
            return [error(said, hint, params.selector.namespace)]
        return warnings(found, _count(params, found), "deleted")

    def targets(self, params: DeletePods, found: Matching) -> Targets:
        """Return the matching pods, and how many of each workload's replicas they are."""
        pods, wanted = found.pods, _count(params, found)
        chosen = "every one of them" if wanted == len(pods) else f"{wanted} of them by chance"
        listed = "; ".join(str(share) for share in found.shares(pods)[:5])
        sentence = f"{len(pods):,} pods match, {chosen}"
        return targets(found, f"{sentence}: {listed}." if listed else f"{sentence}.")

    def claims(
        self, cluster: Cluster, params: DeletePods, found: Matching, deadline: float
    ) -> tuple[str, ...]:
        """Return every workload with a matching pod: which of them it will be is chance."""
        identity = cluster.identity(deadline)
        return tuple(sorted(f"k8s:{identity}:{key}:kill" for key in owners(found.pods)))

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: Matching, deadline: float
    ) -> Plan:
        """Choose the pods, and count the ready ones of each workload that matches."""
        params = request.params
        assert isinstance(params, DeletePods)  # noqa: S101  chosen by its class
        matching, everything = found.pods, owners(found.there)
        chosen = choose(matching, _count(params, found), request.token)
        touched = owners(chosen)
        where = path("v1", "pods", namespace=params.selector.namespace)
        by_chance = "" if len(chosen) == len(matching) else ", by chance"
        documents = [
            _document(f"{pod.key}{by_chance}", f"{where}/{pod.name}", pod.uid, params.grace_period)
            for pod in chosen[:_MOST_DOCUMENTS]
        ]
        hurt = [key.split("/", 2) for key in touched]
        return Plan(
            token=request.token,
            fault=params.kind,
            documents=tuple(documents),
            targets=tuple(Target(name=pod.key, detail=pod.detail) for pod in chosen),
            claims=self.claims(cluster, params, found, deadline),
            requested_share=len(chosen) / len(matching) if matching else None,
            counters={
                key: {"ready": float(health.ready(everything.get(key, ())))} for key in touched
            },
            details={
                "namespace": params.selector.namespace,
                "grace_s": params.grace_period,
                "matching": len(matching),
                "pods": [[pod.name, pod.uid, key] for key, pods in touched.items() for pod in pods],
            },
            by_hand=tuple(_to_look(*each) for each in hurt),
        )

    def inject(self, cluster: Cluster, plan: Plan, deadline: float) -> dict[str, Json]:
        """Delete every chosen pod that is still there, many at once.

        Raises UnknownOutcomeError once some may be gone and others are not: asked again, it deletes
        the rest.
        """
        there = cluster.staying(plan.details["namespace"], deadline)
        missing = [each for each in plan.details["pods"] if each[1] in there]

        def delete(pod: list[str]) -> None:
            self._delete(cluster, plan, pod, deadline)

        errors = [
            outcome
            for _, outcome in cluster.each(delete, missing)
            if isinstance(outcome, DriverError)
        ]
        if errors:
            raise _partial(errors, len(missing), len(plan.details["pods"]))
        return {}

    def observe(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read which of the chosen pods are gone or going, and how many are ready again."""
        pods = cluster.pods(plan.details["namespace"], deadline)
        living = {pod.uid for pod in pods if not pod.is_going}
        chosen = plan.details["pods"]
        there = "gone" if is_answered else "pending"
        states = _states(chosen, living, there)
        gone = sum(uid not in living for _, uid, _ in chosen)
        now = owners(pods)
        evidence: dict[str, Json] = {
            key: {"ready": health.ready(now.get(key, ())), "ready_before": counted["ready"]}
            for key, counted in plan.counters.items()
        }
        return observation(
            plan,
            states,
            is_injected=is_answered,
            met=(float(plan.details["matching"]), float(gone)) if gone or is_answered else None,
            evidence=evidence,
            message=f"{gone:,} of {len(chosen):,} pods were deleted.",
        )

    def recover(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read whether every workload has as many ready pods as before. Asks for nothing."""
        pods = cluster.pods(plan.details["namespace"], deadline)
        before = {key: int(counted["ready"]) for key, counted in plan.counters.items()}
        states = health.states(cluster, before, pods, deadline)
        return observation(plan, states, is_injected=True)

    def _delete(self, cluster: Cluster, plan: Plan, pod: list[str], deadline: float) -> None:
        name, uid, _ = pod
        if time.monotonic() >= deadline - _LAST_CALL_S:
            raise DriverError("there was no time left, and it goes on.", retryable=True)
        at = path("v1", "pods", namespace=plan.details["namespace"], name=name)
        try:
            cluster.api.delete(at, _options(uid, plan.details["grace_s"]), deadline=deadline)
        except NotFoundError:
            return
        except ConflictError as gone:
            # Another pod has that name by now: the one that was chosen is gone.
            if "uid" not in gone.message.lower():
                raise


def _count(params: DeletePods, found: Matching) -> int:
    return count(params.mode, params.value, len(found.pods))


def _options(uid: str, grace_s: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": uid},
    }
    return options if grace_s is None else {**options, "gracePeriodSeconds": grace_s}


def _document(target: str, at: str, uid: str, grace_s: int | None) -> Document:
    return request(target, "DELETE", at, _options(uid, grace_s), "application/json")


def _to_look(namespace: str, kind: str, name: str) -> str:
    """Return the command that shows how far a workload is; there is nothing to put back."""
    return f"kubectl get -n {namespace} {kind.lower()}/{name}"


def _states(chosen: list[list[str]], living: set[str], there: Any) -> list[TargetState]:
    """Return the state of each chosen pod, or of each workload where there are too many."""
    if len(chosen) <= MOST_STATES:
        return [
            TargetState(name=f"{key.partition('/')[0]}/{name}", phase=there)
            if uid in living
            else TargetState(name=f"{key.partition('/')[0]}/{name}", phase="active")
            for name, uid, key in chosen
        ]
    by_owner: dict[str, list[bool]] = {}
    for _, uid, key in chosen:
        by_owner.setdefault(key, []).append(uid not in living)
    return [_counted(key, gone, there) for key, gone in by_owner.items()]


def _counted(key: str, gone: list[bool], there: Any) -> TargetState:
    detail = f"{sum(gone):,} of {len(gone):,} chosen pods were deleted."
    return TargetState(name=key, phase="active" if all(gone) else there, detail=detail)


def _partial(errors: list[DriverError], missing: int, chosen: int) -> DriverError:
    """Return the error of deletions of which some failed; unknown once any may have happened."""
    first = next((each for each in errors if not each.retryable), errors[0])
    message = f"{len(errors):,} of {chosen:,} pods are not deleted yet: {first.message}"
    is_unknown = any(isinstance(each, UnknownOutcomeError) for each in errors)
    made: Mapping[str, Any] = {"retryable": first.retryable, "hint": first.hint}
    if is_unknown or len(errors) < missing or missing < chosen:
        return UnknownOutcomeError(message, **made)
    return DriverError(message, **made)
