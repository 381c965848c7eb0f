"""The registry of formats, and ChaosWeb's own."""

from __future__ import annotations

import json

import pytest

from experiments import importers
from experiments.domain import text as yaml
from experiments.domain.errors import SpecError
from experiments.importers import own, reading
from tests.importers.documents import GOOD


def source(content: str, name: str = "a.yaml") -> importers.Source:
    return reading.read(name, content.encode())


def test_formats_have_names_of_their_own_and_say_what_they_need() -> None:
    names = [each.name for each in importers.FORMATS]
    assert len(set(names)) == len(names)
    assert all(each.title and each.needs for each in importers.FORMATS)


@pytest.mark.parametrize(
    ("content", "sure"),
    [
        (GOOD, 1.0),
        ("a: 1\n---\n" + GOOD, 1.0),
        ('[{"kind": "Experiment", "apiVersion": "chaosweb/v7"}]', 1.0),
        ("apiVersion: chaosweb/v1\nb: [", 1.0),
        ("metadata: {}\nhypothesis: x\nmethod: []\nslis: []", 0.5),
        ("title: x\nmethod: []\nsteady-state-hypothesis: {}", 0.0),
        ("apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {}\nspec: {}", 0.0),
        ("[1, 2]", 0.0),
    ],
)
def test_own_documents_are_recognised(content: str, sure: float) -> None:
    assert own.detect(source(content)) == sure


def test_an_unknown_format_is_told_with_what_each_would_need() -> None:
    made = importers.convert(source("a: 1"))
    (error,) = made.errors
    assert made.format == ""
    assert "apiVersion: chaosweb/v1 and kind: Experiment" in error.message


def test_a_yaml_document_keeps_its_text() -> None:
    made = importers.convert(source("# above\n" + GOOD))
    (draft,) = made.drafts
    assert draft.text == "# above\n" + GOOD
    assert draft.raw == yaml.read(GOOD)
    assert draft.line == 2
    assert (made.format, made.changed, made.lost, made.errors) == ("chaosweb", (), (), ())
    assert made.kept[0].words == "the text as it was written, comments and order"


def test_json_is_written_as_yaml() -> None:
    made = importers.convert(source(json.dumps([yaml.read(GOOD)]), "a.json"))
    (draft,) = made.drafts
    assert (draft.text, draft.raw) == (None, yaml.read(GOOD))
    assert [note.words for note in made.changed] == ["written as YAML instead of JSON"]
    assert made.lost == ()


def test_a_list_in_yaml_loses_its_comments_and_says_so() -> None:
    listed = "# mine\n- " + GOOD.replace("\n", "\n  ").rstrip() + "\n"
    made = importers.convert(source(listed))
    (draft,) = made.drafts
    assert (draft.text, draft.raw, draft.line) == (None, yaml.read(GOOD), 2)
    assert [note.words for note in made.changed] == [
        "taken out of its list and written anew as YAML"
    ]
    assert [note.words for note in made.lost] == ["the comments of the list"]


def test_an_error_of_a_document_stands_on_its_line_of_the_file() -> None:
    made = importers.convert(source(GOOD + "---\n" + GOOD))
    path = ("method", 0, "with", "percentage")
    placed = [draft.error(SpecError(path, "odd")) for draft in made.drafts]
    assert [(error.line, error.column, error.path) for error in placed] == [
        (9, 67, path),
        (19, 67, path),
    ]


def test_a_long_document_says_the_same_places_as_a_short_one() -> None:
    long = GOOD + "# so long\n" * 5000
    for path in [(), ("metadata",), ("metadata", "title"), ("method", 0), ("method", 0, "with")]:
        short, other = (importers.convert(source(each)).drafts[0] for each in (GOOD, long))
        error = SpecError(path, "odd")
        assert other.error(error) == short.error(error)
