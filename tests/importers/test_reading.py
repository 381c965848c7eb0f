"""From bytes to documents: nothing raises, everything wrong has its line, memory is bounded."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiments import importers
from experiments.importers import reading
from tests.importers.documents import BAD, GOOD, Bad


def read(content: bytes | str, name: str = "a.yaml") -> importers.Source:
    return reading.read(name, content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_cannot_be_read_is_told_with_its_line(bad: Bad) -> None:
    made = importers.convert(reading.read(bad.name, bad.content))
    told = [error for error in made.errors if bad.says in error.message]
    assert told, made.errors
    if bad.line is not None:
        assert bad.line in [error.line for error in told]


def test_five_megabytes_are_refused_before_they_are_read() -> None:
    content = b"a: " + b"x" * 5_000_000
    tracemalloc.start()
    try:
        reading.read("a.yaml", content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("name", ["bomb.yaml", "merges.yaml", "brackets.yaml", "brackets.json"])
def test_what_explodes_takes_little_memory(name: str) -> None:
    bad = next(each for each in BAD if each.name == name)
    tracemalloc.start()
    try:
        importers.convert(reading.read(bad.name, bad.content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_a_byte_that_is_no_utf_8_is_named_with_line_and_column() -> None:
    (error,) = read(b"a: 1\nb: \xff").errors
    assert error.message == "is not UTF-8: byte 8 (0xFF) is none of its characters"
    assert (error.line, error.column) == (2, 4)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read(b"\xef\xbb\xbfa: 1").documents[0].raw == {"a": 1}
    (error,) = read(b"\xef\xbb\xbfa\xff").errors
    assert (error.line, error.column) == (1, 5)


def test_a_stream_holds_many_documents_each_with_its_comments_and_line() -> None:
    text = "# one\na: 1\n---\n# two\nb: 2\n...\n# three\n---   # still three\nc: 3\n"
    found = read(text).documents
    assert [(each.raw, each.line) for each in found] == [
        ({"a": 1}, 1),
        ({"b": 2}, 3),
        ({"c": 3}, 6),
    ]
    assert found[0].text == "# one\na: 1\n"
    assert found[1].text == "\n# two\nb: 2\n"
    assert found[2].text == "\n# three\n      # still three\nc: 3\n"


def test_a_mark_inside_a_text_block_ends_it_as_yaml_says() -> None:
    assert [each.raw for each in read("a: |\n  ---\n  x\nb: 1").documents] == [
        {"a": "---\nx\n", "b": 1}
    ]
    assert len(read("a: |\n  x\n---\nb: 1").documents) == 2


def test_directives_keep_their_mark() -> None:
    found = read("%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2\n").documents
    assert [each.raw for each in found] == [{"a": 1}, {"b": 2}]


def test_a_broken_document_costs_no_other() -> None:
    made = read("a: 1\n---\nb: [\n---\nc: 3\n")
    assert [each.raw for each in made.documents] == [{"a": 1}, {"c": 3}]
    assert [error.line for error in made.errors] == [4] or made.errors[0].line in (3, 4)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(end: str) -> None:
    made = read(end.join(["a: 1", "---", "b: 2", "---", "c: [", ""]))
    assert [(each.raw, each.line) for each in made.documents] == [({"a": 1}, 1), ({"b": 2}, 2)]


def test_json_is_one_document_or_a_list_of_them() -> None:
    one = read('{"a": 1}', "a.json")
    assert [(each.raw, each.line, each.is_json) for each in one.documents] == [({"a": 1}, 1, True)]
    many = read(json.dumps([{"a": 1}, {"b": [2]}], indent="\t"), "a.json")
    assert [(each.raw, each.line) for each in many.documents] == [({"a": 1}, 2), ({"b": [2]}, 5)]
    assert many.documents[1].place(("b", 0)) == (7, 4)
    flat = read('[{"a": 1}, {"b": [2]}]', "body")
    assert flat.documents[1].place(("b", 0)) == (1, 19)
    assert read("[]", "a.json").documents == ()


def test_braces_that_are_no_json_are_yaml_unless_the_file_says_json() -> None:
    assert read("{a: 1}", "body").documents[0].raw == {"a": 1}
    assert read("{a: 1}", "a.json").documents == ()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.yaml", "a.json", "body"]))
@example(b"\xef\xbb\xbf", "a.yaml")
@example(b"---\n" * 500, "a.yaml")
@example(b"[,]", "a.json")
def test_any_bytes_give_a_report_and_never_an_exception(content: bytes, name: str) -> None:
    made = importers.convert(reading.read(name, content))
    assert made.errors or made.drafts


_PIECES = st.sampled_from(
    [GOOD, "---\n", "...\n", "%YAML 1.2\n", "# c\n", "a: 1\n", "- ", ": ", "? ", "| \n"]
)
_BITS = st.sampled_from(["&a ", "*a", "<<: ", "!!str ", *"[]{}'\",\t\r\x85\u2028\ufeffé"])


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES | _BITS, max_size=12), st.sampled_from(["a.yaml", "a.json", "body"]))
def test_any_pieces_of_documents_give_a_report(pieces: list[str], name: str) -> None:
    made = importers.convert(reading.read(name, "".join(pieces).encode()))
    assert made.errors or made.drafts
    lines = "".join(pieces).count("\n") + "".join(pieces).count("\r") + 1
    assert all(error.line is None or 1 <= error.line <= lines for error in made.errors)
