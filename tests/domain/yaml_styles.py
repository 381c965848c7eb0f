"""Documents written in every manner that people write YAML in, a comment at each field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from experiments.domain import text
from experiments.domain.patching import scalars
from experiments.domain.patching.matching import same

AUTHORED = """\
# Owned by the carts team.
# Ask before you run it on Fridays.

apiVersion: chaosweb/v1
kind: Experiment

metadata:            # what it is called
    name: 'only-carts'
    # shown on the overview
    title: "Only carts"   # short, please
    service: carts
    tags:
    - latency
    - a        # the first we had

hypothesis: >-
    Carts slows down
    and nothing else does.

# What we watch
slis:
# the customer's view
- name: carts          # from the edge
  preset: envoy.edge_latency
  with: {listener: carts, q: 0.95}  # p95
  expect: degrades
  limit:
      max: 500ms       # agreed with product
# nobody may fail
- {name: errors, preset: envoy.edge_errors, with: {listener: orders}, margin: {absolute: 0.5%}}

timing: {baseline: 3m, settle: 1m}
method:
- name: slow
  fault: fake.delay
  via: mesh
  with:
      percentage: 50%
      fixed_delay: ${delay}
  duration: 3m         # long enough
parameters:
    delay: {type: duration, default: 90ms}
# the end
"""

THOROUGH = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

WORDS = ["a", "90ms", "on", "1:30", "3", "null", "#", "it's", '"', "é→", "-", "${delay}", "20%"]
WORDS += ["[x]", "~", "🙂", "2024-01-01", "x\\y", "*a"]
words = st.sampled_from(
    [
        *WORDS,
        "",
        "x: y",
        "# no",
        "- x",
        "a\tb",
        "two\nlines",
        "para\n\ngraph\n",
        "  indented\nthen not",
        "long text that goes on and on and on so that somebody folds it",
    ]
)
numbers = st.integers(-5, 10**6) | st.sampled_from([0.5, 1e-7, 1e16, -2.25, 1.0])
leaves = words | numbers | st.booleans() | st.none()
names = st.sampled_from(["name", "kind", "limit", "with", "a b", "on", "x-y", "é", "margin", "1"])


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(names, inner, max_size=4)
    named = st.lists(
        st.builds(
            lambda name, rest: {"name": name, **(rest | {"name": name})},
            st.sampled_from(["one", "two", "three", "four"]),
            fields,
        ),
        max_size=4,
        unique_by=lambda item: item["name"],
    )
    return fields | named | st.lists(inner, max_size=4)


values = st.recursive(leaves, _containers, max_leaves=12)
documents = st.dictionaries(
    st.sampled_from(["metadata", "slis", "method", "probes", "timing", "hypothesis", "guardrails"]),
    values,
    min_size=1,
)


class Writer:
    """Writes a document, each choice of style drawn; ``comments`` holds what it wrote by path."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.comments: dict[tuple[Any, ...], list[str]] = {}
        self.mapping = draw(st.sampled_from([2, 2, 3, 4]))
        self.sequence = draw(st.sampled_from([0, 2, 4]))
        self.item = draw(st.sampled_from([2, 2, 4]))
        self.newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
        self.count = 0
        self.anchors: dict[str, str] = {}

    def chance(self, most: int = 3) -> bool:
        return bool(self.draw(st.integers(0, most)) == 0)

    def document(self, document: dict[str, Any]) -> str:
        head: str = self.draw(
            st.sampled_from(["", "# head\n", "# head\n\n", "---\n", "# h\n--- # m\n"])
        )
        body = self.block(document, 0, ())
        tail = self.draw(st.sampled_from(["\n", "", "\n\n", "\n# tail", "\n...\n"]))
        return str((head + body + tail).replace("\n", str(self.newline)))

    def comment(self, path: tuple[Any, ...]) -> str:
        self.count += 1
        made = f"# c{self.count}!"
        self.comments.setdefault(path, []).append(made)
        return made

    def behind(self, path: tuple[Any, ...]) -> str:
        return f"  {self.comment(path)}" if self.chance(2) else ""

    def above(self, column: int, path: tuple[Any, ...], *, first: bool) -> str:
        made = "" if first or not self.chance(5) else "\n"
        if self.chance() and not (first and len(path) == 1):
            made += " " * column + self.comment(path) + "\n"
        return made

    def block(self, value: Any, column: int, path: tuple[Any, ...], *, inline: bool = False) -> str:
        lines = []
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for number, (key, each) in enumerate(pairs):
            here = (*path, key if isinstance(value, dict) else identity(each, number))
            indent = " " * column
            if number or not inline:
                indent = self.above(column, here, first=number == 0) + indent
            else:
                indent = ""
            if isinstance(value, dict):
                lines.append(f"{indent}{self.key(key)}:{self.below(each, column, here)}")
            else:
                lines.append(f"{indent}-{self.item_of(each, column, here)}")
        return "\n".join(lines)

    def key(self, key: str) -> str:
        return self.scalar(key, column=None)

    def below(self, value: Any, column: int, path: tuple[Any, ...]) -> str:
        if value and isinstance(value, dict | list) and not self.chance():
            step = self.mapping if isinstance(value, dict) else self.sequence
            behind = self.behind(path)
            return f"{behind}\n{self.block(value, column + step, path)}"
        return self.leaf(value, column, path)

    def item_of(self, value: Any, column: int, path: tuple[Any, ...]) -> str:
        if value and isinstance(value, dict | list) and not self.chance():
            inner = column + self.item
            if self.chance():
                return f"{self.behind(path)}\n{self.block(value, inner, path)}"
            return " " * int(self.item - 1) + self.block(value, inner, path, inline=True)
        return self.leaf(value, column, path)

    def leaf(self, value: Any, column: int, path: tuple[Any, ...]) -> str:
        if isinstance(value, dict | list):
            return f" {self.flow(value, column + 1, path)}{self.behind(path)}"
        if isinstance(value, str) and self.chance():
            style = self.draw(st.sampled_from(["|", ">"]))
            written = scalars.block(
                value, style=style, indent=column + self.mapping, was=["x" * 30]
            )
            if written is not None:
                header, _, rest = written.partition("\n")
                return f" {header}{self.behind(path)}\n{rest}"
        if value is None and self.chance(1):
            return self.behind(path)
        return f" {self.anchored(value, self.scalar(value, column=column))}{self.behind(path)}"

    def anchored(self, value: Any, written: str) -> str:
        """Return what is written, now and then with an anchor, or as the alias of one."""
        known = json.dumps(value)
        if known in self.anchors and self.chance(1):
            return f"*{self.anchors[known]} "
        if not self.chance(5):
            return written
        self.count += 1
        self.anchors[known] = f"n{self.count}"
        return f"&{self.anchors[known]} {written}"

    def scalar(self, value: Any, *, column: int | None, flow: bool = False) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        style = self.draw(st.sampled_from(["", "'", '"']))
        return scalars.inline(value, style=style, is_in_flow=flow or column is None)

    def flow(self, value: Any, column: int, path: tuple[Any, ...]) -> str:
        if not isinstance(value, dict | list):
            return self.anchored(value, self.scalar(value, column=column, flow=True))
        opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
        is_broken = self.chance()
        indent = "\n" + " " * (column + 2)
        made = opened
        pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
        for number, (key, each) in enumerate(pairs):
            here = (*path, key if isinstance(value, dict) else identity(each, number))
            if is_broken:
                made += indent + (self.comment(here) + indent if self.chance() else "")
            name = (
                f"{self.scalar(key, column=None, flow=True)}: " if isinstance(value, dict) else ""
            )
            made += name + self.flow(each, column + 2, here)
            if number < len(pairs) - 1 or self.chance():
                made += "," + (self.behind(here) if is_broken else "")
            elif is_broken:
                made += self.behind(here)
            made += "" if is_broken else self.draw(st.sampled_from([" ", " ", "  "]))
        return made + ("\n" + " " * (column + 1) if is_broken and pairs else "") + closed


