"""Whole runs on a real cluster: the engine plans, injects, observes, recovers and judges."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from experiments import backends
from experiments.models import Alias, Claim, Connection, Environment, Injection, Orphan, Run
from experiments.services import authoring, launching, people, reconciling
from tests import factories
from tests.cluster.rigs import (
    change,
    connection,
    deploy,
    exists,
    read,
    ready,
    sentinels,
    workload_path,
)
from tests.pump import Pump
from tests.servers.kubernetes import RunningKubernetes

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

ENDED = ("completed", "stopped", "errored", "refused")
WITHIN_S = 90.0


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """Return the address of something that answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def pump(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pump]:
    backends.forget()
    yield Pump(monkeypatch)
    backends.forget()


@pytest.fixture
def place(cluster: RunningKubernetes, namespace: str, shop: str, db: Any) -> Environment:
    given = connection(cluster, namespace)
    made = Environment.objects.create(name="staging", allowed_hosts=[shop])
    kept = Connection.objects.create(
        name="cluster", kind="kubernetes", options=given.options, secrets=dict(given.secrets)
    )
    Alias.objects.create(environment=made, name="cluster", connection=kept)
    return made


@pytest.fixture
def start(place: Environment, shop: str, pump: Pump) -> Any:
    """Return what requests a run of one fault."""
    user = factories.person("adele", people.ADMIN)

    def requested(fault: str, given: dict[str, Any], **changes: Any) -> Run:
        action = {"name": "it", "fault": fault, "via": "cluster", "with": given, "duration": "30s"}
        probe = {"name": "answers", "at": ["end"], "http": {"url": f"http://{shop}/"}}
        raw = {
            "apiVersion": "chaosweb/v1",
            "kind": "Experiment",
            "metadata": {"name": "on-a-cluster"},
            "hypothesis": "The shop answers.",
            "probes": [probe | {"tolerance": {"status": 200}}],
            "timing": {"baseline": "0s", "settle": "0s"},
            "method": [action | changes],
        }
        version = authoring.save(raw=raw, author=user)
        return launching.request_run(
            version=version, environment=place, user=user, idempotency_key="once"
        )

    return requested


def until(pump: Pump, run: Run, *statuses: str, step_s: float = 1.0) -> Run:
    """Let the engine's time pass, and the cluster's own beside it."""
    end = time.monotonic() + WITHIN_S
    pump.drain()
    run.refresh_from_db()
    while run.status not in statuses:
        assert time.monotonic() < end, f"{run} is still {run.status}: {story(run)}"
        pump.pass_time(step_s)
        run.refresh_from_db()
        time.sleep(0.02)
    return run


def story(run: Run) -> str:
    return "\n".join(event.message for event in run.events.all())


def test_a_pod_is_deleted_and_the_run_ends_once_it_is_replaced(
    cluster, namespace, start, pump
) -> None:
    deploy(cluster, namespace)
    chosen = {"selector": {"namespace": namespace, "labels": {"app": "web"}}}
    run = until(pump, start("kubernetes.delete_pods", chosen), *ENDED)
    assert (run.status, run.verdict) == ("completed", "held"), story(run)
    injection: Any = Injection.objects.get()
    assert injection.evidence["delivered_share"] == pytest.approx(1 / 3)
    assert injection.observation["targets"][0]["name"] == f"{namespace}/Deployment/web"
    assert ready(cluster, namespace) == 3
    assert not Claim.objects.filter(released_at__isnull=True).exists()


def test_a_deleted_deployment_is_back_when_the_run_ends(cluster, namespace, start, pump) -> None:
    deploy(cluster, namespace)
    given = {"namespace": namespace, "name": "web"}
    run = start("kubernetes.delete_workload", given)
    until(pump, run, "injecting")
    while Injection.objects.get().phase != "active":
        pump.pass_time(0.5)
    assert not exists(cluster, workload_path(namespace, "web"))
    until(pump, run, *ENDED)
    assert (run.status, run.verdict) == ("completed", "held"), story(run)
    assert ready(cluster, namespace) == 3
    assert sentinels(cluster, namespace) == []


def test_an_api_server_that_dies_during_the_fault_delays_the_end_and_loses_nothing(
    cluster, namespace, start, pump
) -> None:
    deploy(cluster, namespace)
    given = {"namespace": namespace, "name": "web", "replicas": 1}
    run = start("kubernetes.scale_workload", given)
    until(pump, run, "injecting")
    while Injection.objects.get().phase != "active":
        pump.pass_time(0.5)
    cluster.apiserver.kill()
    try:
        until(pump, run, "recovering", step_s=5)
        pump.pass_time(20)
        run.refresh_from_db()
        assert run.status == "recovering"
        assert Claim.objects.filter(released_at__isnull=True).exists()
    finally:
        cluster.apiserver.start()
    until(pump, run, *ENDED, step_s=5)
    assert read(cluster, workload_path(namespace, "web"))["spec"]["replicas"] == 3
    assert "removal is not confirmed" in story(run)
    assert sentinels(cluster, namespace) == []


def test_a_run_is_refused_where_a_right_or_a_namespace_is_lacking(
    cluster, namespace, start, pump
) -> None:
    deploy(cluster, namespace)
    run = until(
        pump, start("kubernetes.delete_workload", {"namespace": "kube-system", "name": "x"}), *ENDED
    )
    assert run.status == "refused"
    assert "does not allow the namespace kube-system" in run.reason


def test_a_number_that_an_autoscaler_sets_ends_the_run_and_stays(
    cluster, namespace, start, pump
) -> None:
    deploy(cluster, namespace)
    given = {"namespace": namespace, "name": "web", "replicas": 1}
    run = start("kubernetes.scale_workload", given)
    until(pump, run, "injecting")
    while Injection.objects.get().phase != "active":
        pump.pass_time(0.5)
    change(cluster, workload_path(namespace, "web"), {"spec": {"replicas": 5}})
    until(pump, run, *ENDED)
    assert (run.status, run.verdict) == ("stopped", "inconclusive"), story(run)
    assert "5 pods" in story(run)
    assert read(cluster, workload_path(namespace, "web"))["spec"]["replicas"] == 5


def test_a_fault_that_the_ledger_has_lost_is_found_and_goes(
    cluster, namespace, place, start, pump
) -> None:
    deploy(cluster, namespace)
    run = start("kubernetes.delete_workload", {"namespace": namespace, "name": "web"})
    until(pump, run, "injecting")
    while Injection.objects.get().phase != "active":
        pump.pass_time(0.5)
    Injection.objects.all().delete()  # an older backup was restored
    kept = Connection.objects.get()
    end = time.monotonic() + WITHIN_S
    while not Orphan.objects.filter(gone_at__isnull=False).exists():
        assert time.monotonic() < end, list(Orphan.objects.values())
        reconciling.compare(kept)
    assert ready(cluster, namespace) == 3
    assert sentinels(cluster, namespace) == []
