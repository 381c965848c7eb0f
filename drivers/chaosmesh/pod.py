"""PodChaos: pods that are killed or made to fail, and containers that are killed."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from drivers.chaosmesh.common import CONTROLLER, DAEMON, PodFault
from drivers.chaosmesh.selector import joined
from drivers.chaosmesh.values import INT32, Container, distinct
from drivers.chaosmesh.wire import LIST, Wire
from drivers.protocol import Undo


class PodKill(PodFault):
    """Deletes pods."""

    kind: ClassVar[str] = "chaosmesh.pod_kill"
    title: ClassVar[str] = "Kill pods"
    summary: ClassVar[str] = (
        "Deletes pods once. What owns them (a Deployment, a StatefulSet) makes new ones; a pod "
        "that nothing owns does not come back."
    )
    needs: ClassVar[str] = CONTROLLER.format("PodChaos")
    metrics: ClassVar[str] = (
        "kube_pod_status_ready and the number of endpoints drop until the new pods are ready; "
        "requests to the killed ones fail."
    )
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "self_heals"
    dead_man_s: ClassVar[float | None] = None
    is_one_shot: ClassVar[bool] = True
    resource: ClassVar[str] = "PodChaos"
    action: ClassVar[str] = "pod-kill"

    grace_period: Annotated[
        int | None,
        Wire("gracePeriod"),
        Field(
            ge=0,
            le=INT32,
            title="Grace period",
            description="Seconds that the pod has to end by itself. 0 or none: it is gone at once.",
            examples=[0, 30],
            json_schema_extra={"unit": "s"},
        ),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “kills one pod of app=web in shop”."""
        grace = f", with {self.grace_period} s to end" if self.grace_period else ""
        return f"kills {self.whom()}{grace}"


class PodFailure(PodFault):
    """Makes pods useless for a while."""

    kind: ClassVar[str] = "chaosmesh.pod_failure"
    title: ClassVar[str] = "Make pods fail"
    summary: ClassVar[str] = (
        "Replaces the image of every container of a pod with one that only sleeps, and puts the "
        "images back afterwards."
    )
    needs: ClassVar[str] = (
        "Chaos Mesh 2.8, permission to create PodChaos, and a pause image that the nodes can pull."
    )
    metrics: ClassVar[str] = (
        "kube_pod_status_ready drops for the whole time; containers restart when it begins and "
        "when it ends."
    )
    family: ClassVar[str] = "kill"
    resource: ClassVar[str] = "PodChaos"
    action: ClassVar[str] = "pod-failure"

    def sentence(self) -> str:
        """Say what it does: “makes one pod of app=web in shop fail”."""
        return f"makes {self.whom()} fail"


class ContainerKill(PodFault):
    """Kills containers inside pods."""

    kind: ClassVar[str] = "chaosmesh.container_kill"
    title: ClassVar[str] = "Kill containers"
    summary: ClassVar[str] = (
        "Kills named containers once. The node's kubelet starts them again, unless the pod's "
        "restart policy says never."
    )
    needs: ClassVar[str] = DAEMON.format("PodChaos")
    metrics: ClassVar[str] = "kube_pod_container_status_restarts_total rises by one per container."
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "self_heals"
    dead_man_s: ClassVar[float | None] = None
    is_one_shot: ClassVar[bool] = True
    resource: ClassVar[str] = "PodChaos"
    action: ClassVar[str] = "container-kill"

    containers: Annotated[
        tuple[Container, ...],
        AfterValidator(distinct),
        Wire("containerNames", LIST),
        Field(
            min_length=1,
            title="Containers",
            description="Names of the containers to kill; at least one.",
            examples=[["web"]],
            json_schema_extra={"suggest": "pod_containers"},
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “kills container web of one pod of app=web in shop”."""
        many = "s" if len(self.containers) > 1 else ""
        return f"kills container{many} {joined(self.containers)} of {self.whom()}"


FAULTS = (PodKill, PodFailure, ContainerKill)
