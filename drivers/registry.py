"""Which backends there are: a frozen table of dotted paths, imported on first use.

Two paths for each backend, so that forms can show every fault without loading an SDK. A backend is
the first word of its faults' kinds; several may be reached through connections of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

from drivers.protocol import ConnectionConfig, Driver, FaultParams
from drivers.several import SeveralDrivers


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the faults (a tuple of FaultParams classes) and the driver of one kind are found."""

    title: str
    connection: str
    """The kind of connection that reaches it."""
    faults: str
    driver: str
    """A callable ``(ConnectionConfig) -> Driver``; raises DriverError on unusable options."""


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "envoy": Backend(
            "Envoy", "envoy", "drivers.envoy.faults:FAULTS", "drivers.envoy.driver:EnvoyDriver"
        ),
        "kubernetes": Backend(
            "Kubernetes",
            "kubernetes",
            "drivers.kubernetes.faults:FAULTS",
            "drivers.kubernetes.driver:KubernetesDriver",
        ),
        "chaosmesh": Backend(
            "Chaos Mesh",
            "kubernetes",
            "drivers.chaosmesh.faults:FAULTS",
            "drivers.chaosmesh.driver:ChaosMeshDriver",
        ),
        "fake": Backend("Rehearsal", "fake", "drivers.fake:FAULTS", "drivers.fake:FakeDriver"),
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


def connection_kind(fault: str) -> str:
    """Return the kind of connection that a fault needs; the fault's first word if it is unknown."""
    name = fault.partition(".")[0]
    return BACKENDS[name].connection if name in BACKENDS else name


def reached(kind: str) -> list[str]:
    """Return the backends that connections of the kind reach; none for a source."""
    return [name for name, backend in BACKENDS.items() if backend.connection == kind]


def open_driver(connection: ConnectionConfig) -> Driver:
    """Open the driver of the connection's kind. Raises KeyError (unknown kind), DriverError."""
    names = reached(connection.kind)
    if not names:
        raise KeyError(connection.kind)
    opened = {name: cast(Driver, _load(BACKENDS[name].driver)(connection)) for name in names}
    return opened[names[0]] if len(opened) == 1 else SeveralDrivers(opened)
