"""AWSChaos, GCPChaos, AzureChaos: machines of clouds that stop, restart or lose a disk."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from drivers.chaosmesh.common import ChaosFault
from drivers.chaosmesh.selector import joined
from drivers.chaosmesh.values import ObjectName, Said, distinct, rare, refuse
from drivers.chaosmesh.wire import LIST, Wire
from drivers.protocol import Undo

_ACCOUNT = "Chaos Mesh 2.8, permission to create {}, and a cloud account that may do it."
_METRICS = "What runs on the machine is gone meanwhile: its requests fail, its node is NotReady."


def _url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise refuse("endpoint", f"“{value}” is no address; write for example https://ec2.local")
    return value


SecretName = Annotated[
    ObjectName | None,
    Wire("secretName"),
    Field(
        title="Secret",
        description="With the cloud's credentials, in the namespace of the fault. Empty: the "
        "controller's own.",
        examples=["cloud-key"],
    ),
]


class AwsFault(ChaosFault):
    """A fault of one EC2 instance."""

    needs: ClassVar[str] = _ACCOUNT.format("AWSChaos")
    metrics: ClassVar[str] = _METRICS
    resource: ClassVar[str] = "AWSChaos"

    region: Annotated[
        Said,
        Wire("awsRegion"),
        Field(title="Region", description="Of the instance.", examples=["eu-west-1"]),
    ]
    instance: Annotated[
        Annotated[str, Field(pattern=r"^i-[0-9a-f]+$")],
        Wire("ec2Instance"),
        Field(title="Instance", description="Its id.", examples=["i-0123456789abcdef0"]),
    ]
    secret: SecretName = None

    def whom(self) -> str:
        """Return the instance in words."""
        return f"EC2 instance {self.instance} in {self.region}"


class Ec2Stop(AwsFault):
    """Stops an instance for a while."""

    kind: ClassVar[str] = "chaosmesh.ec2_stop"
    title: ClassVar[str] = "EC2: stop"
    summary: ClassVar[str] = "Stops an EC2 instance, and starts it again afterwards."
    family: ClassVar[str] = "stop"
    action: ClassVar[str] = "ec2-stop"

    endpoint: Annotated[
        Annotated[str, AfterValidator(_url)] | None,
        Wire("endpoint"),
        Field(
            title="Endpoint",
            description="Another address of the EC2 API, for trials.",
            examples=["https://ec2.local"],
            json_schema_extra=rare(),
        ),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “stops EC2 instance i-… in eu-west-1”."""
        return f"stops {self.whom()}"


class Ec2Restart(AwsFault):
    """Restarts an instance."""

    kind: ClassVar[str] = "chaosmesh.ec2_restart"
    title: ClassVar[str] = "EC2: restart"
    summary: ClassVar[str] = "Restarts an EC2 instance once."
    family: ClassVar[str] = "stop"
    undo: ClassVar[Undo] = "self_heals"
    dead_man_s: ClassVar[float | None] = None
    is_one_shot: ClassVar[bool] = True
    action: ClassVar[str] = "ec2-restart"

    def sentence(self) -> str:
        """Say what it does: “restarts EC2 instance i-… in eu-west-1”."""
        return f"restarts {self.whom()}"


