"""What no single field can know: rules across the document, over whatever could be read."""

from __future__ import annotations

import pytest

from experiments.domain import rules
from tests.domain.documents import edited, errors, full, without

HOLDS = {"name": "a", "quantile": {"histogram": "x_bucket"}}


def told(path, value):
    return errors(edited(path, value))


def test_something_must_be_judged():
    raw = full(slis=[], probes=[], guardrails=[])
    assert errors(raw) == {
        "slis": "an experiment needs at least one SLI or probe: nothing could be judged"
    }
    assert errors(full(slis=[], guardrails=[])) == {}
    assert errors(full(probes=[])) == {}


def test_a_method_needs_a_fault():
    assert "at least one fault" in errors(full(method=[{"name": "a", "wait": "1s"}]))["method"]


@pytest.mark.parametrize("key", ["slis", "probes", "method", "guardrails"])
def test_names_are_given_once(key):
    raw = full()
    raw[key].append(raw[key][0])
    place = f"{key}[{len(raw[key]) - 1}].name"
    assert "is already the name of number 1" in errors(raw)[place]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantile": None}, "needs exactly one of ratio, quantile, value and preset"),
        ({"value": "up"}, "not quantile and value"),
        ({"preset": "sock_shop.latency", "with": {"service": "a"}}, "not quantile and preset"),
    ],
)
def test_an_sli_measures_exactly_one_thing(changes, message):
    raw = HOLDS | {"margin": {"relative": "20%"}} | changes
    assert message in told("slis.1", raw | {"name": "orders"})["slis[1]"]


def test_fields_of_a_preset_need_a_preset():
    assert "there is none" in told("slis.1.with", {"service": "a"})["slis[1].with"]


def test_a_preset_reports_its_own_fields():
    assert "did you mean" in told("slis.0.with", {"servce": "carts"})["slis[0].with.servce"]
    assert "there is no preset" in told("slis.0.preset", "sock_shop.latenzy")["slis[0].preset"]


@pytest.mark.parametrize("margin", ["20%", 0.2, 5, "1s"])
def test_a_bare_margin_is_ambiguous(margin):
    message = told("slis.2.margin", margin)["slis[2].margin"]
    assert "is ambiguous: write {relative: 20%}" in message


@pytest.mark.parametrize(
    ("margin", "place"),
    [
        ({}, "margin"),
        ({"relative": "5%", "absolute": "5%"}, "margin"),
        ({"relative": "-5%"}, "margin.relative"),
        ({"absolute": "-5%"}, "margin.absolute"),
        ({"absolute": 0.01}, "margin.absolute"),
        ({"absolute": "10ms"}, "margin.absolute"),
    ],
)
def test_a_margin_of_a_ratio_is_a_share_of_one_kind(margin, place):
    assert f"slis[2].{place}" in told("slis.2.margin", margin)


@pytest.mark.parametrize(
    ("index", "limit", "place"),
    [
        (0, {"max": "5%"}, "limit.max"),
        (0, {"max": "1s"}, None),
        (0, {"max": 0.5}, None),
        (2, {"max": 0.01}, "limit.max"),
        (2, {"max": "1%"}, None),
        (3, {"min": "5%"}, "limit.min"),
        (3, {"min": 5}, None),
        (3, {"min": "5"}, None),
        (3, {}, "limit"),
        (0, {"max": "nan"}, "limit.max"),
        (3, {"max": "inf"}, "limit.max"),
    ],
)
def test_a_limit_is_in_the_unit_of_its_sli(index, limit, place):
    found = told(f"slis.{index}.limit", limit)
    assert list(found) == ([f"slis[{index}].{place}"] if place else [])


def test_what_holds_needs_a_measure_of_worse_and_what_degrades_a_limit():
    assert "what counts as worse" in errors(without("slis.1.margin"))["slis[1]"]
    assert "how far may it degrade" in errors(without("slis.0.limit"))["slis[0].limit"]
    assert "how far may it degrade" in errors(without("slis.3.limit"))["slis[3].limit"]


def test_a_probe_asks_one_thing_and_a_query_has_no_status():
    assert "exactly one" in told("probes.0.promql", {"query": "up"})["probes[0]"]
    assert "http probe" in told("probes.1.tolerance", {"status": 200})["probes[1].tolerance.status"]


def test_a_guardrail_watches_an_sli_that_is_there_on_one_side_in_its_unit():
    assert "there are carts, orders" in told("guardrails.0.sli", "order")["guardrails[0].sli"]
    assert "either above or below" in told("guardrails.0.below", "1%")["guardrails[0]"]
    assert "either above or below" in errors(without("guardrails.0.above"))["guardrails[0]"]
    assert "percentage" in told("guardrails.0.above", 0.2)["guardrails[0].above"]


@pytest.mark.parametrize(
    ("start", "place", "message"),
    [
        ({"with": ["slow"], "after": ["look"]}, "start", "either with or after"),
        ({"with": ["nobody"]}, "start.with[0]", "there is no action “nobody”"),
        ({"after": ["slow", "pause"]}, "start.after[1]", "cannot wait for itself"),
    ],
)
def test_a_start_names_other_actions(start, place, message):
    assert message in told("method.1.start", start)[f"method[1].{place}"]


def test_actions_that_wait_for_each_other_never_begin():
    found = told("method.0.start", {"after": ["look"]})
    (message,) = found.values()
    assert "goes round in a circle" in message
    assert "slow" in message
    assert "look" in message


def test_the_silent_order_of_the_list_counts_in_a_circle():
    raw = full(
        method=[
            {"name": "a", "fault": "fake.abort", "via": "m", "duration": "1s"}
            | {"start": {"after": ["b"]}},
            {"name": "b", "wait": "1s"},
        ]
    )
    assert "circle" in next(iter(errors(raw).values()))


@pytest.mark.parametrize("raw", [{}, {"slis": 3, "method": "x", "guardrails": [1, None, []]}])
def test_rules_read_whatever_is_there(raw):
    assert isinstance(rules.check(raw), list)
