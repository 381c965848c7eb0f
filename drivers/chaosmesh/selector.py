"""Which pods may be hit: the selector of Chaos Mesh, and what makes one mean what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from drivers.chaosmesh.values import (
    Labels,
    Namespace,
    distinct,
    is_dns_label,
    is_dns_name,
    is_label_key,
    is_label_value,
    rare,
    refuse,
)
from drivers.chaosmesh.wire import EXPRESSION, EXPRESSIONS, LIST, MAP, PODS, Part, Wire

_POD_FIELDS = (
    "metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy",
    "spec.schedulerName", "spec.serviceAccountName", "status.phase", "status.podIP",
    "status.nominatedNodeName",
)  # fmt: skip
_Phase = Literal[
    "Pending", "Running", "Succeeded", "Failed", "Unknown",
    "!Pending", "!Running", "!Succeeded", "!Failed", "!Unknown",
]  # fmt: skip


def _expression(value: str) -> str:
    found = EXPRESSION.fullmatch(value.strip())
    key = (found["key"] or found["bare"]) if found else ""
    if found is None or not is_label_key(key):
        told = f"“{value}” is no expression; write for example “tier in (cache, db)” or “!canary”"
        raise refuse("expression", told)
    values = [each.strip() for each in (found["values"] or "").split(",")] if found["word"] else []
    if any(not each or not is_label_value(each) for each in values):
        raise refuse("expression", f"“{value}” needs values of labels between its brackets")
    return value.strip()


def _fields(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if key not in _POD_FIELDS:
            known = ", ".join(_POD_FIELDS)
            raise refuse(
                "field", f"“{key}” is no field that pods are selected by; there are {known}"
            )
        # What selectors are made of (comma, =, !) would select by something else.
        if not re.fullmatch(r"[A-Za-z0-9._:-]*", text):
            raise refuse("field", f"“{text}” cannot be the value of {key}")
    return value


def _pod(value: str) -> str:
    namespace, _, name = value.partition("/")
    if not is_dns_label(namespace) or not is_dns_name(name):
        raise refuse("pod", f"“{value}” is no pod; write namespace/name, for example shop/web-0")
    return value


def _node(value: str) -> str:
    if not is_dns_name(value):
        raise refuse("node", f"“{value}” cannot be the name of a node")
    return value


Expression = Annotated[str, AfterValidator(_expression)]
Namespaces = Annotated[
    tuple[Namespace, ...],
    AfterValidator(distinct),
    Wire("namespaces", LIST),
    Field(
        title="Namespaces",
        description="Where the pods are. Always sent: without them all namespaces could be meant.",
        examples=[["shop"]],
        json_schema_extra={"suggest": "namespaces"},
    ),
]


class Selector(Part):
    """Which pods may be hit; all that is given must hold."""

    example: ClassVar[Mapping[str, Any]] = {"namespaces": ["shop"], "labels": {"app": "web"}}
    namespaces: Namespaces = ()
    labels: Annotated[
        Labels,
        Wire("labelSelectors", MAP),
        Field(
            title="Labels",
            description="Labels that a pod must have: one a line, key=value.",
            examples=[{"app": "web"}],
            json_schema_extra={"suggest": "labels"},
        ),
    ] = {}
    whole_namespace: bool = Field(
        default=False,
        title="Every pod of the namespaces",
        description="Say yes where no label narrows the choice and that is meant.",
    )
    expressions: Annotated[
        tuple[Expression, ...],
        Wire("expressionSelectors", EXPRESSIONS),
        Field(
            title="Label expressions",
            description="One a line: tier in (cache, db), env notin (dev), canary, !canary.",
            examples=[["tier in (cache, db)"]],
            json_schema_extra=rare(),
        ),
    ] = ()
    annotations: Annotated[
        Labels,
        Wire("annotationSelectors", MAP),
        Field(
            title="Annotations",
            description="Annotations that a pod must have. Only values that could be a label's.",
            examples=[{"team": "checkout"}],
            json_schema_extra=rare(),
        ),
    ] = {}
    fields: Annotated[
        dict[str, str],
        AfterValidator(_fields),
        Wire("fieldSelectors", MAP),
        Field(
            title="Fields",
            description=f"Fields that a pod must have, of {', '.join(_POD_FIELDS)}.",
            examples=[{"spec.serviceAccountName": "web"}],
            json_schema_extra=rare(),
        ),
    ] = {}
    phases: Annotated[
        tuple[_Phase, ...],
        AfterValidator(distinct),
        Wire("podPhaseSelectors", LIST),
        Field(
            title="Phases",
            description="Phases of pods, with ! those to leave out. None: also completed pods.",
            examples=[["Running"]],
            json_schema_extra=rare(),
        ),
    ] = ()
    nodes: Annotated[
        tuple[Annotated[str, AfterValidator(_node)], ...],
        AfterValidator(distinct),
        Wire("nodes", LIST),
        Field(
            title="Nodes",
            description="Nodes that pods must be on. One that is not there fails the fault.",
            examples=[["worker-1"]],
            json_schema_extra=rare(suggest="nodes"),
        ),
    ] = ()
    node_labels: Annotated[
        Labels,
        Wire("nodeSelectors", MAP),
        Field(
            title="Node labels",
            description="Labels of nodes that pods may be on, beside the named nodes.",
            examples=[{"topology.kubernetes.io/zone": "eu-1a"}],
            json_schema_extra=rare(),
        ),
    ] = {}
    pods: Annotated[
        tuple[Annotated[str, AfterValidator(_pod)], ...],
        AfterValidator(distinct),
        Wire("pods", PODS),
        Field(
            title="Pods by name",
            description="One a line: namespace/name. Then nothing else may select.",
            examples=[["shop/web-0"]],
            json_schema_extra=rare(suggest="namespaced_pods"),
        ),
    ] = ()

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Self:
        narrows = self.narrowing()
        if self.pods:
            others = [*(("namespaces",) if self.namespaces else ()), *narrows]
            others += [*(("phases",) if self.phases else ())]
            others += [*(("whole_namespace",) if self.whole_namespace else ())]
            if others:
                told = f"pods are named, so Chaos Mesh would ignore {', '.join(others)}"
                raise refuse("selector", f"{told}; keep one or the other")
        elif not self.namespaces:
            raise refuse("selector", "names no namespace, so pods of all of them could be meant")
        elif self.whole_namespace and narrows:
            told = f"says every pod of the namespaces, but {', '.join(narrows)} narrow the choice"
            raise refuse("selector", told)
        elif not self.whole_namespace and not narrows:
            told = "selects every pod of its namespaces; add labels, or whole_namespace: true"
            raise refuse("selector", told)
        return self

    @property
    def places(self) -> tuple[str, ...]:
        """Return the namespaces of the pods, also of those that are named."""
        return self.namespaces or tuple(dict.fromkeys(pod.partition("/")[0] for pod in self.pods))

    def narrowing(self) -> list[str]:
        """Return the names of the fields that select among the pods of the namespaces."""
        named = ("labels", "expressions", "annotations", "fields", "nodes", "node_labels")
        return [name for name in named if getattr(self, name)]

    def sent(self, made: dict[str, Any]) -> dict[str, Any]:
        """Return the selector; named pods with their namespaces, which must never be empty."""
        return {"namespaces": list(made["pods"]), **made} if self.pods else made

    @classmethod
    def understood(cls, found: dict[str, Any]) -> dict[str, Any]:
        """Return the raw fields that a selector of Chaos Mesh means."""
        if found.get("pods"):
            return {"pods": found["pods"]}
        found = {name: value for name, value in found.items() if value not in ({}, [])}
        if set(found) <= {"namespaces", "phases"}:
            found["whole_namespace"] = True
        return found

    def words(self) -> str:
        """Return the pods in words, “app=web in shop”; “shop” alone where all of it is meant."""
        if self.pods:
            return joined(self.pods)
        wanted = [f"{key}={value}" for key, value in self.labels.items()]
        wanted += self.expressions
        wanted += [f"annotation {key}={value}" for key, value in self.annotations.items()]
        wanted += [f"{key}={value}" for key, value in self.fields.items()]
        wanted += [f"node {name}" for name in self.nodes]
        wanted += [f"node label {key}={value}" for key, value in self.node_labels.items()]
        wanted += self.phases
        where = joined(self.namespaces)
        return f"{', '.join(wanted)} in {where}" if wanted else where


def joined(names: tuple[str, ...], most: int = 3) -> str:
    """Return names as a list in words, the rest of a long one as their number."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
