"""One stack per database for the whole session, healed before every test, and an Envoy per test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.servers import envoy as envoys
from tests.servers.envoy import RunningEnvoy, Upstream
from tests.servers.postgresql import postgresql, programs
from tests.system.stack import Stack
from tests.system.world import Mesh, World

BOTH_DATABASES = pytest.mark.parametrize("stack", ["sqlite", "postgresql"], indirect=True)


def need(found: object, what: str) -> None:
    """Skip a test whose program is missing; where CI is set it must not be missing."""
    if not found:
        missing = f"{what} is not installed"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)  # a clone without the program; in CI the line above fails


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/system" in item.nodeid:
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stack]]:
    """Start the stack of a database when it is first asked for; end all of them at the end."""
    opened: dict[str, Stack] = {}
    with ExitStack() as everything:

        def give(database: str) -> Stack:
            if database not in opened:
                need(envoys.binary(), "Envoy")
                # The sandbox's list of processes, which holds Valkey, looks for it.
                need(shutil.which("prometheus"), "Prometheus")
                url = ""
                if database == "postgresql":
                    need(programs(), "PostgreSQL")
                    url = everything.enter_context(postgresql())
                workdir = tmp_path_factory.mktemp(database)
                opened[database] = everything.enter_context(Stack(workdir, database_url=url))
            return opened[database]

        yield give


@pytest.fixture
def stack(request: pytest.FixtureRequest, whole_stack: Callable[[str], Stack]) -> Stack:
    found = whole_stack(getattr(request, "param", "sqlite"))
    found.heal()
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if report.when == "call" and report.failed:
        found = item.funcargs.get("stack") if hasattr(item, "funcargs") else None
        if found is not None:
            report.sections.append(("the stack's logs", found.logs()))
    return report


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


_numbers = itertools.count(1)


@pytest.fixture
def mesh(upstream: Upstream) -> Iterator[Mesh]:
    """Give one real Envoy with the fault filter, its stats fresh every 200 ms."""
    with RunningEnvoy(bootstrap_of(upstream)) as envoy:
        yield Mesh(envoy)


def bootstrap_of(upstream: Upstream, **changes: Any) -> dict[str, Any]:
    """Return a bootstrap that has all a fault needs, unless told otherwise."""
    filter_ = changes.pop("fault", envoys.fault("abort", "delay"))
    listener = envoys.hcm(envoys.free_ports(1)[0], fault=filter_)
    node = f"node-{next(_numbers)}"
    config = envoys.bootstrap([listener], upstream.port, node_id=node, **changes)
    return config | {"stats_flush_interval": "0.2s"}


@pytest.fixture
def world(stack: Stack, mesh: Mesh) -> World:
    """Give an environment of the test's own, with that Envoy."""
    return World(stack, [mesh.envoy.admin], hosts=[mesh.host])
