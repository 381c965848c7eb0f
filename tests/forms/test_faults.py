"""Fields of faults, made from their models."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel, Field

from drivers.protocol import FaultParams
from drivers.units import Duration
from experiments.forms import faults, mapping
from experiments.forms.editor import Editor
from experiments.services import previewing


class Selector(BaseModel):
    namespaces: list[str] = Field(
        default=[], title="Namespaces", json_schema_extra={"suggest": "namespaces"}
    )
    labels: dict[str, str] = Field(default={}, title="Labels")


class Everything(FaultParams):
    """A fault with a field of every kind."""

    kind: ClassVar[str] = "fake.everything"
    title: ClassVar[str] = "Everything"
    summary: ClassVar[str] = "Does it all."
    needs: ClassVar[str] = ""
    metrics: ClassVar[str] = ""
    family: ClassVar[str] = "test"

    selector: Selector = Selector()
    mode: Literal["one", "all"] = Field(
        "one", title="Mode", json_schema_extra={"enum_labels": {"one": "any one of them"}}
    )
    count: int = Field(3, ge=1, le=9, title="Count", json_schema_extra={"unit": "pods"})
    is_forced: bool = False
    wait: Duration | None = None
    ports: list[int] = Field(default=[], title="Ports")
    rest: dict[str, list[int]] = Field(default={}, title="Rest")
    who: str = Field(title="Who", examples=["carts"], json_schema_extra={"suggest": "people"})


CATALOGUE: dict[str, type[FaultParams]] = {**previewing.catalogue(), Everything.kind: Everything}


def by_key():
    return {leaf.key: leaf for leaf in faults.leaves(Everything)}


@pytest.mark.parametrize(
    ("key", "reads"),
    [
        ("with-selector-namespaces", "lines"),
        ("with-selector-labels", "pairs"),
        ("with-mode", "choice"),
        ("with-count", "integer"),
        ("with-is_forced", "boolean"),
        ("with-wait", "duration"),
        ("with-ports", "lines"),
        ("with-rest", "yaml"),
        ("with-who", "text"),
    ],
)
def test_each_type_has_its_input(key, reads):
    assert by_key()[key].reads == reads


def test_enums_bounds_units_and_examples_are_told():
    leaves = by_key()
    assert leaves["with-mode"].choices == (("one", "any one of them"), ("all", "all"))
    assert leaves["with-count"].unit == "pods"
    assert "From 1 to 9" in leaves["with-count"].help
    assert leaves["with-who"].is_required
    assert leaves["with-who"].placeholder == "for example carts"


def test_a_new_fault_survives_the_form_and_takes_edits():
    with_ = {
        "selector": {"namespaces": ["shop"], "labels": {"name": "carts"}},
        "ports": [80, 443],
        "rest": {"a": [1]},
        "is_forced": True,
        "who": "me",
    }
    raw = {"method": [{"name": "x", "fault": Everything.kind, "with": with_}]}
    fields = mapping.document_to_fields(raw, catalogue=CATALOGUE)
    assert mapping.fields_to_document(fields, catalogue=CATALOGUE) == raw
    fields["method-0-with-ports"] = "80\n8080"
    fields["method-0-with-selector-labels"] = "name=orders"
    fields["method-0-with-is_forced"] = "false"
    fields["method-0-with-rest"] = "a: [1, 2]"
    made = mapping.fields_to_document(fields, catalogue=CATALOGUE)["method"][0]["with"]
    assert made["ports"] == [80, 8080]
    assert made["selector"]["labels"] == {"name": "orders"}
    assert made["is_forced"] is False
    assert made["rest"] == {"a": [1, 2]}


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_fault_has_a_form_and_an_example_that_validates(kind):
    model = CATALOGUE[kind]
    model.model_validate(faults.example(model))
    raw = {"method": [{"name": "x", "fault": kind, "with": faults.example(model)}]}
    editor = Editor(mapping.document_to_fields(raw, catalogue=CATALOGUE), catalogue=CATALOGUE)
    shown = {
        leaf.path[1]
        for leaf in editor.by_key["method"].rows[0].shape.leaves
        if leaf.path[0] == "with"
    }
    assert shown == set(model.model_fields)
    assert all(leaf.label for leaf in faults.leaves(model))


def test_what_a_field_suggests_comes_from_its_model_and_reaches_its_input():
    found = {key: leaf.suggests for key, leaf in by_key().items() if leaf.suggests}
    assert found == {
        "with-who": "fake:people",
        "with-selector-namespaces": "fake:namespaces",
    }
    document = {"method": [{"name": "a", "fault": Everything.kind, "via": "mesh", "with": {}}]}
    editor = Editor(mapping.document_to_fields(document, catalogue=CATALOGUE), catalogue=CATALOGUE)
    (row,) = editor.by_key["method"].rows
    marked = {
        name: bound.field.widget.attrs["data-suggest"]
        for name in row.form.fields
        if "data-suggest" in (bound := row.form[name]).field.widget.attrs
    }
    assert marked == {
        "method-0-via": "alias:fake",
        "method-0-with-who": "fake:people",
        "method-0-with-selector-namespaces": "fake:namespaces",
    }
