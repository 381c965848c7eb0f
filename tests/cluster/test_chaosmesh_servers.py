"""Chaos Mesh in the cluster is its own controller: it kills, fails, recovers and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client
from kubernetes.client import ApiException

from tests.cluster.shop import IMAGE, WITHIN_S, deploy, images, names, ready
from tests.servers import kubernetes_chaosmesh
from tests.servers.envoy import wait_until
from tests.servers.kubernetes import RunningKubernetes
from tests.servers.kubernetes_kwok import PAUSE_IMAGE
from tests.servers.kubernetes_process import Program

pytestmark = pytest.mark.cluster

PLACE = "/apis/chaos-mesh.org/v1alpha1"


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

    def pause(self, value: str) -> None:
        annotations = {"experiment.chaos-mesh.org/pause": value}
        self._api.patch_namespaced_custom_object(
            *self._place,
            "one",
            {"metadata": {"annotations": annotations}},
            _content_type="application/merge-patch+json",
        )

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
        ({"action": "pod-kill", "mode": "fixed", "value": "none"}, "value field"),  # a webhook
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


def test_a_paused_pod_failure_gives_the_image_back_until_it_goes_on(
    cluster, chaos_controller, namespace
) -> None:
    deploy(cluster, namespace)
    chaos = Chaos(cluster, namespace)
    chaos.create(pod_chaos(namespace, "pod-failure", duration="10m"))
    wait_until(lambda: chaos.phases() == {"Injected"}, "the record says Injected", WITHIN_S)
    chaos.pause("true")
    wait_until(lambda: chaos.phases() == {"Not Injected"}, "it is paused", WITHIN_S)
    assert images(cluster, namespace) == [IMAGE, IMAGE]
    chaos.pause("false")
    wait_until(lambda: chaos.phases() == {"Injected"}, "it goes on", WITHIN_S)


def test_a_schedule_starts_faults(cluster, chaos_controller, namespace) -> None:
    deploy(cluster, namespace)
    before = names(cluster, namespace)
    spec = {
        "schedule": "@every 1s",
        "type": "PodChaos",
        "historyLimit": 1,
        "podChaos": pod_chaos(namespace, "pod-kill")["spec"],
    }
    cluster.create(
        f"{PLACE}/namespaces/{namespace}/schedules",
        {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": "Schedule",
            "metadata": {"name": f"every-second-of-{namespace}"},
            "spec": spec,
        },
    )
    wait_until(lambda: not before & names(cluster, namespace), "both pods were killed", WITHIN_S)


def test_a_workflow_runs_its_steps_until_their_deadlines(
    cluster, chaos_controller, namespace
) -> None:
    deploy(cluster, namespace)
    failing = pod_chaos(namespace, "pod-failure")["spec"]
    spec = {
        "entry": "all",
        "templates": [
            {"name": "all", "templateType": "Serial", "deadline": "1m", "children": ["fail"]},
            {
                "name": "fail",
                "templateType": "PodChaos",
                "deadline": "3s",
                "podChaos": failing,
            },
        ],
    }
    place = f"{PLACE}/namespaces/{namespace}/workflows"
    cluster.create(
        place,
        {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "steps"},
            "spec": spec,
        },
    )
    wait_until(
        lambda: PAUSE_IMAGE in images(cluster, namespace), "the step has failed a pod", WITHIN_S
    )

    def is_accomplished() -> bool:
        status = cluster.http.get(f"{place}/steps").json().get("status", {})
        return ("Accomplished", "True") in {
            (each["type"], each["status"]) for each in status.get("conditions") or ()
        }

    wait_until(is_accomplished, "the workflow is accomplished", WITHIN_S)
    wait_until(lambda: images(cluster, namespace) == [IMAGE, IMAGE], "the image is back", WITHIN_S)


def test_a_fault_that_needs_the_daemon_says_that_it_failed(
    cluster, chaos_controller, namespace
) -> None:
    deploy(cluster, namespace)
    spec = pod_chaos(namespace, "delay", delay={"latency": "90ms"}, duration="10m")["spec"]
    place = f"{PLACE}/namespaces/{namespace}/networkchaos"
    cluster.create(
        place,
        {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": "NetworkChaos",
            "metadata": {"name": "slow"},
            "spec": spec,
        },
    )

    def failures() -> list[str]:
        status = cluster.http.get(f"{place}/slow").json().get("status", {})
        return [
            event["message"]
            for record in status.get("experiment", {}).get("containerRecords") or ()
            for event in record.get("events", ())
            if (event["type"], event["operation"]) == ("Failed", "Apply")
        ]

    wait_until(lambda: failures() != [], "a record tells of the failure", WITHIN_S)
    assert "cannot find daemonIP" in failures()[0]
