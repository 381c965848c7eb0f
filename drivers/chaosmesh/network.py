"""NetworkChaos: traffic of pods that is delayed, lost, doubled, damaged, limited or cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from drivers.chaosmesh.common import DAEMON, PodFault, Target
from drivers.chaosmesh.network_parts import (
    Buffer,
    Correlation,
    Corrupt,
    Delay,
    Duplicate,
    ExternalTarget,
    Limit,
    Loss,
    MinBurst,
    NetworkRate,
    PeakRate,
    RateLimit,
    Reorder,
    both_or_neither,
)
from drivers.chaosmesh.selector import joined
from drivers.chaosmesh.values import Jitter, Latency, Maybe, Share, rare, rate_words, refuse
from drivers.chaosmesh.wire import LIST, PERCENT, SPAN, Wire
from drivers.units import Duration, Percentage

_METRICS = (
    "Latency and errors of those who call through that network; node_network_* of the pod shows "
    "retransmissions and drops."
)


class NetworkFault(PodFault):
    """A fault of the network of pods, on the way to or from others."""

    needs: ClassVar[str] = DAEMON.format("NetworkChaos") + " No pod on its host's own network."
    metrics: ClassVar[str] = _METRICS
    resource: ClassVar[str] = "NetworkChaos"

    direction: Annotated[
        Literal["to", "from", "both"],
        Wire("direction"),
        Field(
            title="Direction",
            description="Whose sending is disturbed: the pods' own, the target's, or both.",
            json_schema_extra={
                "enum_labels": {
                    "to": "what the pods send",
                    "from": "what the target sends to them",
                    "both": "both",
                }
            },
        ),
    ] = "to"
    target: Annotated[
        Target | None,
        Wire("target"),
        Field(
            title="Target",
            description="Only traffic with these pods. None: all traffic of the pods.",
            json_schema_extra=rare(),
        ),
    ] = None
    external_targets: Annotated[
        tuple[ExternalTarget, ...],
        Wire("externalTargets", LIST),
        Field(
            title="External targets",
            description="Only traffic to these: IPv4 addresses, networks or names, each with :port "
            "or without. Names are looked up once.",
            examples=[["10.1.0.0/16", "db.example.org:5432"]],
            json_schema_extra=rare(),
        ),
    ] = ()
    device: Annotated[
        Maybe,
        Wire("device"),
        Field(
            title="Device",
            description="Network interface of the pods. Empty: their default one.",
            examples=["eth0"],
            json_schema_extra=rare(),
        ),
    ] = None
    target_device: Annotated[
        Maybe,
        Wire("targetDevice"),
        Field(
            title="Target's device",
            description="Network interface of the target's pods.",
            examples=["eth0"],
            json_schema_extra=rare(),
        ),
    ] = None

    @field_validator("target")
    @classmethod
    def _has_its_other_side(cls, value: Target | None, info: ValidationInfo) -> Target | None:
        direction = info.data.get("direction", "to")
        if value is None and direction != "to":
            raise refuse("target", f"is missing: the direction {direction} needs a target")
        return value

    @field_validator("external_targets")
    @classmethod
    def _only_to(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        direction = info.data.get("direction", "to")
        if value and direction != "to":
            told = f"can only be sent to: with the direction {direction} name pods as the target"
            raise refuse("external_targets", told)
        return value

    @field_validator("device", "target_device")
    @classmethod
    def _whole_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and "@" in value:
            told = f"“{value}” would be cut at its @; write {value.partition('@')[0] or 'eth0'}"
            raise refuse("device", told)
        if value and info.field_name == "target_device" and info.data.get("target") is None:
            raise refuse("device", "is of the target, and there is none")
        return value

    def traffic(self) -> str:
        """Return the traffic in words: “the traffic of one pod of app=web in shop”."""
        others = [self.target.words()] if self.target else []
        others += [joined(self.external_targets)] if self.external_targets else []
        if not others:
            return f"the traffic of {self.whom()}"
        word = {"to": "to", "from": "from", "both": "to and from"}[self.direction]
        return f"the traffic of {self.whom()} {word} {' and '.join(others)}"


class NetworkDelay(NetworkFault):
    """Holds packets back."""

    kind: ClassVar[str] = "chaosmesh.network_delay"
    title: ClassVar[str] = "Network delay"
    summary: ClassVar[str] = "Holds the packets of pods back for a time, evenly or with jitter."
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "delay"

    latency: Annotated[
        Latency,
        Wire("delay.latency", SPAN),
        Field(
            title="Delay",
            description="How long each packet is held back: 1us to 1h. A request and its answer "
            "are several packets.",
            examples=["90ms", "1s"],
        ),
    ]
    jitter: Annotated[
        Jitter,
        Wire("delay.jitter", SPAN),
        Field(
            title="Jitter",
            description="By how much the delay varies, up and down.",
            examples=["10ms"],
        ),
    ] = Duration(0)
    correlation: Annotated[Correlation, Wire("delay.correlation", PERCENT)] = Percentage(0)
    reorder: Annotated[
        Reorder | None,
        Wire("delay.reorder"),
        Field(
            title="Reorder",
            description="Packets that overtake the delayed ones.",
            json_schema_extra=rare(),
        ),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “delays the traffic of one pod of app=web in shop by 90ms”."""
        jitter = f" ± {self.jitter}" if self.jitter else ""
        return f"delays {self.traffic()} by {self.latency}{jitter}"


