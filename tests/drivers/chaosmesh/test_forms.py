"""What authors see of these faults: inputs that fit, and only those that mean something."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.chaosmesh.faults import FAULTS
from drivers.protocol import FaultParams
from experiments.domain import spec
from experiments.forms import faults, mapping
from experiments.forms.editor import Editor
from tests.drivers.chaosmesh.parameters import EVERY

CATALOGUE: dict[str, type[FaultParams]] = {fault.kind: fault for fault in FAULTS}


def leaves(kind: str) -> dict[str, Any]:
    return {leaf.key: leaf for leaf in faults.leaves(CATALOGUE[f"chaosmesh.{kind}"])}


def document(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    action = {"name": "a", "fault": kind, "via": "cluster", "duration": "1m", "with": raw}
    return {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": "a"},
        "hypothesis": "It holds.",
        "slis": [{"name": "x", "value": "up", "limit": {"min": 1}}],
        "method": [action],
    }


@pytest.mark.parametrize(
    ("key", "reads"),
    [
        ("with-selector-namespaces", "lines"),
        ("with-selector-labels", "pairs"),
        ("with-selector-expressions", "lines"),
        ("with-selector-pods", "lines"),
        ("with-selector-whole_namespace", "boolean"),
        ("with-mode", "choice"),
        ("with-value", "integer"),
        ("with-latency", "duration"),
        ("with-correlation", "percentage"),
        ("with-target-selector-labels", "pairs"),
        ("with-external_targets", "lines"),
    ],
)
def test_a_selector_has_proper_inputs(key: str, reads: str) -> None:
    assert leaves("network_delay")[key].reads == reads


@pytest.mark.parametrize("kind", set(CATALOGUE) - {"chaosmesh.kernel_fault"})
def test_only_chains_of_the_kernel_are_written_as_yaml(kind: str) -> None:
    assert [leaf.key for leaf in faults.leaves(CATALOGUE[kind]) if leaf.reads == "yaml"] == []


def test_what_is_rare_is_behind_more() -> None:
    found = leaves("network_delay")
    shown = [key for key, leaf in found.items() if not leaf.is_extra]
    assert shown == [
        "with-selector-namespaces",
        "with-selector-labels",
        "with-selector-whole_namespace",
        "with-mode",
        "with-value",
        "with-direction",
        "with-latency",
        "with-jitter",
    ]
    assert found["with-target-selector-labels"].label == "Target · Labels"
    assert not found["with-target-selector-namespaces"].is_required


def test_an_input_names_the_others_that_it_depends_on() -> None:
    found = leaves("network_delay")
    counted = ("fixed", "fixed-percent", "random-max-percent")
    assert found["with-value"].shown_when == (("with-mode", counted),)
    assert found["with-target-value"].shown_when == (("with-target-mode", counted),)
    fields = mapping.document_to_fields(document("chaosmesh.pod_kill", {}), catalogue=CATALOGUE)
    row = Editor(fields, catalogue=CATALOGUE).by_key["method"].rows[0]
    attributes = row.form.fields["method-0-with-value"].widget.attrs
    assert json.loads(attributes["data-shown-when"]) == {"method-0-with-mode": list(counted)}
    assert "data-shown-when" not in row.form.fields["method-0-with-mode"].widget.attrs


@pytest.mark.parametrize("kind", CATALOGUE)
@pytest.mark.parametrize("size", [0, 1])
def test_a_form_that_nobody_touched_changes_nothing(kind: str, size: int) -> None:
    written = document(kind, EVERY[kind][size])
    fields = mapping.document_to_fields(written, catalogue=CATALOGUE)
    assert mapping.fields_to_document(fields, catalogue=CATALOGUE) == written
    assert spec.parse(written, faults=CATALOGUE).errors == ()


def test_a_filled_form_becomes_parameters() -> None:
    fields = mapping.document_to_fields(
        document("chaosmesh.network_delay", {}), catalogue=CATALOGUE
    )
    given = {
        "selector-namespaces": "shop\nbank\n",
        "selector-labels": "app=web\ntier=front",
        "selector-expressions": "env notin (dev, test)",
        "mode": "fixed",
        "value": "2",
        "latency": "90ms",
        "target-selector-pods": "shop/db-0",
    }
    for key, text in given.items():
        fields.setlist(f"method-0-with-{key}", [text])
    made = mapping.fields_to_document(fields, catalogue=CATALOGUE)
    assert made["method"][0]["with"] == {
        "selector": {
            "namespaces": ["shop", "bank"],
            "labels": {"app": "web", "tier": "front"},
            "expressions": ["env notin (dev, test)"],
        },
        "mode": "fixed",
        "value": 2,
        "latency": "90ms",
        "target": {"selector": {"pods": ["shop/db-0"]}},
    }
    assert spec.parse(made, faults=CATALOGUE).errors == ()
