"""What the Envoy driver does to real Envoys, beyond the contract."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from drivers.envoy.admin import AdminClient
from drivers.envoy.driver import EnvoyDriver
from drivers.envoy.faults import HttpDelay
from drivers.envoy.payload import inject_values, target_plans
from drivers.protocol import (
    ConnectionConfig,
    DriverError,
    FaultRequest,
    Handle,
    Problem,
    UnknownOutcomeError,
)
from drivers.units import Duration, Percentage
from tests.drivers.conftest import PERCENT_KEY, abort, opened, plain_envoy
from tests.servers.envoy import (
    ADMIN_LAST,
    RunningEnvoy,
    Upstream,
    bootstrap,
    fault,
    free_ports,
    hcm,
    route,
    wait_until,
)

KILL_SWITCH = "fault.http.max_active_faults"
CARTS = fault(
    "abort",
    "delay",
    abort_percent_runtime="carts.abort",
    abort_http_status_runtime="carts.status",
    delay_percent_runtime="carts.delay",
    delay_duration_runtime="carts.millis",
)


def errors(found: list[Problem]) -> str:
    return " ".join(f"{each.message} {each.hint}" for each in found if each.severity == "error")


@pytest.fixture(scope="module")
def odd_envoy(upstream: Upstream) -> Iterator[RunningEnvoy]:
    """Offers four listeners: with routes of their own, own keys, no blocks, and no filter."""
    ports = free_ports(4)
    own = fault("abort", abort_percent_runtime="back.abort", abort_http_status_runtime="back.code")
    listeners = [
        hcm(
            ports[0],
            stat_prefix="front",
            fault=fault("abort", "delay"),
            routes=[
                route("/carts", name="carts", stat_prefix="carts", fault=CARTS),
                route("/mute", name="mute", fault=fault("abort", abort_percent_runtime="mute.x")),
                route("/same", name="same", fault=fault("abort")),
                route("/"),
            ],
        ),
        hcm(ports[1], stat_prefix="back", fault=own),
        hcm(ports[2], stat_prefix="bare", fault=fault(max_active_faults_runtime="bare.max")),
        hcm(ports[3], stat_prefix="none"),
    ]
    layers = [*ADMIN_LAST, {"name": "top", "static_layer": {"mute.x": 3}}]
    with RunningEnvoy(bootstrap(listeners, upstream.port, layers=layers)) as running:
        yield running


@pytest.fixture
def odd(odd_envoy: RunningEnvoy) -> Iterator[RunningEnvoy]:
    yield odd_envoy
    keys = set(odd_envoy.overrides()) - {"mute.x"}
    if keys:
        odd_envoy.modify(**dict.fromkeys(keys, ""))


def test_a_fraction_of_a_percent_is_not_cut_off(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(abort(percentage=Percentage(99.5)))
    driver.inject(plan)
    assert envoy.statuses(200).count(503) > 150
    assert envoy.overrides()[PERCENT_KEY] == '{"numerator":9950,"denominator":"TEN_THOUSAND"}'
    assert driver.recover(plan, None).phase == "gone"


def test_a_delay_holds_requests_back(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(FaultRequest(HttpDelay(fixed_delay=Duration("150ms")), "tok-1"))
    handle = driver.inject(plan)
    assert envoy.get().elapsed.total_seconds() >= 0.15
    seen = driver.observe(plan, handle)
    assert (seen.delivered_share, seen.affected) == (1.0, 1.0)
    assert driver.recover(plan, handle).delivered_share == 1.0


def test_a_share_of_zero_delivers_nothing(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(abort(percentage=Percentage(0)))
    handle = driver.inject(plan)
    assert driver.observe(plan, handle).delivered_share is None
    assert envoy.statuses(5) == [200] * 5
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.delivered_share, seen.exposed) == ("active", 0.0, 5.0)


def test_abort_and_delay_live_side_by_side(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    first = driver.prepare(abort("a"))
    driver.inject(first)
    second = driver.prepare(FaultRequest(HttpDelay(fixed_delay=Duration(0.05)), "b"))
    driver.inject(second)
    assert not set(first.claims) & set(second.claims)
    assert envoy.get().status_code == 503
    assert [each.token for each in driver.owned()] == ["a", "b"]
    assert driver.recover(first, None).phase == "gone"
    assert driver.observe(second, Handle(token="b")).phase == "active"


def test_a_post_that_timed_out_takes_effect_later_and_is_recovered(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(abort())
    client = AdminClient(envoy.admin, 0.3)
    envoy.pause()
    with pytest.raises(UnknownOutcomeError):
        client.modify(inject_values(plan.token, plan.fault, target_plans(plan)[0]))
    client.close()
    started = time.monotonic()
    assert driver.recover(plan, None).phase == "partly"
    assert time.monotonic() - started < 5
    envoy.resume()
    wait_until(lambda: PERCENT_KEY in envoy.overrides(), "the late POST takes effect")
    assert envoy.get().status_code == 503
    assert driver.recover(plan, None).phase == "gone"
    assert envoy.get().status_code == 200


def test_many_threads_may_carry_the_same_plan(envoy_pair: list[RunningEnvoy]) -> None:
    driver = opened(*envoy_pair)
    plan = driver.prepare(abort())
    with ThreadPoolExecutor(8) as threads:
        handles = list(threads.map(driver.inject, [plan] * 8))
    assert driver.observe(plan, handles[0]).phase == "active"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: driver.recover(plan, each), handles))
    assert driver.recover(plan, None).phase == "gone"
    assert [each.overrides() for each in envoy_pair] == [{}, {}]


def test_two_injections_at_once_never_both_hold_a_key(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)

    def inject(token: str) -> Handle | DriverError:
        try:
            return driver.inject(plans[token])
        except DriverError as error:
            return error

    for attempt in range(10):
        tokens = (f"a-{attempt}", f"b-{attempt}")
        plans = {token: driver.prepare(abort(token)) for token in tokens}
        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(inject, tokens))
        assert sum(isinstance(each, Handle) for each in results) < 2
        assert {driver.recover(plan, None).phase for plan in plans.values()} == {"gone"}
        assert envoy.overrides() == {}


def test_counters_of_a_restarted_envoy_begin_again(envoy: RunningEnvoy) -> None:
    envoy.statuses(30)
    driver = opened(envoy)
    plan = driver.prepare(abort())
    driver.inject(plan)
    envoy.statuses(10)
    envoy.restart()
    handle = driver.inject(plan)
    envoy.statuses(4)
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.exposed, seen.affected) == ("active", 4.0, 4.0)


def test_the_command_by_hand_is_what_recover_does(envoy: RunningEnvoy) -> None:
    driver = opened(envoy)
    plan = driver.prepare(abort())
    driver.inject(plan)
    path = plan.by_hand[0].split(envoy.admin, 1)[1].rstrip("'")
    pairs = dict(pair.split("=") for pair in path.split("?", 1)[1].split("&"))
    envoy.modify(**pairs)
    assert driver.observe(plan, Handle(token="tok-1")).phase == "gone"
    assert driver.owned() == []


def test_a_route_with_its_own_keys_is_hit_alone(odd: RunningEnvoy) -> None:
    driver = opened(odd)
    plan = driver.prepare(abort(route="carts", http_status=418))
    handle = driver.inject(plan)
    assert odd.statuses(4, "/carts") == [418] * 4
    assert odd.statuses(3, "/") == [200] * 3
    seen = driver.observe(plan, handle)
    assert (seen.exposed, seen.affected, seen.delivered_share) == (4.0, 4.0, 1.0)
    assert plan.claims == ("envoy:edge/front-1:carts.abort", "envoy:edge/front-1:carts.status")
    assert driver.recover(plan, handle).phase == "gone"
    assert odd.get("/carts").status_code == 200


def test_a_listener_with_its_own_keys_is_found_by_either_name(odd: RunningEnvoy) -> None:
    driver = opened(odd)
    for name in ("back", "back_listener"):
        plan = driver.prepare(abort(route=name))
        driver.inject(plan)
        assert odd.get(listener=1).status_code == 503
        assert odd.get(listener=0).status_code == 200
        assert driver.recover(plan, None).phase == "gone"


def test_the_default_keys_hit_every_filter_and_route_that_uses_them(odd: RunningEnvoy) -> None:
    driver = opened(odd)
    found = driver.check(abort())
    assert errors(found) == ""
    plan = driver.prepare(abort())
    handle = driver.inject(plan)
    assert [odd.get(path).status_code for path in ("/", "/same", "/carts")] == [503, 503, 200]
    # Requests on the routes with settings of their own are not all counted: the share is unknown.
    seen = driver.observe(plan, handle)
    assert (seen.delivered_share, seen.affected) == (None, 2.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"route": "basket"}, "There are: back, back_listener, bare, bare_listener, carts"),
        ({"route": "bare"}, "no abort block"),
        ({"route": "none"}, "There is no route"),
        ({"route": "same"}, "It would hit listener front_listener"),
        ({"route": "mute"}, "Layer top sets mute.x above the admin layer"),
    ],
)
def test_check_says_what_is_wrong_with_a_route(
    odd: RunningEnvoy, fields: dict[str, str], words: str
) -> None:
    driver = opened(odd)
    found = driver.check(abort(**fields))
    assert words in errors(found)
    assert {each.where for each in found} == {odd.admin}
    with pytest.raises(DriverError) as caught:
        driver.prepare(abort(**fields))
    assert not caught.value.retryable


def test_check_warns_where_the_share_cannot_be_known(upstream: Upstream) -> None:
    listener = hcm(
        free_ports(1)[0],
        fault=fault("abort", headers=[{"name": "x-chaos", "present_match": True}]),
    )
    with RunningEnvoy(bootstrap([listener], upstream.port)) as running:
        driver = opened(running)
        (problem,) = driver.check(abort())
        assert (problem.severity, "stays unknown" in problem.message) == ("warning", True)
        plan = driver.prepare(abort())
        handle = driver.inject(plan)
        assert running.get().status_code == 200
        assert driver.observe(plan, handle).delivered_share is None


def test_check_sees_the_kill_switch(envoy: RunningEnvoy) -> None:
    envoy.modify(**{KILL_SWITCH: "0"})
    assert "kill switch" in errors(opened(envoy).check(abort()))


@pytest.mark.parametrize("layers", [[], [{"name": "admin", "static_layer": {}}]])
def test_an_envoy_without_admin_layer_or_filter_is_refused_unchanged(
    upstream: Upstream, layers: list[dict[str, Any]]
) -> None:
    config = bootstrap([hcm(free_ports(1)[0])], upstream.port, layers=layers)
    with RunningEnvoy(config) as running:
        found = errors(opened(running).check(abort()))
        assert "no admin layer" in found
        assert "No listener has the fault filter" in found
        client = AdminClient(running.admin, 1.0)
        with pytest.raises(DriverError, match="no admin layer") as caught:
            client.modify({"x": "1"})
        assert "admin_layer: {}" in caught.value.hint
        client.close()


def test_envoys_without_a_node_id_are_claimed_by_address(upstream: Upstream) -> None:
    with plain_envoy(upstream, node_id="") as running:
        plan = opened(running).prepare(abort())
        assert plan.claims[0] == f"envoy:{running.admin}:{PERCENT_KEY}"


def test_what_is_no_envoy_is_refused(upstream: Upstream) -> None:
    config = ConnectionConfig("envoy", "mesh", {"addresses": [f"127.0.0.1:{upstream.port}"]})
    (problem,) = EnvoyDriver(config).check(abort())
    assert "does not answer like an Envoy" in problem.message


def test_a_refused_connection_is_retryable() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    driver = EnvoyDriver(ConnectionConfig("envoy", "mesh", {"addresses": [address]}))
    assert address in driver.check(abort())[0].where
    for call in (driver.owned, lambda: driver.prepare(abort()), lambda: driver.resolve(abort())):
        with pytest.raises(DriverError) as caught:
            call()
        assert caught.value.retryable
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"addresses": []},
        {"addresses": [9901]},
        {"addresses": ["https://envoy:9901"]},
        {"addresses": ["envoy"]},
        {"addresses": ["envoy:9901"], "timeout_s": 0},
        {"addresses": ["envoy:9901"], "timeout_s": "2"},
    ],
)
def test_unusable_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DriverError):
        EnvoyDriver(ConnectionConfig("envoy", "mesh", options))
