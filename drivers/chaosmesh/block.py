"""BlockChaos: block devices that are slow."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from drivers.chaosmesh.common import DAEMON, ContainerFault
from drivers.chaosmesh.network_parts import Correlation
from drivers.chaosmesh.values import Jitter, Latency, ObjectName
from drivers.chaosmesh.wire import PERCENT, SPAN, Wire
from drivers.units import Duration, Percentage


class BlockDelay(ContainerFault):
    """Slow block devices."""

    kind: ClassVar[str] = "chaosmesh.block_delay"
    title: ClassVar[str] = "Slow block device"
    summary: ClassVar[str] = "Holds reads and writes of the block device below a volume back."
    needs: ClassVar[str] = (
        DAEMON.format("BlockChaos")
        + " A kernel module on the node; a volume of hostPath, or a claim bound to a hostPath or "
        "local volume."
    )
    metrics: ClassVar[str] = "node_disk_io_time_seconds_total and the time of reads and writes."
    family: ClassVar[str] = "disk"
    resource: ClassVar[str] = "BlockChaos"
    action: ClassVar[str] = "delay"

    volume: Annotated[
        ObjectName,
        Wire("volumeName"),
        Field(title="Volume", description="Its name in the pod.", examples=["data"]),
    ]
    latency: Annotated[
        Latency,
        Wire("delay.latency", SPAN),
        Field(title="Delay", description="How long each call waits: 1us to 1h.", examples=["10ms"]),
    ]
    jitter: Annotated[
        Jitter,
        Wire("delay.jitter", SPAN),
        Field(title="Jitter", description="By how much the delay varies.", examples=["1ms"]),
    ] = Duration(0)
    correlation: Annotated[Correlation, Wire("delay.correlation", PERCENT)] = Percentage(0)

    def sentence(self) -> str:
        """Say what it does: “delays volume data of … by 10ms”."""
        jitter = f" ± {self.jitter}" if self.jitter else ""
        return f"delays volume {self.volume} of {self.whom()} by {self.latency}{jitter}"


FAULTS = (BlockDelay,)
