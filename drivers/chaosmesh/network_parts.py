"""Values of network faults, of pods and of machines."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from drivers.chaosmesh.values import (
    INT32,
    INT64,
    Bandwidth,
    Jitter,
    Latency,
    Likeness,
    Share,
    is_dns_name,
    rare,
    refuse,
)
from drivers.chaosmesh.wire import PERCENT, SPAN, Part, Wire
from drivers.units import Duration, Percentage

_PORT = re.compile(r"(?P<host>.+):(?P<port>\d{1,5})")


def _external(value: str) -> str:
    found = _PORT.fullmatch(value)
    host, port = (found["host"], int(found["port"])) if found else (value, 1)
    try:
        ipaddress.IPv4Network(host, strict=False)
        is_address = True
    except ValueError:
        # Digits and dots alone are a mistyped address, no name.
        is_address = not re.fullmatch(r"[\d./]+", host) and is_dns_name(host)
    if not is_address or not 1 <= port <= 65535:
        told = f"“{value}” is no IPv4 address, network or name, with :port or without"
        raise refuse("external_target", told)
    return value


def both_or_neither(value: int | None, info: ValidationInfo) -> int | None:
    """Refuse one of peakrate and minburst without the other: it would be ignored."""
    if (value is None) != (info.data.get("peakrate") is None):
        raise refuse("burst", "counts only together with peakrate: give both or neither")
    return value


ExternalTarget = Annotated[str, AfterValidator(_external)]
Correlation = Annotated[
    Likeness,
    Field(
        title="Correlation",
        description="How much each packet depends on the one before. 0 %: not at all.",
        examples=["25%"],
        json_schema_extra=rare(unit="%"),
    ),
]
NetworkRate = Annotated[
    Bandwidth,
    Field(
        title="Rate",
        description="A whole number with a unit. kbit, mbit, gbit are bits a second; kbps, mbps, "
        "gbps are BYTES a second.",
        examples=["1mbit", "100kbps"],
    ),
]
Limit = Annotated[
    int,
    Field(
        ge=1,
        le=INT32,
        title="Limit",
        description="Bytes that may wait; what comes on top is lost.",
        examples=[20971520],
        json_schema_extra={"unit": "B"},
    ),
]
Buffer = Annotated[
    int,
    Field(
        ge=1,
        le=INT32,
        title="Buffer",
        description="Bytes that may pass at once after a pause.",
        examples=[10000],
        json_schema_extra={"unit": "B"},
    ),
]
PeakRate = Annotated[
    int | None,
    Field(
        ge=1,
        le=INT64,
        title="Peak rate",
        description="Fastest rate in bytes a second, also of such a burst.",
        examples=[1000000],
        json_schema_extra=rare(unit="B/s"),
    ),
]
MinBurst = Annotated[
    int | None,
    Field(
        ge=1,
        le=INT32,
        title="Smallest burst",
        description="Bytes of a burst at the peak rate; the network's MTU at least.",
        examples=[3000],
        json_schema_extra=rare(unit="B"),
    ),
]


class Reorder(Part):
    """Packets that overtake delayed ones."""

    reorder: Annotated[
        Share,
        Wire("reorder", PERCENT),
        Field(title="Reordered", description="Share of the packets sent at once.", examples=["5%"]),
    ]
    gap: Annotated[
        int,
        Wire("gap"),
        Field(
            ge=1,
            le=INT32,
            title="Gap",
            description="Every how many packets one may be sent at once.",
            examples=[1],
        ),
    ] = 1
    correlation: Annotated[Correlation, Wire("correlation", PERCENT)] = Percentage(0)


class Delay(Part):
    """Packets held back."""

    latency: Annotated[
        Latency,
        Wire("latency", SPAN),
        Field(title="Time", description="How long each packet is held back.", examples=["90ms"]),
    ]
    jitter: Annotated[
        Jitter,
        Wire("jitter", SPAN),
        Field(title="Jitter", description="By how much the delay varies.", examples=["10ms"]),
    ] = Duration(0)
    correlation: Annotated[Correlation, Wire("correlation", PERCENT)] = Percentage(0)
    reorder: Annotated[
        Reorder | None,
        Wire("reorder"),
        Field(
            title="Reorder",
            description="Packets that overtake the delayed ones.",
            json_schema_extra=rare(),
        ),
    ] = None


class Loss(Part):
    """Packets dropped."""

    loss: Annotated[
        Share,
        Wire("loss", PERCENT),
        Field(title="Share", description="Share of the packets lost.", examples=["10%"]),
    ]
    correlation: Annotated[Correlation, Wire("correlation", PERCENT)] = Percentage(0)


class Duplicate(Part):
    """Packets sent twice."""

    duplicate: Annotated[
        Share,
        Wire("duplicate", PERCENT),
        Field(title="Share", description="Share of the packets sent twice.", examples=["10%"]),
    ]
    correlation: Annotated[Correlation, Wire("correlation", PERCENT)] = Percentage(0)


class Corrupt(Part):
    """Packets damaged."""

    corrupt: Annotated[
        Share,
        Wire("corrupt", PERCENT),
        Field(title="Share", description="Share of the packets damaged.", examples=["10%"]),
    ]
    correlation: Annotated[Correlation, Wire("correlation", PERCENT)] = Percentage(0)


class RateLimit(Part):
    """A bound of what passes."""

    rate: Annotated[NetworkRate, Wire("rate")]
