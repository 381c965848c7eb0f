"""Where a document may name a secret, and what is said where it may not."""

from __future__ import annotations

import copy

import pytest

from experiments.domain import secrets
from experiments.services import authoring
from tests.factories import DOCUMENT


def document(headers=None, **changes):
    raw = copy.deepcopy(DOCUMENT) | changes
    if headers is not None:
        raw["probes"][0]["http"]["headers"] = headers
    return raw


def errors(raw, values=None):
    found = authoring.validate(raw, values=values).errors
    return {error.dotted: error.message for error in found}


@pytest.mark.parametrize(
    "value", ["${secret:token}", "Bearer ${secret:api-token}", "${secret:a}:${secret:b_2}"]
)
def test_a_header_of_an_http_probe_may_hold_secrets(value):
    raw = document({"Authorization": value})
    assert errors(raw) == {}
    spec = authoring.validate(raw).spec
    assert spec.probes[0].http.headers == {"Authorization": value}
    assert secrets.of_document(raw) == secrets.names(value)


@pytest.mark.parametrize(
    "value",
    [
        "${secret:}",
        "${secret:Token}",
        "${ secret:token}",
        "${SECRET:token}",
        "${secret:a b}",
        f"${{secret:{'a' * 64}}}",
        "${secret:good} ${secret:Bad}",
        "${secret:open",
    ],
)
def test_what_was_meant_as_a_secret_is_never_sent_as_a_text(value):
    found = errors(document({"X-Token": value}))
    assert list(found) == ["probes[0].http.headers.X-Token"]
    assert "${secret:name}" in found["probes[0].http.headers.X-Token"]


ELSEWHERE = [
    (("hypothesis",), "hypothesis"),
    (("metadata", "title"), "metadata.title"),
    (("metadata", "tags", 0), "metadata.tags[0]"),
    (("probes", 0, "http", "url"), "probes[0].http.url"),
    (("probes", 0, "name"), "probes[0].name"),
    (("probes", 0, "tolerance", "regex"), "probes[0].tolerance.regex"),
    (("parameters", "delay", "default"), "parameters.delay.default"),
    (("parameters", "delay", "description"), "parameters.delay.description"),
    (("slis", 3, "value"), "slis[3].value"),
    (("method", 0, "with", "target"), "method[0].with.target"),
    (("guardrails", 0, "above"), "guardrails[0].above"),
]


@pytest.mark.parametrize(("path", "dotted"), ELSEWHERE)
def test_a_secret_anywhere_else_is_an_error_at_its_path(path, dotted):
    raw = document()
    node = raw
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = "${secret:token}"
    told = [error.message for error in authoring.validate(raw).errors if error.dotted == dotted]
    assert any("probes[].http.headers" in message for message in told)


def test_a_key_may_not_hold_one():
    found = errors(document({"${secret:token}": "x"}))
    assert "probes[].http.headers" in found["probes[0].http.headers"]


def test_a_parameter_brings_none_in():
    parameters = {**DOCUMENT["parameters"], "who": {"type": "text", "default": "me"}}
    raw = document({"X-Who": "${who}"}, parameters=parameters)
    assert errors(raw, {"who": "you"}) == {}
    assert list(errors(raw, {"who": "${secret:token}"})) == ["parameters.who"]
    raw["parameters"]["who"]["default"] = "${secret:token}"
    assert "parameters.who.default" in errors(raw)
