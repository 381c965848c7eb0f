"""Say what exists in the allowed namespaces for a field of a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from drivers.kube import pods
from drivers.kube.api import ForbiddenError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED
from drivers.protocol import DriverError, Suggestion

_MOST = 500


def suggest(
    cluster: Cluster, what: str, given: Mapping[str, Any], deadline: float
) -> list[Suggestion]:
    """Return what exists now for the word; nothing for one that is not known.

    ``given`` narrows: the selector's namespaces as far as they are written and allowed.
    """
    if what == "namespaces":
        return [Suggestion(value=each) for each in _allowed(cluster, deadline)]
    if what == "nodes":
        listed = cluster.api.all(path("v1", "nodes"), deadline=deadline, is_brief=True)
        return [Suggestion(value=str(each["metadata"]["name"])) for each in listed][:_MOST]
    ask = {
        "labels": _labels,
        "namespaced_pods": _names,
        "pod_containers": _containers,
        "ports": _ports,
    }
    if what not in ask:
        return []
    return ask[what](_pods(cluster, given, deadline))[:_MOST]


def _allowed(cluster: Cluster, deadline: float) -> list[str]:
    try:
        return cluster.namespaces(deadline)
    except ForbiddenError:
        if not cluster.scope.names:
            raise
        return list(cluster.scope.names)


def _where(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[str]:
    selector = given.get("selector")
    named = selector.get("namespaces") if isinstance(selector, Mapping) else None
    if isinstance(named, str):
        named = named.split()
    if isinstance(named, list | tuple):
        wanted = [each for each in named if isinstance(each, str) and cluster.scope.allows(each)]
        if wanted:
            return wanted
    return _allowed(cluster, deadline)


def _pods(cluster: Cluster, given: Mapping[str, Any], deadline: float) -> list[dict[str, Any]]:
    """Return the pods that may be meant. Raises DriverError when no namespace can be read."""
    found: list[dict[str, Any]] = []
    errors: list[DriverError] = []
    wanted = _where(cluster, given, deadline)
    for _, listed in cluster.each(
        lambda place: cluster.api.all(path("v1", "pods", namespace=place), deadline=deadline),
        wanted,
    ):
        if isinstance(listed, DriverError):
            errors.append(listed)
        else:
            found += listed
    if errors and len(errors) == len(wanted):
        raise errors[0]
    return [each for each in found if (each.get("status") or {}).get("phase") not in FINISHED]


def _labels(found: Iterable[Mapping[str, Any]]) -> list[Suggestion]:
    counted = Counter[str]()
    for body in found:
        labels = body["metadata"].get("labels") or {}
        counted.update(f"{key}={value}" for key, value in labels.items())
    return _told(counted)


def _names(found: Iterable[Mapping[str, Any]]) -> list[Suggestion]:
    read = sorted((pods.read(body) for body in found), key=lambda pod: pod.key)
    return [Suggestion(value=pod.key, detail=pod.detail) for pod in read]


def _containers(found: Iterable[Mapping[str, Any]]) -> list[Suggestion]:
    return _told(Counter(name for body in found for name in pods.read(body).containers))


def _ports(found: Iterable[Mapping[str, Any]]) -> list[Suggestion]:
    counted = Counter(
        str(port.get("containerPort"))
        for body in found
        for container in (body.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
    )
    return _told(counted)


def _told(counted: Counter[str]) -> list[Suggestion]:
    """Return each value with how many pods have it, the most frequent first."""
    return [
        Suggestion(value=value, detail=f"{number} pod{'' if number == 1 else 's'}")
        for value, number in sorted(counted.items(), key=lambda each: (-each[1], each[0]))
    ]
