"""JSONPath over JSON answers: what it selects, and that nothing makes it take for ever."""

from __future__ import annotations

import json
import time

import pytest

from experiments.domain.jsonpath import SelectError, problem, select

ANSWER = json.dumps(
    {
        "status": "ok",
        "checks": [{"name": "db", "up": True, "ms": 3}, {"name": "queue", "up": True, "ms": 40}],
        "none": None,
    }
)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.status", ["ok"]),
        ("$.checks[*].up", [True, True]),
        ("$.checks[-1].ms", [40]),
        ("$..name", ["db", "queue"]),
        ("$.checks[?@.ms > 10].name", ["queue"]),
        ("$.checks[?search(@.name, '^d')].ms", [3]),
        ("$.checks[?match(@.name, 'que.e')].ms", [40]),
        ("$.checks[?match(@.name, '(')].ms", []),
        ("$.checks[?length(@.name) == 2].ms", [3]),
        ("$.none", [None]),
        ("$.nothing", []),
    ],
)
def test_it_selects_as_the_standard_says(path, values):
    assert problem(path) is None
    assert select(path, ANSWER) == values


def test_a_selected_object_is_a_plain_value():
    (found,) = select("$", ANSWER)
    assert found == json.loads(ANSWER)
    assert type(found) is dict
    assert type(found["checks"]) is list


@pytest.mark.parametrize("path", ["", "status", " $.a", "$.a |$.b", "$.~a", "$[", "$.a " * 200])
def test_what_is_no_jsonpath_is_told(path):
    assert problem(path)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("", "is no JSON"),
        ("<html>", "is no JSON"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": 1' + "0" * 5000 + "}", "is no JSON"),
        ("[" * 60_000, "nested too deeply"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told(answer, says):
    with pytest.raises(SelectError, match=says):
        select("$.a", answer)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("$[*][?$[?@ == 1]]", json.dumps([[number] * 10 for number in range(1200)])),
        ("$..[?count($..*) > 1]", json.dumps([[number] * 10 for number in range(1200)])),
        ("$..*..*..*..x", "[" * 90 + "]" * 90),
        ("$[?search(@, '(a|aa)+$')]", json.dumps(["a" * 60 + "b"])),
        ("$[?match(@, '(a|aa)+')]", json.dumps(["a" * 24 + "b"] * 2000)),
    ],
)
def test_a_path_that_explodes_ends_by_itself(path, answer):
    began = time.monotonic()
    with pytest.raises(SelectError, match="takes too long"):
        select(path, answer, within_s=0.2)
    assert time.monotonic() - began < 5
