"""Nodes are closed and drained, and opened again; pods are cut off by NetworkPolicies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import CordonNode, DrainNode, IsolatePods
from drivers.kubernetes.payload import TOKEN
from drivers.protocol import DriverError, FaultParams, FaultRequest
from tests.cluster.rigs import change, connection, deploy, exists, pods, read, ready, sentinels
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster

WITHIN_S = 60.0
NODE = "node-1"
AT = f"/api/v1/nodes/{NODE}"
CONTAINERS = {"containers": [{"name": "app", "image": "shop:1"}]}


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[KubernetesDriver]:
    opened = KubernetesDriver(connection(cluster, namespace))
    yield opened
    opened.close()
    change(
        cluster,
        AT,
        {"spec": {"unschedulable": None}, "metadata": {"annotations": {TOKEN: None}}},
    )


def request(params: FaultParams, token: str = "cw-node-1") -> FaultRequest:
    return FaultRequest(params, token)


def is_closed(cluster: RunningKubernetes) -> bool:
    return bool(read(cluster, AT)["spec"].get("unschedulable"))


def pinned(cluster: RunningKubernetes, namespace: str, name: str = "web", **fields: Any) -> None:
    """Deploy pods that can only be on the node."""
    affinity = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "preference": {
                        "matchFields": [
                            {"key": "metadata.name", "operator": "In", "values": [NODE]}
                        ]
                    },
                }
            ]
        }
    }
    deploy(cluster, namespace, name, pod={**CONTAINERS, "affinity": affinity}, **fields)


def nodes_of(cluster: RunningKubernetes, namespace: str, name: str = "web") -> set[str]:
    return {str(each["spec"].get("nodeName")) for each in pods(cluster, namespace, name)}


def test_a_node_is_closed_and_opened_again(cluster, namespace, driver) -> None:
    asked = request(CordonNode(node=NODE))
    assert driver.check(asked) == []
    assert driver.resolve(asked).targets[0].detail == "ready, open"
    plan = driver.prepare(asked)
    handle = driver.inject(plan)
    assert is_closed(cluster)
    assert sentinels(cluster, namespace) == ["chaosweb-cw-node-1"]
    assert driver.observe(plan, handle).delivered_share == 1
    assert [each.token for each in driver.owned()] == ["cw-node-1"]
    with pytest.raises(DriverError, match="cw-node-1"):
        driver.prepare(request(DrainNode(node=NODE), "cw-node-2"))
    assert driver.recover(plan, handle).phase == "gone"
    assert "unschedulable" not in read(cluster, AT)["spec"]
    assert TOKEN not in read(cluster, AT)["metadata"].get("annotations", {})
    assert driver.owned() == []


def test_a_node_that_was_closed_before_is_refused_and_stays_closed(
    cluster, namespace, driver
) -> None:
    plan = driver.prepare(request(CordonNode(node=NODE)))
    change(cluster, AT, {"spec": {"unschedulable": True}})
    (problem,) = driver.check(request(CordonNode(node=NODE)))
    assert "closed already" in problem.message
    with pytest.raises(DriverError, match="Somebody else changed it"):
        driver.inject(plan)
    assert driver.recover(plan, None).phase == "gone"
    assert is_closed(cluster)
    assert sentinels(cluster, namespace) == []


def test_a_node_that_is_not_there_is_refused(cluster, driver) -> None:
    assert [each.message for each in driver.check(request(CordonNode(node="no-such")))] == [
        "There is no node no-such."
    ]


def test_a_drained_node_has_only_pods_of_its_own(cluster, namespace, driver) -> None:
    pinned(cluster, namespace)
    deploy(cluster, namespace, "agent", kind="DaemonSet", replicas=len(cluster.nodes))
    assert NODE in nodes_of(cluster, namespace)
    asked = request(DrainNode(node=NODE))
    assert "error" not in {each.severity for each in driver.check(asked)}
    names = {each.name for each in driver.resolve(asked).targets}
    assert not any("agent" in each for each in names)
    plan = driver.prepare(asked)
    handle = driver.inject(plan)
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.delivered_share) == ("active", 1)
    wait_until(lambda: ready(cluster, namespace) == 3, "made elsewhere", WITHIN_S)
    assert NODE not in nodes_of(cluster, namespace)
    assert NODE in nodes_of(cluster, namespace, "agent")
    assert driver.recover(plan, handle).phase == "gone"
    assert not is_closed(cluster)
    assert sentinels(cluster, namespace) == []


def test_what_a_budget_holds_back_is_pending_and_tried_again(cluster, namespace, driver) -> None:
    pinned(cluster, namespace)
    budget = {
        "metadata": {"name": "always-all"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}},
    }
    at = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    cluster.create(at, budget)
    held = f"{at}/always-all"
    wait_until(
        lambda: read(cluster, held).get("status", {}).get("currentHealthy") == 3,
        "counted",
        WITHIN_S,
    )
    asked = request(DrainNode(node=NODE))
    assert any("always-all" in each.message for each in driver.check(asked))
    plan = driver.prepare(asked)
    handle = driver.inject(plan)
    assert handle.details["held_back"]
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.is_lost) == ("partly", True)
    assert {each.phase for each in seen.targets} == {"active", "pending"}
    assert (seen.affected or 0) < (seen.exposed or 0)
    cluster.http.delete(held).raise_for_status()
    handle = driver.inject(plan)
    assert handle.details["held_back"] == []
    assert driver.observe(plan, handle).phase == "active"
    assert driver.recover(plan, handle).phase == "gone"


def test_pods_of_other_namespaces_stay_or_refuse_the_drain(cluster, namespace, driver) -> None:
    other = cluster.namespace(f"other-{namespace}")
    pinned(cluster, namespace)
    pinned(cluster, other, "theirs")
    before = {each["metadata"]["uid"] for each in pods(cluster, other, "theirs")}
    (problem,) = [
        each
        for each in driver.check(request(DrainNode(node=NODE, namespaces_only=False)))
        if each.severity == "error"
    ]
    assert "theirs" in problem.message
    plan = driver.prepare(request(DrainNode(node=NODE)))
    handle = driver.inject(plan)
    assert {each["metadata"]["uid"] for each in pods(cluster, other, "theirs")} == before
    driver.recover(plan, handle)


# --- Isolation ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "types"),
    [("in", ["Ingress"]), ("out", ["Egress"]), ("both", ["Ingress", "Egress"])],
)
def test_pods_are_cut_off_by_a_policy_that_allows_nothing(
    cluster, namespace, driver, direction, types
) -> None:
    deploy(cluster, namespace)
    selector: Any = {"namespace": namespace, "labels": {"app": "web"}}
    asked = request(IsolatePods(selector=selector, direction=direction), "cw-cut-1")
    (problem,) = driver.check(asked)
    assert "enforces NetworkPolicies" in problem.message
    plan = driver.prepare(asked)
    handle = driver.inject(plan)
    at = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    (made,) = read(cluster, at)["items"]
    assert made["spec"] == {
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": types,
    }
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.requested_share, seen.delivered_share) == ("active", 1, None)
    assert driver.inject(plan) == handle
    assert driver.recover(plan, handle).phase == "gone"
    assert read(cluster, at)["items"] == []
    assert sentinels(cluster, namespace) == []


def test_other_policies_that_allow_traffic_are_told(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    at = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    allowing = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    cluster.create(at, {"metadata": {"name": "open-to-all"}, "spec": allowing})
    selector: Any = {"namespace": namespace, "labels": {"app": "web"}}
    found = driver.check(request(IsolatePods(selector=selector, direction="in")))
    assert any("open-to-all allows traffic" in each.message for each in found)
    out = driver.check(request(IsolatePods(selector=selector, direction="out")))
    assert not any("open-to-all" in each.message for each in out)


def test_a_policy_that_somebody_changed_is_reported_and_goes_all_the_same(
    cluster, namespace, driver
) -> None:
    deploy(cluster, namespace)
    selector: Any = {"namespace": namespace, "whole_namespace": True}
    plan = driver.prepare(request(IsolatePods(selector=selector), "cw-cut-2"))
    handle = driver.inject(plan)
    at = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/chaosweb-cw-cut-2"
    change(cluster, at, {"spec": {"ingress": [{}]}})
    assert driver.observe(plan, handle).targets[0].phase == "foreign"
    assert driver.recover(plan, handle).phase == "gone"
    assert not exists(cluster, at)
