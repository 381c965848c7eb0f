"""Rigs: one fault of one driver on one backend, real or pretended, with a stranger's hands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from drivers.envoy.driver import EnvoyDriver
from drivers.envoy.faults import HttpAbort
from drivers.fake import FakeAbort, FakeControl, FakeDriver, forget
from drivers.protocol import ConnectionConfig, Driver, FaultParams, FaultRequest
from drivers.units import Percentage
from tests.servers.envoy import RunningEnvoy, Upstream, bootstrap, fault, free_ports, hcm

PERCENT_KEY = "fault.http.abort.abort_percent"
EARLIER = "1"
FOREIGN = "7"


class Rig(Protocol):
    """What the contract suite needs of a backend."""

    driver: Driver
    targets: int
    suggests: str
    """The field of the fault that suggests something."""

    def params(self, percentage: float = 100, **fields: Any) -> FaultParams: ...
    def set_value(self, value: str | None) -> None:
        """Change what the fault sets, on the first target, as a stranger."""

    def value(self) -> str | None:
        """Return what is set on the first target."""

    def restart(self) -> None:
        """Restart the first target: it loses every override."""

    def cut_off(self) -> None:
        """Make the first target hang."""

    def join_again(self) -> None: ...
    def faulted(self, count: int) -> int:
        """Send requests to every target; return how many met the fault."""


class FakeRig:
    suggests = "target"

    def __init__(self, options: dict[str, Any]) -> None:
        connection = ConnectionConfig("fake", "contract", options)
        self.driver: Driver = FakeDriver(connection)
        self.control = FakeControl(connection)
        self.names = options.get("targets", ["one"])
        self.targets = len(self.names)

    def params(self, percentage: float = 100, **fields: Any) -> FaultParams:
        return FakeAbort(percentage=Percentage(percentage), **fields)

    def set_value(self, value: str | None) -> None:
        self.control.set_value(self.names[0], "fake.abort", value)

    def value(self) -> str | None:
        return self.control.value(self.names[0], "fake.abort")

    def restart(self) -> None:
        self.control.restart(self.names[0])

    def cut_off(self) -> None:
        self.control.cut_off(self.names[0])

    def join_again(self) -> None:
        self.control.cut_off()

    def faulted(self, count: int) -> int:
        values = [self.control.value(name, "fake.abort") for name in self.names]
        return sum(count for value in values if value is not None and value.startswith("100%"))


class EnvoyRig:
    suggests = "route"

    def __init__(self, envoys: list[RunningEnvoy]) -> None:
        self.envoys = envoys
        self.targets = len(envoys)
        self.opened = EnvoyDriver(envoy_connection(*envoys))
        self.driver: Driver = self.opened

    def params(self, percentage: float = 100, **fields: Any) -> FaultParams:
        return HttpAbort(percentage=Percentage(percentage), **fields)

    def set_value(self, value: str | None) -> None:
        self.envoys[0].modify(**{PERCENT_KEY: value or ""})

    def value(self) -> str | None:
        return self.envoys[0].overrides().get(PERCENT_KEY)

    def restart(self) -> None:
        self.envoys[0].restart()

    def cut_off(self) -> None:
        self.envoys[0].pause()

    def join_again(self) -> None:
        self.envoys[0].resume()

    def faulted(self, count: int) -> int:
        return sum(envoy.statuses(count).count(503) for envoy in self.envoys)


def envoy_connection(*envoys: RunningEnvoy, timeout_s: float = 1.0) -> ConnectionConfig:
    addresses = [envoy.admin for envoy in envoys]
    return ConnectionConfig("envoy", "mesh", {"addresses": addresses, "timeout_s": timeout_s})


def opened(*envoys: RunningEnvoy) -> EnvoyDriver:
    return EnvoyDriver(envoy_connection(*envoys))


def abort(token: str = "tok-1", **fields: Any) -> FaultRequest:
    return FaultRequest(HttpAbort(**fields), token)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def plain_envoy(upstream: Upstream, *, node_id: str = "front-1", unix: bool = False) -> Any:
    listener = hcm(free_ports(1)[0], fault=fault("abort", "delay"))
    config = bootstrap([listener], upstream.port, node_id=node_id)
    return RunningEnvoy(config, unix_admin=unix)


@pytest.fixture(scope="session")
def envoy_pair(upstream: Upstream) -> Iterator[list[RunningEnvoy]]:
    with (
        plain_envoy(upstream) as first,
        plain_envoy(upstream, node_id="front-2") as second,
    ):
        yield [first, second]


@pytest.fixture(scope="session")
def unix_envoy(upstream: Upstream) -> Iterator[RunningEnvoy]:
    with plain_envoy(upstream, node_id="front-3", unix=True) as envoy:
        yield envoy


def wipe(envoy: RunningEnvoy) -> None:
    """Delete every override, so that tests may share an Envoy."""
    if left := envoy.overrides():
        envoy.modify(**dict.fromkeys(left, ""))


@pytest.fixture
def envoy(envoy_pair: list[RunningEnvoy]) -> Iterator[RunningEnvoy]:
    yield envoy_pair[0]
    envoy_pair[0].resume()
    wipe(envoy_pair[0])


@pytest.fixture(
    params=["fake", "fake files", "fake fleet", "envoy tcp", "envoy unix", "envoy fleet"]
)
def rig(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Rig]:
    kind = str(request.param)
    if kind.startswith("fake"):
        forget()
        options: dict[str, Any] = {}
        if kind == "fake files":
            options = {"state": str(tmp_path)}
        if kind == "fake fleet":
            options = {"targets": ["one", "two"]}
        yield FakeRig(options)
        return
    if kind == "envoy unix":
        envoys = [request.getfixturevalue("unix_envoy")]
    else:
        envoys = request.getfixturevalue("envoy_pair")[: 2 if kind == "envoy fleet" else 1]
    envoy_rig = EnvoyRig(envoys)
    yield envoy_rig
    envoy_rig.opened.close()
    for envoy in envoys:
        envoy.resume()
        wipe(envoy)
