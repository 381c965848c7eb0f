"""Pods are deleted, only those that were chosen, and recovered means that they are ready again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import DeletePods
from drivers.protocol import DriverError, FaultRequest, Handle, Plan
from tests.cluster.rigs import connection, deploy, pods, ready, uids, workload_path
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes

pytestmark = pytest.mark.cluster

WITHIN_S = 60.0
MANY = 1000


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[KubernetesDriver]:
    opened = KubernetesDriver(connection(cluster, namespace))
    yield opened
    opened.close()


@pytest.fixture
def delete(namespace: str) -> Callable[..., FaultRequest]:
    def made(token: str = "cw-pods-1", *, names: Any = (), **fields: Any) -> FaultRequest:
        chosen: dict[str, Any] = {"namespace": namespace}
        chosen |= (
            {"pods": list(names)} if names else {"labels": fields.pop("labels", {"app": "web"})}
        )
        return FaultRequest(DeletePods(selector=chosen, **fields), token)

    return made


def is_recovered(driver: KubernetesDriver, plan: Plan, handle: Handle | None) -> bool:
    return driver.recover(plan, handle).phase == "gone"


def told(driver: KubernetesDriver, request: FaultRequest) -> dict[str, str]:
    return {each.message: each.severity for each in driver.check(request)}


def test_one_of_three_is_deleted_and_replaced(cluster, namespace, driver, delete) -> None:
    deploy(cluster, namespace)
    before = uids(cluster, namespace)
    request = delete()
    assert driver.check(request) == []
    shown = driver.resolve(request)
    assert len(shown.targets) == 3
    assert "3 of 3 pods of Deployment web" in shown.sentence
    assert all("running, ready on node-" in each.detail for each in shown.targets)
    plan = driver.prepare(request)
    assert len(plan.targets) == 1
    assert driver.observe(plan, None).phase == "pending"
    handle = driver.inject(plan)
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.exposed, seen.affected) == ("active", 3, 1)
    assert seen.delivered_share == plan.requested_share == pytest.approx(1 / 3)
    assert driver.inject(plan) == handle
    wait_until(lambda: is_recovered(driver, plan, handle), "recovered", WITHIN_S)
    assert len(uids(cluster, namespace) & before) == 2
    assert ready(cluster, namespace) == 3
    assert driver.observe(plan, handle).phase == "active"
    assert not driver.observe(plan, handle).is_lost


def test_it_is_not_recovered_while_the_pods_are_away(cluster, namespace, driver, delete) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(delete(mode="all", grace_period=0))
    cluster.scheduler.kill()  # new pods are made, and nobody finds them a node
    try:
        handle = driver.inject(plan)
        seen = driver.recover(plan, handle)
        assert seen.phase == "active"
        assert "0 of 3 pods are ready again" in seen.message
    finally:
        cluster.scheduler.start()
    wait_until(lambda: is_recovered(driver, plan, handle), "recovered", WITHIN_S)


def test_a_pod_of_the_same_name_that_came_since_is_left(cluster, namespace, driver, delete) -> None:
    deploy(cluster, namespace, kind="StatefulSet", replicas=1)
    plan = driver.prepare(delete(mode="all"))
    cluster.http.delete(f"/api/v1/namespaces/{namespace}/pods/web-0").raise_for_status()
    old = {uid for _, uid, _ in plan.details["pods"]}
    wait_until(
        lambda: bool(found := uids(cluster, namespace)) and not found & old,
        "another came",
        WITHIN_S,
    )
    now = uids(cluster, namespace)
    driver.inject(plan)
    assert uids(cluster, namespace) == now


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"mode": "fixed", "value": 2}, 2),
        ({"mode": "fixed", "value": 9}, 3),
        ({"mode": "fixed_percent", "value": 34}, 2),
        ({"mode": "all"}, 3),
    ],
)
def test_as_many_as_asked_for_are_chosen(cluster, namespace, driver, delete, fields, count) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(delete(**fields))
    assert len(plan.targets) == count
    assert driver.prepare(delete(**fields)).targets == plan.targets
    driver.inject(plan)
    assert driver.observe(plan, Handle(token=plan.token)).affected == count


def test_what_should_be_known_before_is_told(cluster, namespace, driver, delete) -> None:
    deploy(cluster, namespace, replicas=1)
    assert told(driver, delete()) == {
        f"Deployment web in {namespace} has a single pod, which may be deleted.": "warning"
    }
    deploy(cluster, namespace, "front", pod={"hostNetwork": True, **CONTAINERS}, replicas=2)
    found = told(driver, delete(labels={"app": "front"}, mode="all"))
    assert set(found.values()) == {"warning"}
    assert f"All 2 pods of Deployment front in {namespace} may be deleted at once." in found
    assert any("On the host's network: front-" in each for each in found)


CONTAINERS = {"containers": [{"name": "app", "image": "shop:1"}]}


def test_what_matches_nothing_is_refused_with_the_labels_that_there_are(
    cluster, namespace, driver, delete
) -> None:
    deploy(cluster, namespace, replicas=1)
    request = delete(labels={"app": "wbe"})
    (problem,) = driver.check(request)
    assert problem.severity == "error"
    assert "app=web" in problem.hint
    with pytest.raises(DriverError, match="No pod matches app=wbe") as caught:
        driver.prepare(request)
    assert not caught.value.retryable


def test_pods_that_nothing_would_make_again_are_refused(cluster, namespace, driver, delete) -> None:
    body = {"metadata": {"name": "alone", "labels": {"app": "alone"}}, "spec": CONTAINERS}
    cluster.create(f"/api/v1/namespaces/{namespace}/pods", body)
    request = delete(names=["alone"])
    assert told(driver, request) == {"Nothing would make these pods again: alone.": "error"}
    with pytest.raises(DriverError, match="alone"):
        driver.prepare(request)


def test_completed_pods_are_left_out(cluster, namespace, driver, delete) -> None:
    deploy(cluster, namespace)
    victim = pods(cluster, namespace)[0]["metadata"]["name"]
    cluster.http.patch(
        f"/api/v1/namespaces/{namespace}/pods/{victim}/status",
        json={"status": {"phase": "Succeeded"}},
        headers={"content-type": "application/merge-patch+json"},
    ).raise_for_status()
    assert told(driver, delete())["1 matching pods have completed: they are left out."] == "warning"
    assert victim not in {each.name for each in driver.resolve(delete()).targets}


def test_a_workload_that_somebody_deletes_meanwhile_is_not_waited_for(
    cluster, namespace, driver, delete
) -> None:
    deploy(cluster, namespace)
    plan = driver.prepare(delete(mode="all"))
    handle = driver.inject(plan)
    cluster.http.delete(workload_path(namespace, "web")).raise_for_status()
    wait_until(lambda: is_recovered(driver, plan, handle), "given up", WITHIN_S)
    assert driver.recover(plan, handle).targets[0].phase == "foreign"


def test_a_plan_survives_the_ledger_and_hits_many(cluster, namespace, driver, delete) -> None:
    """Pods without a node: nobody has to run them, and they are deleted at once."""
    kept = cluster.create(
        f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "many"}}
    )
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "many",
        "uid": kept["metadata"]["uid"],
        "controller": True,
    }
    about = {"labels": {"app": "many"}, "ownerReferences": [owner]}
    spec = {**CONTAINERS, "schedulerName": "nobody"}
    at = f"/api/v1/namespaces/{namespace}/pods"
    for number in range(MANY):
        cluster.create(at, {"metadata": {**about, "name": f"many-{number}"}, "spec": spec})
    request = delete(labels={"app": "many"}, mode="all")
    shown = driver.resolve(request)
    assert f"{MANY:,} pods match" in shown.sentence
    plan = Plan.model_validate_json(driver.prepare(request).model_dump_json())
    assert len(plan.targets) == MANY
    handle = injected(driver, plan)
    seen = driver.observe(plan, handle)
    assert (seen.phase, seen.affected, len(seen.targets)) == ("active", MANY, 1)
    assert uids(cluster, namespace, "many") == set()


def injected(driver: KubernetesDriver, plan: Plan) -> Handle:
    """Inject as the engine does: again, with the same plan, while it may help."""
    for _ in range(4):
        try:
            return driver.inject(plan)
        except DriverError as error:
            if not error.retryable:
                raise
    return driver.inject(plan)
