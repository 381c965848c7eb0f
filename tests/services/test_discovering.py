"""What a Prometheus says of itself: intervals told or measured, and which SLIs it has data for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from drivers.prometheus_answers import read_duration
from experiments.domain import presets
from experiments.models import Connection
from experiments.services import discovering
from tests.servers.prometheus import SCRAPE_INTERVAL_S, Exporter, prometheus, serving, wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.servers]
NO_LIST = '{"status":"error","errorType":"not_found","error":"no such path"}'


def source(url: str) -> Connection:
    return Connection(name="metrics", kind="prometheus", options={"url": url})


@pytest.fixture(autouse=True)
def metrics() -> None:
    """Let the real server answer here, not a scripted one."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    exporter = Exporter()
    exporter.set("request_duration_seconds_bucket", 90, service="carts", le="0.1")
    exporter.set("request_duration_seconds_bucket", 100, service="carts", le="+Inf")
    exporter.set("request_duration_seconds_count", 100, service="carts", status_code="200")
    exporter.set("http_server_requests_seconds_count", 5, status="200")
    exporter.set("envoy_http_downstream_rq_xx", 1, envoy_http_conn_manager_prefix="admin")
    exporter.set("lonely_total", 1)
    with exporter.running(), prometheus({"shop": [exporter.address]}) as url:
        wait_until(lambda: _scrapes(url) >= 5, "five scrapes")
        yield url


def _scrapes(url: str) -> int:
    query = {"query": "count_over_time(up[1m])"}
    answer = httpx.get(f"{url}/api/v1/query", params=query, trust_env=False).json()
    return max((int(row["value"][1]) for row in answer["data"]["result"]), default=0)


@contextmanager
def without_a_list_of_targets(url: str) -> Iterator[str]:
    """Stand before a Prometheus as a query front-end that scrapes nothing itself."""

    class Frontend(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api/v1/targets"):
                self.reply(404, NO_LIST.encode())
            else:
                answer = httpx.get(f"{url}{self.path}", trust_env=False)
                self.reply(answer.status_code, answer.content)

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    with serving(Frontend) as front:
        yield front


def test_what_it_has_is_found_by_the_presets_own_metrics(server):
    found = discovering.look(source(server))
    assert found.reached.is_ok
    ready = {each.key: each for each in found.ready}
    assert set(ready) == {"sock_shop-service", "micrometer"}
    shop = ready["sock_shop-service"]
    assert (shop.label, shop.values, shop.jobs) == ("service", ("carts",), ("shop",))
    assert [preset.name for preset in shop.presets] == ["sock_shop.latency", "sock_shop.errors"]
    assert shop.given("carts") == {"service": "carts"}
    spring = ready["micrometer"]
    assert [preset.name for preset in spring.presets] == ["micrometer.errors"]
    assert spring.given("shop") == {"matchers": 'job="shop"'}


def test_envoys_own_admin_listener_is_nobodys_service(server):
    assert "envoy-listener" not in {each.key for each in discovering.look(source(server)).ready}


def test_the_interval_is_the_one_that_the_list_of_targets_tells(server):
    pace = discovering.measure_pace(source(server))
    assert pace.scrape_s == pytest.approx(SCRAPE_INTERVAL_S)
    assert "as its list of targets says of job shop" in pace.how


def test_without_such_a_list_it_is_measured(server):
    with without_a_list_of_targets(server) as front:
        pace = discovering.measure_pace(source(front))
    assert pace.scrape_s == pytest.approx(SCRAPE_INTERVAL_S, abs=0.1)
    assert pace.how == "as measured over the last three minutes"


def test_a_server_that_scrapes_nothing_says_so():
    with prometheus() as url:
        found = discovering.look(source(url))
    assert found.reached.is_ok
    assert [problem.message for problem in found.reached.problems] == ["It scrapes no target."]
    assert (found.pace.scrape_s, found.ready) == (None, ())


def test_a_dead_server_is_one_problem_and_nothing_is_asked_further():
    found = discovering.look(source("http://127.0.0.1:1"))
    assert not found.reached.is_ok
    assert (found.pace.scrape_s, found.ready) == (None, ())


def test_every_preset_belongs_to_a_kind_with_a_label():
    kinds = discovering._kinds()
    assert {preset.name for each in kinds for preset in each.presets} == set(presets.PRESETS)
    assert {each.key: each.label for each in kinds}["envoy-cluster"] == "envoy_cluster_name"
    assert all(each.title for each in kinds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15), ("400ms", 0.4), ("1m30s", 90), ("1h", 3600), ("", None), ("15", None)],
)
def test_durations_as_prometheus_writes_them(text, seconds):
    found = read_duration(text)
    assert found == (None if seconds is None else pytest.approx(seconds))
