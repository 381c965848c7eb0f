"""Whether a workload has its pods again, read from the pods themselves.

A workload's own status lags behind: for a moment it counts pods that are already being deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers.kube.api import ForbiddenError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import Pod, owners
from drivers.protocol import TargetState

_REPLICATED = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "ReplicaSet": "replicasets",
}
_UNWAITED = frozenset({"Job"})
"""Their pods end by themselves: there is no number to come back to."""


def ready(pods: Iterable[Pod]) -> int:
    """Return how many pods are ready and stay."""
    return sum(pod.is_ready and not pod.is_going for pod in pods)


def states(
    cluster: Cluster, before: Mapping[str, int], pods: Iterable[Pod], deadline: float
) -> list[TargetState]:
    """Return, for each workload, whether as many pods are ready as before.

    ``before`` is how many were, by “namespace/kind/name”; ``pods`` are those of now. ``gone``: it
    is healthy again. ``active``: it is not. ``foreign``: it is not there any more.
    """
    there = owners(pods)
    return [
        _state(cluster, key, wanted, ready(there.get(key, ())), deadline)
        for key, wanted in before.items()
    ]


def _state(cluster: Cluster, key: str, before: int, now: int, deadline: float) -> TargetState:
    namespace, kind, name = key.split("/", 2)
    if kind in _UNWAITED:
        return TargetState(name=key, phase="gone", detail="Its pods are not waited for.")
    if now >= before:
        return TargetState(name=key, phase="gone", detail=f"{now} pods are ready.")
    wanted = before
    if kind in _REPLICATED:
        asked = _asked_for(cluster, namespace, kind, name, deadline, before)
        if asked is None:
            said = f"The {kind} is not there any more: somebody else deleted it."
            return TargetState(name=key, phase="foreign", detail=said)
        wanted = min(before, asked)
        if now >= wanted:
            said = f"{now} pods are ready, and no more are asked for now."
            return TargetState(name=key, phase="gone", detail=said)
    said = f"{now} of {wanted} pods are ready again."
    return TargetState(name=key, phase="active", detail=said)


def _asked_for(
    cluster: Cluster, namespace: str, kind: str, name: str, deadline: float, before: int
) -> int | None:
    """Return how many pods the workload is to have now; None where it is gone.

    As many as before where we may not read it.
    """
    at = path("apps/v1", _REPLICATED[kind], namespace=namespace, name=name)
    try:
        body = cluster.api.find(at, deadline=deadline)
    except ForbiddenError:
        return before
    if body is None:
        return None
    wanted = (body.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)
