"""The reader against a real Prometheus."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest

import drivers.prometheus
from drivers.prometheus import Prometheus, QueryError, RequestRefusedError
from drivers.protocol import ConnectionConfig
from tests.servers.prometheus import Exporter, prometheus, serving, wait_until


def opened(url: str, **options: Any) -> Prometheus:
    return Prometheus(ConnectionConfig("prometheus", "metrics", {"url": url, **options}))


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with Exporter().running() as found:
        found.set("orders_total", 10, pod="a", code="200")
        found.set("orders_total", 2, pod="b", code="500")
        found.set("odd", math.nan, kind="nan")
        found.set("odd", math.inf, kind="inf")
        yield found


@pytest.fixture(scope="module")
def server(exporter: Exporter) -> Iterator[str]:
    with prometheus({"shop": [exporter.address]}) as url:
        with opened(url) as metrics:
            wait_until(lambda: metrics.instant("orders_total"), "the first scrape")
        yield url


@pytest.fixture
def metrics(server: str) -> Iterator[Prometheus]:
    with opened(server) as found:
        yield found


def test_instant_returns_labels_value_and_time(metrics: Prometheus) -> None:
    at = datetime.now(UTC)
    [sample] = metrics.instant('orders_total{pod="a"}', at)
    assert sample.value == 10
    assert sample.labels["__name__"] == "orders_total"
    assert (sample.labels["job"], sample.labels["code"]) == ("shop", "200")
    assert sample.time == pytest.approx(at.timestamp(), abs=0.001)


def test_instant_reads_a_scalar_as_one_sample(metrics: Prometheus) -> None:
    [sample] = metrics.instant("1 + 1")
    assert (sample.labels, sample.value) == ({}, 2)


def test_instant_sees_what_the_exporter_changes(metrics: Prometheus, exporter: Exporter) -> None:
    exporter.set("stock", 7, kind="new")
    wait_until(lambda: [s.value for s in metrics.instant("stock")] == [7.0], "7 is scraped")
    exporter.set("stock", 8, kind="new")
    wait_until(lambda: [s.value for s in metrics.instant("stock")] == [8.0], "8 is scraped")
    exporter.remove("stock", kind="new")
    wait_until(lambda: not metrics.instant("stock"), "it is gone")


def test_values_that_are_no_numbers_are_read_as_such(metrics: Prometheus) -> None:
    found = {sample.labels["kind"]: sample.value for sample in metrics.instant("odd")}
    assert math.isnan(found["nan"])
    assert found["inf"] == math.inf
    [sample] = metrics.instant("-odd{kind='inf'}")
    assert sample.value == -math.inf
    now = time.time()
    [series] = metrics.range("vector(0)/vector(0)", now - 2, now, 1)
    assert np.isnan(series.values).all()


def test_no_match_is_an_empty_answer(metrics: Prometheus) -> None:
    assert metrics.instant("nothing_at_all") == []
    now = time.time()
    assert metrics.range("nothing_at_all", now - 10, now, 1) == []


def test_range_leaves_missing_steps_out(metrics: Prometheus) -> None:
    end = time.time()
    [series] = metrics.range('orders_total{pod="a"}', end - 3600, end, 1)
    assert series.times.dtype == series.values.dtype == np.float64
    assert 0 < len(series.times) == len(series.values) < 3600
    assert (np.diff(series.times) > 0).all()
    assert set(series.values) == {10.0}


def test_a_long_range_is_split_on_one_grid(metrics: Prometheus) -> None:
    start = 1_700_000_000.25
    [series] = metrics.range("time()", start, start + 25_000 * 0.5, 0.5)
    assert len(series.times) == 25_001
    np.testing.assert_allclose(series.times, start + np.arange(25_001) * 0.5, atol=1e-6)
    np.testing.assert_allclose(series.values, series.times, atol=1e-6)


def test_the_server_refuses_more_than_one_slice_would_hold(
    metrics: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers.prometheus, "MAX_STEPS_PER_REQUEST", 20_000)
    with pytest.raises(QueryError, match="11,000"):
        metrics.range("time()", 0, 15_000, 1)


@pytest.mark.parametrize(
    ("start", "end", "step"), [(0, 10, 0), (10, 0, 1), (0, 1e6, 1), (0, 9, -1)]
)
def test_a_range_that_makes_no_sense_is_refused(
    metrics: Prometheus, start: float, end: float, step: float
) -> None:
    with pytest.raises(QueryError):
        metrics.range("up", start, end, step)


def test_raw_returns_the_samples_as_scraped(metrics: Prometheus) -> None:
    wait_until(lambda: metrics.instant("count_over_time(up[10s]) > 3"), "some scrapes")
    [series] = metrics.raw('orders_total{pod="a"}', time.time(), 60)
    assert len(series.times) > 3
    assert set(series.values) == {10.0}


def test_a_wrong_query_is_final_and_says_what_the_server_said(metrics: Prometheus) -> None:
    now = time.time()
    for ask in (
        lambda: metrics.instant("sum(("),
        lambda: metrics.range("sum((", now - 9, now, 1),
        lambda: metrics.parse("sum(("),
    ):
        with pytest.raises(QueryError, match="parse error") as caught:
            ask()
        assert not caught.value.retryable


def test_a_query_that_cannot_be_executed_is_final(metrics: Prometheus) -> None:
    with pytest.raises(QueryError, match="many-to-many"):
        metrics.instant("orders_total * on(job) orders_total")


@pytest.mark.parametrize("query", ["up[5m]", '"text"'])
def test_a_result_of_the_wrong_type_is_refused(metrics: Prometheus, query: str) -> None:
    with pytest.raises(QueryError, match="not one value per series"):
        metrics.instant(query)


def test_parse_lays_out_and_falls_back_to_asking(metrics: Prometheus) -> None:
    assert metrics.parse("sum( up )by(job)") == "sum by (job) (up)"
    metrics._can_format = False
    assert metrics.parse("sum( up )by(job)") == "sum( up )by(job)"
    with pytest.raises(QueryError, match="parse error"):
        metrics.parse("sum((")


def test_a_long_query_travels_as_a_form(metrics: Prometheus) -> None:
    long = " or ".join(f'orders_total{{pod="{number}"}}' for number in range(2000))
    assert metrics.instant(f'{long} or orders_total{{pod="a"}}')[0].value == 10
    assert metrics.series([f'orders_total{{pod=~"{"x|" * 3000}a"}}'], 0, time.time())


def test_labels_and_series_are_listed(metrics: Prometheus) -> None:
    assert {"orders_total", "odd", "up"} <= set(metrics.metric_names())
    assert metrics.label_values("pod") == ["a", "b"]
    assert metrics.label_values("pod", ['orders_total{code="500"}']) == ["b"]
    assert metrics.label_names(["orders_total"]) == ["__name__", "code", "instance", "job", "pod"]
    found = metrics.series(["orders_total"], time.time() - 600, datetime.now(UTC))
    assert {row["pod"] for row in found} == {"a", "b"}
    with pytest.raises(QueryError, match="is not a label"):
        metrics.label_values("../status/config")
    with pytest.raises(QueryError, match="parse error"):
        metrics.label_values("pod", ["{"])
    with pytest.raises(QueryError, match="too long"):
        metrics.label_values("pod", ["up" * 40_000])


def test_many_threads_share_one_reader(metrics: Prometheus) -> None:
    def ask(number: int) -> float:
        return metrics.instant(f"vector({number})")[0].value

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == list(range(200))


def test_check_finds_nothing_wrong_with_a_healthy_server(metrics: Prometheus) -> None:
    assert metrics.check() == []
    assert metrics.ready()


def test_check_names_the_target_that_is_down() -> None:
    with Exporter().running() as up, Exporter().running() as down:
        down.is_failing = True
        with (
            prometheus({"good": [up.address], "bad": [down.address]}) as url,
            opened(url) as metrics,
        ):
            wait_until(lambda: len(metrics.instant("up")) == 2, "both are scraped")
            [problem] = metrics.check()
            assert problem.severity == "warning"
            assert f"bad {down.address}" in problem.message
            up.is_failing = True
            wait_until(lambda: not metrics.instant("up == 1"), "both are down")
            [problem] = metrics.check()
            assert problem.message.startswith("No target is up")


def test_check_says_that_nothing_is_scraped_and_that_nobody_answers() -> None:
    with prometheus() as url, opened(url) as metrics:
        [problem] = metrics.check()
        assert (problem.severity, problem.message) == ("warning", "It scrapes no target.")
        assert metrics.ready()
        gone = url
    with opened(gone) as metrics:
        [problem] = metrics.check()
        assert problem.severity == "error"
        assert "cannot be reached" in problem.message
        assert not metrics.ready()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "prometheus:9090"},
        {"url": "ftp://prometheus"},
        {"url": "http://user:secret@prometheus"},
        {"url": "http://prometheus?a=b"},
        {"url": "http://p:99999999"},
        {"url": "http://p", "timeout_s": 0},
        {"url": "http://p", "timeout_s": "soon"},
        {"url": "http://p", "scrape_interval_s": math.nan},
        {"url": "http://p", "ca_file": "/nowhere.pem"},
        {"url": "http://p", "headers": {"x-scope": "ünï"}},
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        Prometheus(ConnectionConfig("prometheus", "metrics", options))
    assert "secret" not in str(caught.value)


def test_a_moment_without_time_zone_is_refused(metrics: Prometheus) -> None:
    with pytest.raises(ValueError, match="time zone"):
        metrics.instant("up", datetime(2026, 1, 1))  # noqa: DTZ001


class _Described(BaseHTTPRequestHandler):
    """A target that says what its metrics are."""

    def do_GET(self) -> None:
        lines = [
            "# HELP shop_orders_total Orders that were taken.",
            "# TYPE shop_orders_total counter",
            "shop_orders_total 3",
            "# TYPE shop_queue gauge",
            "shop_queue 4",
        ]
        body = "\n".join([*lines, ""]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_metadata_says_what_each_metric_is() -> None:
    with serving(_Described) as target:
        address = target.removeprefix("http://")
        with prometheus({"shop": [address]}) as url, opened(url) as metrics:
            found = wait_until(metrics.metadata, "the first scrape")
            assert found["shop_orders_total"] == [
                {"type": "counter", "help": "Orders that were taken.", "unit": ""}
            ]
            assert found["shop_queue"][0]["type"] == "gauge"
            assert len(metrics.metadata(most=1)) == 1


def test_no_more_words_come_than_were_asked_for(metrics: Prometheus) -> None:
    lately = time.time() - 600
    assert len(metrics.label_values("__name__", since=lately, most=2)) == 2
    assert len(metrics.label_names(since=lately, most=1)) == 1
    now = time.time()
    assert len(metrics.series(["orders_total"], lately, now, most=1)) == 1
    assert metrics.label_values("pod", since=now + 3600) == []


def test_within_bounds_one_question_and_leaves_the_reader_as_it_is(metrics: Prometheus) -> None:
    hurried = metrics.within(0.75)
    assert (hurried.timeout_s, metrics.timeout_s) == (0.75, 5.0)
    assert metrics.within(60).timeout_s == 5.0, "never longer than the connection says"
    assert hurried.instant("1 + 1")[0].value == 2
