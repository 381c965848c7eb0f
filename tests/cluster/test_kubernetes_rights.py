"""The generated manifests give exactly what faults need, and every lack is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from drivers.kubernetes import needs
from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import (
    CordonNode,
    DeletePods,
    DeleteWorkload,
    DrainNode,
    IsolatePods,
    ScaleWorkload,
    SetImage,
)
from drivers.protocol import FaultParams, FaultRequest
from tests.cluster.rigs import connection, deploy, sentinels
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster

PATHS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


def account(cluster: RunningKubernetes, manifest: str, namespace: str) -> dict[str, Any]:
    """Apply a generated manifest and return a kubeconfig of its account.

    What lies in no namespace gets a name of its own, as tests share the cluster.
    """
    name = ""
    for body in yaml.safe_load_all(manifest):
        if body["kind"].startswith("Cluster"):
            body["metadata"]["name"] += f"-{namespace}"
            if "roleRef" in body:
                body["roleRef"]["name"] += f"-{namespace}"
        if body["kind"] == "ServiceAccount":
            name = body["metadata"]["name"]
        cluster.create(PATHS[body["kind"]].format(body["metadata"].get("namespace")), body)
    return cluster.kubeconfig(token=cluster.token(name, namespace))


def faults(namespace: str, node: str = "node-1") -> list[FaultParams]:
    """Return one of every fault."""
    selector: Any = {"namespace": namespace, "labels": {"app": "web"}}
    return [
        DeletePods(selector=selector),
        DeleteWorkload(namespace=namespace, name="web"),
        ScaleWorkload(namespace=namespace, name="web", replicas=2),
        SetImage(namespace=namespace, name="web", image="shop:2"),
        IsolatePods(selector=selector),
        CordonNode(node=node),
        DrainNode(node=node),
    ]


@pytest.fixture
def place(cluster: RunningKubernetes, namespace: str) -> str:
    deploy(cluster, namespace)
    return namespace


@pytest.fixture(params=[type(each) for each in faults("shop")], ids=lambda each: each.kind)
def kind(request: pytest.FixtureRequest) -> type[FaultParams]:
    found: type[FaultParams] = request.param
    return found


@pytest.fixture
def opened(cluster: RunningKubernetes, place: str, kind) -> Iterator[KubernetesDriver]:
    manifest = needs.manifest([kind.kind], [place], "injector")
    driver = KubernetesDriver(
        connection(cluster, place, kubeconfig=account(cluster, manifest, place))
    )
    yield driver
    driver.close()


def test_an_injector_of_one_fault_can_inject_and_recover_it(cluster, place, kind, opened) -> None:
    (params,) = [each for each in faults(place) if isinstance(each, kind)]
    request = FaultRequest(params, "cw-rights-1")
    assert [each for each in opened.check(request) if each.severity == "error"] == []
    assert opened.resolve(request).targets
    plan = opened.prepare(request)
    handle = opened.inject(plan)
    try:
        assert opened.observe(plan, handle).phase in ("active", "partly")
        assert [each.token for each in opened.owned()] == (
            [] if kind is DeletePods else ["cw-rights-1"]
        )
    finally:
        wait_until(lambda: opened.recover(plan, handle).phase == "gone", "it is recovered", 60)
    assert sentinels(cluster, place) == []


def test_an_injector_of_one_fault_has_no_right_beyond(cluster, place, kind, opened) -> None:
    given = set(needs.of_role([kind.kind], "injector"))
    rows = opened.rights(needs.every_kind())
    assert {row.right for row in rows if row.is_allowed} == given & {row.right for row in rows}
    assert {row.right for row in rows if not row.is_allowed} == {
        row.right for row in rows if row.right not in given
    }


def test_a_viewer_may_look_at_everything_and_change_nothing(cluster, place) -> None:
    manifest = needs.manifest(needs.every_kind(), [place], "viewer")
    driver = KubernetesDriver(
        connection(cluster, place, kubeconfig=account(cluster, manifest, place))
    )
    for params in faults(place):
        request = FaultRequest(params, "cw-viewer-1")
        assert driver.resolve(request).targets
        told = [each.message for each in driver.check(request) if each.severity == "error"]
        assert told
        assert all("The account may not" in each for each in told)
    assert {row.right.verb for row in driver.rights(needs.every_kind()) if row.is_allowed} == {
        "get",
        "list",
    }
    driver.close()


def test_the_table_names_what_needs_each_right(cluster, place) -> None:
    driver = KubernetesDriver(connection(cluster, place))
    rows = driver.rights([DeletePods.kind, CordonNode.kind])
    assert all(row.is_allowed for row in rows)
    by_right = {str(row.right): row for row in rows}
    assert by_right["delete pods"].faults == (DeletePods.kind,)
    assert by_right["patch nodes"].namespace == ""
    assert by_right["delete pods"].is_required
    assert not by_right["get deployments.apps"].is_required
    driver.close()
