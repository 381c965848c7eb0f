"""What changed between two documents, in words."""

from __future__ import annotations

import pytest

from experiments.domain.differences import Difference, differences
from tests import factories


def change(**fields):
    """Return the cast's document with other fields below its items, by place."""
    raw = factories.document()
    for path, value in fields.items():
        *parents, last = path.split("__")
        node = raw
        for part in parents:
            node = node[int(part)] if part.isdecimal() else node[part]
        if value is None:
            del node[last]
        else:
            node[last] = value
    return raw


def test_the_same_document_has_no_difference():
    assert differences(factories.document(), factories.document()) == []


def test_a_changed_value_is_told_with_the_item_that_it_belongs_to():
    new = change(slis__1__margin__relative="25%", method__0__with__fixed_delay="120ms")
    assert differences(factories.document(), new) == [
        Difference("changed", "SLI orders_p95", "margin.relative", "20%", "25%"),
        Difference("changed", "action slow-carts", "with.fixed_delay", "${delay}", "120ms"),
    ]


def test_fields_come_and_go():
    new = change(slis__2__critical=None, guardrails__0__no_data="ignore")
    assert differences(factories.document(), new) == [
        Difference("removed", "SLI orders_errors", "critical", old="true"),
        Difference("added", "guardrail too-many-errors", "no_data", new="ignore"),
    ]


def test_items_come_and_go_and_say_what_they_are():
    new = factories.document()
    gone = new["slis"].pop(3)
    new["method"].append({"name": "look", "checkpoint": "Does it fill?"})
    found = differences(factories.document(), new)
    assert [(each.kind, each.where) for each in found] == [
        ("removed", "SLI queue_length"),
        ("added", "action look"),
    ]
    assert found[0].old.startswith(f"name: queue_length, value: {gone['value']}")
    assert found[1].new == "name: look, checkpoint: Does it fill?"


def test_an_item_that_only_has_another_name_was_renamed():
    found = differences(factories.document(), change(slis__3__name="backlog"))
    assert found == [Difference("renamed", "SLI backlog", "name", "queue_length", "backlog")]


def test_another_order_is_told_once_and_changes_no_item():
    new = factories.document()
    new["slis"].insert(0, new["slis"].pop())
    assert differences(factories.document(), new) == [
        Difference(
            "moved",
            "order of SLIs",
            "",
            "carts_p95, orders_p95, orders_errors, queue_length",
            "queue_length, carts_p95, orders_p95, orders_errors",
        )
    ]


def test_parameters_timing_metadata_and_the_hypothesis_are_told():
    new = change(
        parameters__delay__default="120ms",
        timing__settle="2m",
        metadata__title="Another",
        hypothesis="Nobody notices.",
    )
    found = {
        (each.where, each.field): (each.old, each.new)
        for each in differences(factories.document(), new)
    }
    assert found == {
        ("metadata", "title"): ("Only carts feels 90 ms", "Another"),
        ("document", "hypothesis"): (factories.DOCUMENT["hypothesis"], "Nobody notices."),
        ("parameter delay", "default"): ("90ms", "120ms"),
        ("timing", "settle"): ("1m", "2m"),
    }


def test_parameters_have_no_order():
    old = {"parameters": {"a": {"type": "text"}, "b": {"type": "text"}}}
    new = {"parameters": {"b": {"type": "text"}, "a": {"type": "text"}}}
    assert differences(old, new) == []


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), ("1", 1), (None, "")])
def test_values_of_other_types_differ(old, new):
    (found,) = differences({"timing": {"step": old}}, {"timing": {"step": new}})
    assert found.kind == "changed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"slis": "nonsense"}, {"slis": []}),
        ({"slis": [1, None, {"name": 3}]}, {"slis": [{"name": "a"}, {"name": "a"}]}),
        ({"method": {"a": 1}}, {"method": [2]}),
        ({}, {"timing": None}),
    ],
)
def test_drafts_that_are_no_documents_are_compared_too(old, new):
    assert differences(old, new)
    assert differences(old, old) == []


def test_a_long_value_is_cut():
    (found,) = differences({"hypothesis": "x"}, {"hypothesis": "y" * 1000})
    assert len(found.new) == 160
    assert found.new.endswith("…")
