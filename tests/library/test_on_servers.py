"""Every starter for Envoy is checked, prepared, injected and recovered on real Envoys.

The mesh is the sandbox's own, as the starters' defaults promise; the front proxy has two routes
with fault configs of their own, and the replica a route for its health check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from demo import envoys
from demo.settings import free_ports as demo_ports
from drivers.envoy.driver import EnvoyDriver
from drivers.protocol import ConnectionConfig, FaultRequest
from experiments.domain.spec import FaultAction
from experiments.models import Alias, Connection, Environment
from experiments.services import library, querying
from tests.servers.envoy import (
    RunningEnvoy,
    Upstream,
    bootstrap,
    fault,
    free_ports,
    hcm,
    route,
)
from tests.servers.prometheus import prometheus

pytestmark = pytest.mark.servers
ENVOY = [each for each in library.starters() if "envoy" in each.backends]


def _keys(name: str) -> dict[str, str]:
    return envoys.fault_keys(name)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Mapping[str, EnvoyDriver]]:
    """Return the drivers of the aliases that starters name."""
    own = {
        name: fault("abort", "delay", **_keys(name))
        for name in ("service-1", "service-2", "health")
    }
    with Upstream() as upstream:
        proxy = hcm(
            free_ports(1)[0],
            stat_prefix="ingress_http",
            fault=fault("abort", "delay"),
            routes=[
                route("/service/1", name="service-1", stat_prefix="s1", fault=own["service-1"]),
                route("/service/2", name="service-2", stat_prefix="s2", fault=own["service-2"]),
            ],
        )
        replica = hcm(
            free_ports(1)[0],
            stat_prefix="inbound",
            fault=fault(),
            routes=[
                route("/health", name="health", stat_prefix="health", fault=own["health"]),
                route("/"),
            ],
        )
        with (
            RunningEnvoy(envoys.mesh(demo_ports())) as mesh,
            RunningEnvoy(bootstrap([proxy], upstream.port, node_id="edge-1")) as edge,
            RunningEnvoy(bootstrap([replica], upstream.port, node_id="replica-1")) as beside,
        ):
            running = {"mesh": mesh, "zone-a": mesh, "edge": edge, "replica": beside}
            yield {
                alias: EnvoyDriver(
                    ConnectionConfig("envoy", alias, {"addresses": [envoy.admin], "timeout_s": 2.0})
                )
                for alias, envoy in running.items()
            }


def _request(action: FaultAction, number: int) -> FaultRequest:
    return FaultRequest(action.params, f"starter-{number}", float(action.duration))


@pytest.mark.parametrize("starter", ENVOY, ids=[each.name for each in ENVOY])
def test_every_fault_of_it_comes_and_goes_on_a_real_envoy(
    starter: library.Starter, fleet: Mapping[str, EnvoyDriver]
) -> None:
    for number, action in enumerate(starter.document.faults):
        driver = fleet[action.via]
        request = _request(action, number)
        assert [each for each in driver.check(request) if each.severity == "error"] == []
        plan = driver.prepare(request)
        handle = driver.inject(plan)
        assert driver.observe(plan, handle).phase == "active", action.name
        assert driver.recover(plan, handle).phase == "gone", action.name


@pytest.mark.parametrize("name", ["brownout", "two-services-at-once"])
def test_faults_that_overlap_hold_different_things(
    name: str, fleet: Mapping[str, EnvoyDriver]
) -> None:
    starter = library.one(name)
    assert starter is not None
    first, second = starter.document.faults
    driver = fleet["mesh"]
    plan = driver.prepare(_request(first, 1))
    handle = driver.inject(plan)
    other = driver.prepare(_request(second, 2))
    assert not set(plan.claims) & set(other.claims)
    other_handle = driver.inject(other)
    assert driver.observe(plan, handle).phase == "active"
    assert driver.observe(other, other_handle).phase == "active"
    assert driver.recover(plan, handle).phase == "gone"
    assert driver.observe(other, other_handle).phase == "active"
    assert driver.recover(other, other_handle).phase == "gone"


@pytest.mark.django_db
def test_a_real_prometheus_reads_every_query() -> None:
    with prometheus({}) as url:
        place = Environment.objects.create(name="anywhere")
        source = Connection.objects.create(
            name="anywhere-metrics", kind="prometheus", options={"url": url}
        )
        Alias.objects.create(environment=place, name="metrics", connection=source)
        for starter in library.starters():
            asked = querying.queries(raw=starter.raw, environment=place)
            assert (asked.errors, asked.notes) == ((), ()), starter.name
