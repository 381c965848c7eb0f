"""The rights of each fault, and the least manifests that give them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from drivers.kube.rights import Right
from drivers.kubernetes import needs
from drivers.kubernetes.faults import DrainNode, ScaleWorkload, SetImage

KINDS = needs.every_kind()


def granted(manifest: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for body in yaml.safe_load_all(manifest):
        found.setdefault(body["kind"], []).append(body)
    return found


def test_a_fault_needs_only_what_its_own_workload_needs() -> None:
    asked = {str(each) for each in needs.of(ScaleWorkload(namespace="s", name="w", replicas=1))}
    assert "patch deployments.apps" in asked
    assert not any("statefulsets" in each for each in asked)
    assert not any("delete pods" in each for each in asked)
    freed = SetImage(namespace="s", name="w", workload="StatefulSet", image="a:b")
    assert Right("", "pods", "delete") in needs.of(freed)


def test_a_drain_of_everything_needs_to_see_every_pod() -> None:
    everywhere = Right("", "pods", "list", is_everywhere=True)
    assert everywhere in needs.of(DrainNode(node="n", namespaces_only=False))
    assert everywhere not in needs.of(DrainNode(node="n"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_injector_has_what_its_fault_needs_and_a_viewer_only_reads(kind: str) -> None:
    injector = set(needs.of_role([kind], "injector"))
    assert set(needs.of_kind(kind)) <= injector
    viewer = set(needs.of_role([kind], "viewer"))
    assert viewer < injector
    assert {each.verb for each in viewer} <= {"get", "list"}
    assert not any(each.resource == "secrets" for each in injector)
    assert not any(each.verb == "*" or each.resource == "*" for each in injector)


def test_the_manifest_binds_one_account_in_every_namespace() -> None:
    found = granted(needs.manifest(["kubernetes.scale_workload"], ["shop", "cart"], "injector"))
    assert [each["metadata"] for each in found["ServiceAccount"]] == [
        {"name": "chaosweb-injector", "namespace": "shop"}
    ]
    assert [each["metadata"]["namespace"] for each in found["Role"]] == ["shop", "cart"]
    assert {each["subjects"][0]["namespace"] for each in found["RoleBinding"]} == {"shop"}
    (role, _) = found["Role"]
    by_resource = {rule["resources"][0]: rule["verbs"] for rule in role["rules"]}
    assert by_resource["deployments"] == ["get", "list", "patch"]
    assert by_resource["configmaps"] == ["create", "delete", "get", "list"]
    (anywhere,) = found["ClusterRole"]
    assert {
        "apiGroups": [""],
        "resources": ["namespaces"],
        "resourceNames": ["kube-system"],
        "verbs": ["get"],
    } in anywhere["rules"]
    assert not any("patch" in rule["verbs"] for rule in anywhere["rules"])


def test_only_faults_of_nodes_may_change_nodes() -> None:
    changing = {
        kind
        for kind in KINDS
        if Right("", "nodes", "patch", is_everywhere=True) in needs.of_role([kind], "injector")
    }
    assert changing == {"kubernetes.cordon_node", "kubernetes.drain_node"}


def test_without_a_namespace_there_is_nothing_to_write() -> None:
    assert needs.manifest(KINDS, [], "viewer") == ""


def test_deleted_pods_keep_no_record() -> None:
    assert [kind for kind in KINDS if not needs.keeps_a_sentinel(kind)] == [
        "kubernetes.delete_pods"
    ]
