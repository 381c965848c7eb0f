"""What stands in the way of a fault of Chaos Mesh, and what is told before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.chaosmesh.driver import ChaosMeshDriver
from drivers.chaosmesh.kernel import KernelFault
from drivers.chaosmesh.network import NetworkDelay
from drivers.chaosmesh.pod import ContainerKill, PodFailure, PodKill
from drivers.protocol import DriverError, FaultRequest
from tests.cluster.chaosmesh import (
    IMAGE,
    TOKEN,
    errors,
    failing,
    injected,
    killing,
    recovered,
    selector,
)
from tests.cluster.rigs import connection, deploy
from tests.cluster.test_kubernetes_rights import account
from tests.servers.kubernetes import RunningKubernetes
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
