"""What no single field can know: rules across the document, over whatever could be read."""

from __future__ import annotations

import pytest

from experiments.domain import rules
from tests.domain.documents import edited, errors, full, read, without

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
    assert "what counts as worse" in errors(without("slis.1.margin"))["slis[1].margin"]
    assert "how far may it degrade" in errors(without("slis.0.limit"))["slis[0].limit"]
    assert "how far may it degrade" in errors(without("slis.3.limit"))["slis[3].limit"]


def test_a_probe_asks_one_thing_and_a_query_has_no_status():
    assert "exactly one" in told("probes.0.promql", {"query": "up"})["probes[0]"]
    assert "http probe" in told("probes.1.tolerance", {"status": 200})["probes[1].tolerance.status"]


def test_a_guardrail_watches_an_sli_that_is_there_on_one_side_in_its_unit():
    assert "did you mean “orders”?" in told("guardrails.0.sli", "order")["guardrails[0].sli"]
    assert "either above or below" in told("guardrails.0.below", "1%")["guardrails[0]"]
    assert "either above or below" in errors(without("guardrails.0.above"))["guardrails[0]"]
    assert "percentage" in told("guardrails.0.above", 0.2)["guardrails[0].above"]


OWN = {"name": "busy", "promql": "sum(queue)", "unit": "s", "above": "2s", "source": "metrics"}


def test_a_guardrail_may_watch_promql_of_its_own():
    raw = full(guardrails=[*full()["guardrails"], OWN])
    assert errors(raw) == {}
    document = read(raw)
    own = document.watched(document.guardrails[1])
    assert (own.name, own.source, own.value, own.in_unit("2s")) == (
        "busy",
        "metrics",
        "sum(queue)",
        2,
    )
    assert [sli.name for sli in document.measures][-1] == "busy"
    assert errors(full(guardrails=[{"name": "g", "promql": "up", "below": 1}])) == {}


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"promql": None}, "", "needs either sli or promql: what does it watch?"),
        ({"sli": "errors", "unit": None, "above": "5%", "source": None}, "", "promql, not both"),
        (
            {"sli": "errors", "promql": None, "above": "5%", "unit": None},
            "source",
            "that of the SLI",
        ),
        (
            {"sli": "errors", "promql": None, "above": "5%", "source": None},
            "unit",
            "belongs to promql",
        ),
        ({"promql": "  "}, "promql", "is missing"),
        ({"promql": ""}, "promql", "is missing"),
        ({"promql": 3}, "promql", "must be a text"),
        ({"above": "20%"}, "above", "20%"),
        ({"above": 0.2, "unit": "ratio"}, "above", "must be a percentage"),
        ({"above": "x", "unit": ""}, "above", "not a number"),
        ({"below": 1}, "", "either above or below"),
        ({"name": "errors"}, "name", "already the name of an SLI"),
        ({"no_data": "wait"}, "no_data", "stop, ignore or checkpoint"),
        ({"unit": "w" * 40, "above": 2}, "unit", "at most 32"),
        ({"source": 3}, "source", "must be a text"),
    ],
)
def test_what_is_wrong_with_a_guardrail_is_told_at_its_field(changes, place, message):
    rail = {key: value for key, value in (OWN | changes).items() if value is not None}
    found = errors(full(guardrails=[rail]))
    assert list(found) == [f"guardrails[0].{place}" if place else "guardrails[0]"]
    assert message in next(iter(found.values()))


def test_everything_wrong_with_a_guardrail_is_told_at_once():
    rail = {"name": "A!", "sli": "nope", "promql": "", "every": "0s", "above": "x", "below": "y"}
    assert set(errors(full(guardrails=[rail]))) == {
        "guardrails[0]",
        "guardrails[0].name",
        "guardrails[0].sli",
        "guardrails[0].promql",
        "guardrails[0].every",
    }


def test_names_of_a_guardrails_checkpoints_are_kept_for_them():
    assert (
        "as the checkpoints that guardrails open"
        in told("method.1.name", "no-data-stop")["method[1].name"]
    )


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        ({"jsonpath": "status"}, "must begin with $"),
        ({"jsonpath": "$.a["}, "is no JSONPath"),
        ({"jsonpath": "$[?typeof(@) == 'x']"}, "'typeof' is not defined"),
        ({"jsonpath": "$" + ".a" * 300}, "at most 500"),
        ({"jsonpath": ""}, "is missing"),
        ({"jsonpath": 3}, "must be a text"),
    ],
)
def test_a_jsonpath_is_compiled_when_the_document_is_read(tolerance, message):
    assert message in told("probes.0.tolerance", tolerance)["probes[0].tolerance.jsonpath"]


def test_a_jsonpath_needs_an_http_answer():
    assert errors(edited("probes.0.tolerance", {"jsonpath": "$.ok", "equals": True})) == {}
    assert errors(edited("probes.0.tolerance", {"jsonpath": "$.ok"})) == {}, "it must exist"
    place = "probes[1].tolerance.jsonpath"
    assert "http probe" in told("probes.1.tolerance", {"jsonpath": "$.ok", "min": 1})[place]
    raw = edited("probes.0.tolerance", {"jsonpath": "$.ok"})
    raw["probes"][0]["http"]["method"] = "HEAD"
    assert "HEAD has none" in errors(raw)["probes[0].tolerance.jsonpath"]


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
