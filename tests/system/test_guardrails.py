"""Guardrails on a real Prometheus: one that sees errors, and one that sees nothing any more."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from tests.servers.prometheus import Exporter, prometheus
from tests.system.conftest import need
from tests.system.stack import Stack
from tests.system.world import ERRORS, SCRAPE_S, Mesh, World, eventually

GUARDRAIL: dict[str, Any] = {
    "name": "too-many-errors",
    "sli": "errors",
    "above": "20%",
    "breaches": "2 of 3",
    "every": "1s",
    "no_data": "stop",
}
RATIO = {"bad": "requests_total{code='500'}", "total": "requests_total"}


def test_a_breach_stops_the_run_and_names_its_readings(stack: Stack, mesh: Mesh) -> None:
    need(shutil.which("prometheus"), "Prometheus")
    scraped = {
        "job_name": "envoy",
        "metrics_path": "/stats/prometheus",
        "static_configs": [{"targets": [mesh.envoy.admin]}],
    }
    with (
        prometheus(scrape_configs=[scraped], scrape_interval_s=SCRAPE_S) as url,
        mesh.traffic(),
    ):
        world = World(stack, [mesh.envoy.admin], prometheus=url)
        wait_for_data(url, f"sum(rate({ERRORS['ratio']['total']}[2s] offset 4s)) > 5")
        run = world.start_fault(
            mesh, duration="2m", slis=[ERRORS], probes=[], guardrails=[GUARDRAIL]
        )
        mesh.wait_until_clear()
        seen = world.finish(run)
    journal = "\n".join(seen["journal"])
    assert (seen["status"], seen["ended_by"]) == ("stopped", "guardrail"), journal
    assert "too-many-errors: 2 of the last" in seen["reason"], journal
    assert "errors were above 20%: " in seen["reason"]
    assert re.search(r"% at \d\d:\d\d:\d\d$", seen["reason"]), seen["reason"]
    assert seen["verdict"] == "deviated", journal
    assert_gone(seen, mesh)


def test_data_that_stops_during_the_fault_stops_the_run(stack: Stack, mesh: Mesh) -> None:
    need(shutil.which("prometheus"), "Prometheus")
    exporter = Exporter()
    with (
        exporter.running(),
        counting(exporter),
        prometheus({"shop": [exporter.address]}, scrape_interval_s=SCRAPE_S) as url,
    ):
        world = World(stack, [mesh.envoy.admin], prometheus=url)
        wait_for_data(url, "rate(requests_total[2s] offset 4s) > 5")
        run = world.start_fault(
            mesh,
            duration="2m",
            slis=[ERRORS | {"ratio": RATIO}],
            probes=[],
            guardrails=[GUARDRAIL],
        )
        exporter.is_failing = True
        mesh.wait_until_clear()
        seen = world.finish(run)
    journal = "\n".join(seen["journal"])
    assert (seen["status"], seen["ended_by"]) == ("stopped", "guardrail"), journal
    assert "no new data of errors" in seen["reason"], journal
    assert seen["verdict"] == "inconclusive", journal
    assert_gone(seen, mesh)


def assert_gone(seen: dict[str, Any], mesh: Mesh) -> None:
    assert [each["phase"] for each in seen["injections"]] == ["recovered"]
    assert seen["held"] == 0
    assert mesh.envoy.overrides() == {}


@contextmanager
def counting(exporter: Exporter) -> Iterator[None]:
    """Let the exporter's requests rise all the time, none of them bad."""
    is_over = threading.Event()

    def count() -> None:
        requests = 0
        while not is_over.wait(0.02):
            requests += 1
            exporter.set("requests_total", requests, code="200")

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def wait_for_data(url: str, query: str) -> None:
    """Wait until there is a history long enough for the look before the first fault."""

    def has_data() -> bool:
        asked = f"{url}/api/v1/query?query={quote(query)}"
        found = httpx.get(asked, trust_env=False, timeout=5).json()
        return bool(found["data"]["result"])

    eventually(has_data, query)
