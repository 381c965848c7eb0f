"""What the fault models accept, refuse and say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.kubernetes.faults import (
    FAULTS,
    DeletePods,
    DeleteWorkload,
    DrainNode,
    IsolatePods,
    ScaleWorkload,
    SetImage,
)
from drivers.kubernetes.selection import PodSelection, count
from drivers.protocol import FaultParams

WEB = {"namespace": "shop", "labels": {"app": "web"}}


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({"namespace": "shop"}, "selects every pod of the namespace"),
        ({"namespace": "shop", "whole_namespace": True, "labels": {"a": "b"}}, "only a part of it"),
        ({"namespace": "Shop", "labels": {"a": "b"}}, "is no namespace"),
        ({"namespace": "shop", "labels": {"a b": "c"}}, "is no label"),
        ({"namespace": "shop", "labels": {"a": "b,c=d"}}, "is no value of a label"),
        ({"namespace": "shop", "pods": ["web/../x"]}, "is no name"),
    ],
)
def test_a_selection_must_be_meant(selector: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DeletePods(selector=selector)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "one", "value": 2}, "takes no number"),
        ({"mode": "fixed"}, "needs a value, for example 2"),
        ({"mode": "fixed_percent", "value": 101}, "more than 100 %"),
        ({"mode": "fixed", "value": 0}, "greater than or equal to 1"),
        ({"grace_period": -1}, "greater than or equal to 0"),
    ],
)
def test_how_many_must_fit_the_mode(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DeletePods.model_validate({"selector": WEB, **fields})


@pytest.mark.parametrize(
    ("mode", "value", "matching", "expected"),
    [
        ("one", None, 0, 0),
        ("one", None, 3, 1),
        ("all", None, 3, 3),
        ("fixed", 2, 3, 2),
        ("fixed", 5, 3, 3),
        ("fixed_percent", 1, 3, 1),
        ("fixed_percent", 34, 3, 2),
        ("fixed_percent", 50, 10_000, 5_000),
        ("fixed_percent", 100, 7, 7),
    ],
)
def test_a_percentage_is_rounded_up(mode: Any, value: Any, matching: int, expected: int) -> None:
    assert count(mode, value, matching) == expected


def test_a_policy_cannot_select_by_name() -> None:
    with pytest.raises(ValidationError, match="not by names of pods"):
        IsolatePods.model_validate({"selector": {"namespace": "shop", "pods": ["web-0"]}})


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            DeletePods.model_validate({"selector": WEB, "grace_period": 0}),
            "deletes one pod of app=web in shop at once",
        ),
        (
            DeletePods.model_validate({"selector": WEB, "mode": "fixed_percent", "value": 50}),
            "deletes 50 % of the pods of app=web in shop",
        ),
        (
            ScaleWorkload(namespace="shop", name="web", replicas=1),
            "scales the Deployment web in shop to 1 pod",
        ),
        (
            SetImage(namespace="shop", workload="StatefulSet", name="db", image="db:2"),
            "rolls out the image db:2 on the StatefulSet db in shop",
        ),
        (
            DeleteWorkload(namespace="shop", name="web"),
            "deletes the Deployment web in shop and all its pods",
        ),
        (
            IsolatePods.model_validate({"selector": WEB, "direction": "in"}),
            "cuts app=web in shop off the network, for calls to it",
        ),
        (DrainNode(node="worker-1"), "closes the node worker-1 and evicts its pods"),
    ],
)
def test_sentences(params: FaultParams, sentence: str) -> None:
    assert params.sentence() == sentence


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.kind)
def test_every_fault_says_what_it_is(fault: type[FaultParams]) -> None:
    for said in (fault.title, fault.summary, fault.needs, fault.metrics, fault.family):
        assert said
    for name, field in fault.model_fields.items():
        assert field.title, name
        assert field.description, name
    assert fault.kind.startswith("kubernetes.")


def test_only_deleted_pods_heal_by_themselves() -> None:
    healing = {fault.kind for fault in FAULTS if fault.undo == "self_heals"}
    assert healing == {"kubernetes.delete_pods"}
    assert {fault.undo for fault in FAULTS} == {"self_heals", "restores"}


def test_labels_make_one_query() -> None:
    chosen = PodSelection(namespace="shop", labels={"b": "2", "a": "1"})
    assert chosen.query == "a=1,b=2"
    assert str(PodSelection(namespace="shop", whole_namespace=True)) == "the namespace shop"