class NetworkLoss(NetworkFault):
    """Drops packets."""

    kind: ClassVar[str] = "chaosmesh.network_loss"
    title: ClassVar[str] = "Network loss"
    summary: ClassVar[str] = "Drops a share of the packets of pods."
    family: ClassVar[str] = "loss"
    action: ClassVar[str] = "loss"

    loss: Annotated[
        Share,
        Wire("loss.loss", PERCENT),
        Field(title="Loss", description="Share of the packets that is lost.", examples=["10%"]),
    ]
    correlation: Annotated[Correlation, Wire("loss.correlation", PERCENT)] = Percentage(0)

    def sentence(self) -> str:
        """Say what it does: “loses 10% of the traffic of one pod of app=web in shop”."""
        return f"loses {self.loss} of {self.traffic()}"


class NetworkDuplicate(NetworkFault):
    """Sends packets twice."""

    kind: ClassVar[str] = "chaosmesh.network_duplicate"
    title: ClassVar[str] = "Network duplication"
    summary: ClassVar[str] = "Sends a share of the packets of pods twice."
    family: ClassVar[str] = "loss"
    action: ClassVar[str] = "duplicate"

    duplicate: Annotated[
        Share,
        Wire("duplicate.duplicate", PERCENT),
        Field(title="Doubled", description="Share of the packets sent twice.", examples=["10%"]),
    ]
    correlation: Annotated[Correlation, Wire("duplicate.correlation", PERCENT)] = Percentage(0)

    def sentence(self) -> str:
        """Say what it does: “sends 10% of the traffic of one pod of app=web in shop twice”."""
        return f"sends {self.duplicate} of {self.traffic()} twice"


class NetworkCorrupt(NetworkFault):
    """Damages packets."""

    kind: ClassVar[str] = "chaosmesh.network_corrupt"
    title: ClassVar[str] = "Network corruption"
    summary: ClassVar[str] = "Damages a share of the packets of pods, which are then sent again."
    family: ClassVar[str] = "loss"
    action: ClassVar[str] = "corrupt"

    corrupt: Annotated[
        Share,
        Wire("corrupt.corrupt", PERCENT),
        Field(title="Damaged", description="Share of the packets damaged.", examples=["10%"]),
    ]
    correlation: Annotated[Correlation, Wire("corrupt.correlation", PERCENT)] = Percentage(0)

    def sentence(self) -> str:
        """Say what it does: “damages 10% of the traffic of one pod of app=web in shop”."""
        return f"damages {self.corrupt} of {self.traffic()}"


