"""The life of a fault of Chaos Mesh, under its own controller and webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes import client

from drivers.chaosmesh.driver import ChaosMeshDriver
from drivers.chaosmesh.network import NetworkDelay
from drivers.protocol import DriverError, FaultRequest, Plan
from tests.cluster.chaosmesh import (
    IMAGE,
    TOKEN,
    WITHIN_S,
    errors,
    failing,
    force,
    images,
    injected,
    killing,
    podchaos,
    recovered,
    selector,
)
from tests.cluster.rigs import connection, deploy, pods, ready, uids
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes
from tests.servers.kubernetes_kwok import PAUSE_IMAGE
from tests.servers.kubernetes_process import Program

pytestmark = pytest.mark.cluster


@pytest.fixture
def place(cluster: RunningKubernetes, chaos_controller: Program, namespace: str) -> str:
    """Return a namespace with three ready pods."""
    deploy(cluster, namespace)
    return namespace


@pytest.fixture
def driver(cluster: RunningKubernetes, namespace: str) -> Iterator[ChaosMeshDriver]:
    opened = ChaosMeshDriver(connection(cluster, namespace))
    yield opened
    opened.close()


def test_a_pod_failure_is_active_as_its_records_say_and_the_image_comes_back(
    cluster, place, driver
) -> None:
    request = failing(place)
    assert errors(driver, request) == []
    plan = driver.prepare(request)
    assert podchaos(cluster, place) == []
    assert driver.observe(plan, None).phase == "pending"
    assert "pod_failure" in plan.fault
    plan = Plan.model_validate_json(plan.model_dump_json())
    handle = driver.inject(plan)
    wait_until(lambda: driver.observe(plan, handle).phase == "active", "it is active", WITHIN_S)
    seen = driver.observe(plan, handle)
    assert (seen.exposed, seen.affected) == (3.0, 1.0)
    assert seen.requested_share == seen.delivered_share == pytest.approx(1 / 3)
    assert (seen.is_lost, seen.is_unknown) == (False, False)
    assert seen.evidence["records"][0]["phase"] == "Injected"
    assert images(cluster, place) == sorted([PAUSE_IMAGE, IMAGE, IMAGE])
    (body,) = podchaos(cluster, place)
    assert body["metadata"]["labels"] == {"chaosweb/run": "7", "chaosweb/token": TOKEN}
    assert body["spec"]["duration"] == "630s"
    gone = recovered(driver, plan, handle)
    assert gone.phase == "gone"
    assert images(cluster, place) == [IMAGE] * 3
    assert podchaos(cluster, place) == []
    assert driver.observe(plan, handle).phase == "gone"


def test_a_pod_kill_is_recovered_when_the_workload_has_its_pods_again(
    cluster, place, driver
) -> None:
    before = uids(cluster, place)
    plan, handle = injected(driver, killing(place, mode="fixed", value=2))
    seen = driver.observe(plan, handle)
    assert (seen.exposed, seen.affected, seen.is_lost) == (3.0, 2.0, False)
    gone = recovered(driver, plan, handle)
    assert "has its pods again" in gone.message
    assert ready(cluster, place) == 3
    assert len(before & uids(cluster, place)) == 1
    assert driver.owned() == []


def test_injecting_and_preparing_again_are_the_same_fault(cluster, place, driver) -> None:
    first = driver.prepare(failing(place))
    handle = driver.inject(first)
    assert driver.inject(first) == handle
    again = driver.prepare(failing(place))
    assert (again.claims, again.by_hand, again.undo) == (first.claims, first.by_hand, first.undo)
    assert len(podchaos(cluster, place)) == 1
    recovered(driver, again, handle)
    assert images(cluster, place) == [IMAGE] * 3


def test_an_object_of_somebody_else_is_left_alone(cluster, place, driver) -> None:
    plan = driver.prepare(failing(place))
    body = dict(plan.details["manifest"])
    body["metadata"] = {"name": plan.details["name"], "namespace": place}
    cluster.create(f"/apis/chaos-mesh.org/v1alpha1/namespaces/{place}/podchaos", body)
    with pytest.raises(DriverError, match="somebody else"):
        driver.inject(plan)
    with pytest.raises(DriverError, match="not ours"):
        driver.prepare(failing(place))
    seen = driver.recover(plan, None)
    assert (seen.phase, seen.targets[0].phase) == ("gone", "foreign")
    assert len(podchaos(cluster, place)) == 1


def test_what_is_ours_is_found_again_and_recovered_without_the_ledger(
    cluster, place, driver
) -> None:
    plan, _ = injected(driver, failing(place, mode="all"))
    (owned,) = driver.owned()
    assert owned.token == TOKEN
    assert sorted(each.name for each in owned.targets) == sorted(
        f"{place}/{each['metadata']['name']}" for each in pods(cluster, place)
    )
    assert owned.plan is not None
    assert (owned.plan.fault, owned.plan.claims) == (plan.fault, plan.claims)
    recovered(driver, owned.plan, None)
    assert images(cluster, place) == [IMAGE] * 3
    assert driver.owned() == []


def test_another_injection_may_not_hold_the_same_workload(place, driver) -> None:
    plan, handle = injected(driver, failing(place))
    other = killing(place, "cw-0a1b2c3d-8-0-0123456789ab")
    assert any(TOKEN in each for each in errors(driver, other))
    with pytest.raises(DriverError, match=TOKEN):
        driver.prepare(other)
    recovered(driver, plan, handle)
    assert errors(driver, other) == []


def test_a_pod_that_is_replaced_is_no_longer_hit(cluster, place, driver) -> None:
    plan, handle = injected(driver, failing(place))
    (state,) = driver.observe(plan, handle).targets
    cluster.http.delete(f"/api/v1/namespaces/{place}/pods/{state.name.split('/')[1]}")

    def is_lost() -> bool:
        seen = driver.observe(plan, handle)
        return seen.is_lost and "replaced" in seen.message

    wait_until(is_lost, "it is lost", WITHIN_S)
    recovered(driver, plan, handle)


def test_somebody_who_deletes_the_object_ends_the_fault(cluster, place, driver) -> None:
    plan, handle = injected(driver, failing(place))
    at = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{place}/podchaos/{plan.details['name']}"
    cluster.http.delete(at)
    wait_until(lambda: driver.observe(plan, handle).phase == "gone", "it is gone", WITHIN_S)
    assert driver.observe(plan, handle).is_lost


def test_a_fault_without_a_daemon_fails_with_its_reason_and_is_removed_by_force(
    cluster, place, driver
) -> None:
    params = NetworkDelay(selector=selector(place), latency="90ms")
    plan = driver.prepare(FaultRequest(params, TOKEN, 60.0))
    handle = driver.inject(plan)

    wait_until(lambda: driver.observe(plan, handle).phase == "failed", "it fails", WITHIN_S)
    seen = driver.observe(plan, handle)
    assert seen.is_lost
    assert (seen.affected, seen.delivered_share) == (0.0, 0.0)
    assert "cannot find daemonIP" in seen.message
    # Its record waits for ever, and so does its deletion, until somebody forces it.
    seen = driver.recover(plan, handle)
    assert (seen.phase, seen.targets[0].phase) == ("partly", "pending")
    assert "(Not Injected/Wait): no chaos-daemon runs on its node." in seen.message
    assert "never in effect there" in seen.message
    force(cluster, plan, seen)
    assert recovered(driver, plan, handle).phase == "gone"


def test_selecting_nothing_after_all_is_a_failure(cluster, place, driver) -> None:
    plan = driver.prepare(failing(place))
    at = f"/apis/apps/v1/namespaces/{place}/deployments/web"
    cluster.http.delete(at).raise_for_status()
    wait_until(lambda: pods(cluster, place) == [], "there are no pods", WITHIN_S)
    listed = client.CoreV1Api(cluster.admin).list_namespaced_pod
    wait_until(lambda: not listed(place).items, "nothing is left", WITHIN_S)
    handle = driver.inject(plan)
    wait_until(lambda: driver.observe(plan, handle).phase == "failed", "it has failed", WITHIN_S)
    seen = driver.observe(plan, handle)
    assert (seen.exposed, seen.affected, seen.delivered_share) == (0.0, 0.0, None)
    assert "selected no target" in seen.message
    assert seen.is_lost
    recovered(driver, plan, handle)
