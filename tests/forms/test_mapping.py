"""The document and the fields of the form: nothing is lost between them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.http import urlencode
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.forms import drafts, mapping
from experiments.services import authoring, previewing
from tests.factories import DOCUMENT

CATALOGUE = previewing.catalogue()


def posted(fields):
    """Return the fields as they come back from a browser."""
    return QueryDict(urlencode([(key, text) for key, texts in fields.lists() for text in texts]))


def through_the_form(raw):
    fields = mapping.document_to_fields(raw, catalogue=CATALOGUE)
    return mapping.fields_to_document(posted(fields), catalogue=CATALOGUE)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
scalars = st.one_of(
    words,
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
names = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
amounts = st.one_of(st.sampled_from(["1%", "20 %", "90ms", "1h30m", "${delay}"]), st.integers(0, 9))


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return mappings with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


limits = some(min=amounts, max=amounts)
margins = st.one_of(
    some(relative=amounts),
    some(absolute=amounts),
    some(relative=amounts, absolute=amounts),
    amounts,
)
slis = some(
    name=words,
    title=words,
    source=words,
    ratio=some(bad=words, total=words, odd=scalars),
    quantile=some(histogram=words, q=scalars),
    value=words,
    preset=st.one_of(st.sampled_from(["envoy.edge_errors", "istio.latency"]), words),
    unit=scalars,
    direction=words,
    expect=st.sampled_from(["holds", "degrades", "odd"]),
    limit=limits,
    margin=margins,
    critical=scalars,
    odd=scalars,
    **{"with": st.dictionaries(names, scalars, max_size=3)},
)
starts = st.one_of(
    st.none(),
    some(delay=amounts),
    some(after=st.lists(names), delay=amounts),
    some(**{"with": st.lists(names), "delay": amounts}),
    some(**{"with": st.lists(names), "after": st.lists(names)}),
)
actions = some(
    name=words,
    fault=st.one_of(st.sampled_from(sorted(CATALOGUE)), words),
    via=words,
    duration=scalars,
    checkpoint=words,
    timeout=amounts,
    wait=scalars,
    start=starts,
    on_drift=words,
    **{
        "with": st.one_of(
            some(
                route=scalars,
                percentage=amounts,
                fixed_delay=amounts,
                http_status=scalars,
                odd=words,
            ),
            scalars,
        )
    },
)
probes = some(
    name=words,
    at=st.lists(st.sampled_from(["start", "end", "throughout", "odd"]), unique=True),
    every=amounts,
    http=some(url=words, method=words, headers=st.dictionaries(names, words, max_size=2)),
    promql=some(source=words, query=words),
    tolerance=some(
        status=st.one_of(st.integers(100, 599), st.lists(st.integers(100, 599))),
        equals=scalars,
        min=scalars,
        regex=words,
        jsonpath=words,
    ),
)
documents = some(
    apiVersion=words,
    kind=words,
    metadata=some(
        name=words, title=words, description=words, service=words, tags=st.lists(words), odd=scalars
    ),
    hypothesis=scalars,
    parameters=st.one_of(
        st.dictionaries(names, some(type=words, default=scalars, description=words), max_size=2),
        st.dictionaries(names, scalars, max_size=2),
        scalars,
    ),
    slis=st.one_of(st.lists(st.one_of(slis, scalars), max_size=3), scalars),
    method=st.lists(actions, max_size=3),
    guardrails=st.lists(
        some(
            name=words,
            sli=words,
            promql=words,
            source=words,
            unit=words,
            above=amounts,
            breaches=scalars,
            every=amounts,
            no_data=words,
        ),
        max_size=2,
    ),
    probes=st.lists(probes, max_size=2),
    timing=some(
        baseline=st.one_of(amounts, some(last=amounts), some(length=amounts)),
        settle=amounts,
        step=scalars,
    ),
    odd=scalars,
)


@given(documents)
@settings(max_examples=150, deadline=None)
def test_any_document_survives_the_form_unchanged(raw):
    assert through_the_form(copy.deepcopy(raw)) == raw


def test_a_document_keeps_its_types_and_unknown_fields():
    raw = copy.deepcopy(DOCUMENT) | {"load": {"rate": 5}}
    raw["slis"][3]["limit"] = {"max": 60.0}
    found = through_the_form(raw)
    assert found == raw
    assert isinstance(found["slis"][3]["limit"]["max"], float)


def test_a_document_keeps_the_order_of_its_fields():
    assert list(through_the_form(DOCUMENT)) == list(DOCUMENT)


def test_a_draft_survives_too():
    raw = drafts.document(catalogue=CATALOGUE)
    assert through_the_form(raw) == raw


def changed(changes, raw=None):
    fields = mapping.document_to_fields(raw or copy.deepcopy(DOCUMENT), catalogue=CATALOGUE)
    fields = MultiValueDict({key: list(texts) for key, texts in fields.lists()})
    for key, text in changes.items():
        fields.setlist(key, text if isinstance(text, list) else [text])
    return mapping.fields_to_document(fields, catalogue=CATALOGUE)


@pytest.mark.parametrize(
    ("key", "text", "path", "value"),
    [
        ("slis-0-quantile-q", "0.5", ("slis", 0, "quantile", "q"), 0.5),
        ("slis-3-limit-max", "70", ("slis", 3, "limit", "max"), 70),
        ("slis-3-limit-max", "70 ms", ("slis", 3, "limit", "max"), "70 ms"),
        ("metadata-tags", "one, two", ("metadata", "tags"), ["one", "two"]),
        ("method-0-with-fixed_delay", "2s", ("method", 0, "with", "fixed_delay"), "2s"),
        ("method-0-start-mode", "first", ("method", 0, "start"), {}),
        ("probes-0-tolerance-status", "200, 204", ("probes", 0, "tolerance", "status"), [200, 204]),
        (
            "probes-0-http-headers",
            "a=b\r\nc=d",
            ("probes", 0, "http", "headers"),
            {"a": "b", "c": "d"},
        ),
        ("timing-baseline-mode", "last", ("timing", "baseline"), {"last": "3m"}),
        ("slis-1-margin-of", "", ("slis", 1, "margin"), "20%"),
        ("parameters-0-default", "120ms", ("parameters", "delay", "default"), "120ms"),
    ],
)
def test_an_edit_changes_its_value_alone(key, text, path, value):
    found = changed({key: text})
    wanted = copy.deepcopy(DOCUMENT)
    node: Any = wanted
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    assert found == wanted


def test_an_emptied_field_leaves_the_document_with_its_empty_parent():
    found = changed({"slis-3-limit-max": ""})
    assert "limit" not in found["slis"][3]


def test_a_row_can_be_removed_and_the_others_keep_theirs():
    found = changed({"slis-rows": ["2", "0"]})
    assert found["slis"] == [DOCUMENT["slis"][2], DOCUMENT["slis"][0]]


def test_another_kind_of_sli_drops_the_old_measure():
    found = changed({"slis-0-kind": "ratio", "slis-0-ratio-bad": "a", "slis-0-ratio-total": "b"})
    assert found["slis"][0]["ratio"] == {"bad": "a", "total": "b"}
    assert "quantile" not in found["slis"][0]


def test_a_guardrail_changes_from_an_sli_to_promql_of_its_own_and_back():
    own = {
        "guardrails-0-kind": "promql",
        "guardrails-0-promql": "sum(queue)",
        "guardrails-0-unit": "jobs",
        "guardrails-0-source": "metrics",
        "guardrails-0-above": "60",
    }
    found = changed(own)
    assert found["guardrails"] == [
        {
            "name": "too-many-errors",
            "promql": "sum(queue)",
            "unit": "jobs",
            "source": "metrics",
            "above": 60,
            "every": "5s",
        }
    ]
    assert authoring.validate(found).spec is not None
    back = changed(
        {
            "guardrails-0-kind": "sli",
            "guardrails-0-sli": "orders_errors",
            "guardrails-0-above": "20%",
        },
        found,
    )
    assert back["guardrails"] == DOCUMENT["guardrails"]


def test_fields_of_promql_that_a_guardrail_on_an_sli_has_can_be_emptied():
    raw = copy.deepcopy(DOCUMENT)
    raw["guardrails"][0] |= {"promql": "up", "unit": "s"}
    found = changed({"guardrails-0-promql": "", "guardrails-0-unit": ""}, raw)
    assert found["guardrails"] == DOCUMENT["guardrails"]


def test_a_probe_selects_from_json():
    edits = {"probes-0-tolerance-jsonpath": "$.ok", "probes-0-tolerance-equals": "true"}
    found = changed(edits)
    assert found["probes"][0]["tolerance"] == {"status": 200, "jsonpath": "$.ok", "equals": True}
    assert authoring.validate(found).spec is not None


def test_another_fault_drops_the_parameters_of_the_old_one():
    found = changed({"method-0-fault": "fake.abort", "method-0-with-http_status": "500"})
    assert found["method"][0]["with"] == {"target": "carts", "http_status": 500}


def test_a_delay_after_the_action_above_names_it():
    raw = copy.deepcopy(DOCUMENT)
    raw["method"].append({"name": "look", "checkpoint": "Does it still fill?"})
    found = changed({"method-1-start-delay": "30s"}, raw)
    assert found["method"][1]["start"] == {"after": ["slow-carts"], "delay": "30s"}


def test_broken_hidden_fields_do_no_harm():
    found = changed({"base": "{", "slis-0-base": "nonsense", "method-0-base": "[1]"})
    assert found["slis"][0]["name"] == "carts_p95"
    assert authoring.validate(found).spec is not None
