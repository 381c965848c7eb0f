"""Probes held against their tolerances: texts, numbers, and values inside JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.http import MAX_TEXT_BYTES, HttpAnswer
from experiments import backends
from experiments.domain.method import Probe
from experiments.models import Environment
from experiments.services import probing

HEALTH = {
    "status": "ok",
    "ready": True,
    "lag": 3,
    "share": 0.25,
    "text": "12",
    "none": None,
    "checks": [{"name": "db", "ms": 3}, {"name": "queue", "ms": 40}],
}


def outcome(
    monkeypatch: pytest.MonkeyPatch, answer: Any, tolerance: dict[str, Any], **changes: Any
) -> tuple[bool | None, str]:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    given = HttpAnswer(changes.get("status", 200), {}, text, 0.01, changes.get("cut", False))
    monkeypatch.setattr(backends, "fetch", lambda **_: given)
    asked = Probe.model_validate(
        {"name": "p", "http": {"url": "http://front/"}, "tolerance": tolerance}
    )
    found = probing.probe(asked, Environment(name="e", allowed_hosts=["front"]), {})
    return found.passed, found.detail


@pytest.mark.parametrize(
    ("tolerance", "missed"),
    [
        ({"jsonpath": "$.status", "equals": "ok"}, ""),
        ({"jsonpath": "$.status", "equals": "up"}, "$.status is ok: must equal up"),
        ({"jsonpath": "$.status"}, ""),
        ({"jsonpath": "$.missing"}, "nothing is at $.missing"),
        ({"jsonpath": "$.ready", "equals": True}, ""),
        ({"jsonpath": "$.ready", "equals": False}, "$.ready is true: must equal false"),
        ({"jsonpath": "$.ready", "equals": 1}, "$.ready is true: must equal 1"),
        ({"jsonpath": "$.ready", "min": 0}, "$.ready is true: is not a number"),
        ({"jsonpath": "$.lag", "equals": 3}, ""),
        ({"jsonpath": "$.lag", "equals": "3"}, ""),
        ({"jsonpath": "$.lag", "max": 2}, "$.lag is 3: must be at most 2"),
        ({"jsonpath": "$.share", "min": 0.2, "max": 0.3}, ""),
        ({"jsonpath": "$.text", "min": 10}, ""),
        ({"jsonpath": "$.none", "equals": "null"}, ""),
        ({"jsonpath": "$.none", "max": 1}, "$.none is null: is not a number"),
        ({"jsonpath": "$.status", "regex": "^o"}, ""),
        ({"jsonpath": "$.status", "regex": "^x"}, "$.status is ok: must match ^x"),
        ({"jsonpath": "$.checks[*].ms", "max": 50}, ""),
        ({"jsonpath": "$.checks[*].ms", "max": 10}, "$.checks[*].ms is 40: must be at most 10"),
        ({"jsonpath": "$.checks[?@.ms > 99].name"}, "nothing is at $.checks[?@.ms > 99].name"),
        ({"jsonpath": "$.checks[0]", "equals": '{"name": "db", "ms": 3}'}, ""),
        ({"status": 204, "jsonpath": "$.status"}, "the status must be 204"),
        (
            {"status": 204, "jsonpath": "$.status", "equals": "up"},
            "the status must be 204; $.status is ok: must equal up",
        ),
    ],
)
def test_every_value_that_a_path_selects_must_meet_the_tolerance(monkeypatch, tolerance, missed):
    passed, detail = outcome(monkeypatch, HEALTH, tolerance)
    assert passed is not bool(missed)
    assert detail == ("200 in 10 ms" + (f": {missed}" if missed else ""))


@pytest.mark.parametrize(
    ("answer", "changes", "says"),
    [
        ("<html>", {}, "the answer is no JSON"),
        ("", {"status": 204}, "the answer is no JSON"),
        ("[" * 50_000, {}, "nested too deeply"),
        ("[" + "1," * MAX_TEXT_BYTES, {"cut": True}, "too long to be read as JSON"),
    ],
)
def test_an_answer_that_is_no_json_fails_and_says_so(monkeypatch, answer, changes, says):
    passed, detail = outcome(monkeypatch, answer, {"jsonpath": "$.status"}, **changes)
    assert passed is False
    assert says in detail


def test_a_long_value_is_told_short(monkeypatch):
    _, detail = outcome(monkeypatch, {"a": "x" * 5000}, {"jsonpath": "$.a", "equals": "y"})
    assert len(detail) < 200


@pytest.mark.parametrize(
    ("answer", "tolerance", "missed"),
    [
        ("up\n", {"equals": "up"}, ""),
        ("200", {"equals": 200}, ""),
        ("200", {"equals": "200"}, ""),
        ("true", {"equals": True}, ""),
        ("down", {"equals": "up"}, "must equal up"),
        ("7", {"min": 5, "max": 9}, ""),
        ("7", {"max": 5}, "must be at most 5"),
        ("seven", {"max": 5}, "is not a number"),
        ("nan", {"max": 5}, "is not a number"),
    ],
)
def test_without_a_path_the_whole_answer_is_compared(monkeypatch, answer, tolerance, missed):
    passed, detail = outcome(monkeypatch, answer, tolerance)
    assert passed is not bool(missed)
    assert missed in detail
