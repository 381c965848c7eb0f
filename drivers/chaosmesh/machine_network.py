"""Faults of a machine's network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.machine_network_parts import (
    Device,
    Flags,
    Hostname,
    IpAddress,
    PortList,
    Protocol,
    single_address,
)
from drivers.chaosmesh.network_parts import (
    Buffer,
    Correlation,
    Limit,
    MinBurst,
    NetworkRate,
    PeakRate,
    both_or_neither,
)
from drivers.chaosmesh.values import (
    INT32,
    Bandwidth,
    Jitter,
    Latency,
    Maybe,
    Port,
    Share,
    rare,
    rate_words,
    refuse,
)
from drivers.chaosmesh.wire import COUNT, PERCENT, SPAN, Wire
from drivers.units import Duration, Percentage


class _MachineNetwork(MachineFault):
    """A fault of packets that match."""

    device: Device
    hostname: Hostname = None
    ip_address: IpAddress = None
    protocol: Protocol = None
    source_port: Annotated[
        PortList,
        Wire("@.source-port"),
        Field(
            title="From port",
            description="Only from these ports, as 80 or 80,8080 or 8000:8010.",
            examples=["8080"],
            json_schema_extra=rare(),
        ),
    ] = None
    egress_port: Annotated[
        PortList,
        Wire("@.egress-port"),
        Field(
            title="To port",
            description="Only to these ports, as 80 or 80,8080 or 8000:8010.",
            examples=["5432"],
            json_schema_extra=rare(),
        ),
    ] = None
    correlation: Annotated[Correlation, Wire("@.correlation", PERCENT)] = Percentage(0)

    @model_validator(mode="after")
    def _ports_have_a_protocol(self) -> Self:
        if (self.source_port or self.egress_port) and self.protocol not in ("tcp", "udp"):
            raise refuse("ports", "ports need the protocol tcp or udp")
        return self

    def traffic(self) -> str:
        """Return the traffic in words."""
        whose = ", ".join(filter(None, (self.hostname, self.ip_address)))
        where = f" with {whose}" if whose else ""
        return f"the traffic of {self.device} of {self.whom()}{where}"


_Percent = Annotated[Share, Wire("@.percent", PERCENT)]


class MachineNetworkLoss(_MachineNetwork):
    """Drops packets."""

    kind: ClassVar[str] = "chaosmesh.machine_network_loss"
    title: ClassVar[str] = "Machine: network loss"
    summary: ClassVar[str] = "Drops a share of the packets of machines."
    family: ClassVar[str] = "loss"
    action: ClassVar[str] = "network-loss"

    percent: Annotated[
        _Percent, Field(title="Loss", description="Share of the packets lost.", examples=["10%"])
    ]

    def sentence(self) -> str:
        """Say what it does: “loses 10% of the traffic of eth0 of one machine of …”."""
        return f"loses {self.percent} of {self.traffic()}"


class MachineNetworkCorrupt(_MachineNetwork):
    """Damages packets."""

    kind: ClassVar[str] = "chaosmesh.machine_network_corrupt"
    title: ClassVar[str] = "Machine: network corruption"
    summary: ClassVar[str] = "Damages a share of the packets of machines."
    family: ClassVar[str] = "loss"
    action: ClassVar[str] = "network-corrupt"

    percent: Annotated[
        _Percent,
        Field(title="Damaged", description="Share of the packets damaged.", examples=["10%"]),
    ]

    def sentence(self) -> str:
        """Say what it does: “damages 10% of the traffic of eth0 of one machine of …”."""
        return f"damages {self.percent} of {self.traffic()}"


class MachineNetworkDuplicate(_MachineNetwork):
    """Sends packets twice."""

    kind: ClassVar[str] = "chaosmesh.machine_network_duplicate"
    title: ClassVar[str] = "Machine: network duplication"
    summary: ClassVar[str] = "Sends a share of the packets of machines twice."
    family: ClassVar[str] = "loss"
    action: ClassVar[str] = "network-duplicate"

    percent: Annotated[
        _Percent,
        Field(title="Doubled", description="Share of the packets sent twice.", examples=["10%"]),
    ]

    def sentence(self) -> str:
        """Say what it does: “sends 10% of the traffic of eth0 of one machine of … twice”."""
        return f"sends {self.percent} of {self.traffic()} twice"


class MachineNetworkDelay(_MachineNetwork):
    """Holds packets back."""

    kind: ClassVar[str] = "chaosmesh.machine_network_delay"
    title: ClassVar[str] = "Machine: network delay"
    summary: ClassVar[str] = "Holds packets of machines back."
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "network-delay"

    latency: Annotated[
        Latency,
        Wire("@.latency", SPAN),
        Field(
            title="Delay", description="How long each packet waits: 1us to 1h.", examples=["90ms"]
        ),
    ]
    jitter: Annotated[
        Jitter,
        Wire("@.jitter", SPAN),
        Field(title="Jitter", description="By how much the delay varies.", examples=["10ms"]),
    ] = Duration(0)
    tcp_flags: Flags = None

    def sentence(self) -> str:
        """Say what it does: “delays the traffic of eth0 of one machine of … by 90ms”."""
        return f"delays {self.traffic()} by {self.latency}"


class MachineNetworkPartition(MachineFault):
    """Cuts machines off."""

    example: ClassVar[Mapping[str, Any]] = {"hostname": "db.example.org"}
    kind: ClassVar[str] = "chaosmesh.machine_network_partition"
    title: ClassVar[str] = "Machine: network partition"
    summary: ClassVar[str] = "Cuts machines off from a host or addresses."
    family: ClassVar[str] = "partition"
    action: ClassVar[str] = "network-partition"

    device: Device
    direction: Annotated[
        Literal["to", "from"],
        Wire("@.direction"),
        Field(
            title="Direction",
            description="Packets to the others, or from them.",
            json_schema_extra={"enum_labels": {"to": "to the others", "from": "from the others"}},
        ),
    ] = "to"
    hostname: Hostname = None
    ip_address: IpAddress = None
    protocol: Protocol = None
    tcp_flags: Flags = None

    @model_validator(mode="after")
    def _from_somebody(self) -> Self:
        if not (self.hostname or self.ip_address):
            raise refuse("partition", "needs a host or an IP address to be cut off from")
        return self

    def sentence(self) -> str:
        """Say what it does: “cuts one machine of … off: packets to db.example.org”."""
        others = " and ".join(filter(None, (self.hostname, self.ip_address)))
        return f"cuts {self.whom()} off: packets {self.direction} {others}"


class MachineNetworkDns(MachineFault):
    """Wrong answers to look-ups of names."""

    example: ClassVar[Mapping[str, Any]] = {"domain": "db.local", "address": "10.9.9.9"}
    kind: ClassVar[str] = "chaosmesh.machine_network_dns"
    title: ClassVar[str] = "Machine: DNS"
    summary: ClassVar[str] = "Gives machines another DNS server, or a name another address."
    family: ClassVar[str] = "dns"
    action: ClassVar[str] = "network-dns"

    dns_server: Annotated[
        Annotated[str, AfterValidator(single_address)] | None,
        Wire("@.dns-server"),
        Field(title="DNS server", description="Its IP address.", examples=["123.123.123.123"]),
    ] = None
    domain: Annotated[
        Maybe,
        Wire("@.dns-domain-name"),
        Field(title="Name", description="Which gets another address.", examples=["db.local"]),
    ] = None
    address: Annotated[
        Annotated[str, AfterValidator(single_address)] | None,
        Wire("@.dns-ip"),
        Field(title="Its address", description="Which the name gets.", examples=["10.9.9.9"]),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.domain is None) != (self.address is None):
            raise refuse("dns", "needs the name and its address, or neither")
        if not (self.dns_server or self.domain):
            raise refuse("dns", "changes nothing: give a DNS server, or a name and its address")
        return self

    def sentence(self) -> str:
        """Say what it does, for the server and the name."""
        parts = [f"makes {self.dns_server} the DNS server"] if self.dns_server else []
        parts += [f"lets {self.domain} be {self.address}"] if self.domain else []
        return f"{' and '.join(parts)} on {self.whom()}"


class MachineNetworkBandwidth(MachineFault):
    """Limits how much passes."""

    kind: ClassVar[str] = "chaosmesh.machine_network_bandwidth"
    title: ClassVar[str] = "Machine: network bandwidth"
    summary: ClassVar[str] = "Lets only so much traffic of machines through."
    family: ClassVar[str] = "bandwidth"
    action: ClassVar[str] = "network-bandwidth"

    device: Device
    rate: Annotated[NetworkRate, Wire("@.rate")]
    limit: Annotated[Limit, Wire("@.limit")]
    buffer: Annotated[Buffer, Wire("@.buffer")]
    peakrate: Annotated[PeakRate, Wire("@.peakrate")] = None
    minburst: Annotated[MinBurst, Wire("@.minburst")] = None
    hostname: Hostname = None
    ip_address: IpAddress = None

    _pair = field_validator("minburst")(both_or_neither)

    def sentence(self) -> str:
        """Say what it does: “limits eth0 of one machine of … to …”."""
        return f"limits {self.device} of {self.whom()} to {rate_words(self.rate)}"


class MachineNetworkFlood(MachineFault):
    """Sends much to others."""

    kind: ClassVar[str] = "chaosmesh.machine_network_flood"
    title: ClassVar[str] = "Machine: network flood"
    summary: ClassVar[str] = "Lets machines send much to one address."
    needs: ClassVar[str] = MachineFault.needs + " iperf listening at the address."
    family: ClassVar[str] = "bandwidth"
    action: ClassVar[str] = "network-flood"
    inner_duration: ClassVar[str] = "network-flood.duration"
    is_inner_in_seconds: ClassVar[bool] = True

    rate: Annotated[
        Bandwidth,
        Wire("@.rate"),
        Field(
            title="Rate",
            description="A whole number with a unit: mbit are bits, mbps BYTES a second.",
            examples=["10mbit"],
        ),
    ]
    ip_address: Annotated[
        str,
        AfterValidator(single_address),
        Wire("@.ip-address"),
        Field(title="IP address", description="Where it is sent to.", examples=["10.0.0.9"]),
    ]
    port: Annotated[
        Port,
        Wire("@.port", COUNT),
        Field(title="Port", description="Where it is sent to.", examples=[5201]),
    ]
    parallel: Annotated[
        int,
        Wire("@.parallel"),
        Field(ge=1, le=INT32, title="Streams", description="How many at once.", examples=[1]),
    ] = 1

    def sentence(self) -> str:
        """Say what it does: “floods 10.0.0.9:5201 from one machine of … at …”."""
        return f"floods {self.ip_address}:{self.port} from {self.whom()} at {rate_words(self.rate)}"


class MachineNetworkDown(MachineFault):
    """Switches a network interface off."""

    kind: ClassVar[str] = "chaosmesh.machine_network_down"
    title: ClassVar[str] = "Machine: network down"
    summary: ClassVar[str] = (
        "Switches a network interface off. chaosd switches it on again by itself; over that "
        "interface nobody can do it sooner."
    )
    family: ClassVar[str] = "partition"
    action: ClassVar[str] = "network-down"
    inner_duration: ClassVar[str] = "network-down.duration"

    device: Device

    def sentence(self) -> str:
        """Say what it does: “switches eth0 of one machine of … off”."""
        return f"switches {self.device} of {self.whom()} off"


FAULTS = (
    MachineNetworkLoss,
    MachineNetworkCorrupt,
    MachineNetworkDuplicate,
    MachineNetworkDelay,
    MachineNetworkPartition,
    MachineNetworkDns,
    MachineNetworkBandwidth,
    MachineNetworkFlood,
    MachineNetworkDown,
)
