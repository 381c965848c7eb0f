"""The author's YAML: version 1.2, and only what JSON can hold."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.domain import text
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.patching import tree
from tests.domain.documents import FULL


def refused(written: str) -> str:
    with pytest.raises(InvalidDocumentError) as caught:
        text.read(written)
    return str(caught.value)


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "1:30", "12:30:45", "2024-01-01", "1.2.3", "090ms"]
)
def test_words_that_older_yaml_reads_otherwise_stay_texts(word):
    assert text.read(f"a: {word}") == {"a": word}


def test_the_core_types_are_read():
    written = "{a: true, b: 3, c: 0.5, d: null, e: ~, f: 0o17, g: 0x1f, h: 1e3, i: [x], j: '3'}"
    assert text.read(written) == {
        "a": True,
        "b": 3,
        "c": 0.5,
        "d": None,
        "e": None,
        "f": 15,
        "g": 31,
        "h": 1000.0,
        "i": ["x"],
        "j": "3",
    }


def test_nothing_written_is_nothing():
    assert text.read("") is None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: found duplicate key"),
        ("a: 1\nb: [1, 2\nc: 3", "line 3:"),
        ("a: 1\n\tb: 2", "line 2: found a tab, which YAML does not take here"),
        ("a: &a {x: 1}\nb:\n  <<: [" + "*a, " * 10_001 + "*a]", "merges more than 10000 fields"),
        ("a: &a\n  <<: *a", "nested too deeply"),
        ("a: *nobody", "line 1: found undefined alias"),
        ("a: !!python/object:os.system x", "line 1: could not determine a constructor"),
        ("a: !!binary aGk=", "line 1: could not determine a constructor"),
        ("a: !!set {b}", "line 1: could not determine a constructor"),
        ("--- a\n--- b", "line 2: but found another document"),
        ("%YAML 1.1\n---\na: on", "asks for YAML 1.1"),
        ("1: a", "the key 1 is not a text"),
        ("a:\n  - true: b", "a[0]: the key true is not a text"),
        ("null: a", "the key null is not a text"),
        ("? [a]\n: b", "is not a text"),
        ("a: .nan", "a: nan is not a finite number"),
        ("a: [.inf]", "a[0]: inf is not a finite number"),
        ("a: !!int x", "cannot be read"),
        ("a: !!bool x", "cannot be read"),
        ('a: !!int ""', "cannot be read as !!int"),
        ('a: !!float ""', "cannot be read as !!float"),
        ("a: &a [*a]", "nested more than"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x07", "not allowed"),
        ("a: \ud800", "not allowed"),
        ("a" * (text.MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_cannot_be_a_document_is_refused_and_told(written, message):
    assert message in refused(written)


def test_few_texts_are_remembered_as_each_takes_megabytes():
    for number in range(6):
        text.read(f"a: {number}")
        tree.read(f"a: {number}")
    for remembered in (text._remembered, tree._remembered):
        assert remembered.cache_info().currsize <= 3


def test_a_bomb_of_aliases_is_refused_without_being_walked():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    assert "more than" in refused("\n".join(lines))


def test_a_bomb_of_merges_is_refused_without_being_built():
    lines = ["a0: &a0 {x: 1, y: 2, z: 3}"]
    for level in range(1, 20):
        lines.append(f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]")
    assert "merges more than 10000 fields" in refused("\n".join(lines))


def test_brackets_without_end_are_refused_at_the_first_that_is_too_deep():
    with pytest.raises(InvalidDocumentError) as caught:
        text.read("[" * (text.MAX_BYTES - 1))
    (error,) = caught.value.errors
    assert (error.line, error.column) == (1, 42)


def test_a_mistake_has_its_line_and_column():
    with pytest.raises(InvalidDocumentError) as caught:
        text.read("a: 1\nb: *nobody")
    (error,) = caught.value.errors
    assert (error.line, error.column) == (2, 4)


def test_merges_may_be_used_where_they_help():
    written = "a: &a {b: 1, c: 2}\nd:\n  <<: *a\n  b: 3\ne:\n  <<: [*a, {z: 1}]"
    assert text.read(written) == {
        "a": {"b": 1, "c": 2},
        "d": {"b": 3, "c": 2},
        "e": {"b": 1, "c": 2, "z": 1},
    }


def test_anchors_may_be_used_where_they_help():
    assert text.read("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}


def test_what_is_written_reads_back_the_same():
    assert text.read(text.write(FULL)) == FULL
    odd = {
        "a": "on",
        "b": "1:30",
        "c": "2024-01-01",
        "d": "3",
        "e": "",
        "f": "x: y\nz",
        "g": "null",
    }
    assert text.read(text.write(odd)) == odd


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab01:-?!&*[]{}|>%#'\"\n\t ,~.<=@`\\é", max_size=40))
def test_whatever_is_written_is_read_or_refused(written):
    with contextlib.suppress(InvalidDocumentError):
        text.read(written)
