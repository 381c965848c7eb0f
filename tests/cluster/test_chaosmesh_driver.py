"""The life of a fault of Chaos Mesh, under its own controller and webhooks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from drivers.chaosmesh import objects, payload
from drivers.chaosmesh.driver import ChaosMeshDriver
from drivers.chaosmesh.faults import FAULTS
from drivers.chaosmesh.kernel import KernelFault
from drivers.chaosmesh.network import NetworkDelay
from drivers.chaosmesh.pod import ContainerKill, PodFailure, PodKill
from drivers.protocol import DriverError, FaultRequest, Handle, Observation, Plan
from tests.cluster.rigs import change, connection, deploy, pods, ready, uids
from tests.cluster.test_kubernetes_rights import account
from tests.drivers.chaosmesh.parameters import EVERY
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes
from tests.servers.kubernetes_kwok import PAUSE_IMAGE
from tests.servers.kubernetes_process import Program

pytestmark = pytest.mark.cluster

IMAGE = "shop:1"
WITHIN_S = 60.0
TOKEN = "cw-0a1b2c3d-7-0-0123456789ab"


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


def selector(namespace: str, **fields: Any) -> Any:
    return {"namespaces": [namespace], "labels": {"app": "web"}, **fields}


def failing(namespace: str, token: str = TOKEN, **fields: Any) -> FaultRequest:
    return FaultRequest(PodFailure(selector=selector(namespace), **fields), token, 600.0)


def killing(namespace: str, token: str = TOKEN, **fields: Any) -> FaultRequest:
    return FaultRequest(PodKill(selector=selector(namespace), **fields), token, 60.0)


def images(cluster: RunningKubernetes, namespace: str) -> list[str]:
    return sorted(each["spec"]["containers"][0]["image"] for each in pods(cluster, namespace))


def podchaos(cluster: RunningKubernetes, namespace: str) -> list[dict[str, Any]]:
    at = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{namespace}/podchaos"
    found: list[dict[str, Any]] = cluster.http.get(at).raise_for_status().json()["items"]
    return found


def errors(driver: ChaosMeshDriver, request: FaultRequest) -> list[str]:
    return [each.message for each in driver.check(request) if each.severity == "error"]


def injected(driver: ChaosMeshDriver, request: FaultRequest) -> tuple[Plan, Handle]:
    plan = driver.prepare(request)
    handle = driver.inject(plan)
    wait_until(lambda: driver.observe(plan, handle).phase == "active", "it is active", WITHIN_S)
    return plan, handle


def force(cluster: RunningKubernetes, plan: Plan, seen: Observation) -> None:
    """Do what the command says that the observation tells."""
    (said,) = [each for each in plan.by_hand if "patch" in each]
    assert said in seen.message
    change(cluster, objects.place(plan), json.loads(shlex.split(said, comments=True)[-1]))


def recovered(driver: ChaosMeshDriver, plan: Plan, handle: Handle | None) -> Observation:
    wait_until(lambda: driver.recover(plan, handle).phase == "gone", "it is gone", WITHIN_S)
    return driver.recover(plan, handle)


# --- The life of a fault --------------------------------------------------------------------------


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

    def has_failed() -> bool:
        return driver.observe(plan, handle).phase == "failed"

    wait_until(has_failed, "it has failed", WITHIN_S)
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


# --- What stands in the way -----------------------------------------------------------------------


def test_zero_targets_are_refused(place, driver) -> None:
    request = FaultRequest(
        PodFailure(selector=selector(place, labels={"app": "nobody"})), TOKEN, 60.0
    )
    (said,) = errors(driver, request)
    assert "No pod matches app=nobody" in said
    assert driver.resolve(request).targets == ()
    with pytest.raises(DriverError, match="No pod matches"):
        driver.prepare(request)


def test_what_matches_is_told_with_its_share_of_the_workload(cluster, place, driver) -> None:
    found = driver.resolve(failing(place, mode="fixed-percent", value=50))
    assert len(found.targets) == 3
    assert "ready on node-" in found.targets[0].detail
    assert f"2 of them hit: 3 of 3 pods of Deployment web in {place}." in found.sentence
    (warning,) = driver.check(failing(place, mode="all"))
    assert (warning.severity, warning.message) == (
        "warning",
        f"All 3 pods of Deployment web in {place} may be hit at once.",
    )


def test_other_namespaces_and_containers_that_are_not_there_are_refused(place, driver) -> None:
    (said,) = errors(driver, failing("default"))
    assert "does not allow the namespace default" in said
    with pytest.raises(DriverError, match="does not allow"):
        driver.prepare(failing("default"))
    kill = ContainerKill(selector=selector(place), containers=("sidecar",))
    (said,) = errors(driver, FaultRequest(kill, TOKEN, 60.0))
    assert said == "3 of 3 pods have no container sidecar."


def test_kernel_faults_are_refused_as_chaos_mesh_cannot_inject_them(place, driver) -> None:
    params = KernelFault(selector=selector(place), failtype="slab", probability=1)
    (said,) = errors(driver, FaultRequest(params, TOKEN, 60.0))
    assert "cannot inject KernelChaos" in said


def test_network_faults_on_the_hosts_network_are_refused(
    cluster, chaos_controller, namespace, driver
) -> None:
    pod = {"hostNetwork": True, "containers": [{"name": "app", "image": IMAGE}]}
    deploy(cluster, namespace, replicas=1, pod=pod)
    params = NetworkDelay(selector=selector(namespace), latency="90ms", mode="all")
    assert any("host's network" in each for each in errors(driver, FaultRequest(params, TOKEN, 9)))


def test_rights_that_lack_are_named(cluster, place) -> None:
    rules = [{"apiGroups": ["chaos-mesh.org"], "resources": ["podchaos"], "verbs": ["get"]}]
    kubeconfig = cluster.person(f"viewer-of-{place}", place, rules)
    limited = ChaosMeshDriver(connection(cluster, place, kubeconfig=kubeconfig))
    found = errors(limited, failing(place))
    assert f"The account may not create podchaos.chaos-mesh.org in {place}." in found
    assert f"The account may not list pods in {place}." in found
    assert not any("get podchaos" in each for each in found)
    limited.close()


def test_the_least_rights_are_enough(cluster, place) -> None:
    rules = [
        {
            "apiGroups": ["chaos-mesh.org"],
            "resources": ["podchaos"],
            "verbs": ["create", "get", "list", "delete"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]
    kubeconfig = cluster.person(f"injector-of-{place}", place, rules)
    limited = ChaosMeshDriver(connection(cluster, place, kubeconfig=kubeconfig))
    assert errors(limited, failing(place)) == []
    plan, handle = injected(limited, failing(place))
    assert [each.token for each in limited.owned()] == [TOKEN]
    recovered(limited, plan, handle)
    limited.close()


def test_the_generated_manifest_is_enough(cluster, place, driver) -> None:
    viewer, injector = driver.manifests([PodKill.kind])
    assert viewer.target.startswith("viewer")
    kubeconfig = account(cluster, injector.body, place)
    limited = ChaosMeshDriver(connection(cluster, place, kubeconfig=kubeconfig))
    rows = limited.rights([PodKill.kind])
    assert rows
    assert all(row.is_allowed for row in rows)
    lacking = [row for row in limited.rights([NetworkDelay.kind]) if not row.is_allowed]
    assert {row.right.resource for row in lacking} == {"networkchaos"}
    plan, handle = injected(limited, killing(place))
    recovered(limited, plan, handle)
    limited.close()


def test_suggestions_are_what_is_there(place, driver) -> None:
    given = {"selector": {"namespaces": [place]}}
    assert [each.value for each in driver.suggest("namespaces", {})] == [place]
    assert "app=web" in [each.value for each in driver.suggest("labels", given)]
    assert [each.value for each in driver.suggest("pod_containers", given)] == ["app"]
    names = [each.value for each in driver.suggest("namespaced_pods", {"selector": ["wr"]})]
    assert len(names) == 3
    assert all(name.startswith(f"{place}/web-") for name in names)
    assert "node-1" in [each.value for each in driver.suggest("nodes", {})]
    assert driver.suggest("no such word", {}) == []


# --- Trouble --------------------------------------------------------------------------------------


def test_a_deletion_that_hangs_is_explained_and_goes_on_by_itself(
    cluster, chaos_controller: Program, place, driver
) -> None:
    plan, handle = injected(driver, failing(place))
    with chaos_controller.away():
        seen = driver.recover(plan, handle)
        assert (seen.phase, seen.targets[0].phase) == ("partly", "active")
        assert "webhook" in seen.message
        assert '"finalizers":[]' in seen.message
        assert "chaos-controller-manager" in seen.message
        assert images(cluster, place) == sorted([PAUSE_IMAGE, IMAGE, IMAGE])
        with pytest.raises(DriverError) as caught:
            driver.inject(plan)
        assert caught.value.retryable
    recovered(driver, plan, handle)
    assert images(cluster, place) == [IMAGE] * 3


def test_a_webhook_that_is_down_is_told_and_nothing_is_created(
    cluster, chaos_controller: Program, place, driver
) -> None:
    plan = driver.prepare(failing(place))
    with chaos_controller.away():
        assert any("webhook does not answer" in each for each in errors(driver, failing(place)))
        with pytest.raises(DriverError, match="webhook") as caught:
            driver.prepare(failing(place))
        assert caught.value.retryable
        with pytest.raises(DriverError, match="webhook"):
            driver.inject(plan)
        assert podchaos(cluster, place) == []


def test_a_server_that_dies_midway_is_never_read_as_gone(cluster, place, driver) -> None:
    plan, handle = injected(driver, failing(place))
    with cluster.apiserver.away():
        seen = driver.observe(plan, handle)
        assert (seen.is_lost, seen.is_unknown) == (False, True)
        seen = driver.recover(plan, handle)
        assert (seen.phase, seen.targets[0].phase) == ("partly", "unreachable")
        assert errors(driver, failing(place)) != []
        with pytest.raises(DriverError) as caught:
            driver.inject(plan)
        assert caught.value.retryable
    recovered(driver, plan, handle)
    assert images(cluster, place) == [IMAGE] * 3


# --- Documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1], ids=["minimal", "maximal"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.kind)
def test_every_document_is_accepted_by_server_and_webhooks(
    cluster, chaos_controller, documents_in, fault, which
) -> None:
    params = fault.model_validate(EVERY[fault.kind][which])
    body = payload.manifest(
        params,
        name=payload.object_name(TOKEN),
        namespace=documents_in,
        labels=payload.labels("7", TOKEN),
        duration_s=None if fault.is_one_shot else 90.0,
    )
    answer = cluster.http.post(
        f"/apis/chaos-mesh.org/v1alpha1/namespaces/{documents_in}/{fault.plural()}",
        params={"dryRun": "All", "fieldValidation": "Strict"},
        json=body,
    )
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def documents_in(cluster: RunningKubernetes) -> str:
    return cluster.namespace("documents")
