"""Which backends there are: a frozen table of dotted paths, imported on first use.

Two paths for each kind of connection, so that forms can show every fault without loading an SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

from drivers.protocol import ConnectionConfig, Driver, FaultParams


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the faults (a tuple of FaultParams classes) and the driver of one kind are found."""

    title: str
    faults: str
    driver: str
    """A callable ``(ConnectionConfig) -> Driver``; raises DriverError on unusable options."""


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "envoy": Backend(
            "Envoy", "drivers.envoy.faults:FAULTS", "drivers.envoy.driver:EnvoyDriver"
        ),
        "fake": Backend("Rehearsal", "drivers.fake:FAULTS", "drivers.fake:FakeDriver"),
    }
)


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@cache
def faults() -> Mapping[str, type[FaultParams]]:
    """Return every fault model by its kind (``envoy.http_abort``). Loads no driver."""
    found: dict[str, type[FaultParams]] = {}
    for backend in BACKENDS.values():
        for fault in cast(tuple[type[FaultParams], ...], _load(backend.faults)):
            found[fault.kind] = fault
    return MappingProxyType(found)


def open_driver(connection: ConnectionConfig) -> Driver:
    """Open the driver of the connection's kind. Raises KeyError (unknown kind), DriverError."""
    return cast(Driver, _load(BACKENDS[connection.kind].driver)(connection))
