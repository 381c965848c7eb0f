"""The real sandbox, started once: real Envoys, Prometheus, Valkey, shop and load."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from demo import prometheus
from demo.fetch import FetchError, fetch
from demo.processes import ProcessDied
from demo.sandbox import Sandbox
from demo.settings import HOST, SERVICES, DemoConfig, SettingsError, check_ports, free_ports

pytestmark = pytest.mark.servers


def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(free_ports(), tmp_path_factory.mktemp("sandbox")) as started:
        started.wait_until_warm()
        yield started


@pytest.fixture
def overrides(sandbox: Sandbox) -> Iterator[Callable[[str, int], None]]:
    keys: list[str] = []

    def set_one(key: str, value: int) -> None:
        keys.append(key)
        sandbox.override("mesh", key, value)

    yield set_one
    for key in keys:
        sandbox.override("mesh", key, None)


def checkout_fails(sandbox: Sandbox) -> str:
    try:
        fetch(f"{sandbox.edge_url}/checkout")
    except FetchError as error:
        return str(error)
    return ""


def medians_ms(sandbox: Sandbox) -> dict[str, float]:
    samples = prometheus.instant(
        sandbox.prometheus_url,
        "histogram_quantile(0.5, sum by (le, envoy_http_conn_manager_prefix) "
        "(rate(envoy_http_downstream_rq_time_bucket[4s])))",
    )
    return {each.labels["envoy_http_conn_manager_prefix"]: each.value for each in samples}


def test_every_service_gets_enough_traffic(sandbox: Sandbox) -> None:
    rates = sandbox.rates()

    assert set(rates) == {"edge", *SERVICES}
    assert min(rates.values()) >= 25


def test_a_person_at_the_edge_sees_a_page(sandbox: Sandbox) -> None:
    assert b"sock shop" in fetch(f"{sandbox.edge_url}/")


def test_catalogue_answers_from_three_healthy_replicas(sandbox: Sandbox) -> None:
    healthy = prometheus.instant(
        sandbox.prometheus_url,
        'envoy_cluster_membership_healthy{envoy="mesh",envoy_cluster_name="catalogue"}',
    )
    way_in = f"http://{HOST}:{sandbox.config.mesh_catalogue_port}/checkout"
    replicas = {json.loads(fetch(way_in))["service"] for _ in range(30)}

    assert [each.value for each in healthy] == [3.0]
    assert replicas == {"catalogue-1", "catalogue-2", "catalogue-3"}


def test_an_abort_at_carts_turns_the_edge_into_500_until_removed(
    sandbox: Sandbox, overrides: Callable[[str, int], None]
) -> None:
    before = sandbox.runtime()

    overrides("chaos.carts.abort_status", 503)
    overrides("chaos.carts.abort_percent", 100)

    assert "answered 500" in checkout_fails(sandbox)
    assert "orders answered 500" in checkout_fails(sandbox)
    assert sandbox.runtime() == {
        "edge": {},
        "mesh": {"chaos.carts.abort_status": "503", "chaos.carts.abort_percent": "100"},
    }

    sandbox.override("mesh", "chaos.carts.abort_percent", None)
    sandbox.override("mesh", "chaos.carts.abort_status", None)

    assert checkout_fails(sandbox) == ""
    assert sandbox.runtime() == before == {"edge": {}, "mesh": {}}


def test_a_delay_at_carts_is_felt_by_carts_and_its_callers_only(
    sandbox: Sandbox, overrides: Callable[[str, int], None]
) -> None:
    before = medians_ms(sandbox)

    overrides("chaos.carts.delay_ms", 90)
    overrides("chaos.carts.delay_percent", 100)

    # The median moves only once most of the window was delayed; by then a 95th percentile of
    # the others would have shown it too, but is at the mercy of whatever else runs here.
    assert eventually(lambda: medians_ms(sandbox)["carts"] > before["carts"] + 80)
    assert eventually(lambda: medians_ms(sandbox)["orders"] > before["orders"] + 80)
    assert eventually(lambda: medians_ms(sandbox)["front"] > before["front"] + 80)
    after = medians_ms(sandbox)
    assert after["catalogue"] < before["catalogue"] + 20
    assert after["payment"] < before["payment"] + 20
    assert sandbox.rates()["payment"] >= 25


def test_the_edge_has_a_fault_filter_of_its_own(sandbox: Sandbox) -> None:
    sandbox.override("edge", "chaos.edge.abort_status", 418)
    sandbox.override("edge", "chaos.edge.abort_percent", 100)
    try:
        assert "answered 418" in checkout_fails(sandbox)
    finally:
        sandbox.override("edge", "chaos.edge.abort_percent", None)
        sandbox.override("edge", "chaos.edge.abort_status", None)


def test_a_second_sandbox_on_the_same_ports_is_refused_by_name(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused, Sandbox(sandbox.config, tmp_path):
        pass

    message = str(refused.value)
    assert f"Port {sandbox.config.prometheus_port} for Prometheus is busy" in message
    assert "DEMO_PROMETHEUS_PORT" in message
    assert "DEMO_MESH_CARTS_PORT" in message


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    with Sandbox(free_ports(load_rate=5.0), tmp_path) as sandbox:
        pids = sandbox.supervisor.pids()
        assert set(pids) == {"valkey", "shop", "mesh", "edge", "prometheus", "load"}

    assert [name for name, pid in pids.items() if psutil.pid_exists(pid)] == []
    check_ports(sandbox.config)


def test_a_process_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Sandbox(free_ports(load_rate=5.0), tmp_path) as sandbox:
        os.kill(sandbox.supervisor.pids()["shop"], signal.SIGKILL)

        with pytest.raises(ProcessDied) as died:
            sandbox.supervisor.watch(every_s=0.05)

    message = str(died.value)
    assert "shop was killed by SIGKILL" in message
    assert "The shop is open." in message


def test_every_busy_port_is_named_with_its_owner_and_variable() -> None:
    config = free_ports()
    with socket.socket() as first, socket.socket() as second:
        first.bind((HOST, config.edge_port))
        first.listen()
        second.bind((HOST, config.valkey_port))
        second.listen()

        with pytest.raises(SettingsError) as refused:
            check_ports(config)

    first_line, second_line = str(refused.value).splitlines()
    assert first_line.startswith(f"Port {config.edge_port} for the edge Envoy's listener is busy")
    assert first_line.endswith("or set DEMO_EDGE_PORT to another port.")
    assert second_line.startswith(f"Port {config.valkey_port} for Valkey is busy")
    assert second_line.endswith("or set DEMO_VALKEY_PORT to another port.")


def test_a_port_given_twice_is_refused() -> None:
    port = free_ports().edge_port

    with pytest.raises(SettingsError, match="wanted twice, by ChaosWeb and by Valkey"):
        check_ports(replace(free_ports(), web_port=port, valkey_port=port))


def test_every_unreadable_variable_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        DemoConfig.from_env({"DEMO_EDGE_PORT": "http", "DEMO_LOAD_RATE": "0", "DEMO_SEED": "7"})

    assert str(refused.value).splitlines() == [
        "DEMO_EDGE_PORT is 'http', but must be a port from 1 to 65535.",
        "DEMO_LOAD_RATE is '0', but must be a number of requests per second from 1 to 500.",
    ]


def test_variables_set_the_configuration() -> None:
    config = DemoConfig.from_env({"DEMO_EDGE_PORT": "4000", "DEMO_LOAD_RATE": " 12.5 "})

    assert (config.edge_port, config.load_rate) == (4000, 12.5)
    assert config.mesh_admin_port == DemoConfig().mesh_admin_port


def test_prometheus_is_asked_for_in_one_sentence_when_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(prometheus.PrometheusMissing, match="apt-get install prometheus"):
        prometheus.find()
