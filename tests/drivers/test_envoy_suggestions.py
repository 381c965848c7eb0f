"""What a real Envoy's configuration offers for a fault's fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drivers.envoy.driver import EnvoyDriver
from drivers.envoy.faults import FAULTS, HttpAbort
from drivers.protocol import ConnectionConfig, DriverError, FaultRequest
from tests.drivers.conftest import envoy_connection, opened, plain_envoy
from tests.servers.envoy import RunningEnvoy, Upstream, bootstrap, fault, free_ports, hcm, route


def own_keys(name: str) -> dict[str, str]:
    return {
        "abort_percent_runtime": f"chaos.{name}.abort_percent",
        "delay_percent_runtime": f"chaos.{name}.delay_percent",
    }


@pytest.fixture(scope="module")
def shop(upstream: Upstream) -> Iterator[RunningEnvoy]:
    """Yield an Envoy with named routes, one of which a fault can only delay."""
    listener = hcm(
        free_ports(1)[0],
        stat_prefix="shop",
        fault=fault("abort", "delay", **own_keys("shop")),
        routes=[
            route("/carts", name="carts", fault=fault("abort", "delay", **own_keys("carts"))),
            route("/slow", name="slow", fault=fault("delay", **own_keys("slow"))),
            route("/none", name="none", fault=fault(**own_keys("none"))),
            route("/", name="plain"),
        ],
    )
    with RunningEnvoy(bootstrap([listener], upstream.port, node_id="shop-1")) as envoy:
        yield envoy


def details(driver: EnvoyDriver, what: str = "routes") -> dict[str, str]:
    return {each.value: each.detail for each in driver.suggest(what, {})}


def test_routes_say_what_they_are_and_what_is_armed_there(shop: RunningEnvoy) -> None:
    assert details(opened(shop)) == {
        "carts": "route of virtual host all · abort and delay armed",
        "none": "route of virtual host all · neither abort nor delay armed",
        "slow": "route of virtual host all · delay armed",
        "shop": "stat_prefix · abort and delay armed",
        "shop_listener": "listener · abort and delay armed",
    }


def test_the_most_specific_come_first(shop: RunningEnvoy) -> None:
    assert list(details(opened(shop)))[-2:] == ["shop", "shop_listener"]


def test_what_is_armed_is_what_the_check_accepts(shop: RunningEnvoy) -> None:
    driver = opened(shop)
    refused = {
        name
        for name in details(driver)
        if any(
            problem.severity == "error"
            for problem in driver.check(FaultRequest(HttpAbort(route=name), "tok-1"))
        )
    }
    assert refused == {"none", "slow"}


def test_a_name_whose_keys_others_read_says_so(upstream: Upstream) -> None:
    listeners = [
        hcm(port, stat_prefix=name, fault=fault("abort"))
        for port, name in zip(free_ports(2), ("first", "second"), strict=True)
    ]
    with RunningEnvoy(bootstrap(listeners, upstream.port)) as envoy:
        driver = opened(envoy)
        found = details(driver)
        assert (
            found["first"]
            == "stat_prefix · abort armed · shares its runtime keys with other places"
        )
        problems = driver.check(FaultRequest(HttpAbort(route="first"), "tok-1"))
        assert "would hit" in " ".join(problem.message for problem in problems)


def test_a_fleet_says_where_a_name_is(shop: RunningEnvoy, envoy_pair: list[RunningEnvoy]) -> None:
    found = details(opened(shop, *envoy_pair))
    assert found["carts"].endswith(" · on 1 of 3 Envoys")
    assert found["ingress"].endswith(" · on 2 of 3 Envoys")


def test_clusters_are_a_word_of_their_own(
    shop: RunningEnvoy, envoy_pair: list[RunningEnvoy]
) -> None:
    assert details(opened(shop), "clusters") == {"upstream": ""}
    assert details(opened(shop, envoy_pair[0]), "clusters") == {"upstream": "on 2 of 2 Envoys"}


def test_envoys_that_are_away_are_left_out_and_none_at_all_is_an_error(
    shop: RunningEnvoy,
) -> None:
    away = "127.0.0.1:1"
    both = ConnectionConfig("envoy", "mesh", {"addresses": [away, shop.admin]})
    assert "carts" in details(EnvoyDriver(both))
    for what in ("routes", "clusters"):
        with pytest.raises(DriverError, match="cannot be reached") as caught:
            EnvoyDriver(ConnectionConfig("envoy", "mesh", {"addresses": [away]})).suggest(what, {})
        assert caught.value.retryable


@pytest.mark.parametrize("what", ["routes", "clusters"])
def test_an_envoy_that_hangs_is_given_up_within_the_budget(
    upstream: Upstream, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain_envoy(upstream, node_id="hangs") as envoy:
        driver = EnvoyDriver(envoy_connection(envoy, timeout_s=5.0))
        envoy.pause()
        with pytest.raises(DriverError, match="timed out") as caught:
            driver.suggest(what, {})
        envoy.resume()
        assert caught.value.retryable
        monkeypatch.setattr("drivers.envoy.driver.SUGGEST_BUDGET_S", 0.0)
        with pytest.raises(DriverError, match="no time left"):
            driver.suggest(what, {})


def test_the_field_that_takes_a_route_is_marked_and_its_neighbours_are_not() -> None:
    for model in FAULTS:
        fields: dict[str, Any] = model.model_json_schema()["properties"]
        assert {name: field["suggest"] for name, field in fields.items() if "suggest" in field} == {
            "route": "routes"
        }
        assert fields["percentage"]["unit"] == "%"
