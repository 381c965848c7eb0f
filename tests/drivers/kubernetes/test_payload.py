"""What is sent, what is kept, and the commands that undo it by hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from drivers.kubernetes import payload, sentinels
from drivers.kubernetes.driver import KubernetesDriver
from drivers.kubernetes.faults import FAULTS
from drivers.protocol import ConnectionConfig, FaultRequest, Plan, Target
from experiments.forms.faults import example

OPTIONS = {"access": "token", "server": "https://127.0.0.1:1", "namespaces": ["shop"]}


def test_a_workload_is_kept_as_somebody_would_create_it() -> None:
    body = {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"app": "web"},
            "annotations": {
                "owner": "anna",
                payload.TOKEN: "tok-1",
                "deployment.kubernetes.io/revision": "3",
            },
            "ownerReferences": [{"kind": "Shop", "name": "one", "uid": "u"}],
            "finalizers": ["shop.example/keep"],
            "uid": "1",
            "resourceVersion": "2",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{}],
        },
        "spec": {"replicas": 3},
        "status": {"replicas": 3},
    }
    kept = payload.stripped(body, "Deployment")
    assert kept == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"app": "web"},
            "ownerReferences": [{"kind": "Shop", "name": "one", "uid": "u"}],
            "finalizers": ["shop.example/keep"],
            "annotations": {"owner": "anna"},
        },
        "spec": {"replicas": 3},
    }
    assert yaml.safe_load(payload.as_yaml(kept)) == kept


def test_only_our_mark_leaves_no_annotations() -> None:
    body = {"metadata": {"annotations": {payload.TOKEN: "t"}}, "spec": {}}
    assert "annotations" not in payload.stripped(body, "StatefulSet")["metadata"]


@pytest.mark.parametrize(
    ("direction", "types"),
    [("in", ["Ingress"]), ("out", ["Egress"]), ("both", ["Ingress", "Egress"])],
)
def test_a_policy_selects_and_allows_nothing(direction: str, types: list[str]) -> None:
    made = payload.policy("tok-1", "kubernetes.isolate_pods", "shop", {"app": "web"}, direction)
    assert made["spec"] == {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": types}
    assert made["metadata"]["labels"][payload.TOKEN] == "tok-1"


def test_shared_parts_are_written_without_aliases() -> None:
    shared = {"app": "web"}
    written = payload.as_yaml({"a": shared, "b": [shared, shared]}, {"c": shared})
    assert "&" not in written
    assert list(yaml.safe_load_all(written)) == [
        {"a": shared, "b": [shared, shared]},
        {"c": shared},
    ]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.kind)
def test_every_fault_is_previewed_without_a_call(fault: Any) -> None:
    driver = KubernetesDriver(ConnectionConfig("kubernetes", "away", OPTIONS, {"token": "t"}))
    params = fault.model_validate(example(fault))
    preview = driver.preview(FaultRequest(params, "tok-1"))
    assert preview.sentence == params.sentence()
    assert preview.undo.endswith(".")
    assert all(each.body for each in preview.documents)
    driver.close()


def plan(**fields: Any) -> Plan:
    given: dict[str, Any] = {
        "token": "tok-1",
        "fault": "kubernetes.scale_workload",
        "documents": (),
        "targets": (Target(name="shop/Deployment/web"),),
        "claims": ("k8s:uid:shop/Deployment/web:capacity",),
    }
    return Plan(**(given | fields))


def sentinel(text: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "chaosweb-tok-1",
            "namespace": "shop",
            "labels": payload.labels("tok-1", "kubernetes.scale_workload"),
        },
        "data": {"plan": text},
    }


def test_a_sentinel_gives_its_plan_back() -> None:
    found = sentinels.read(sentinel(plan().model_dump_json()))
    assert (found.token, found.plan) == ("tok-1", plan())


@pytest.mark.parametrize("text", ["", "{", '{"token": 1}'])
def test_a_sentinel_that_somebody_edited_is_still_found(text: str) -> None:
    found = sentinels.read(sentinel(text))
    assert (found.token, found.plan) == ("tok-1", None)
    assert found.targets[0].name == "shop/ConfigMap/chaosweb-tok-1"


def test_commands_by_hand_end_with_the_record() -> None:
    of = payload.workload("Deployment", "shop", "web")
    told = payload.by_hand(
        f"scale {of.kubectl} --replicas=3", payload.unmark(of), home="shop", token="tok-1"
    )
    assert told == (
        "kubectl scale -n shop deployment/web --replicas=3 && "
        "kubectl annotate -n shop deployment/web chaosweb.dev/token- && "
        "kubectl delete -n shop configmap chaosweb-tok-1"
    )