def identity(item: Any, number: int) -> Any:
    """Return what an item is known by: its name, or its value and number."""
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return ("name", item["name"])
    return ("item", number)


@st.composite
def written(draw: Any) -> tuple[dict[str, Any], str, dict[tuple[Any, ...], list[str]]]:
    """Draw a document, the text that somebody wrote it as, and its comments."""
    document = draw(documents)
    writer = Writer(draw)
    made = writer.document(document)
    # A block of text at the very end loses its last line break with the text's.
    assume(same(text.read(made), document))
    return document, made, writer.comments


@st.composite
def edits(draw: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Draw what a form makes of the document: values changed, fields and items put in and out."""
    new = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 4))):
        node: Any = new
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            below = node[key]
            if isinstance(below, dict | list) and below and draw(st.integers(0, 2)):
                node = below
                continue
            _edit(draw, node, key)
            break
    return new or {"kind": "Experiment"}


def _edit(draw: Any, node: Any, key: Any) -> None:
    kind = draw(st.sampled_from(["change", "change", "remove", "add", "move"]))
    if kind == "change":
        node[key] = draw(leaves | values)
    elif kind == "remove":
        del node[key]
    elif kind == "add" and isinstance(node, dict):
        node[draw(names)] = draw(values)
    elif kind == "add":
        node.insert(draw(st.integers(0, len(node))), draw(values))
    elif isinstance(node, list):
        node.insert(draw(st.integers(0, len(node) - 1)), node.pop(key))


def survivors(old: Any, new: Any, paths: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return those paths whose field or item is still there, in lists and mappings of its kind."""
    return [path for path in paths if _survives(old, new, path)]


def _survives(old: Any, new: Any, path: tuple[Any, ...]) -> bool:
    for part in path:
        if type(old) is not type(new) or not new:
            return False
        if isinstance(old, dict):
            if part not in new:
                return False
            old, new = old[part], new[part]
            continue
        was = [each for number, each in enumerate(old) if identity(each, number) == part]
        if part[0] == "item":
            known = [each for each in new if same(each, was[0])]
            if len(known) != 1 or sum(same(each, was[0]) for each in old) != 1:
                return False
        else:
            known = [each for each in new if identity(each, 0) == part]
            if len(known) != 1 or len(was) != 1:
                return False
        old, new = was[0], known[0]
    return True
