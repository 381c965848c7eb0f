"""An unknown field is named with the nearest known one, wherever in a document it stands."""

from __future__ import annotations

import pytest

from experiments import backends
from experiments.domain import nearest, spec
from experiments.domain import text as yaml
from experiments.domain.spec import Experiment
from tests.importers.documents import GOOD


def told(old: str, new: str) -> dict[str, str]:
    assert old in GOOD
    raw = yaml.read(GOOD.replace(old, new))
    errors = spec.parse(raw, faults=backends.faults()).errors
    return {error.dotted: error.message for error in errors}


@pytest.mark.parametrize(
    ("old", "new", "place", "hint"),
    [
        ("hypothesis", "hypothesys", "hypothesys", "did you mean “hypothesis”?"),
        ("title", "Title", "metadata.Title", "did you mean “title”?"),
        ("percentage", "percent", "method[0].with.percent", "did you mean “percentage”?"),
        ("duration", "durations", "method[0].durations", "did you mean “duration”?"),
        ("url:", "uri:", "probes[0].http.uri", "did you mean “url”?"),
        ("status", "statuss", "probes[0].tolerance.statuss", "did you mean “status”?"),
        ("settle", "setle", "timing.setle", "did you mean “settle”?"),
        ("settle: 0s", "qqqq: 0s", "timing.qqqq", "there are baseline, settle, step"),
        (
            "kind: Experiment",
            "kind: Experiment\nparameters: {a: {type: text, defalt: x}}",
            "parameters.a.defalt",
            "did you mean “default”?",
        ),
        (
            "timing:",
            "guardrails:\n  - {name: g, promql: x, abov: 1}\ntiming:",
            "guardrails[0].abov",
            "did you mean “above”?",
        ),
        ("baseline: 0s", "baseline: {lst: 30m}", "timing.baseline.lst", "did you mean “last”?"),
    ],
)
def test_the_nearest_known_field_is_named(old, new, place, hint):
    assert told(old, new)[place] == f"is not a field here; {hint}"


def test_of_many_unknown_fields_only_the_first_are_looked_up():
    many = "\n".join(f"hypothesis{number}: x" for number in range(60))
    found = list(told("kind:", f"{many}\nkind:").values())
    assert sum("did you mean" in message for message in found) == 50
    assert sum(message == "is not a field here" for message in found) == 10


def test_names_are_compared_as_people_write_them():
    known = nearest.fields(Experiment, ())
    assert nearest.hint("ApiVersion", known) == "did you mean “apiVersion”?"
    assert nearest.hint("on-drift", ["on_drift"]) == "did you mean “on_drift”?"
    assert nearest.hint("x" * 100_000, ["a"]) == "there is a"
    assert nearest.hint("x", []) == ""


def test_a_document_of_a_newer_version_has_that_one_error():
    assert told("chaosweb/v1", "chaosweb/v2") == {
        "apiVersion": "“chaosweb/v2” is newer than this ChaosWeb reads (chaosweb/v1)"
    }
    assert told("chaosweb/v1\nkind: Experiment", "chaosweb/v9\nsurprises: []").keys() == {
        "apiVersion"
    }
    assert "must be chaosweb/v1" in told("chaosweb/v1", "chaosweb/v0")["apiVersion"]
