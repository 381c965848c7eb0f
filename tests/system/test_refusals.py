"""Runs that are refused before their fault: each says what is wrong and how to mend it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.servers import envoy as envoys
from tests.servers.envoy import RunningEnvoy, Upstream, free_ports
from tests.servers.prometheus import prometheus
from tests.system.conftest import bootstrap_of, need
from tests.system.stack import Stack
from tests.system.world import ERRORS, SCRAPE_S, Mesh, World

LACKING: dict[str, dict[str, Any]] = {
    "the fault filter": {"fault": None},
    "an abort block": {"fault": envoys.fault("delay")},
    "an admin layer": {"layers": [{"name": "base", "static_layer": {}}]},
}
SAID = {
    "the fault filter": ("No listener has the fault filter", "before the router"),
    "an abort block": ("has no abort block", "Add abort:"),
    "an admin layer": ("no admin layer", "Add {name: admin, admin_layer: {}}"),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_an_envoy_is_refused_that_lacks(lacking: str, stack: Stack, upstream: Upstream) -> None:
    with RunningEnvoy(bootstrap_of(upstream, **LACKING[lacking])) as envoy:
        world = World(stack, [envoy.admin])
        seen = world.finish(world.start())
        assert_refused(seen, *SAID[lacking], envoy.admin)
        assert envoy.overrides() == {}
        assert envoy.get("/").status_code == 200


def test_an_envoy_that_nobody_reaches_refuses_the_run(stack: Stack, mesh: Mesh) -> None:
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    world = World(stack, [mesh.envoy.admin, nowhere])
    seen = world.finish(world.start())
    assert_refused(seen, "cannot be reached", "Is Envoy running", nowhere)
    assert mesh.envoy.overrides() == {}, "the Envoy that answers was left alone"


def test_an_sli_without_data_refuses_the_run_and_names_the_query(stack: Stack, mesh: Mesh) -> None:
    with measured() as url:
        world = World(stack, [mesh.envoy.admin], prometheus=url)
        lost = {"bad": "nobody_errors_total", "total": "nobody_requests_total"}
        seen = world.finish(world.start(slis=[ERRORS | {"ratio": lost}], probes=[]))
    assert_refused(seen, "nobody_requests_total", "Is the target scraped", "errors")
    assert mesh.envoy.overrides() == {}


def test_a_prometheus_that_nobody_reaches_refuses_the_run(stack: Stack, mesh: Mesh) -> None:
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    world = World(stack, [mesh.envoy.admin], prometheus=f"http://{nowhere}")
    seen = world.finish(world.start(slis=[ERRORS], probes=[]))
    assert seen["status"] == "refused", seen["journal"]
    assert nowhere in seen["reason"]
    assert mesh.envoy.overrides() == {}


@contextmanager
def measured(**targets: list[str]) -> Iterator[str]:
    need(shutil.which("prometheus"), "Prometheus")
    with prometheus(targets, scrape_interval_s=SCRAPE_S) as url:
        yield url


def assert_refused(seen: dict[str, Any], *words: str) -> None:
    assert seen["status"] == "refused", seen["journal"]
    told = seen["reason"] + str(seen["problems"])
    for word in words:
        assert word in told, f"{word!r} is not in {told}"
    assert not any(each["is_planned"] for each in seen["injections"])
    assert seen["held"] == 0
