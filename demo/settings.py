"""Choose the sandbox's ports and load, and say plainly which port is taken."""

import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

HOST = "127.0.0.1"
SERVICES = ("front", "orders", "carts", "catalogue", "payment")
ENVOYS = ("edge", "mesh")
PREFIX = "DEMO_"

# Below Linux's ephemeral range (32768 and up): an outgoing connection can never hold one of these.
_FREE_RANGE = range(20_000, 30_000)


class SettingsError(ValueError):
    """A variable that cannot be read, or a port that cannot be had; the message says which."""


def _port(default: int, owner: str) -> int:
    chosen: int = field(default=default, metadata={"owner": owner})
    return chosen


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Hold every port of the sandbox (all on 127.0.0.1) and the load on it.

    Each field is read from the variable of its upper-case name after `DEMO_`.
    """

    web_port: int = _port(18700, "ChaosWeb")
    edge_port: int = _port(18710, "the edge Envoy's listener")
    edge_admin_port: int = _port(18711, "the edge Envoy's admin interface")
    mesh_admin_port: int = _port(18712, "the mesh Envoy's admin interface")
    mesh_front_port: int = _port(18721, "the mesh's way in to front")
    mesh_orders_port: int = _port(18722, "the mesh's way in to orders")
    mesh_carts_port: int = _port(18723, "the mesh's way in to carts")
    mesh_catalogue_port: int = _port(18724, "the mesh's way in to catalogue")
    mesh_payment_port: int = _port(18725, "the mesh's way in to payment")
    front_port: int = _port(18731, "the service front")
    orders_port: int = _port(18732, "the service orders")
    carts_port: int = _port(18733, "the service carts")
    catalogue_1_port: int = _port(18734, "the first replica of catalogue")
    catalogue_2_port: int = _port(18735, "the second replica of catalogue")
    catalogue_3_port: int = _port(18736, "the third replica of catalogue")
    payment_port: int = _port(18737, "the service payment")
    prometheus_port: int = _port(18740, "Prometheus")
    valkey_port: int = _port(18741, "Valkey")
    load_rate: float = 40.0  # requests per second at the edge
    seed: int = 1  # of the services' work times

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "DemoConfig":
        """Read the `DEMO_` variables; raise SettingsError naming every one that is wrong."""
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for name in (each.name for each in fields(cls)):
            variable = variable_of(name)
            text = environ.get(variable, "").strip()
            if not text:
                continue
            read, wanted = _reader(name)
            try:
                values[name] = read(text)
            except ValueError:
                wrong.append(f"{variable} is {text!r}, but must be {wanted}.")
        if wrong:
            raise SettingsError("\n".join(wrong))
        return cls(**values)

    def mesh_port(self, service: str) -> int:
        """Return the port on which the mesh Envoy lets callers in to a service."""
        port: int = getattr(self, f"mesh_{service}_port")
        return port

    def service_ports(self, service: str) -> tuple[int, ...]:
        """Return the port of every replica of a service."""
        if service == "catalogue":
            return (self.catalogue_1_port, self.catalogue_2_port, self.catalogue_3_port)
        port: int = getattr(self, f"{service}_port")
        return (port,)


def variable_of(name: str) -> str:
    """Return the environment variable that sets a field of `DemoConfig`."""
    return PREFIX + name.upper()


def check_ports(config: DemoConfig, *, with_web: bool = True) -> None:
    """Raise one SettingsError that names every port that is busy or asked for twice."""
    wrong: list[str] = []
    taken: dict[int, str] = {}
    for name, owner in _port_owners():
        if name == "web_port" and not with_web:
            continue
        port: int = getattr(config, name)
        if port in taken:
            wrong.append(
                f"Port {port} is wanted twice, by {taken[port]} and by {owner}: "
                f"set {variable_of(name)} to another."
            )
        elif not _is_free(port):
            wrong.append(
                f"Port {port} for {owner} is busy: stop what listens there, "
                f"or set {variable_of(name)} to another port."
            )
        taken.setdefault(port, owner)
    if wrong:
        raise SettingsError("\n".join(wrong))


def free_ports(**others: Any) -> DemoConfig:
    """Make a configuration of ports that are free now; `others` sets the remaining fields."""
    candidates = random.sample(_FREE_RANGE, 400)
    free = (port for port in candidates if _is_free(port))
    return DemoConfig(**{name: next(free) for name, _ in _port_owners()}, **others)


def _port_owners() -> list[tuple[str, str]]:
    return [
        (each.name, each.metadata["owner"])
        for each in fields(DemoConfig)
        if "owner" in each.metadata
    ]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Without this, connections of the last run in TIME_WAIT would count as busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _reader(name: str) -> tuple[Callable[[str], float], str]:
    if name.endswith("_port"):
        return _read_port, "a port from 1 to 65535"
    if name == "load_rate":
        return _read_rate, "a number of requests per second from 1 to 500"
    return int, "a whole number"


def _read_port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError(text)
    return port


def _read_rate(text: str) -> float:
    rate = float(text)
    if not 1 <= rate <= 500:
        raise ValueError(text)
    return rate
