"""The cluster that other tests stand on is a real one, and so is Chaos Mesh in it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from kubernetes import client
from kubernetes.client import ApiException

from tests.servers import kubernetes_chaosmesh
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes
from tests.servers.kubernetes_kwok import PAUSE_IMAGE
from tests.servers.kubernetes_process import Program

pytestmark = pytest.mark.cluster

IMAGE = "shop:1"
WITHIN_S = 60.0
LOOK_AT_PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]


def deploy(cluster: RunningKubernetes, namespace: str, *, replicas: int = 2) -> None:
    """Create a Deployment named shop and wait until its pods are ready."""
    labels = {"app": "shop"}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "shop", "image": IMAGE}]},
        },
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    cluster.create(path, {"metadata": {"name": "shop"}, "spec": spec})
    wait_until(lambda: ready(cluster, namespace) == replicas, "the pods are ready", WITHIN_S)


def ready(cluster: RunningKubernetes, namespace: str) -> int:
    """Return how many pods the Deployment counts as ready."""
    api = client.AppsV1Api(cluster.admin)
    status = api.read_namespaced_deployment_status("shop", namespace).status
    return (status and status.ready_replicas) or 0


def pods(cluster: RunningKubernetes, namespace: str) -> list[Any]:
    return list(client.CoreV1Api(cluster.admin).list_namespaced_pod(namespace).items)


def names(cluster: RunningKubernetes, namespace: str) -> set[str]:
    return {pod.metadata.name for pod in pods(cluster, namespace)}


def images(cluster: RunningKubernetes, namespace: str) -> list[str]:
    return sorted(pod.spec.containers[0].image for pod in pods(cluster, namespace))


def pod_chaos(namespace: str, action: str, **fields: Any) -> dict[str, Any]:
    """Return a PodChaos named one that hits one pod of the namespace."""
    chosen = {"namespaces": [namespace], "labelSelectors": {"app": "shop"}}
    return {
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "PodChaos",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"action": action, "mode": "one", "selector": chosen, **fields},
    }


class Chaos:
    """The PodChaos objects of one namespace."""

    def __init__(self, cluster: RunningKubernetes, namespace: str) -> None:
        self._api = client.CustomObjectsApi(cluster.admin)
        self._place = ("chaos-mesh.org", "v1alpha1", namespace, "podchaos")

    def create(self, document: dict[str, Any]) -> None:
        self._api.create_namespaced_custom_object(*self._place, document)

    def read(self) -> dict[str, Any]:
        found: Any = self._api.get_namespaced_custom_object(*self._place, "one")
        return dict(found)

    def delete(self) -> None:
        self._api.delete_namespaced_custom_object(*self._place, "one")

    def records(self) -> list[dict[str, Any]]:
        status = self.read().get("status", {})
        found: list[dict[str, Any]] = status.get("experiment", {}).get("containerRecords") or []
        return found

    def phases(self) -> set[str]:
        return {record["phase"] for record in self.records()}

    def is_gone(self) -> bool:
        try:
            self.read()
        except ApiException as error:
            if error.status != 404:
                raise
            return True
        return False


# --- Kubernetes -----------------------------------------------------------------------------------


def test_the_server_is_the_pinned_kubernetes(cluster) -> None:
    pins = (kubernetes_chaosmesh.ROOT / "tests/tools/kubernetes/go.mod").read_text()
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


# --- Chaos Mesh -----------------------------------------------------------------------------------


def test_every_crd_is_served(cluster, chaos_controller) -> None:
    api = client.CustomObjectsApi(cluster.admin)
    served = {each.name for each in api.get_api_resources("chaos-mesh.org", "v1alpha1").resources}
    assert len(kubernetes_chaosmesh.crds()) == 23
    for name in kubernetes_chaosmesh.crds():
        assert name.removesuffix(".chaos-mesh.org") in served


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "explode"}, "spec.action: Unsupported value"),  # the CRD's schema
        ({"action": "pod-kill", "mode": "fixed", "value": "none"}, "spec.value"),  # a webhook
        ({"action": "container-kill"}, "containerNames"),  # a webhook
    ],
)
def test_a_bad_document_is_refused(cluster, chaos_controller, namespace, fields, said) -> None:
    with pytest.raises(ApiException) as refused:
        Chaos(cluster, namespace).create(pod_chaos(namespace, **fields))
    assert refused.value.status in (403, 422)
    assert said in str(refused.value.body)


def test_a_webhook_fills_in_the_namespace(cluster, chaos_controller, namespace) -> None:
    chaos = Chaos(cluster, namespace)
    document = pod_chaos(namespace, "pod-kill", selector={"labelSelectors": {"app": "nobody"}})
    chaos.create(document)
    assert chaos.read()["spec"]["selector"]["namespaces"] == [namespace]


def test_a_pod_kill_deletes_a_pod_and_says_so(cluster, chaos_controller, namespace) -> None:
    deploy(cluster, namespace)
    before = names(cluster, namespace)
    chaos = Chaos(cluster, namespace)
    chaos.create(pod_chaos(namespace, "pod-kill"))
    wait_until(lambda: chaos.phases() == {"Injected"}, "the record says Injected", WITHIN_S)
    (record,) = chaos.records()
    victim = record["id"].removeprefix(f"{namespace}/")
    assert victim in before
    wait_until(
        lambda: victim not in names(cluster, namespace),
        "the pod is gone",
        WITHIN_S,
    )
    wait_until(lambda: ready(cluster, namespace) == 2, "another pod came", WITHIN_S)
    chaos.delete()
    wait_until(chaos.is_gone, "the object is gone", WITHIN_S)


def test_a_pod_failure_takes_the_image_and_gives_it_back(
    cluster, chaos_controller, namespace
) -> None:
    deploy(cluster, namespace)
    chaos = Chaos(cluster, namespace)
    chaos.create(pod_chaos(namespace, "pod-failure", duration="10m"))
    wait_until(lambda: chaos.phases() == {"Injected"}, "the record says Injected", WITHIN_S)
    assert images(cluster, namespace) == sorted([PAUSE_IMAGE, IMAGE])
    assert chaos.read()["metadata"]["finalizers"] == ["chaos-mesh/records"]
    wait_until(lambda: ready(cluster, namespace) == 1, "the pod is not ready", WITHIN_S)
    chaos.delete()
    wait_until(chaos.is_gone, "the object is gone", WITHIN_S)
    assert images(cluster, namespace) == [IMAGE, IMAGE]
    wait_until(lambda: ready(cluster, namespace) == 2, "the pod is ready again", WITHIN_S)


def test_a_pod_failure_ends_with_its_duration(cluster, chaos_controller, namespace) -> None:
    deploy(cluster, namespace)
    chaos = Chaos(cluster, namespace)
    chaos.create(pod_chaos(namespace, "pod-failure", duration="3s"))
    wait_until(lambda: chaos.phases() == {"Injected"}, "the record says Injected", WITHIN_S)
    wait_until(lambda: chaos.phases() == {"Not Injected"}, "its time is up", WITHIN_S)
    assert chaos.read()["status"]["experiment"]["desiredPhase"] == "Stop"
    assert images(cluster, namespace) == [IMAGE, IMAGE]


def test_a_controller_that_was_away_recovers_what_was_deleted_meanwhile(
    cluster, chaos_controller: Program, namespace
) -> None:
    deploy(cluster, namespace)
    chaos = Chaos(cluster, namespace)
    chaos.create(pod_chaos(namespace, "pod-failure", duration="10m"))
    wait_until(lambda: chaos.phases() == {"Injected"}, "the record says Injected", WITHIN_S)
    with chaos_controller.away():
        chaos.delete()
        assert "deletionTimestamp" in chaos.read()["metadata"]
    wait_until(chaos.is_gone, "the object is gone", WITHIN_S)
    assert images(cluster, namespace) == [IMAGE, IMAGE]
