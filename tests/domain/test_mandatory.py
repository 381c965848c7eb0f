"""Guardrails of an environment: every error at once, and where they go in a document."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.domain import mandatory
from tests.domain.documents import full, read

RAIL: dict[str, Any] = {
    "name": "pages",
    "promql": "sum(errors) or vector(0)",
    "unit": "ratio",
    "above": "5%",
    "breaches": "2 of 3",
    "every": "10s",
    "no_data": "checkpoint",
}


def told(*rails: Any, sources: Any = ("metrics",)) -> dict[str, str]:
    found, errors = mandatory.read(list(rails), sources=sources)
    assert not (found and errors), "all of the list, or none of it"
    return {error.dotted: error.message for error in errors}


def test_a_list_is_read_and_kept_as_it_was_meant():
    (rail,), errors = mandatory.read([RAIL], sources=["metrics"])
    assert errors == ()
    kept = mandatory.to_json(rail)
    assert kept == RAIL | {"source": "metrics"}
    assert mandatory.read([kept])[0] == (rail,)


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"sli": "errors"}, "sli", "watches PromQL of its own"),
        ({"promql": None}, "promql", "is missing"),
        ({"promql": " "}, "promql", "is missing"),
        ({"name": None}, "name", "is missing"),
        ({"name": "Pages"}, "name", "small letters"),
        ({"name": "n" * 49}, "name", "at most 48"),
        ({"source": "mesh"}, "source", "no Prometheus of the environment (it has metrics)"),
        ({"above": None}, "", "either above or below"),
        ({"below": "1%"}, "", "either above or below"),
        ({"above": 0.05}, "above", "must be a percentage"),
        ({"breaches": "4 of 3"}, "breaches", "can never happen"),
        ({"every": "soon"}, "every", "soon"),
        ({"no_data": "hope"}, "no_data", "checkpoint"),
        ({"odd": 1}, "odd", "is not a field here"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(changes, place, message):
    rail = {key: value for key, value in (RAIL | changes).items() if value is not None}
    found = told(rail)
    assert list(found) == [f"[0].{place}" if place else "[0]"]
    assert message in next(iter(found.values()))


def test_everything_is_told_at_once_over_the_whole_list():
    found = told(RAIL | {"above": "x"}, 3, RAIL | {"source": "no"}, "rail", sources=())
    assert set(found) == {"[0].above", "[0].source", "[1]", "[2].name", "[2].source", "[3]"}
    assert "number 1" in found["[2].name"]
    assert "it has none" in found["[2].source"]


@pytest.mark.parametrize("raw", [None, {}, "x", 3])
def test_what_is_no_list_is_refused(raw):
    assert mandatory.read(raw)[1][0].message == "must be a list of guardrails"


def test_there_is_an_end_to_how_many():
    found = told(*(RAIL | {"name": f"g{number}"} for number in range(21)))
    assert "at most 20" in found[""]


def test_they_are_behind_the_documents_own_and_a_taken_name_gets_a_prefix():
    document = read(full())
    names = ["stop", "orders", "pages", "environment-stop"]
    own, errors = mandatory.read([RAIL | {"name": name} for name in names])
    assert errors == ()
    watched = mandatory.added(document, own)
    assert [each.name for each in watched.guardrails] == [
        "stop",
        "environment-stop",
        "environment-orders",
        "pages",
        "environment-environment-stop",
    ]
    assert watched.slis == document.slis
    assert "pages" in {sli.name for sli in watched.measures}
    assert mandatory.added(document, ()) is document


def test_a_name_stays_within_bounds_whatever_is_taken():
    longest = "n" * mandatory.LONGEST_NAME
    taken = [longest, f"environment-{longest}"]
    document = read(full(guardrails=[RAIL | {"name": name} for name in taken]))
    own, _ = mandatory.read([RAIL | {"name": longest}])
    name = mandatory.added(document, own).guardrails[-1].name
    assert name == f"environment-2-{longest}"
    assert len(name) <= 63
