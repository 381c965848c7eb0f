"""From a place in the document to its line in the author's text, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from experiments.domain import spec, text
from experiments.domain.errors import InvalidDocumentError, Path
from experiments.domain.patching import locate, path_at
from tests.domain.documents import CATALOGUE
from tests.domain.yaml_styles import AUTHORED, THOROUGH, written


def test_a_field_is_located_where_its_value_or_key_stands():
    def seen(*path: str | int) -> str:
        place = locate(AUTHORED, path)
        assert place is not None
        line, column = place
        return AUTHORED.splitlines()[line - 1][column - 1 :].split("  ")[0]

    assert seen("metadata", "title") == '"Only carts"'
    assert seen("metadata", "tags") == "tags:"
    assert seen("metadata", "tags", 1) == "a"
    assert seen("slis", 0) == "- name: carts"
    assert seen("slis", 0, "with", "q") == "0.95}"
    assert seen("slis", 0, "limit", "min") == "limit:"
    assert seen("slis", 1, "margin") == "{absolute: 0.5%}}"
    assert seen("slis", 7) == "slis:"
    assert seen("nothing", "here") == "apiVersion: chaosweb/v1"
    assert seen() == "apiVersion: chaosweb/v1"


@pytest.mark.parametrize(
    ("line", "column", "path"),
    [
        (1, 1, ()),
        (7, 1, ("metadata",)),
        (8, 1, ("metadata", "name")),
        (9, 8, ("metadata", "name")),
        (10, 40, ("metadata", "title")),
        (13, 7, ("metadata", "tags", 0)),
        (17, 1, ("hypothesis",)),
        (25, 25, ("slis", 0, "with", "listener")),
        (25, 100, ("slis", 0, "with")),
        (99, 1, ()),
    ],
)
def test_a_place_in_the_text_has_a_path(line, column, path):
    assert path_at(AUTHORED, line, column) == path


@THOROUGH
@given(written())
def test_path_and_place_belong_together(drawn):
    document, authored, _ = drawn
    for path in paths(document):
        place = locate(authored, path)
        assert place is not None
        assert path_at(authored, *place) == path, (authored, path, place)


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in pairs:
        yield (*above, key)
        if isinstance(each, dict | list):
            yield from paths(each, (*above, key))


@pytest.mark.parametrize("broken", ["a: [1", "a: *nobody", "a" * (text.MAX_BYTES + 1)])
def test_a_broken_text_has_neither_places_nor_paths(broken):
    assert locate(broken, ("a",)) is None
    assert path_at(broken, 1, 1) is None


def test_an_error_of_the_document_is_told_at_its_line():
    authored = AUTHORED.replace("max: 500ms ", "max: 500 parsecs ")
    with pytest.raises(InvalidDocumentError) as caught:
        spec.parse(text.read(authored), faults=CATALOGUE).or_raise()
    lines = {locate(authored, error.path) for error in caught.value.errors}
    assert any(place and "500 parsecs" in authored.splitlines()[place[0] - 1] for place in lines)
