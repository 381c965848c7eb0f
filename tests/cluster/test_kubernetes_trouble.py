"""Wrong credentials, forbidden places, a server that dies, conflicts, webhooks that fail."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import DeletePods, DeleteWorkload, IsolatePods, ScaleWorkload
from drivers.kubernetes.payload import TOKEN
from drivers.protocol import ConnectionConfig, DriverError, FaultRequest, Plan, UnknownOutcomeError
from tests.cluster.rigs import change, connection, deploy, exists, read, sentinels, workload_path
from tests.servers.envoy import free_ports, wait_until
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster

WITHIN_S = 60.0


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[KubernetesDriver]:
    opened = KubernetesDriver(connection(cluster, namespace))
    yield opened
    opened.close()


def scale(namespace: str, replicas: int = 2, token: str = "cw-bad-1") -> FaultRequest:
    return FaultRequest(ScaleWorkload(namespace=namespace, name="web", replicas=replicas), token)


def replicas(cluster: RunningKubernetes, namespace: str) -> int:
    return int(read(cluster, workload_path(namespace, "web"))["spec"]["replicas"])


def before(driver: KubernetesDriver, method: str, happens: Callable[[], Any], nth: int = 1) -> None:
    """Have something real happen just before the driver's nth call of that kind; once."""
    api, seen = driver._cluster.api, [0]
    call = getattr(api, method)

    def wrapped(*given: Any, **more: Any) -> Any:
        seen[0] += 1
        if seen[0] == nth:
            happens()
        return call(*given, **more)

    setattr(api, method, wrapped)


# --- Who may come in, and where to ----------------------------------------------------------------


def test_a_wrong_token_is_told_apart_from_a_lacking_right(cluster, namespace, driver) -> None:
    deploy(cluster, namespace, replicas=3)
    kubeconfig = cluster.kubeconfig(token="e30.e30.nothing")
    stranger = KubernetesDriver(connection(cluster, namespace, kubeconfig=kubeconfig))
    (problem,) = stranger.check(scale(namespace))
    assert "refuses the credentials" in problem.message
    assert "expired" in problem.hint
    with pytest.raises(DriverError) as caught:
        stranger.prepare(scale(namespace))
    assert not caught.value.retryable
    plan = driver.prepare(scale(namespace))
    handle = driver.inject(plan)
    seen = stranger.observe(plan, handle)
    assert (seen.is_lost, seen.is_unknown) == (False, True)
    assert stranger.recover(plan, handle).phase == "partly"
    with pytest.raises(DriverError, match="refuses the credentials"):
        stranger.owned()
    assert "refuses the credentials" in stranger.survey()[0].problems[0].message
    # The new token is entered, and the fault goes.
    assert driver.recover(plan, handle).phase == "gone"
    stranger.close()


def test_a_right_that_is_lacking_is_named(cluster, namespace) -> None:
    deploy(cluster, namespace)
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]
    kubeconfig = cluster.service_account("half", namespace, rules)
    driver = KubernetesDriver(connection(cluster, namespace, kubeconfig=kubeconfig))
    told = {each.message for each in driver.check(scale(namespace))}
    assert f"The account may not patch deployments.apps in {namespace}." in told
    assert f"The account may not create configmaps in {namespace}." in told
    assert not any("get deployments" in each for each in told)
    driver.close()


@pytest.mark.parametrize("allowed", [(), ("shop",), ("*",)])
def test_what_the_connection_does_not_allow_is_refused_everywhere(cluster, driver, allowed) -> None:
    narrow = KubernetesDriver(connection(cluster, *allowed))
    selector: Any = {"namespace": "kube-system", "whole_namespace": True}
    request = FaultRequest(IsolatePods(selector=selector), "cw-bad-2")
    (problem,) = narrow.check(request)
    assert "allow" in problem.message
    assert "connection's namespaces" in problem.hint
    for ask in (narrow.prepare, narrow.resolve):
        with pytest.raises(DriverError, match="allow"):
            ask(request)
    narrow.close()


