"""Selectors match what Chaos Mesh would match."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.chaosmesh import selection
from drivers.chaosmesh.machine import MachineSelector
from drivers.chaosmesh.selector import Selector


def pod(
    name: str, namespace: str = "shop", node: str = "n1", phase: str = "Running", **labels: str
):
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": "web", **labels},
            "annotations": {"team": "checkout"},
        },
        "spec": {"nodeName": node, "serviceAccountName": "web"},
        "status": {"phase": phase, "podIP": "10.0.0.1"},
    }


PODS = [
    pod("a", tier="cache"),
    pod("b", tier="db", node="n2"),
    pod("c", phase="Succeeded"),
    pod("d", namespace="bank", tier="cache"),
    pod("e", phase="Pending", node="", canary="yes"),
]


def names(on: Any = None, **fields: Any) -> str:
    chosen = Selector.model_validate({"namespaces": ["shop"], **fields})
    return "".join(each["metadata"]["name"] for each in selection.pods(chosen, PODS, on))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"whole_namespace": True}, "abce"),
        ({"namespaces": ["shop", "bank"], "labels": {"app": "web"}}, "abcde"),
        ({"labels": {"tier": "cache"}}, "a"),
        ({"expressions": ["tier in (cache, db)"]}, "ab"),
        ({"expressions": ["tier notin (cache)"]}, "bce"),
        ({"expressions": ["tier"]}, "ab"),
        ({"expressions": ["!tier"]}, "ce"),
        ({"expressions": ["!tier", "canary"]}, "e"),
        ({"annotations": {"team": "search"}}, ""),
        ({"fields": {"spec.nodeName": "n2", "status.podIP": "10.0.0.1"}}, "b"),
        ({"labels": {"app": "web"}, "phases": ["Running", "Pending"]}, "abe"),
        ({"labels": {"app": "web"}, "phases": ["!Succeeded"]}, "abe"),
        ({"labels": {"app": "web"}, "phases": ["Running", "!Running"]}, ""),
    ],
)
def test_all_that_a_selector_says_must_hold(fields: dict[str, Any], found: str) -> None:
    assert names(**fields) == found


def test_named_pods_are_all_that_counts() -> None:
    chosen = Selector.model_validate({"pods": ["shop/c", "bank/d", "bank/gone"]})
    found = selection.pods(chosen, PODS, None)
    assert [selection.key(each) for each in found] == ["shop/c", "bank/d"]


def test_nodes_and_labels_of_nodes_widen_each_other() -> None:
    nodes = [
        {"metadata": {"name": "n1", "labels": {"zone": "a"}}},
        {"metadata": {"name": "n2", "labels": {"zone": "b"}}},
    ]
    fields = {"namespaces": ["shop"], "nodes": ["n1", "gone"], "node_labels": {"zone": "b"}}
    chosen = Selector.model_validate(fields)
    assert selection.nodes(chosen, nodes) == ({"n1", "n2"}, ["gone"])
    assert names(on={"n2"}, nodes=["n2"]) == "b"


def test_machines_are_matched_likewise() -> None:
    listed: list[dict[str, Any]] = [
        {
            "metadata": {"name": "db-1", "namespace": "infra", "labels": {"arch": "amd64"}},
            "spec": {"address": "http://10.0.0.5:31767"},
        },
        {"metadata": {"name": "db-2", "namespace": "infra"}, "spec": {"address": "x"}},
    ]

    def found(**fields: Any) -> list[str]:
        chosen = MachineSelector.model_validate(fields)
        return [selection.key(each) for each in selection.machines(chosen, listed)]

    assert found(namespaces=["infra"], labels={"arch": "amd64"}) == ["infra/db-1"]
    assert found(namespaces=["infra"], fields={"spec.address": "x"}) == ["infra/db-2"]
    assert found(machines=["infra/db-2", "infra/gone"]) == ["infra/db-2"]
    assert found(namespaces=["shop"], whole_namespace=True) == []


@pytest.mark.parametrize(
    ("mode", "value", "matching", "hit"),
    [
        ("one", None, 3, 1),
        ("one", None, 0, 0),
        ("all", None, 3, 3),
        ("fixed", 2, 3, 2),
        ("fixed", 9, 3, 3),
        ("fixed-percent", 50, 3, 2),
        ("fixed-percent", 1, 3, 1),
        ("random-max-percent", 50, 3, None),
    ],
)
def test_modes_choose_as_many_as_chaos_mesh_does(
    mode: str, value: int | None, matching: int, hit: int | None
) -> None:
    assert selection.chosen(mode, value, matching) == hit
