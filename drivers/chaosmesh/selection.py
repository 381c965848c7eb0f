"""Which pods or machines a selector matches, by Chaos Mesh's own rules. Pure, over what was listed.

All that a selector says must hold; named pods alone make everything else count for nothing; nodes
and labels of nodes widen each other. Chaos Mesh also selects pods that have completed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from drivers.chaosmesh.machine import MachineSelector
from drivers.chaosmesh.selector import Selector
from drivers.chaosmesh.wire import EXPRESSION

Body = Mapping[str, Any]

_FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.restartPolicy": ("spec", "restartPolicy"),
    "spec.schedulerName": ("spec", "schedulerName"),
    "spec.serviceAccountName": ("spec", "serviceAccountName"),
    "spec.address": ("spec", "address"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "podIP"),
    "status.nominatedNodeName": ("status", "nominatedNodeName"),
}


def pods(selector: Selector, listed: Iterable[Body], on: Collection[str] | None) -> list[Body]:
    """Return the pods that match, in the order listed.

    ``on``: the nodes that ``nodes`` and ``node_labels`` mean together; None where neither is said.
    """
    if selector.pods:
        named = set(selector.pods)
        return [body for body in listed if key(body) in named]
    return [
        body
        for body in listed
        if _about(body, "namespace") in selector.namespaces
        and _matches(body, selector)
        and is_in_phase(str((body.get("status") or {}).get("phase", "")), selector.phases)
        and (on is None or str((body.get("spec") or {}).get("nodeName", "")) in on)
    ]


def machines(selector: MachineSelector, listed: Iterable[Body]) -> list[Body]:
    """Return the PhysicalMachines that match, in the order listed."""
    if selector.machines:
        named = set(selector.machines)
        return [body for body in listed if key(body) in named]
    return [
        body
        for body in listed
        if _about(body, "namespace") in selector.namespaces and _matches(body, selector)
    ]


def nodes(selector: Selector, listed: Iterable[Body]) -> tuple[set[str], list[str]]:
    """Return the nodes that a selector means, and those it names that are not there."""
    found = list(listed)
    there = {_about(body, "name") for body in found}
    chosen = {name for name in selector.nodes if name in there}
    if selector.node_labels:
        wanted = selector.node_labels.items()
        chosen |= {_about(body, "name") for body in found if wanted <= _labels(body).items()}
    return chosen, [name for name in selector.nodes if name not in there]


def is_in_phase(phase: str, wanted: Iterable[str]) -> bool:
    """Tell whether a pod's phase is one that is wanted, and none of those that begin with ``!``."""
    words = list(wanted)
    included = [word for word in words if not word.startswith("!")]
    return (not included or phase in included) and f"!{phase}" not in words


def is_expressed(labels: Mapping[str, str], expression: str) -> bool:
    """Tell whether labels fulfil an expression as kubectl writes it; absent is “not in” as well."""
    found = EXPRESSION.fullmatch(expression.strip())
    if found is None:
        raise ValueError(f"“{expression}” is no expression")  # the models refuse it before
    name = found["key"] or found["bare"]
    if not found["word"]:
        return (name in labels) != bool(found["not"])
    values = {each.strip() for each in (found["values"] or "").split(",")}
    is_in = labels.get(name) in values
    return is_in if found["word"].lower() == "in" else not is_in


def chosen(mode: str, value: int | None, matching: int) -> int | None:
    """Return how many of those that match are hit; None where chance says how many.

    A percentage is rounded up, as Chaos Mesh does.
    """
    if mode == "one":
        return min(1, matching)
    if mode == "all":
        return matching
    if mode == "fixed":
        return min(value or 0, matching)
    if mode == "fixed-percent":
        return -(-matching * (value or 0) // 100)
    return None


def key(body: Body) -> str:
    """Return ``namespace/name``."""
    return f"{_about(body, 'namespace')}/{_about(body, 'name')}"


def _matches(body: Body, selector: Selector | MachineSelector) -> bool:
    labels, annotations = _labels(body), _strings(body, "annotations")
    return (
        selector.labels.items() <= labels.items()
        and all(is_expressed(labels, each) for each in selector.expressions)
        and selector.annotations.items() <= annotations.items()
        and all(_field(body, name) == value for name, value in selector.fields.items())
    )


def _field(body: Body, name: str) -> str:
    part, key_ = _FIELDS[name]
    return str((body.get(part) or {}).get(key_, ""))


def _about(body: Body, name: str) -> str:
    return str((body.get("metadata") or {}).get(name, ""))


def _labels(body: Body) -> Mapping[str, str]:
    return _strings(body, "labels")


def _strings(body: Body, name: str) -> Mapping[str, str]:
    return (body.get("metadata") or {}).get(name) or {}
