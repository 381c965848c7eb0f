"""The cluster that other tests stand on is a real one."""

from __future__ import annotations

import re

import httpx
import pytest
from kubernetes import client
from kubernetes.client import ApiException

from tests.cluster.shop import WITHIN_S, deploy, names, pods, ready
from tests.servers.envoy import wait_until
from tests.servers.kubernetes_process import ROOT

pytestmark = pytest.mark.cluster

LOOK_AT_PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]


def test_the_server_is_the_pinned_kubernetes(cluster) -> None:
    pins = (ROOT / "tests/tools/kubernetes/go.mod").read_text()
    pinned = re.search(r"^\tk8s\.io/kubernetes (v[\d.]+)", pins, re.MULTILINE)
    assert pinned is not None
    assert client.VersionApi(cluster.admin).get_code().git_version == pinned[1]


def test_a_user_may_do_what_a_role_allows_and_nothing_else(cluster, namespace) -> None:
    stranger = client.CoreV1Api(cluster.client(cluster.person("stranger", namespace)))
    with pytest.raises(ApiException) as refused:
        stranger.list_namespaced_pod(namespace)
    assert refused.value.status == 403
    allowed = cluster.person(f"viewer-of-{namespace}", namespace, LOOK_AT_PODS)
    viewer = client.CoreV1Api(cluster.client(allowed))
    assert viewer.list_namespaced_pod(namespace).items == []
    for forbidden in (
        lambda: viewer.delete_namespaced_pod("any", namespace),
        lambda: viewer.list_namespaced_pod("kube-system"),
    ):
        with pytest.raises(ApiException) as refused:
            forbidden()
        assert refused.value.status == 403


def test_a_token_of_a_service_account_opens_what_its_role_allows(cluster, namespace) -> None:
    account = cluster.service_account("chaosweb", namespace, LOOK_AT_PODS)
    core = client.CoreV1Api(cluster.client(account))
    assert core.list_namespaced_pod(namespace).items == []
    with pytest.raises(ApiException) as refused:
        core.list_namespaced_secret(namespace)
    assert refused.value.status == 403
    forged = cluster.kubeconfig(token=cluster.token("chaosweb", namespace) + "x")
    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(cluster.client(forged)).list_namespaced_pod(namespace)
    assert refused.value.status == 401


def test_a_deployment_gets_pods_that_run_on_the_nodes(cluster, namespace) -> None:
    deploy(cluster, namespace, replicas=3)
    found = pods(cluster, namespace)
    assert [pod.status.phase for pod in found] == ["Running"] * 3
    assert {pod.spec.node_name for pod in found} <= set(cluster.nodes)
    assert len({pod.status.pod_ip for pod in found}) == 3


def test_a_deleted_pod_is_replaced(cluster, namespace) -> None:
    deploy(cluster, namespace)
    before = names(cluster, namespace)
    victim = min(before)
    client.CoreV1Api(cluster.admin).delete_namespaced_pod(victim, namespace)

    def is_replaced() -> bool:
        now = names(cluster, namespace)
        return victim not in now and len(now) == 2

    wait_until(is_replaced, "another pod came", WITHIN_S)
    wait_until(lambda: ready(cluster, namespace) == 2, "it is ready", WITHIN_S)


def test_a_killed_api_server_keeps_its_objects(cluster, namespace) -> None:
    place = f"/api/v1/namespaces/{namespace}/configmaps"
    made = cluster.create(place, {"metadata": {"name": "kept"}, "data": {"a": "b"}})
    with cluster.apiserver.away(), pytest.raises(httpx.ConnectError):
        cluster.http.get(f"{place}/kept")
    assert cluster.http.get(f"{place}/kept").json() == made
    deploy(cluster, namespace)  # the controllers, the scheduler and kwok have come back to it