def test_inject_refuses_a_plan_of_a_place_that_is_allowed_no_more(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(scale(namespace))
    narrow = KubernetesDriver(connection(cluster, "elsewhere"))
    with pytest.raises(DriverError, match="does not allow"):
        narrow.inject(plan)
    handle = driver.inject(plan)
    # What is ours goes wherever it is.
    assert narrow.recover(plan, handle).phase == "gone"
    assert replicas(cluster, namespace) == 3
    narrow.close()


def test_a_namespace_that_is_not_there_is_told(cluster) -> None:
    driver = KubernetesDriver(connection(cluster, "no-such-place"))
    assert [each.message for each in driver.check(scale("no-such-place"))] == [
        "There is no namespace no-such-place."
    ]
    (member,) = driver.survey()
    assert not member.is_ready
    driver.close()


def test_wildcards_find_what_is_ours_with_and_without_the_right_to_list(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(scale(namespace))
    driver.inject(plan)
    wide = KubernetesDriver(connection(cluster, f"{namespace[:-2]}*"))
    assert "cw-bad-1" in [each.token for each in wide.owned()]
    assert wide.suggest("namespaces", {}) != []
    wide.close()
    kubeconfig = cluster.service_account("nobody", namespace)
    blind = KubernetesDriver(connection(cluster, f"{namespace[:-2]}*", kubeconfig=kubeconfig))
    with pytest.raises(DriverError, match="may not"):
        blind.owned()
    blind.close()
    driver.recover(plan, None)


# --- The server dies ------------------------------------------------------------------------------


def test_a_server_that_dies_between_record_and_change_loses_nothing(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(scale(namespace))
    before(driver, "patch", cluster.apiserver.kill)
    with pytest.raises(UnknownOutcomeError) as caught:
        driver.inject(plan)
    assert caught.value.retryable
    assert driver.recover(plan, None).phase == "partly"
    cluster.apiserver.start()
    assert [each.token for each in driver.owned()] == ["cw-bad-1"]
    assert driver.observe(plan, None).phase == "pending"
    handle = driver.inject(plan)
    assert driver.observe(plan, handle).phase == "active"
    assert driver.recover(plan, handle).phase == "gone"
    assert (replicas(cluster, namespace), driver.owned()) == (3, [])


@pytest.mark.parametrize("call", ["patch", "delete"])
def test_a_server_that_dies_while_recovering_is_asked_again(
    cluster, namespace, driver, call
) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(scale(namespace))
    handle = driver.inject(plan)
    before(driver, call, cluster.apiserver.kill)
    seen = driver.recover(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("partly", "unreachable")
    cluster.apiserver.start()
    assert [each.token for each in driver.owned()] == ["cw-bad-1"]
    wait_until(lambda: driver.recover(plan, handle).phase == "gone", "recovered", WITHIN_S)
    assert (replicas(cluster, namespace), sentinels(cluster, namespace)) == (3, [])


def test_a_server_that_dies_with_the_workload_deleted_gives_it_back(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    request = FaultRequest(DeleteWorkload(namespace=namespace, name="web"), "cw-bad-3")
    plan = driver.prepare(request)
    before(driver, "delete", cluster.apiserver.kill)
    with pytest.raises(UnknownOutcomeError):
        driver.inject(plan)
    cluster.apiserver.start()
    handle = driver.inject(plan)
    assert not exists(cluster, workload_path(namespace, "web"))
    before(driver, "create", cluster.apiserver.kill)
    assert driver.recover(plan, handle).phase == "partly"
    cluster.apiserver.start()
    wait_until(lambda: driver.recover(plan, handle).phase == "gone", "recovered", WITHIN_S)
    assert (replicas(cluster, namespace), sentinels(cluster, namespace)) == (3, [])


def test_a_change_that_takes_effect_after_its_answer_was_lost_is_undone(
    cluster, namespace, driver
) -> None:
    """The server hangs with the request in its socket, and goes on once nobody waits any more."""
    deploy(cluster, namespace)
    plan = driver.prepare(scale(namespace))
    before(driver, "patch", lambda: os.kill(cluster.apiserver.pid, signal.SIGSTOP))
    try:
        with pytest.raises(UnknownOutcomeError):
            driver.inject(plan)
    finally:
        os.kill(cluster.apiserver.pid, signal.SIGCONT)
    wait_until(lambda: driver.recover(plan, None).phase == "gone", "recovered", WITHIN_S)
    wait_until(lambda: driver.recover(plan, None).phase == "gone", "read again", WITHIN_S)
    assert replicas(cluster, namespace) == 3
    assert TOKEN not in read(cluster, workload_path(namespace, "web"))["metadata"]["annotations"]
    assert driver.owned() == []


def test_deletions_that_a_death_cut_short_are_finished(cluster, namespace, driver) -> None:
    deploy(cluster, namespace, replicas=3)
    selector: Any = {"namespace": namespace, "labels": {"app": "web"}}
    plan = driver.prepare(FaultRequest(DeletePods(selector=selector, mode="all"), "cw-bad-4"))
    before(driver, "delete", cluster.apiserver.kill, nth=2)
    with pytest.raises(DriverError) as caught:
        driver.inject(plan)
    assert caught.value.retryable
    cluster.apiserver.start()
    handle = driver.inject(plan)
    assert driver.observe(plan, handle).affected == 3
    wait_until(lambda: driver.recover(plan, handle).phase == "gone", "ready again", WITHIN_S)


# --- Conflicts and webhooks -----------------------------------------------------------------------


def test_a_conflict_is_decided_anew(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    at = workload_path(namespace, "web")
    plan = driver.prepare(scale(namespace))
    before(driver, "patch", lambda: change(cluster, at, {"metadata": {"labels": {"new": "yes"}}}))
    handle = driver.inject(plan)
    assert driver.observe(plan, handle).phase == "active"
    before(driver, "patch", lambda: change(cluster, at, {"metadata": {"labels": {"new": "no"}}}))
    assert driver.recover(plan, handle).phase == "gone"
    now = read(cluster, at)
    assert (now["spec"]["replicas"], now["metadata"]["labels"]["new"]) == (3, "no")


def test_a_conflict_over_the_value_itself_is_somebody_elses(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    at = workload_path(namespace, "web")
    plan = driver.prepare(scale(namespace))
    before(driver, "patch", lambda: change(cluster, at, {"spec": {"replicas": 7}}))
    with pytest.raises(DriverError, match="Somebody else changed it") as caught:
        driver.inject(plan)
    assert not caught.value.retryable
    assert (replicas(cluster, namespace), driver.owned()) == (7, [])


class Webhook:
    """A webhook that answers 500 to whatever it is asked."""

    def __init__(self, cluster: RunningKubernetes, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        pair = cluster.authority.server(f"webhook-{namespace}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        (port,) = free_ports(1)
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _Broken)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{port}/"
        self.at = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

    def __enter__(self) -> Webhook:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        authority = base64.b64encode(self.cluster.authority.pair.certificate.read_bytes())
        hook = {
            "name": "broken.shop.example",
            "clientConfig": {"url": self.url, "caBundle": authority.decode()},
            "rules": [
                {
                    "apiGroups": ["apps"],
                    "apiVersions": ["v1"],
                    "operations": ["UPDATE"],
                    "resources": ["deployments"],
                }
            ],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1,
        }
        self.cluster.create(self.at, {"metadata": {"name": self.namespace}, "webhooks": [hook]})
        wait_until(self._is_asked, "the webhook is asked", WITHIN_S)
        return self

    def _is_asked(self) -> bool:
        body = json.dumps({"metadata": {"labels": {"probe": "yes"}}})
        answer = self.cluster.http.patch(
            workload_path(self.namespace, "web") + "?dryRun=All",
            content=body,
            headers={"content-type": "application/merge-patch+json"},
        )
        return answer.status_code == 500

    def __exit__(self, *_: object) -> None:
        self.cluster.http.delete(f"{self.at}/{self.namespace}").raise_for_status()
        self.server.shutdown()
        self.server.server_close()


class _Broken(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(500)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the output of the tests clean."""


def test_a_webhook_that_fails_leaves_nothing_behind_and_holds_up_recovery_only_while_it_does(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    plan: Plan = driver.prepare(scale(namespace))
    with Webhook(cluster, namespace):
        with pytest.raises(DriverError, match="webhook") as caught:
            driver.inject(plan)
        assert caught.value.retryable
        assert driver.owned() == []
    wait_until(lambda: _is_injected(driver, plan), "the webhook is asked no more", WITHIN_S)
    with Webhook(cluster, namespace):
        seen = driver.recover(plan, None)
        assert (seen.phase, seen.targets[0].phase) == ("partly", "unreachable")
        assert "webhook" in seen.message
    wait_until(lambda: driver.recover(plan, None).phase == "gone", "recovered", WITHIN_S)
    assert replicas(cluster, namespace) == 3


def _is_injected(driver: KubernetesDriver, plan: Plan) -> bool:
    try:
        driver.inject(plan)
    except DriverError:
        return False
    return True


def test_a_server_that_is_not_there_is_told(cluster) -> None:
    (port,) = free_ports(1)
    options = {
        "access": "token",
        "server": f"https://127.0.0.1:{port}",
        "namespaces": ["shop"],
    }
    driver = KubernetesDriver(ConnectionConfig("kubernetes", "away", options, {"token": "any"}))
    (problem,) = driver.check(scale("shop"))
    assert "cannot be reached" in problem.message
    with pytest.raises(DriverError) as caught:
        driver.owned()
    assert caught.value.retryable
    (member,) = driver.survey()
    assert not member.is_ready
    driver.close()
