"""Errors of documents that are sent as text: each with its line and column."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.django_db

TEXT = """\
# why we do this
apiVersion: chaosweb/v1
kind: Experiment
metadata: {name: probe-only, tittle: It answers}
hypothesis: It answers.
probes:
  - {name: answers, at: [end], http: {url: "http://front/"}, tolerance: {status: 200}}
timing: {baseline: 0s, settle: 0s}
method:
  - name: one
    fault: fake.abort
    via: mesh
    with: {percentage: 150%}
    duration: -1s
"""
PLACES = {
    "metadata.tittle": (4, 38),
    "method[0].with.percentage": (13, 24),
    "method[0].duration": (14, 15),
}
YAML = "application/yaml"


def places(errors):
    return {error["where"]: (error["line"], error["column"]) for error in errors}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("to", ["validate", "preview"])
def test_each_error_has_its_place_in_the_text(author, to, as_json):
    body = json.dumps({"text": TEXT}) if as_json else TEXT
    kind = "application/json" if as_json else YAML
    response = author.post(f"/api/v1/experiments/{to}", body, content_type=kind)
    assert response.status_code == 200
    assert places(response.json()["errors"]) == PLACES


def test_a_text_that_is_not_stored_is_told_with_its_places(author):
    response = author.post("/api/v1/experiments", TEXT, content_type=YAML)
    assert response.status_code == 400
    assert places(response.json()["errors"]) == PLACES


def test_without_a_text_there_are_none(author, document):
    document["method"][0]["duration"] = "-1s"
    response = author.post("/api/v1/experiments/validate", document, format="json")
    assert places(response.json()["errors"]) == {"method[0].duration": (None, None)}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1),
        ("a: 1\n\tb: 2\n", 2, 1),
        ("a: 1\nb:\n  - c: .inf\n", 3, 8),
        ("a: 1\nb:\n  7: c\n", 2, 1),
        ("a: 1\nb: \x07\n", 2, 4),
        ("a: 1\nb: !!int x\n", 2, 4),
        ("# above\n%YAML 1.1\n---\na: on\n", 2, 1),
    ],
)
def test_a_text_that_cannot_be_read_is_told_with_its_place(author, text, line, column):
    response = author.post("/api/v1/experiments/validate", text, content_type=YAML)
    [error] = response.json()["errors"]
    assert (error["line"], error["column"]) == (line, column), error
    for to in ("", "/preview"):
        refused = author.post(f"/api/v1/experiments{to}", text, content_type=YAML)
        assert refused.status_code == 400
        assert refused.json()["errors"] == [error]


def test_the_errors_of_an_import_have_theirs(author):
    response = author.post("/api/v1/experiments/import", TEXT, content_type=YAML)
    [file] = response.json()["files"]
    assert places(file["errors"]) == PLACES