class DetachVolume(AwsFault):
    """Takes a volume from an instance."""

    kind: ClassVar[str] = "chaosmesh.detach_volume"
    title: ClassVar[str] = "EC2: detach volume"
    summary: ClassVar[str] = (
        "Detaches an EBS volume by force, and attaches it again. What was not written yet is lost."
    )
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "detach-volume"

    volume: Annotated[
        Annotated[str, Field(pattern=r"^vol-[0-9a-f]+$")],
        Wire("volumeID"),
        Field(title="Volume", description="Its id.", examples=["vol-0123456789abcdef0"]),
    ]
    device: Annotated[
        Said,
        Wire("deviceName"),
        Field(
            title="Device", description="Where it is attached, and again.", examples=["/dev/sdf"]
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “detaches volume vol-… of EC2 instance i-…”."""
        return f"detaches volume {self.volume} of {self.whom()}"


class GcpFault(ChaosFault):
    """A fault of one instance of the Compute Engine."""

    needs: ClassVar[str] = _ACCOUNT.format("GCPChaos")
    metrics: ClassVar[str] = _METRICS
    resource: ClassVar[str] = "GCPChaos"

    project: Annotated[
        Said,
        Wire("project"),
        Field(title="Project", description="Its id.", examples=["shop-staging"]),
    ]
    zone: Annotated[
        Said,
        Wire("zone"),
        Field(title="Zone", description="Of the instance.", examples=["europe-west1-b"]),
    ]
    instance: Annotated[
        Said, Wire("instance"), Field(title="Instance", description="Its name.", examples=["web-1"])
    ]
    secret: SecretName = None

    def whom(self) -> str:
        """Return the instance in words."""
        return f"GCE instance {self.instance} in {self.zone} of {self.project}"


class NodeStop(GcpFault):
    """Stops an instance for a while."""

    kind: ClassVar[str] = "chaosmesh.node_stop"
    title: ClassVar[str] = "GCP: stop"
    summary: ClassVar[str] = "Stops an instance of the Compute Engine, and starts it again."
    family: ClassVar[str] = "stop"
    action: ClassVar[str] = "node-stop"

    def sentence(self) -> str:
        """Say what it does: “stops GCE instance web-1 in …”."""
        return f"stops {self.whom()}"


class NodeReset(GcpFault):
    """Resets an instance."""

    kind: ClassVar[str] = "chaosmesh.node_reset"
    title: ClassVar[str] = "GCP: reset"
    summary: ClassVar[str] = "Resets an instance of the Compute Engine once, without shutting down."
    family: ClassVar[str] = "stop"
    undo: ClassVar[Undo] = "self_heals"
    dead_man_s: ClassVar[float | None] = None
    is_one_shot: ClassVar[bool] = True
    action: ClassVar[str] = "node-reset"

    def sentence(self) -> str:
        """Say what it does: “resets GCE instance web-1 in …”."""
        return f"resets {self.whom()}"


class DiskLoss(GcpFault):
    """Takes disks from an instance."""

    kind: ClassVar[str] = "chaosmesh.disk_loss"
    title: ClassVar[str] = "GCP: detach disks"
    summary: ClassVar[str] = "Detaches disks of an instance, and attaches them again."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "disk-loss"

    devices: Annotated[
        tuple[Said, ...],
        AfterValidator(distinct),
        Wire("deviceNames", LIST),
        Field(
            min_length=1,
            title="Devices",
            description="Names of the disks' devices, one a line.",
            examples=[["data-1"]],
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “detaches data-1 of GCE instance web-1 in …”."""
        return f"detaches {joined(self.devices)} of {self.whom()}"


class AzureFault(ChaosFault):
    """A fault of one virtual machine of Azure."""

    needs: ClassVar[str] = _ACCOUNT.format("AzureChaos")
    metrics: ClassVar[str] = _METRICS
    resource: ClassVar[str] = "AzureChaos"

    subscription: Annotated[
        Said,
        Wire("subscriptionID"),
        Field(
            title="Subscription",
            description="Its id.",
            examples=["00000000-0000-0000-0000-000000000000"],
        ),
    ]
    resource_group: Annotated[
        Said,
        Wire("resourceGroupName"),
        Field(title="Resource group", description="Its name.", examples=["shop"]),
    ]
    machine: Annotated[
        Said, Wire("vmName"), Field(title="Machine", description="Its name.", examples=["web-1"])
    ]
    secret: Annotated[
        ObjectName,
        Wire("secretName"),
        Field(
            title="Secret",
            description="With client_id, client_secret and tenant_id, in the namespace of the "
            "fault. Without one the controller of Chaos Mesh would crash.",
            examples=["azure-key"],
        ),
    ]

    def whom(self) -> str:
        """Return the machine in words."""
        return f"Azure machine {self.machine} of {self.resource_group}"


class VmStop(AzureFault):
    """Stops a machine for a while."""

    kind: ClassVar[str] = "chaosmesh.vm_stop"
    title: ClassVar[str] = "Azure: stop"
    summary: ClassVar[str] = "Stops a virtual machine of Azure, and starts it again."
    family: ClassVar[str] = "stop"
    action: ClassVar[str] = "vm-stop"

    def sentence(self) -> str:
        """Say what it does: “stops Azure machine web-1 of shop”."""
        return f"stops {self.whom()}"


class VmRestart(AzureFault):
    """Restarts a machine."""

    kind: ClassVar[str] = "chaosmesh.vm_restart"
    title: ClassVar[str] = "Azure: restart"
    summary: ClassVar[str] = "Restarts a virtual machine of Azure once."
    family: ClassVar[str] = "stop"
    undo: ClassVar[Undo] = "self_heals"
    dead_man_s: ClassVar[float | None] = None
    is_one_shot: ClassVar[bool] = True
    action: ClassVar[str] = "vm-restart"

    def sentence(self) -> str:
        """Say what it does: “restarts Azure machine web-1 of shop”."""
        return f"restarts {self.whom()}"


class DiskDetach(AzureFault):
    """Takes a disk from a machine."""

    kind: ClassVar[str] = "chaosmesh.disk_detach"
    title: ClassVar[str] = "Azure: detach disk"
    summary: ClassVar[str] = "Detaches a disk of a virtual machine, and attaches it again."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "disk-detach"

    disk: Annotated[
        Said, Wire("diskName"), Field(title="Disk", description="Its name.", examples=["data-1"])
    ]
    lun: Annotated[
        int,
        Wire("lun"),
        Field(ge=0, le=63, title="LUN", description="Where it is attached.", examples=[0]),
    ]

    def sentence(self) -> str:
        """Say what it does: “detaches disk data-1 of Azure machine web-1 of shop”."""
        return f"detaches disk {self.disk} of {self.whom()}"


FAULTS = (
    Ec2Stop,
    Ec2Restart,
    DetachVolume,
    NodeStop,
    NodeReset,
    DiskLoss,
    VmStop,
    VmRestart,
    DiskDetach,
)
