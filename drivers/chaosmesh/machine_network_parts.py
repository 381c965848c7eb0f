"""Which traffic of a machine is disturbed."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from drivers.chaosmesh.values import Maybe, Said, rare, refuse
from drivers.chaosmesh.wire import Wire


def _addresses(value: str | None) -> str | None:
    for each in (value or "").split(","):
        if value:
            _address(each.strip())
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise refuse("ip", f"“{value}” is no IP address or network") from error
    return value


def single_address(value: str) -> str:
    """Refuse what is no IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise refuse("ip", f"“{value}” is no IP address") from error
    return value


def _ports(value: str | None) -> str | None:
    for each in (value or "").split(","):
        ends = each.strip().split(":") if value else []
        if any(not end.isdigit() or not 1 <= int(end) <= 65535 for end in ends) or len(ends) > 2:
            told = f"“{value}” must be ports from 1 to 65535, as 80 or 80,8080 or 8000:8010"
            raise refuse("ports", told)
    return value


def _only_tcp(value: str | None, info: ValidationInfo) -> str | None:
    if value and info.data.get("protocol") != "tcp":
        raise refuse("flags", "counts only with the protocol tcp")
    return value


Device = Annotated[
    Said,
    Wire("@.device"),
    Field(title="Device", description="Network interface of the machine.", examples=["eth0"]),
]
Hostname = Annotated[
    Maybe,
    Wire("@.hostname"),
    Field(title="Host", description="Only traffic with this host.", examples=["db.example.org"]),
]
IpAddress = Annotated[
    Annotated[Maybe, AfterValidator(_addresses)],
    Wire("@.ip-address"),
    Field(
        title="IP address",
        description="Only traffic with these addresses or networks, with commas.",
        examples=["10.0.0.0/16"],
    ),
]
Protocol = Annotated[
    Literal["tcp", "udp", "icmp", "all"] | None,
    Wire("@.ip-protocol"),
    Field(title="Protocol", description="Only this one. Empty: all."),
]
PortList = Annotated[Maybe, AfterValidator(_ports)]
Flags = Annotated[
    Annotated[Maybe, AfterValidator(_only_tcp)],
    Wire("@.accept-tcp-flags"),
    Field(
        title="TCP flags let through",
        description="Packets with these flags pass; with the protocol tcp only.",
        examples=["SYN,ACK SYN,ACK"],
        json_schema_extra=rare(shown_when={"protocol": ["tcp"]}),
    ),
]
