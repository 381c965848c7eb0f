"""Form edits patched into the author's own text: what did not change stays as it was written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from experiments.domain import text
from experiments.domain.patching import patch
from tests.domain.documents import FULL
from tests.domain.yaml_styles import AUTHORED


def after(authored: str, change: Callable[[Any], object]) -> str:
    """Return the text once the document was changed; the patch must have been possible."""
    document = json.loads(json.dumps(text.read(authored)))
    change(document)
    patched = patch(authored, document)
    assert patched.kept
    assert text.read(patched.text) == document
    return patched.text


def changed_lines(before: str, now: str) -> tuple[list[str], list[str]]:
    """Return the lines that left and those that came."""
    old, new = before.splitlines(), now.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def put(path: str, value: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        node = document
        for part in parents:
            node = node[part]
        if value is GONE:
            del node[last]
        elif isinstance(node, list) and last == len(node):
            node.append(value)
        else:
            node[last] = value

    return change


GONE = object()


def test_nothing_changed_is_the_same_text():
    assert after(AUTHORED, lambda document: None) == AUTHORED


@pytest.mark.parametrize(
    ("path", "value", "left", "came"),
    [
        ("metadata.name", "x", ["    name: 'only-carts'"], ["    name: 'x'"]),
        (
            "metadata.title",
            'Say "hi"',
            ['    title: "Only carts"   # short, please'],
            ['    title: "Say \\"hi\\""   # short, please'],
        ),
        ("metadata.service", "on: fire", ["    service: carts"], ['    service: "on: fire"']),
        ("metadata.service", "3", ["    service: carts"], ['    service: "3"']),
        ("metadata.description", "Why", [], ["    description: Why"]),
        ("metadata.tags.2", "b", [], ["    - b"]),
        ("metadata.tags.0", GONE, ["    - latency"], []),
        (
            "metadata.tags.1",
            "b",
            ["    - a        # the first we had"],
            ["    - b        # the first we had"],
        ),
        (
            "metadata.title",
            GONE,
            ["    # shown on the overview", '    title: "Only carts"   # short, please'],
            [],
        ),
        (
            "slis.0.limit.max",
            0.25,
            ["      max: 500ms       # agreed with product"],
            ["      max: 0.25       # agreed with product"],
        ),
        ("slis.0.limit.min", "1ms", [], ["      min: 1ms"]),
        ("slis.0.limit", GONE, ["  limit:", "      max: 500ms       # agreed with product"], []),
        ("slis.0.critical", True, [], ["  critical: true"]),
        ("slis.0.margin", {"relative": "20%"}, [], ["  margin:", "      relative: 20%"]),
        (
            "slis.0.with.q",
            0.5,
            ["  with: {listener: carts, q: 0.95}  # p95"],
            ["  with: {listener: carts, q: 0.5}  # p95"],
        ),
        (
            "slis.0.with.listener",
            "a, b",
            ["  with: {listener: carts, q: 0.95}  # p95"],
            ['  with: {listener: "a, b", q: 0.95}  # p95'],
        ),
        (
            "slis.0.with.q",
            GONE,
            ["  with: {listener: carts, q: 0.95}  # p95"],
            ["  with: {listener: carts}  # p95"],
        ),
        (
            "timing.step",
            "auto",
            ["timing: {baseline: 3m, settle: 1m}"],
            ["timing: {baseline: 3m, settle: 1m, step: auto}"],
        ),
        ("timing", GONE, ["timing: {baseline: 3m, settle: 1m}"], []),
        (
            "hypothesis",
            "Carts slows down and nobody else does.",
            ["    and nothing else does."],
            ["    and nobody else does."],
        ),
        (
            "probes",
            [{"name": "up", "promql": {"query": "up"}, "tolerance": {"min": 1}}],
            [],
            [
                "probes:",
                "- name: up",
                "  promql:",
                "      query: up",
                "  tolerance:",
                "      min: 1",
            ],
        ),
    ],
)
def test_one_edit_touches_only_its_own_lines(path, value, left, came):
    now = after(AUTHORED, put(path, value))
    gone, new = changed_lines(AUTHORED, now)
    assert (gone, new) == (left, came)


def test_fields_are_inserted_where_the_models_have_them():
    now = after(AUTHORED, put("metadata.description", "Why"))
    assert "# short, please\n    description: Why\n    service: carts\n" in now
    now = after(AUTHORED, put("guardrails", [{"name": "stop", "sli": "errors", "above": "20%"}]))
    assert "# long enough\nguardrails:\n- name: stop\n" in now
    now = after(AUTHORED, put("method.0.on_drift", "stop"))
    assert "  duration: 3m         # long enough\n  on_drift: stop\n" in now


def test_items_move_with_their_comments():
    now = after(AUTHORED, lambda document: document["slis"].reverse())
    assert sorted(now.splitlines()) == sorted(AUTHORED.splitlines())
    assert "slis:\n# nobody may fail\n- {name: errors" in now
    assert "# the customer's view\n- name: carts          # from the edge\n" in now


def test_a_removed_item_takes_its_own_comments_with_it():
    now = after(AUTHORED, put("slis.0", GONE))
    start, end = AUTHORED.index("# the customer's view"), AUTHORED.index("# nobody may fail")
    assert now == AUTHORED[:start] + AUTHORED[end:]
    now = after(AUTHORED, put("slis.1", GONE))
    start, end = AUTHORED.index("# nobody may fail"), AUTHORED.index("\ntiming:")
    assert now == AUTHORED[:start] + AUTHORED[end:]


def test_a_new_item_looks_like_its_siblings():
    authored = "slis:\n  - {name: a, unit: s}  # A\n  - {name: b}\n"
    assert after(authored, put("slis.2", {"name": "c", "with": {"q": 1}})) == (
        authored + "  - {name: c, with: {q: 1}}\n"
    )
    assert after("slis:\n-   name: a\n", put("slis.1", {"name": "c", "x": [1]})) == (
        "slis:\n-   name: a\n-   name: c\n    x:\n    -   1\n"
    )
    spread = "method:\n  - name: a\n\n  - name: b\nx: 1\n"
    assert after(spread, put("method.2", {"name": "c"})) == (
        "method:\n  - name: a\n\n  - name: b\n\n  - name: c\nx: 1\n"
    )


@pytest.mark.parametrize(
    ("before", "path", "value", "now"),
    [
        # Another kind of value.
        ("a: 1  # c\nb: 2\n", "a", {"x": 1}, "a:  # c\n  x: 1\nb: 2\n"),
        ("a: 1\nb: 2\n", "a", ["x"], "a:\n  - x\nb: 2\n"),
        ("a:  # c\n  x: 1\n  y: 2\nb: 2\n", "a", "5m", "a: 5m  # c\nb: 2\n"),
        ("a:\n  - 1\n  - 2\nb: 2\n", "a", [], "a: []\nb: 2\n"),
        ("a: []  # none yet\n", "a", ["x"], "a:  # none yet\n  - x\n"),
        ("a:  # none\nb: 2\n", "a", "x", "a: x  # none\nb: 2\n"),
        ("a: {x: 1} # c\n", "a", "5m", "a: 5m # c\n"),
        ("- 1\n", "0", 2, None),
        # Texts of several lines.
        (
            "a: |  # why\n  one\n  two\nb: 1\n",
            "a",
            "one\nthree\n",
            "a: |  # why\n  one\n  three\nb: 1\n",
        ),
        ("a: |\n  one\nb: 1\n", "a", "short", "a: |-\n  short\nb: 1\n"),
        ("a: |\n  one\nb: 1\n", "a", 3, "a: 3\nb: 1\n"),
        ("a: |+\n  one\n\nb: 1\n", "b", 2, "a: |+\n  one\n\nb: 2\n"),
        ("a: >\n    one two\n    three\n", "a", "one\ntwo\n", "a: >\n    one\n\n    two\n"),
        ("a: x\nb: 1\n", "c", "one\ntwo\n", "a: x\nb: 1\nc: |\n  one\n  two\n"),
        ("a: 'one\n  two'  # c\n", "a", "three", "a: 'three'  # c\n"),
        ("a: one\n  two  # c\n", "a", "three", "a: three  # c\n"),
        # Ends of lines and of the text.
        ("a: 1\r\nb: 2 # c\r\n", "b", {"x": 3}, "a: 1\r\nb: # c\r\n  x: 3\r\n"),
        ("a: 1\r\nb: 2\r\n", "c", [3], "a: 1\r\nb: 2\r\nc:\r\n  - 3\r\n"),
        ("a: 1\nb: 2", "c", 3, "a: 1\nb: 2\nc: 3"),
        ("a: 1\nb: 2 # c", "b", GONE, "a: 1"),
        ("a: 1\nb: x", "c", "one\ntwo\n", "a: 1\nb: x\nc: |\n  one\n  two\n"),
        ("a: 1\n...\n", "b", 2, "a: 1\nb: 2\n...\n"),
        ("%YAML 1.2\n--- # doc\na: 1\n", "a", 2, "%YAML 1.2\n--- # doc\na: 2\n"),
        ("\ufeffa: 1\nb: 2\n", "a", GONE, "\ufeffb: 2\n"),
        # Odd characters.
        ('a: "x\ty"\n', "a", "\tz", 'a: "\\tz"\n'),
        ("a: 'x\ty'\nb: 1\n", "b", 2, "a: 'x\ty'\nb: 2\n"),
        ("a: 'é'  # →\n", "a", "it's 🙂", "a: 'it''s 🙂'  # →\n"),
        ("a: x\n", "a", "\u2028\x07", 'a: "\\u2028\\u0007"\n'),
        ("é ü: 1 # c\n", "é ü", 2, "é ü: 2 # c\n"),
        ('"on": 1\n', "off", 2, '"on": 1\n"off": 2\n'),
        # Flow collections over lines, with comments.
        (
            "a: {\n  # about x\n  x: 1, # one\n  # about y\n  y: 2 # two\n}\n",
            "a.x",
            GONE,
            "a: {\n  # about y\n  y: 2 # two\n}\n",
        ),
        (
            "a: {\n  # about x\n  x: 1, # one\n  # about y\n  y: 2 # two\n}\n",
            "a.y",
            GONE,
            "a: {\n  # about x\n  x: 1 # one\n}\n",
        ),
        (
            "a: {\n  x: 1, # one\n  y: 2 # two\n}\n",
            "a.z",
            "q",
            "a: {\n  x: 1, # one\n  y: 2, # two\n  z: q\n}\n",
        ),
        ("a: [x, y,]\n", "a.2", "z", "a: [x, y, z,]\n"),
        ("a: {x, y: 1}\n", "a.x", 2, "a: {x: 2, y: 1}\n"),
        ("a: {? x : 1, y}\n", "a.z", 2, "a: {? x : 1, y, z: 2}\n"),
        ("a: [x: 1, y]\n", "a.0.z", 2, "a: [{x: 1, z: 2}, y]\n"),
        ('{"a": [1], "b": "x"}\n', "a.1", "y", '{"a": [1, "y"], "b": "x"}\n'),
        # Keys and items written in rarer ways.
        ("? a\n: 1 # c\nb: 2\n", "a", 3, "? a\n: 3 # c\nb: 2\n"),
        ("? a\n: 1\nb: 2\n", "c", 3, "? a\n: 1\nb: 2\nc: 3\n"),
        ("- - 1\n", "0", 1, None),
        ("a:\n- - 1 # one\n  - 2\n- - 3\n", "a.0.0", GONE, "a:\n- - 2\n- - 3\n"),
        ("a:\n-\n  # lead\n  x: 1\n  y: 2\n", "a.0.x", GONE, "a:\n-\n  y: 2\n"),
        ("a:\n- x: 1\n  # about y\n  y: 2\n", "a.0.x", GONE, "a:\n- # about y\n  y: 2\n"),
        ("a: !!str 5 # c\n", "a", "6", 'a: "6" # c\n'),
        ("a: ! 5\nb: 1\n", "b", 2, "a: ! 5\nb: 2\n"),
        # Nothing but comments.
        ("# later\n", "a", {"b": [1]}, "# later\na:\n  b:\n    - 1\n"),
    ],
)
def test_before_and_after(before, path, value, now):
    document = text.read(before)
    if now is None:
        assert not patch(before, {"a": 1}).kept
        return
    if document is None:
        assert patch(before, {path: value}).text == now
        return
    assert after(before, put(path, value)) == now


ALIASED = """\
base: &base {unit: s, expect: holds}  # shared
first: *base   # the same
second:
  <<: *base    # and more
  limit: 3
