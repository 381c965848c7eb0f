"""Merging two people's changes: disjoint ones come together, the rest is asked, nothing is lost."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.domain import text as yaml
from experiments.domain.differences import ABSENT, differences
from experiments.domain.merging import merge
from experiments.domain.merging_text import merge_texts, woven
from experiments.domain.patching.matching import same
from tests import factories

BASE = factories.document()
FIELDS = [
    (("hypothesis",), st.sampled_from(["Nothing fails.", "Only carts is slow."])),
    (("metadata", "title"), st.sampled_from(["Slow carts", "Carts, slowly"])),
    (("parameters", "delay", "default"), st.sampled_from(["80ms", "120ms"])),
    (("slis", 0, "expect"), st.sampled_from(["holds", "may_degrade"])),
    (("slis", 0, "limit", "max"), st.sampled_from(["400ms", "600ms"])),
    (("slis", 1, "margin"), st.sampled_from([{"absolute": "5ms"}, {"relative": "30%"}])),
    (("slis", 2, "critical"), st.just(False)),
    (("slis", 3, "unit"), st.sampled_from(["orders", "baskets"])),
    (("timing", "baseline"), st.sampled_from(["4m", {"last": "30m"}])),
    (("timing", "settle"), st.sampled_from(["2m", "3m"])),
    (("method", 0, "duration"), st.sampled_from(["2m", "5m"])),
    (("method", 0, "on_drift"), st.sampled_from(["reinject", "ignore"])),
    (("method", 0, "with", "percentage"), st.sampled_from(["50%", "10%"])),
    (("guardrails", 0, "above"), st.sampled_from(["10%", "30%"])),
    (("guardrails", 0, "every"), st.sampled_from(["2s", "10s"])),
    (("probes", 0, "tolerance"), st.sampled_from([{"status": 204}, {"regex": "ok"}])),
]
"""Places that do not touch one another, with values that the base does not have there."""
NEW = {
    "slis": {"name": "fresh_sli", "value": "up", "expect": "holds"},
    "method": {"name": "fresh-wait", "wait": "10s"},
    "guardrails": {"name": "fresh-guard", "promql": "up", "below": 1},
}
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)


def put(document, path, value):
    *way, last = path
    for part in way:
        document = document[part]
    document[last] = value


def at(document, path):
    for part in path:
        document = document[part]
    return document


@st.composite
def edits(draw):
    """Return two sets of changes of different places: path by path, and items that are added."""
    places = draw(st.lists(st.sampled_from(range(len(FIELDS))), unique=True))
    sides = [{}, {}]
    for number in places:
        path, values = FIELDS[number]
        sides[draw(st.integers(0, 1))][path] = draw(values)
    added = [draw(st.sets(st.sampled_from(sorted(NEW)))) for _ in range(2)]
    return sides, added


def applied(changes, added, suffix=""):
    document = copy.deepcopy(BASE)
    for path, value in changes.items():
        put(document, path, value)
    for key in added:
        document[key].append({**NEW[key], "name": NEW[key]["name"] + suffix})
    return document


@PATIENT
@given(edits())
def test_disjoint_changes_merge_to_both(made):
    (left, right), (adds, more) = made
    theirs, mine = applied(left, adds), applied(right, more, "-mine")
    found = merge(BASE, theirs, mine)
    assert found.conflicts == ()
    for path, value in {**left, **right}.items():
        assert same(at(found.document, path), value)
    for key in NEW:
        names = {item["name"] for item in found.document[key]}
        wanted = {each["name"] for side in (BASE, theirs, mine) for each in side[key]}
        assert names == wanted
    turned = merge(BASE, mine, theirs)
    assert turned.conflicts == ()
    kinds = [{each.kind for each in differences(found.document, turned.document)}]
    assert kinds[0] <= {"moved"}, "only the order of what both added differs"


@PATIENT
@given(edits())
def test_the_same_changes_merge_to_themselves(made):
    (left, _), (adds, _) = made
    both = applied(left, adds)
    found = merge(BASE, both, copy.deepcopy(both))
    assert found.conflicts == ()
    assert same(found.document, both)


@PATIENT
@given(st.data())
def test_conflicting_changes_are_reported_and_no_value_is_lost(data):
    chosen = data.draw(st.lists(st.sampled_from(range(len(FIELDS))), min_size=1, unique=True))
    left, right = {}, {}
    for number in chosen:
        path, values = FIELDS[number]
        left[path], right[path] = data.draw(values), data.draw(values)
    theirs, mine = applied(left, ()), applied(right, ())
    apart = [path for path in left if not same(left[path], right[path])]
    found = merge(BASE, theirs, mine)
    assert len(found.conflicts) == len(apart)
    told = [(json.dumps(each.theirs), json.dumps(each.mine)) for each in found.conflicts]
    for path in apart:
        assert (json.dumps(left[path]), json.dumps(right[path])) in told
    assert same(found.document, theirs), "without a choice theirs stand"
    choices = {each.key: "mine" for each in found.conflicts}
    assert same(merge(BASE, theirs, mine, choices).document, mine)
    choices = {each.key: "base" for each in found.conflicts}
    again = merge(BASE, theirs, mine, choices).document
    for path in apart:
        *way, last = path
        assert same(at(again, way).get(last), at(BASE, way).get(last))


@PATIENT
@given(edits())
def test_texts_of_disjoint_changes_mean_the_merged_document(made):
    (left, right), (adds, more) = made
    theirs, mine = applied(left, adds), applied(right, more, "-mine")
    texts = [yaml.write(each) for each in (BASE, theirs, mine)]
    found = merge_texts(*texts)
    assert same(yaml.read(found.text), merge(BASE, theirs, mine).document)


def test_what_one_removed_and_the_other_changed_is_asked():
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    del theirs["slis"][1]
    mine["slis"][1]["margin"] = {"relative": "30%"}
    (conflict,) = merge(BASE, theirs, mine).conflicts
    assert (conflict.where, conflict.theirs) == ("SLI orders_p95", ABSENT)
    assert conflict.mine["margin"] == {"relative": "30%"}
    assert [sli["name"] for sli in merge(BASE, theirs, mine).document["slis"]] == [
        "carts_p95",
        "orders_errors",
        "queue_length",
    ]
    kept = merge(BASE, theirs, mine, {conflict.key: "mine"}).document
    assert same(kept, mine)


def test_what_one_removed_and_the_other_left_alone_is_gone():
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    del theirs["probes"]
    del mine["guardrails"][0]
    found = merge(BASE, theirs, mine)
    assert found.conflicts == ()
    assert "probes" not in found.document
    assert found.document["guardrails"] == []


def test_a_renamed_item_keeps_what_the_other_changed_in_it():
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    theirs["slis"][3]["name"] = "backlog"
    mine["slis"][3]["limit"] = {"max": 80}
    found = merge(BASE, theirs, mine)
    assert found.conflicts == ()
    assert found.document["slis"][3] == {**mine["slis"][3], "name": "backlog"}


def test_a_fault_and_its_parameters_are_one_thing():
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    theirs["method"][0] |= {"fault": "fake.abort", "with": {"target": "carts", "status": 503}}
    mine["method"][0]["with"]["percentage"] = "50%"
    mine["method"][0]["on_drift"] = "reinject"
    found = merge(BASE, theirs, mine)
    (conflict,) = found.conflicts
    assert conflict.field == "fault, with"
    assert found.document["method"][0] == {**theirs["method"][0], "on_drift": "reinject"}
    chosen = merge(BASE, theirs, mine, {conflict.key: "mine"})
    assert same(chosen.document, mine)


def test_tags_of_both_are_kept_and_those_of_neither_go():
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    theirs["metadata"]["tags"] = ["latency", "carts"]
    mine["metadata"]["tags"] = ["friday"]
    found = merge(BASE, theirs, mine)
    assert found.conflicts == ()
    assert found.document["metadata"]["tags"] == ["carts", "friday"]


@pytest.mark.parametrize("side", ["theirs", "mine", "base"])
def test_two_orders_are_asked_and_no_item_is_lost(side):
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    theirs["slis"].reverse()
    theirs["slis"].append(NEW["slis"])
    mine["slis"] = [mine["slis"][place] for place in (1, 0, 2, 3)]
    (conflict,) = merge(BASE, theirs, mine).conflicts
    assert conflict.where == "order of SLIs"
    made = merge(BASE, theirs, mine, {conflict.key: side}).document["slis"]
    names = [sli["name"] for sli in made]
    wanted = {"theirs": theirs, "mine": mine, "base": BASE}[side]["slis"]
    assert [name for name in names if name != "fresh_sli"] == [
        sli["name"] for sli in wanted if sli["name"] != "fresh_sli"
    ]
    assert "fresh_sli" in names


def test_two_actions_added_at_one_place_are_both_there_and_noted():
    theirs, mine = copy.deepcopy(BASE), copy.deepcopy(BASE)
    theirs["method"].append({"name": "look", "checkpoint": "Fine?"})
    mine["method"].append({"name": "rest", "wait": "10s"})
    found = merge(BASE, theirs, mine)
    assert [action["name"] for action in found.document["method"]] == ["slow-carts", "look", "rest"]
    assert "rest now comes after look" in found.notes[0]


def test_comments_of_both_stay():
    base = yaml.write(BASE)
    theirs = base.replace("baseline: 3m", "baseline: 4m  # as in March").replace(
        "method:", "# one fault only\nmethod:"
    )
    mine = base.replace("settle: 1m", "settle: 2m  # it takes its time")
    found = merge_texts(base, theirs, mine)
    assert found.conflicts == ()
    assert found.homeless == ()
    for kept in ("baseline: 4m  # as in March", "# one fault only", "2m  # it takes its time"):
        assert kept in found.text


def test_a_comment_on_a_line_that_both_changed_is_told_if_it_has_no_place():
    base = yaml.write(BASE)
    theirs = base.replace("settle: 1m", "settle: 3m  # theirs")
    mine = base.replace("settle: 1m", "settle: 2m  # mine, with a reason")
    found = merge_texts(base, theirs, mine)
    (conflict,) = found.conflicts
    assert (conflict.where, conflict.field) == ("timing", "settle")
    assert found.homeless == ("# mine, with a reason",)
    chosen = merge_texts(base, theirs, mine, {conflict.key: "mine"})
    assert yaml.read(chosen.text)["timing"]["settle"] == "2m"


def test_lines_that_one_side_changed_are_that_sides():
    assert woven("a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nb\nc\nD\n") == "a\nB\nc\nD\n"
    assert woven("a\nb\nc\n", "a\nB\nc\n", "A\nb2\nc\n") == "A\nB\nc\n", "line by line"
    assert woven("a\nb\n", "a\nX\nb\n", "a\nY\nb\n") == "a\nX\nb\n", "theirs stand"
    assert woven("a\na\n", "a\na\na\n", "b\na\na\n") == "b\na\na\na\n"


def test_texts_that_would_take_minutes_to_compare_are_merged_by_what_they_mean():
    base = yaml.write(BASE)
    theirs = base.replace("settle: 1m", "settle: 3m") + "#\n# x\n" * 1000
    mine = base.replace("baseline: 3m", "baseline: 4m  # mine") + "#\n# x\n# x\n" * 700
    base += "#\n" * 2000
    assert woven(base, theirs, mine) is None
    found = merge_texts(base, theirs, mine)
    assert yaml.read(found.text)["timing"] == BASE["timing"] | {"settle": "3m", "baseline": "4m"}
    assert "# mine" in found.text or found.homeless == ("# mine",)
    # Lines that only one side added, however many and alike, cost nothing.
    assert woven(base, base + "#\n" * 20_000, base) == base + "#\n" * 20_000
