"""The only door to the drivers and readers; supplies the catalogue of fault models."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from drivers import registry
from drivers.http import HttpAnswer, HttpReader
from drivers.prometheus import Prometheus
from drivers.protocol import (
    ConnectionConfig,
    Document,
    Driver,
    DriverError,
    FaultParams,
    Member,
)
from experiments.models import Connection

__all__ = [
    "HttpAnswer",
    "Prometheus",
    "driver",
    "faults",
    "fetch",
    "forget",
    "is_driver",
    "prometheus",
]

_opened: dict[int, tuple[ConnectionConfig, Any]] = {}
_lock = threading.Lock()


def faults() -> Mapping[str, type[FaultParams]]:
    """Return every fault model by its kind. Loads no driver."""
    return registry.faults()


def titles() -> Mapping[str, str]:
    """Return what each backend is called, by the first word of its faults' kinds."""
    return {name: backend.title for name, backend in registry.BACKENDS.items()}


def chaosmesh_reader() -> Any:
    """Return what reads manifests of Chaos Mesh as faults."""
    return import_module("drivers.chaosmesh.reading")


def chaosmesh_manifests(actions: Iterable[tuple[str, FaultParams, float | None]]) -> str:
    """Return faults of Chaos Mesh (action, fault, seconds) as manifests. Raises ValueError."""
    made: str = import_module("drivers.chaosmesh.payload").exported(actions)
    return made


def is_driver(kind: str) -> bool:
    """Return whether connections of the kind can inject."""
    return bool(registry.reached(kind))


def connection_kind(fault: str) -> str:
    """Return the kind of connection that a fault needs."""
    return registry.connection_kind(fault)


def _config(connection: Connection) -> ConnectionConfig:
    options = {
        **connection.options,
        "scrape_interval_s": connection.scrape_interval_s,
        "flush_interval_s": connection.flush_interval_s,
    }
    secrets = connection.secrets or {}
    if not isinstance(secrets, Mapping):
        # The field gives back the ciphertext when none of the keys fits.
        raise DriverError(
            f"The secrets of {connection.name} cannot be decrypted.",
            hint="Start with the CHAOSWEB_FIELD_KEY of that time, or enter them anew.",
        )
    return ConnectionConfig(connection.kind, connection.name, options=options, secrets=secrets)


def _open(connection: Connection) -> Any:
    """Return the open driver or reader of the connection, opened anew when it was edited."""
    config = _config(connection)
    with _lock:
        known = _opened.get(connection.pk)
        if known is not None and known[0] == config:
            return known[1]
    made = Prometheus(config) if config.kind == "prometheus" else registry.open_driver(config)
    with _lock:
        _opened[connection.pk] = (config, made)
    return made


def forget() -> None:
    """Drop every open driver and reader: a forked worker must not share its parent's sockets."""
    with _lock:
        _opened.clear()


def driver(connection: Connection) -> Driver:
    """Return the driver of the connection. Raises DriverError on unusable options."""
    made: Driver = _open(connection)
    return made


def survey(connection: Connection) -> list[Member] | None:
    """Return what the connection reaches, each with what it lacks; None where its driver cannot.

    Raises DriverError.
    """
    found = driver(connection)
    return found.survey() if hasattr(found, "survey") else None


@dataclass(frozen=True, slots=True)
class Grant:
    """One right in one place (empty: everywhere), whether the account has it, and who needs it.

    ``is_allowed`` is None where the cluster could not be asked.
    """

    right: str
    place: str
    is_allowed: bool | None
    faults: tuple[str, ...]
    is_required: bool


def grants(connection: Connection, kinds: Sequence[str]) -> list[Grant]:
    """Return what these faults may do on the connection; nothing where nobody grants rights.

    Raises DriverError.
    """
    found = driver(connection)
    rows = found.rights(kinds) if hasattr(found, "rights") else []
    return [
        Grant(str(row.right), row.namespace, row.is_allowed, row.faults, row.is_required)
        for row in rows
    ]


def manifests(connection: Connection, kinds: Sequence[str]) -> list[Document]:
    """Return what has to be applied so that these faults are granted. Raises DriverError."""
    found = driver(connection)
    documents: list[Document] = found.manifests(kinds) if hasattr(found, "manifests") else []
    return documents


def prometheus(connection: Connection) -> Prometheus:
    """Return the reader of a Prometheus connection. Raises DriverError on unusable options."""
    made: Prometheus = _open(connection)
    return made


def fetch(
    *, url: str, method: str, headers: Mapping[str, str], timeout_s: float, allowed: list[str]
) -> HttpAnswer:
    """Send one HTTP request to a host that the environment allows. Raises DriverError."""
    with HttpReader(allowed) as reader:
        return reader.fetch(url, method=method, headers=headers, timeout_s=timeout_s)
