"""Workloads are deleted, scaled and rolled out, and come back exactly as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import DeleteWorkload, ScaleWorkload, SetImage
from drivers.kubernetes.payload import TOKEN, stripped
from drivers.protocol import DriverError, FaultParams, FaultRequest, Handle, Plan
from tests.cluster.rigs import (
    change,
    connection,
    deploy,
    exists,
    pods,
    read,
    ready,
    sentinels,
    workload_path,
)
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster

WITHIN_S = 60.0
ABOUT = {"labels": {"team": "shop"}, "annotations": {"shop.example/owner": "anna"}}


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[KubernetesDriver]:
    opened = KubernetesDriver(connection(cluster, namespace))
    yield opened
    opened.close()


def asked(kind: type[FaultParams], namespace: str, **fields: Any) -> FaultRequest:
    return FaultRequest(kind(**{"namespace": namespace, "name": "web", **fields}), "cw-work-1")


def recovered(driver: KubernetesDriver, plan: Plan, handle: Handle | None) -> None:
    wait_until(lambda: driver.recover(plan, handle).phase == "gone", "recovered", WITHIN_S)


def errors(driver: KubernetesDriver, request: FaultRequest) -> list[str]:
    return [each.message for each in driver.check(request) if each.severity == "error"]


def warnings(driver: KubernetesDriver, request: FaultRequest) -> str:
    return " ".join(each.message for each in driver.check(request) if each.severity == "warning")


# --- Deleting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_deleted_workload_comes_back_exactly_as_it_was(cluster, namespace, driver, kind) -> None:
    deploy(cluster, namespace, kind=kind, about=ABOUT, replicas=2)
    at = workload_path(namespace, "web", kind)
    before = stripped(read(cluster, at), kind)
    request = asked(DeleteWorkload, namespace, workload=kind)
    assert driver.check(request) == []
    plan = driver.prepare(request)
    assert plan.undo[f"{namespace}/{kind}/web"]["manifest"] == before
    handle = driver.inject(plan)
    assert not exists(cluster, at)
    wait_until(lambda: not pods(cluster, namespace), "its pods went with it", WITHIN_S)
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.exposed, seen.affected) == ("active", 2, 2)
    assert driver.inject(plan) == handle
    first = driver.recover(plan, handle)
    assert first.phase in ("active", "gone")
    recovered(driver, plan, handle)
    now = read(cluster, at)
    assert stripped(now, kind) == before
    assert TOKEN not in now["metadata"].get("annotations", {})
    assert ready(cluster, namespace, kind=kind) == 2
    assert sentinels(cluster, namespace) == []
    assert driver.owned() == []
    assert driver.recover(plan, handle).phase == "gone"


def test_it_is_recovered_only_once_its_pods_are_ready(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(asked(DeleteWorkload, namespace))
    handle = driver.inject(plan)
    cluster.scheduler.kill()
    try:
        seen = driver.recover(plan, handle)
        assert seen.phase == "active"
        assert "0 of 3 pods are ready again" in seen.message
        assert exists(cluster, workload_path(namespace, "web"))
        assert [each.token for each in driver.owned()] == ["cw-work-1"]
    finally:
        cluster.scheduler.start()
    recovered(driver, plan, handle)
    assert driver.owned() == []


def test_one_that_somebody_else_made_again_is_left(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(asked(DeleteWorkload, namespace))
    handle = driver.inject(plan)
    deploy(cluster, namespace, replicas=1)
    seen = driver.observe(plan, handle)
    assert (seen.targets[0].phase, seen.is_lost) == ("foreign", True)
    seen = driver.recover(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("gone", "foreign")
    assert read(cluster, workload_path(namespace, "web"))["spec"]["replicas"] == 1
    assert sentinels(cluster, namespace) == []


def test_nothing_but_the_cluster_is_needed_to_bring_it_back(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    driver.inject(driver.prepare(asked(DeleteWorkload, namespace)))
    other = KubernetesDriver(connection(cluster, f"{namespace[:6]}*"))
    (owned,) = [each for each in other.owned() if each.token == "cw-work-1"]
    assert owned.plan is not None
    recovered(other, owned.plan, None)
    assert ready(cluster, namespace) == 3
    other.close()


def test_the_command_by_hand_brings_it_back(cluster, namespace, driver) -> None:
    """The sentinel's manifest is what `kubectl create -f -` takes."""
    deploy(cluster, namespace)
    plan = driver.prepare(asked(DeleteWorkload, namespace))
    driver.inject(plan)
    (name,) = sentinels(cluster, namespace)
    assert (
        f"configmap {name} -o jsonpath='{{.data.manifest}}' | kubectl create -f -"
        in plan.by_hand[0]
    )
    kept = read(cluster, f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]["manifest"]
    answer = cluster.http.post(
        workload_path(namespace), content=kept, headers={"content-type": "application/yaml"}
    )
    answer.raise_for_status()
    cluster.http.delete(f"/api/v1/namespaces/{namespace}/configmaps/{name}").raise_for_status()
    wait_until(lambda: ready(cluster, namespace) == 3, "it is back", WITHIN_S)
    assert driver.recover(plan, Handle(token=plan.token)).targets[0].phase == "foreign"


