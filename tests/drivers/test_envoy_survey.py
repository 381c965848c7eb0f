"""A look at a whole fleet: who answers, what a fault can name there, and what each one lacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.envoy.driver import EnvoyDriver
from drivers.protocol import ConnectionConfig
from tests.servers.envoy import (
    RunningEnvoy,
    Upstream,
    bootstrap,
    fault,
    free_ports,
    hcm,
    route,
)

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as started:
        yield started


def member_of(config, **options):
    with RunningEnvoy(config) as envoy:
        given = {"addresses": [envoy.admin], **options}
        (found,) = EnvoyDriver(ConnectionConfig("envoy", "mesh", options=given)).survey()
        return found


def keys(name):
    return {
        "abort_percent_runtime": f"chaos.{name}.abort_percent",
        "delay_percent_runtime": f"chaos.{name}.delay_percent",
    }


def test_a_whole_envoy_is_ready_and_names_what_a_fault_can_hit(upstream):
    own = fault("delay", **keys("health"))
    listener = hcm(
        free_ports(1)[0],
        stat_prefix="inbound",
        fault=fault("abort", "delay", **keys("inbound")),
        routes=[route("/health", name="health", fault=own), route("/")],
    )
    config = bootstrap([listener], upstream.port) | {"stats_flush_interval": "0.4s"}
    found = member_of(config)
    assert found.is_ready
    assert found.version.startswith("Envoy 1.")
    assert [(each.value, each.detail) for each in found.targets] == [
        ("health", "route: delay"),
        ("inbound", "filter: delay and abort"),
    ]
    assert found.flush_s == pytest.approx(0.4)
    assert found.snippets == ()
    (warning,) = found.problems
    assert (warning.severity, "no abort block" in warning.message) == ("warning", True)


def test_a_bare_envoy_is_told_the_yaml_that_it_lacks(upstream):
    listener = hcm(free_ports(1)[0])
    found = member_of(bootstrap([listener], upstream.port, layers=[]))
    assert not found.is_ready
    assert [problem.message for problem in found.problems] == [
        "The runtime has no admin layer, so no fault can be switched on.",
        "No listener has the fault filter.",
    ]
    layer, filter_ = found.snippets
    assert "- {name: admin, admin_layer: {}}" in layer.body
    assert "envoy.filters.http.fault" in filter_.body
    assert found.flush_s == 5.0


def test_the_layers_that_are_there_are_named(upstream):
    listener = hcm(free_ports(1)[0], fault=fault("abort", "delay"))
    layers = [{"name": "base", "static_layer": {}}]
    (layer,) = member_of(bootstrap([listener], upstream.port, layers=layers)).snippets
    assert "# after those that are there: base" in layer.body


def test_listeners_that_share_their_keys_are_told_to_be_hit_together(upstream):
    listeners = [
        hcm(port, stat_prefix=name, fault=fault("abort", "delay"))
        for name, port in zip(("one", "two"), free_ports(2), strict=True)
    ]
    found = member_of(bootstrap(listeners, upstream.port))
    assert found.is_ready
    assert "one, two are hit together: all read fault.http.delay.fixed_delay_percent." in [
        problem.message for problem in found.problems
    ]


def test_who_does_not_answer_is_a_member_with_a_problem():
    options = {"addresses": ["127.0.0.1:1", "127.0.0.1:2"]}
    found = EnvoyDriver(ConnectionConfig("envoy", "mesh", options=options)).survey()
    assert [each.name for each in found] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert not any(each.is_ready for each in found)
    assert "cannot be reached" in found[0].problems[0].message
    assert found[0].problems[0].hint
