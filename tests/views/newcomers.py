"""What the tests of the first steps share: a newcomer's systems, real ones, and their fields."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from django.urls import reverse

from tests.servers.envoy import RunningEnvoy, Upstream, bootstrap, fault, free_ports, hcm
from tests.servers.prometheus import prometheus, wait_until

DEAD = "http://127.0.0.1:1"


def text(response):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def source_fields(url, **changes):
    return {"name": "metrics", "kind": "prometheus", "url": url, "do": "check"} | changes


def fleet_fields(*addresses, **changes):
    listed = {"name": "mesh", "kind": "envoy", "addresses": "\r\n".join(addresses), "do": "check"}
    return listed | changes


@dataclass(frozen=True)
class Systems:
    """What a newcomer has: Envoys, one of them bare, and the Prometheus that scrapes one."""

    envoy: str
    bare: str
    prometheus: str


@pytest.fixture(scope="session")
def systems() -> Iterator[Systems]:
    listeners = [
        hcm(
            port,
            stat_prefix=name,
            fault=fault(
                "abort",
                "delay",
                abort_percent_runtime=f"chaos.{name}.abort_percent",
                delay_percent_runtime=f"chaos.{name}.delay_percent",
            ),
        )
        for name, port in zip(("carts", "orders"), free_ports(2), strict=True)
    ]
    with Upstream() as upstream:
        config = bootstrap(listeners, upstream.port) | {"stats_flush_interval": "0.2s"}
        bare_config = bootstrap([hcm(free_ports(1)[0])], upstream.port, layers=[])
        with RunningEnvoy(config) as envoy, RunningEnvoy(bare_config) as bare:
            scrape = {
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{"targets": [envoy.admin]}],
            }
            with prometheus(scrape_configs=[scrape]) as url:
                wait_until(lambda: _is_measured(envoy, url), "carts is measured")
                yield Systems(envoy.admin, bare.admin, url)


def _is_measured(envoy: RunningEnvoy, url: str) -> bool:
    """Send a request, and look whether Prometheus has seen some."""
    envoy.get("/")
    bucket = 'envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="carts"}'
    query = f"sum(rate({bucket}[1m])) > 0"
    found = httpx.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False)
    return bool(found.json()["data"]["result"])


@pytest.fixture
def boss(client, admin):
    """Return the browser of an admin."""
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def connected(boss, systems):
    """Return the browser of an admin who has connected both."""
    boss.post(reverse("first_steps_source"), source_fields(systems.prometheus))
    boss.post(reverse("first_steps_backend"), fleet_fields(systems.envoy))
    return boss
