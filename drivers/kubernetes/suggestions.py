"""Say what exists in the allowed namespaces for a field of a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from drivers.kube import pods
from drivers.kube.api import ForbiddenError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED
from drivers.kubernetes.nodes import is_closed
from drivers.kubernetes.payload import PLURALS
from drivers.kubernetes.workloads import replicas_of
from drivers.protocol import DriverError, Suggestion

_MOST = 500
_WORKLOADS = ("Deployment", "StatefulSet")


def suggest(
    cluster: Cluster, what: str, given: Mapping[str, Any], deadline: float
) -> list[Suggestion]:
    """Return what exists now for the word; nothing for one that is not known.

    ``given`` narrows: a namespace and a kind that are written already, as far as they are allowed.
    """
    if what == "namespaces":
        return _namespaces(cluster, deadline)
    if what == "nodes":
        return _nodes(cluster, deadline)
    ask = {
        "pods": _pods,
        "pod_labels": _labels,
        "workloads": _workloads,
        "containers": _containers,
    }.get(what)
    return ask(cluster, given, deadline)[:_MOST] if ask else []


def _where(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[str]:
    """Return the namespace that is written, if it is allowed; otherwise every allowed one."""
    for part in (given, given.get("selector")):
        named = part.get("namespace") if isinstance(part, Mapping) else None
        if isinstance(named, str) and cluster.scope.allows(named):
            return [named]
    try:
        return cluster.namespaces(deadline)
    except ForbiddenError:
        if not cluster.scope.names:
            raise
        return list(cluster.scope.names)


def _listed(
    cluster: Cluster,
    at: str,
    group: str,
    given: Mapping[str, Any],
    deadline: float,
    *,
    is_brief: bool = False,
) -> list[Mapping[str, Any]]:
    """Return the objects of every namespace that is meant; raises when none may be read."""

    def ask(namespace: str) -> list[dict[str, Any]]:
        there = path(group, at, namespace=namespace)
        return cluster.api.all(there, deadline=deadline, is_brief=is_brief)

    wanted = _where(cluster, given, deadline)
    found: list[Mapping[str, Any]] = []
    errors: list[DriverError] = []
    for _, listed in cluster.each(ask, wanted):
        if isinstance(listed, DriverError):
            errors.append(listed)
        else:
            found += listed
    if errors and len(errors) == len(wanted):
        raise errors[0]
    return found


def _namespaces(cluster: Cluster, deadline: float) -> list[Suggestion]:
    try:
        found = cluster.namespaces(deadline)
    except ForbiddenError:
        found = list(cluster.scope.names)
    return [Suggestion(value=each) for each in found]


def _nodes(cluster: Cluster, deadline: float) -> list[Suggestion]:
    return [
        Suggestion(
            value=str(each["metadata"]["name"]),
            detail="closed to new pods" if is_closed(each) else "",
        )
        for each in cluster.api.all(path("v1", "nodes"), deadline=deadline)
    ]


def _pods(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[Suggestion]:
    listed = _listed(cluster, "pods", "v1", given, deadline)
    living = [pod for each in listed if (pod := pods.read(each)).phase not in FINISHED]
    return _once(
        Suggestion(value=pod.name, detail=f"in {pod.namespace}: {pod.detail}") for pod in living
    )


def _labels(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[Suggestion]:
    counted: Counter[str] = Counter()
    for pod in _listed(cluster, "pods", "v1", given, deadline, is_brief=True):
        labels = pod["metadata"].get("labels") or {}
        counted.update(f"{key}={value}" for key, value in labels.items())
    return [
        Suggestion(value=label, detail=f"{number} pod{'' if number == 1 else 's'}")
        for label, number in sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    ]


def _workloads(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[Suggestion]:
    asked = given.get("workload")
    kinds = [asked] if asked in _WORKLOADS else ["Deployment"]
    return _once(
        Suggestion(
            value=str(each["metadata"]["name"]),
            detail=f"{kind} in {each['metadata']['namespace']}, {_count(each)}",
        )
        for kind in kinds
        for each in _listed(cluster, PLURALS[kind], "apps/v1", given, deadline)
    )


def _containers(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[Suggestion]:
    asked, name = given.get("workload"), given.get("name")
    kind = asked if asked in _WORKLOADS else "Deployment"
    return _once(
        Suggestion(
            value=str(container["name"]),
            detail=f"of {each['metadata']['name']}: {container.get('image', '')}",
        )
        for each in _listed(cluster, PLURALS[kind], "apps/v1", given, deadline)
        if not isinstance(name, str) or not name or each["metadata"]["name"] == name
        for container in each["spec"]["template"]["spec"]["containers"]
    )


def _count(body: Mapping[str, Any]) -> str:
    wanted = replicas_of(dict(body))
    return f"{wanted} pod{'' if wanted == 1 else 's'}"


def _once(found: Any) -> list[Suggestion]:
    """Return each value once, sorted; the first one's detail stays."""
    known: dict[str, Suggestion] = {}
    for each in found:
        known.setdefault(each.value, each)
    return [known[value] for value in sorted(known)]