names: [&n x, *n]
"""


@pytest.mark.parametrize(
    ("change", "left", "came"),
    [
        (
            put("base.unit", "ms"),
            ["base: &base {unit: s, expect: holds}  # shared", "first: *base   # the same"],
            [
                "base: &base {unit: ms, expect: holds}  # shared",
                "first: {unit: s, expect: holds}   # the same",
                "  unit: s",
            ],
        ),
        (
            put("first", {"unit": "s"}),
            ["first: *base   # the same"],
            ["first: {unit: s}   # the same"],
        ),
        (put("second.expect", "degrades"), [], ["  expect: degrades"]),
        (put("second.unit", GONE), ["  <<: *base    # and more"], ["  expect: holds"]),
        (put("second.limit", 4), ["  limit: 3"], ["  limit: 4"]),
        (put("names.1", "y"), ["names: [&n x, *n]"], ["names: [&n x, y]"]),
        (
            lambda document: [
                document[name].update(unit="ms") for name in ("base", "first", "second")
            ],
            ["base: &base {unit: s, expect: holds}  # shared"],
            ["base: &base {unit: ms, expect: holds}  # shared"],
        ),
    ],
)
def test_only_those_aliases_are_written_out_that_must_be(change, left, came):
    now = after(ALIASED, change)
    assert changed_lines(ALIASED, now) == (left, came)


def test_aliases_of_a_removed_anchor_are_written_out():
    now = after(ALIASED, put("base", GONE))
    assert "*base" not in now
    assert "# the same" in now


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("a: 1\n", {"a": 1.0}),
        ("a: 1.0\n", {"a": 1}),
        ('a: "90ms"\nb: 90ms\n', {"a": "90ms", "b": "90ms"}),
        ("a: {x: 1}\nb:\n  x: 0x10\n", {"b": {"x": 16}, "a": {"x": 1}}),
        ("a: ~\nb:\nc: null\n", {"a": None, "b": None, "c": None}),
    ],
)
def test_what_means_the_same_stays_as_it_is_spelled(before, change):
    patched = patch(before, change)
    assert (patched.text, patched.kept) == (before, True)


def test_true_is_not_one():
    assert patch("a: 1\n", {"a": True}).text == "a: true\n"


BROKEN = ["a: [1", "a: 1\na: 2\n", "a: *nobody\n", "a: 1\n---\nb: 2\n", "[1]", "just words"]
BROKEN += ["a: &a [*a]", "[" * 3000, "a" * (text.MAX_BYTES + 1), "a: \ud800", "a: !!int x"]
BROKEN += ["%YAML 1.1\n---\na: on\n", "%YAML 1.21\n---\na: 1\n"]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_text_that_cannot_be_patched_is_written_anew_and_says_so(broken):
    patched = patch(broken, FULL)
    assert not patched.kept
    assert text.read(patched.text) == FULL


def test_bombs_of_aliases_are_given_up_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    began = time.process_time()
    assert not patch("\n".join(lines), FULL).kept
    assert time.process_time() - began < 2