def test_a_change_after_the_plan_is_not_lost(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(asked(DeleteWorkload, namespace))
    change(cluster, workload_path(namespace, "web"), {"spec": {"minReadySeconds": 1}})
    with pytest.raises(DriverError, match="has changed since") as caught:
        driver.inject(plan)
    assert not caught.value.retryable
    assert exists(cluster, workload_path(namespace, "web"))
    assert driver.owned() == []


def test_volumes_stay_and_what_would_take_them_is_refused(cluster, namespace, driver) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    deploy(
        cluster,
        namespace,
        kind="StatefulSet",
        wait=False,
        volumeClaimTemplates=[claim],
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Retain"},
    )
    request = asked(DeleteWorkload, namespace, workload="StatefulSet")
    (said,) = errors(driver, request)
    assert "volumes" in said
    retained = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    at = workload_path(namespace, "web", "StatefulSet")
    change(cluster, at, {"spec": {"persistentVolumeClaimRetentionPolicy": retained}})
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data-web-0"
    wait_until(lambda: exists(cluster, claims), "its volume is claimed", WITHIN_S)
    plan = driver.prepare(request)
    handle = driver.inject(plan)
    assert exists(cluster, claims)
    recovered(driver, plan, handle)
    assert exists(cluster, claims)


# --- Scaling --------------------------------------------------------------------------------------


def test_an_autoscaler_is_warned_of_and_its_number_left(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    at = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    of = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": of, "minReplicas": 2, "maxReplicas": 9}
    cluster.create(at, {"metadata": {"name": "elastic"}, "spec": spec})
    request = asked(ScaleWorkload, namespace, replicas=2)
    assert "The autoscaler elastic is bound to Deployment web" in warnings(driver, request)
    plan = driver.prepare(request)
    handle = driver.inject(plan)
    change(cluster, workload_path(namespace, "web"), {"spec": {"replicas": 5}})
    seen = driver.recover(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("gone", "foreign")
    assert "5 pods" in seen.message
    assert read(cluster, workload_path(namespace, "web"))["spec"]["replicas"] == 5


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_to_nothing_and_back(cluster, namespace, driver, kind) -> None:
    deploy(cluster, namespace, kind=kind, replicas=2)
    request = asked(ScaleWorkload, namespace, workload=kind, replicas=0)
    assert "All 2 pods" in warnings(driver, request)
    plan = driver.prepare(request)
    handle = driver.inject(plan)
    wait_until(lambda: driver.observe(plan, handle).affected == 1, "the pods go", WITHIN_S)
    assert driver.recover(plan, handle).phase == "gone"
    at = workload_path(namespace, "web", kind)
    assert read(cluster, at)["spec"]["replicas"] == 2
    assert TOKEN not in read(cluster, at)["metadata"].get("annotations", {})


def test_what_changes_nothing_or_is_not_there_is_refused(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    assert "3 pods already" in errors(driver, asked(ScaleWorkload, namespace, replicas=3))[0]
    assert (
        "There is no Deployment wbe"
        in errors(driver, asked(ScaleWorkload, namespace, name="wbe", replicas=1))[0]
    )


# --- Rolling out ----------------------------------------------------------------------------------


def test_a_bad_image_is_rolled_back(cluster, namespace, driver) -> None:
    deploy(cluster, namespace)
    at = workload_path(namespace, "web")
    request = asked(SetImage, namespace, image="shop:broken")
    assert driver.check(request) == []
    plan = driver.prepare(request)
    assert "kubectl set image -n" in plan.by_hand[0]
    handle = driver.inject(plan)
    assert image(read(cluster, at)) == "shop:broken"
    wait_until(lambda: driver.observe(plan, handle).affected == 1, "a new pod is made", WITHIN_S)
    assert driver.recover(plan, handle).phase == "gone"
    assert image(read(cluster, at)) == "shop:1"
    wait_until(lambda: images(cluster, namespace) == {"shop:1"}, "rolled back", WITHIN_S)


def test_a_statefulset_that_hangs_in_a_bad_image_is_freed(cluster, namespace, driver) -> None:
    """Kubernetes waits for the broken pod for ever, also after the template is right again."""
    deploy(cluster, namespace, kind="StatefulSet", replicas=2)
    plan = driver.prepare(asked(SetImage, namespace, workload="StatefulSet", image="pause:3"))
    handle = driver.inject(plan)
    wait_until(lambda: "pause:3" in images(cluster, namespace), "a pod has it", WITHIN_S)
    assert driver.recover(plan, handle).phase == "gone"
    wait_until(lambda: images(cluster, namespace) == {"shop:1"}, "no pod has it", WITHIN_S)
    wait_until(lambda: ready(cluster, namespace, kind="StatefulSet") == 2, "ready", WITHIN_S)


def test_a_container_that_is_not_there_is_refused(cluster, namespace, driver) -> None:
    deploy(cluster, namespace, paused=True, wait=False)
    request = asked(SetImage, namespace, container="sidecar", image="shop:2")
    (problem,) = driver.check(request)
    assert (problem.severity, problem.hint) == ("error", "There are: app.")
    assert "already" in errors(driver, asked(SetImage, namespace, image="shop:1"))[0]
    assert "paused" in warnings(driver, asked(SetImage, namespace, image="shop:2"))


def image(body: dict[str, Any]) -> str:
    return str(body["spec"]["template"]["spec"]["containers"][0]["image"])


def images(cluster: RunningKubernetes, namespace: str) -> set[str]:
    return {each["spec"]["containers"][0]["image"] for each in pods(cluster, namespace)}
