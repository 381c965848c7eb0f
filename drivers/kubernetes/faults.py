"""What can be done to pods, workloads and nodes through the Kubernetes API, as typed parameters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from drivers.kubernetes.selection import (
    ModeField,
    Namespace,
    Selector,
    Value,
    check_name,
    check_value,
    refuse,
    said,
)
from drivers.protocol import FaultParams, Undo

WorkloadKind = Annotated[
    Literal["Deployment", "StatefulSet"],
    Field(title="Kind", description="What makes the pods."),
]

WorkloadName = Annotated[
    str,
    AfterValidator(check_name),
    Field(
        title="Name",
        description="The name of the Deployment or StatefulSet.",
        examples=["web"],
        json_schema_extra={"suggest": "workloads"},
    ),
]


def _image(value: str) -> str:
    if not value.strip() or any(each.isspace() for each in value.strip()):
        raise refuse(f"“{value}” is no image; write for example shop/web:broken")
    return value.strip()


class DeletePods(FaultParams):
    """Deletes pods once; their workload replaces them."""

    kind: ClassVar[str] = "kubernetes.delete_pods"
    title: ClassVar[str] = "Delete pods"
    summary: ClassVar[str] = (
        "Deletes pods, as a crashed node or an eviction would. What made them makes new ones."
    )
    needs: ClassVar[str] = "Rights to list and delete pods in the namespace. No Chaos Mesh."
    metrics: ClassVar[str] = (
        "Fewer ready endpoints for as long as new pods take to start: errors and latency of their "
        "callers, and kube_pod_status_ready where kube-state-metrics is scraped."
    )
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "self_heals"

    selector: Selector
    mode: ModeField = "one"
    value: Value = None
    grace_period: Annotated[
        int | None,
        Field(
            title="Grace period",
            description="How long a pod may take to end; empty: what the pod itself says. "
            "0 kills at once.",
            ge=0,
            le=3600,
            examples=[30, 0],
            json_schema_extra={"unit": "s"},
        ),
    ] = None

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        check_value(self.mode, self.value)
        return self

    def sentence(self) -> str:
        """Say what it does: “deletes one pod of app=web in shop”."""
        how = " at once" if self.grace_period == 0 else ""
        return f"deletes {said(self.mode, self.value)} of {self.selector}{how}"


class _Workload(FaultParams):
    """What every fault of a Deployment or StatefulSet shares."""

    needs: ClassVar[str] = (
        "Rights to read and change the workload, and to keep a ConfigMap beside it, which holds "
        "what was there. No Chaos Mesh."
    )

    namespace: Namespace
    workload: WorkloadKind = "Deployment"
    name: WorkloadName

    def _which(self) -> str:
        return f"the {self.workload} {self.name} in {self.namespace}"


class DeleteWorkload(_Workload):
    """Deletes a workload, with its pods; recovery makes it again as it was."""

    kind: ClassVar[str] = "kubernetes.delete_workload"
    title: ClassVar[str] = "Delete a workload"
    summary: ClassVar[str] = (
        "Deletes a Deployment or StatefulSet with its pods, as a mistaken command would. Recovery "
        "creates it again from the manifest that was there."
    )
    metrics: ClassVar[str] = (
        "Its service has no endpoints until it is made again: every call to it fails or waits."
    )
    family: ClassVar[str] = "kill"

    def sentence(self) -> str:
        """Say what it does: “deletes the Deployment web in shop”."""
        return f"deletes {self._which()} and all its pods"


class ScaleWorkload(_Workload):
    """Sets the number of a workload's pods; recovery sets the number that was there."""

    kind: ClassVar[str] = "kubernetes.scale_workload"
    title: ClassVar[str] = "Scale a workload"
    summary: ClassVar[str] = (
        "Sets how many pods a Deployment or StatefulSet has. An autoscaler that is bound to it may "
        "change the number back: that is reported."
    )
    metrics: ClassVar[str] = "Fewer (or more) ready endpoints; load and latency of those left."
    family: ClassVar[str] = "capacity"

    replicas: Annotated[
        int,
        Field(
            title="Pods",
            description="How many there are to be; 0 takes the workload away.",
            ge=0,
            le=1000,
            examples=[0, 1],
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “scales the Deployment web in shop to 0 pods”."""
        return f"scales {self._which()} to {self.replicas} pod{'' if self.replicas == 1 else 's'}"


class SetImage(_Workload):
    """Rolls out another image; recovery rolls back to the one that was there."""

    kind: ClassVar[str] = "kubernetes.set_image"
    title: ClassVar[str] = "Roll out a bad image"
    summary: ClassVar[str] = (
        "Changes a container's image, as a bad release would. Recovery sets the image that was "
        "there, which rolls back."
    )
    metrics: ClassVar[str] = (
        "New pods that do not become ready; with the usual rollout settings the old ones go on "
        "serving, and that is what is tested."
    )
    family: ClassVar[str] = "release"

    container: Annotated[
        str | None,
        Field(
            title="Container",
            description="Which container of the pod; empty: its first.",
            max_length=63,
            json_schema_extra={"suggest": "containers"},
        ),
    ] = None
    image: Annotated[
        str,
        AfterValidator(_image),
        Field(
            title="Image",
            description="What to roll out. One that does not exist is never pulled.",
            max_length=500,
            examples=["shop/web:does-not-exist"],
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “rolls out shop/web:broken on the Deployment web in shop”."""
        return f"rolls out the image {self.image} on {self._which()}"


class IsolatePods(FaultParams):
    """Cuts pods off by a NetworkPolicy; recovery deletes it."""

    kind: ClassVar[str] = "kubernetes.isolate_pods"
    title: ClassVar[str] = "Isolate pods"
    summary: ClassVar[str] = (
        "Cuts every matching pod off the network with a NetworkPolicy, inwards, outwards or both."
    )
    needs: ClassVar[str] = (
        "A network plugin that enforces NetworkPolicies, and rights to create and delete them. "
        "Other policies that allow traffic to the same pods would still allow it."
    )
    metrics: ClassVar[str] = "Time-outs of the callers (inwards), or of the pods' own calls."
    family: ClassVar[str] = "partition"

    selector: Selector
    direction: Annotated[
        Literal["in", "out", "both"],
        Field(
            title="Direction",
            description="What is cut: calls to the pods, calls of the pods, or both.",
            json_schema_extra={
                "enum_labels": {
                    "in": "calls to the pods",
                    "out": "calls of the pods",
                    "both": "both",
                }
            },
        ),
    ] = "both"

    @model_validator(mode="after")
    def _has_no_names(self) -> Self:
        if self.selector.pods:
            raise refuse("a NetworkPolicy selects by labels, not by names of pods")
        return self

    def sentence(self) -> str:
        """Say what it does: “cuts app=web in shop off the network, both ways”."""
        how = {"in": "for calls to it", "out": "for its own calls", "both": "both ways"}
        return f"cuts {self.selector} off the network, {how[self.direction]}"


class _Node(FaultParams):
    """What every fault of a node shares."""

    family: ClassVar[str] = "node"

    node: Annotated[
        str,
        AfterValidator(check_name),
        Field(
            title="Node",
            description="The node's name.",
            examples=["worker-1"],
            json_schema_extra={"suggest": "nodes"},
        ),
    ]


class CordonNode(_Node):
    """Closes a node to new pods; recovery opens it."""

    kind: ClassVar[str] = "kubernetes.cordon_node"
    title: ClassVar[str] = "Cordon a node"
    summary: ClassVar[str] = "Closes a node to new pods. Those that are there stay."
    needs: ClassVar[str] = "Rights to read and change nodes."
    metrics: ClassVar[str] = "Pods that wait for a place, once anything is rescheduled."

    def sentence(self) -> str:
        """Say what it does: “closes the node worker-1 to new pods”."""
        return f"closes the node {self.node} to new pods"


class DrainNode(_Node):
    """Closes a node and evicts its pods; recovery opens it, and the pods are made elsewhere."""

    kind: ClassVar[str] = "kubernetes.drain_node"
    title: ClassVar[str] = "Drain a node"
    summary: ClassVar[str] = (
        "Closes a node to new pods and evicts those that are there, as maintenance would. "
        "Disruption budgets are respected; pods of DaemonSets stay."
    )
    needs: ClassVar[str] = "Rights to change nodes, to list pods, and to create evictions."
    metrics: ClassVar[str] = (
        "Restarts of everything on the node; capacity of the others; pods that wait for a place."
    )

    namespaces_only: Annotated[
        bool,
        Field(
            title="Only allowed namespaces",
            description="Evicts only pods of namespaces that the connection allows. Switched off, "
            "the fault is refused while others have pods there.",
        ),
    ] = True

    def sentence(self) -> str:
        """Say what it does: “drains the node worker-1”."""
        return f"closes the node {self.node} and evicts its pods"


FAULTS: tuple[type[FaultParams], ...] = (
    DeletePods,
    DeleteWorkload,
    ScaleWorkload,
    SetImage,
    IsolatePods,
    CordonNode,
    DrainNode,
)
"""What this backend can inject."""
