"""The document: what is read, what is refused, and that everything is told at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.units import Duration, Percentage
from experiments.domain import spec
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.method import Breaches
from tests.domain.documents import CATALOGUE, FULL, edited, errors, full, read, without


def test_a_full_document_is_read_with_its_types():
    document = read(full())
    slow, pause, look = document.method
    assert document.title == "Only carts"
    assert slow.params.fixed_delay == Duration("90ms")
    assert slow.params.percentage == Percentage(50)
    assert (slow.duration, slow.on_drift) == (Duration("3m"), "reinject")
    assert (pause.wait, pause.start.delay) == (Duration("10s"), Duration("1s"))
    assert look.start.after == ("slow", "pause")
    assert document.guardrails[0].breaches == Breaches(count=3, of=5)
    assert document.faults == (slow,)
    assert document.aliases == {"mesh", "metrics"}


def test_what_is_left_out_has_defaults():
    raw = {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": "small"},
        "hypothesis": "It holds.",
        "probes": [{"name": "p", "http": {"url": "http://a/"}, "tolerance": {"status": 200}}],
        "method": [{"name": "a", "fault": "fake.abort", "via": "mesh", "duration": "10s"}],
    }
    document = read(raw)
    assert document.title == "small"
    assert document.timing.baseline.wait_s == 180
    assert (document.timing.settle, document.timing.step) == (Duration("1m"), None)
    assert document.method[0].on_drift == "stop"
    assert document.method[0].params.http_status == 503
    assert document.probes[0].at == ("start", "end")
    assert document.probes[0].every == Duration("10s")


def test_guardrails_default_to_three_of_five_and_stop_when_blind():
    rule = read(edited("guardrails.0", {"name": "g", "sli": "errors", "above": "5%"})).guardrails[0]
    assert (str(rule.breaches), rule.every, rule.no_data) == ("3 of 5", Duration("5s"), "stop")


def test_every_error_is_told_at_once_each_with_its_place():
    raw = full(
        kind="Experimental",
        hypothesis="",
        surplus=1,
        timing={"baseline": "-1s", "settle": "soon", "step": "0s"},
        guardrails=[{"name": "g", "sli": "nothing", "above": "5%", "breaches": "6 of 5"}],
    )
    raw["metadata"]["name"] = "Not A Name"
    raw["slis"][2]["margin"] = "5%"
    raw["slis"][3]["limit"] = {"min": "5 bananas"}
    raw["method"][0] |= {"duration": "0s", "fault": "fake.delayed"}
    raw["method"][1]["wait"] = "no"
    raw["method"].append({"name": "slow", "fault": "fake.abort", "via": "mesh", "duration": "1s"})
    raw["method"][3]["with"] = {"percentage": "150%", "http_status": 700, "unknown": 1}
    raw["probes"][0]["tolerance"] = {"regex": "("}
    assert set(errors(raw)) == {
        "kind",
        "hypothesis",
        "surplus",
        "metadata.name",
        "timing.baseline",
        "timing.settle",
        "timing.step",
        "guardrails[0].sli",
        "guardrails[0].breaches",
        "slis[2].margin",
        "slis[3].limit.min",
        "method[0].duration",
        "method[0].fault",
        "method[1].wait",
        "method[3].name",
        "method[3].with.percentage",
        "method[3].with.http_status",
        "method[3].with.unknown",
        "probes[0].tolerance.regex",
    }


@pytest.mark.parametrize(
    ("path", "value", "place", "told"),
    [
        ("apiVersion", "chaos/v1", "apiVersion", "must be chaosweb/v1, not “chaos/v1”"),
        ("apiVersion", "chaosweb/v2", "apiVersion", "newer than this ChaosWeb reads (chaosweb/v1)"),
        ("metadata.name", 7, "metadata.name", "must be a text, not 7"),
        ("metadata.colour", "red", "metadata.colour", "is not a field here"),
        ("slis.0.colour", "red", "slis[0].colour", "is not a field here"),
        ("method.0.colour", "red", "method[0].colour", "is not a field here"),
        ("method.0.with.colour", "red", "method[0].with.colour", "is not a field here"),
        ("method.0.fault", "other.delay", "method[0].fault", "did you mean fake.delay"),
        ("method.0.with", [], "method[0].with", "must be a mapping of names to values, not a list"),
        ("method.0.with.percentage", "101%", "method[0].with.percentage", "101% is outside"),
        ("method.0.on_drift", "panic", "method[0].on_drift", "“panic” is none of"),
        (
            "method.1",
            {"name": "pause"},
            "method[1]",
            "needs exactly one of fault, checkpoint and wait",
        ),
        ("method.1.checkpoint", "Also?", "method[1]", "needs exactly one of"),
        ("method.1.start.delay", "-1s", "method[1].start.delay", "must not be negative"),
        ("method", [], "method", "at least one"),
        ("guardrails.0.breaches", "five", "guardrails[0].breaches", "is not like “3 of 5”"),
        ("guardrails.0.breaches", "6 of 5", "guardrails[0].breaches", "can never happen"),
        ("timing.baseline", {"last": "0s"}, "timing.baseline.last", "must be longer than 0s"),
        ("timing.baseline", {}, "timing.baseline", "needs either a duration or"),
        ("slis.1.quantile.q", 1, "slis[1].quantile.q", "must be less than 1"),
        ("slis.2.ratio.bad", "rate(x[1m])", "slis[2].ratio.bad", ""),
        ("probes.0.http.url", "front", "probes[0].http.url", "“front”"),
        ("probes.0.tolerance", {}, "probes[0].tolerance", "needs at least one of status"),
        ("slis.1.limit", {"max": float("nan")}, "slis[1].limit.max", "not a finite number"),
    ],
)
def test_each_error_says_where_it_is_and_what_is_wrong(path, value, place, told):
    found = errors(edited(path, value))
    assert list(found) == [place]
    assert told in found[place]


@pytest.mark.parametrize(
    "path", ["hypothesis", "metadata.name", "method.0.duration", "probes.0.name"]
)
def test_what_is_missing_is_told_as_missing(path):
    (message,) = errors(without(path)).values()
    assert message == "is missing"


@pytest.mark.parametrize("raw", [None, 3, "text", [], [FULL], True])
def test_what_is_no_mapping_is_refused(raw):
    assert errors(raw) == {"": "the document must be a mapping of fields"}


def test_errors_can_be_raised_with_all_their_places():
    parsed = spec.parse(full(kind="x", hypothesis=""), faults=CATALOGUE)
    with pytest.raises(InvalidDocumentError) as caught:
        parsed.or_raise()
    assert len(caught.value.errors) == 2
    assert "kind: must be Experiment, not “x”" in str(caught.value)


def test_a_document_is_never_validated_without_the_catalogue():
    with pytest.raises(RuntimeError, match="catalogue"):
        spec.Experiment.model_validate(full())


def test_breaches_read_a_count_alone():
    assert read(edited("guardrails.0.breaches", 4)).guardrails[0].breaches.of == 4


def test_a_bare_baseline_is_a_time_to_wait():
    assert read(edited("timing.baseline", "0s")).timing.baseline.wait_s == 0
    assert read(full()).timing.baseline.wait_s == 0, "history is there already"


def test_the_json_schema_knows_every_fault_and_is_json():
    schema = spec.json_schema(CATALOGUE)
    assert json.loads(json.dumps(schema)) == schema
    faults = schema["$defs"]["FaultAction"]["properties"]["fault"]["enum"]
    assert faults == ["fake.abort", "fake.delay", "fake.wipe"]
    assert len(schema["$defs"]["FaultAction"]["allOf"]) == 3


def test_the_json_schema_knows_guardrails_and_jsonpaths():
    definitions = spec.json_schema(CATALOGUE)["$defs"]
    guardrail = definitions["Guardrail"]
    assert {"sli", "promql", "source", "unit", "no_data"} <= set(guardrail["properties"])
    assert guardrail["properties"]["no_data"]["enum"] == ["stop", "ignore", "checkpoint"]
    assert guardrail["required"] == ["name"]
    assert "RFC 9535" in definitions["Tolerance"]["properties"]["jsonpath"]["description"]


def test_too_much_and_too_deep_is_refused_before_it_is_walked():
    deep: object = "end"
    for _ in range(5000):
        deep = [deep]
    assert "nested" in next(iter(errors({"a": deep}).values()))
    assert "values" in errors({"a": [0] * 200_000})[""]
    assert "too large" in errors(edited("slis.1.limit", {"max": 10**400}))["slis[1].limit.max"]
    assert "no text may hold" in errors(full(hypothesis="a\0b"))["hypothesis"]
    assert "no text may hold" in errors(full(hypothesis="\ud800"))["hypothesis"]


words = st.sampled_from(
    [
        "name",
        "slow",
        "errors",
        "fault",
        "fake.delay",
        "with",
        "after",
        "5%",
        "1s",
        "${delay}",
        "${x}",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | words
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | words, inner, max_size=4)
    ),
    max_leaves=12,
)
PLACES = [
    *FULL,
    *(f"{key}.{index}" for key in ("slis", "probes", "method") for index in range(2)),
    *(f"slis.{index}.{key}" for index in range(4) for key in ("limit", "margin", "name", "unit")),
    *(f"slis.0.{key}" for key in ("preset", "with")),
    *(f"method.0.{key}" for key in ("fault", "with", "start", "duration", "name")),
    *(f"method.1.start.{key}" for key in ("with", "after", "delay")),
    *(f"guardrails.0.{key}" for key in ("sli", "above", "below", "breaches")),
    *(f"probes.0.{key}" for key in ("tolerance", "http", "at")),
    "parameters.delay",
    "parameters.delay.default",
]


@settings(max_examples=150, deadline=None)
@given(anything)
def test_arbitrary_json_is_read_or_refused_and_never_raises(raw):
    parsed = spec.parse(raw, faults=CATALOGUE)
    assert (parsed.spec is None) == bool(parsed.errors)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PLACES), anything)
@example("guardrails.0.sli", ["errors"])
@example("slis.1.limit", {"max": 10**400})
@example("slis.1.limit", {"max": True})
@example("method.0.start", {"with": [["slow"]]})
@example("slis.0.preset", [])
def test_one_arbitrary_value_anywhere_is_read_or_refused_and_never_raises(path, value):
    raw = edited(path, value)
    for values in (None, {}, {"delay": value}):
        parsed = spec.parse(raw, faults=CATALOGUE, values=values)
        assert (parsed.spec is None) == bool(parsed.errors)