class NetworkNetem(NetworkFault):
    """Several disturbances of the network at once."""

    example: ClassVar[Mapping[str, Any]] = {"loss": {"loss": "10%"}}
    kind: ClassVar[str] = "chaosmesh.network_netem"
    title: ClassVar[str] = "Network: several at once"
    summary: ClassVar[str] = (
        "Delays, loses, doubles, damages and limits packets of pods, all in one fault."
    )
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "netem"

    delay: Annotated[
        Delay | None, Wire("delay"), Field(title="Delay", description="Holds packets back.")
    ] = None
    loss: Annotated[
        Loss | None, Wire("loss"), Field(title="Loss", description="Drops packets.")
    ] = None
    duplicate: Annotated[
        Duplicate | None,
        Wire("duplicate"),
        Field(title="Duplication", description="Sends packets twice."),
    ] = None
    corrupt: Annotated[
        Corrupt | None, Wire("corrupt"), Field(title="Corruption", description="Damages packets.")
    ] = None
    rate: Annotated[
        RateLimit | None,
        Wire("rate"),
        Field(title="Rate limit", description="Lets only so much through."),
    ] = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not any((self.delay, self.loss, self.duplicate, self.corrupt, self.rate)):
            told = "does nothing: give at least one of delay, loss, duplicate, corrupt and rate"
            raise refuse("netem", told)
        return self

    def sentence(self) -> str:
        """Say what it does, each part of it."""
        parts = []
        if self.delay:
            parts.append(f"delays by {self.delay.latency}")
        if self.loss:
            parts.append(f"loses {self.loss.loss}")
        if self.duplicate:
            parts.append(f"sends {self.duplicate.duplicate} twice")
        if self.corrupt:
            parts.append(f"damages {self.corrupt.corrupt}")
        if self.rate:
            parts.append(f"limits to {rate_words(self.rate.rate)}")
        return f"{', '.join(parts)}: {self.traffic()}"


class NetworkPartition(NetworkFault):
    """Cuts pods off."""

    kind: ClassVar[str] = "chaosmesh.network_partition"
    title: ClassVar[str] = "Network partition"
    summary: ClassVar[str] = "Cuts pods off from others: nothing passes."
    family: ClassVar[str] = "partition"
    action: ClassVar[str] = "partition"

    def sentence(self) -> str:
        """Say what it does: “cuts the traffic of one pod of app=web in shop”."""
        return f"cuts {self.traffic()}"


class NetworkBandwidth(NetworkFault):
    """Limits how much passes."""

    kind: ClassVar[str] = "chaosmesh.network_bandwidth"
    title: ClassVar[str] = "Network bandwidth"
    summary: ClassVar[str] = "Lets only so much traffic of pods through; more waits, then is lost."
    family: ClassVar[str] = "bandwidth"
    action: ClassVar[str] = "bandwidth"

    rate: Annotated[NetworkRate, Wire("bandwidth.rate")]
    limit: Annotated[Limit, Wire("bandwidth.limit")]
    buffer: Annotated[Buffer, Wire("bandwidth.buffer")]
    peakrate: Annotated[PeakRate, Wire("bandwidth.peakrate")] = None
    minburst: Annotated[MinBurst, Wire("bandwidth.minburst")] = None

    _pair = field_validator("minburst")(both_or_neither)

    def sentence(self) -> str:
        """Say what it does: “limits the traffic of one pod of app=web in shop to …”."""
        return f"limits {self.traffic()} to {rate_words(self.rate)}"


FAULTS = (
    NetworkDelay,
    NetworkLoss,
    NetworkDuplicate,
    NetworkCorrupt,
    NetworkNetem,
    NetworkPartition,
    NetworkBandwidth,
)
