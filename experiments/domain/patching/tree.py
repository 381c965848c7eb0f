"""The author's text as a tree of nodes with their offsets, made from ruamel's events.

Offsets count characters from the text's beginning; ``end`` is behind the last character that
belongs to a node itself: no comment, no line break after it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from experiments.domain import json_types, text

Kind = Literal["scalar", "mapping", "sequence", "alias"]
_TAG = "tag:yaml.org,2002:"
_MOST_TEXTS = 3
_MOST_REMEMBERED = 40_000
_OTHER_VERSION = re.compile(r"^%YAML(?![ \t]+1\.2\s)", re.MULTILINE)
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*(?:\s+(?:#[^\n]*\n\s*)*)?")
_IGNORED = re.compile(r"(?:\s|#[^\r\n]*)*")


class UnreadableError(ValueError):
    """The text is no document, or one that cannot be patched in place."""


@dataclass(slots=True, eq=False)
class Node:
    """One node: where it stands, how it is written and what it means (JSON types)."""

    kind: Kind
    start: int
    body: int
    """The offset behind its anchor and tag; of a block collection its first key or dash."""
    end: int
    value: Any = None
    style: str = ""
    is_flow: bool = False
    anchor: str | None = None
    has_tag: bool = False
    is_merge: bool = False
    entries: list[Entry] = field(default_factory=list)
    target: Node | None = None
    has_alias: bool = False
    size: int = 1
    """How many values it stands for, aliases written out."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is written where the value should be."""
        return self.kind == "scalar" and not self.style and self.body == self.end


@dataclass(slots=True, eq=False)
class Entry:
    """A field of a mapping, or an item of a sequence (``key`` is None).

    ``start`` is the key's or the dash's; ``after`` is the offset behind the colon or the dash, and
    -1 where a flow collection has neither.
    """

    start: int
    key: Node | None
    value: Node
    after: int

    @property
    def end(self) -> int:
        """Return the offset behind all that the entry holds."""
        return max(self.value.end, self.after, self.key.end if self.key else 0)


@dataclass(slots=True, eq=False)
class Tree:
    """A text and its root node; None where it holds nothing but comments."""

    text: str
    root: Node | None

    def line_start(self, offset: int) -> int:
        """Return where the line of the offset begins (behind a byte order mark)."""
        start = self.text.rfind("\n", 0, offset) + 1
        return 1 if start == 0 and self.text.startswith("\ufeff") else start

    def line_end(self, offset: int) -> int:
        """Return where the line of the offset ends, before its line break."""
        end = self.text.find("\n", offset)
        if end < 0:
            return len(self.text)
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end

    def next_line(self, offset: int) -> int:
        """Return where the next line begins; the text's end after the last one."""
        return self.text.find("\n", offset) + 1 or len(self.text)

    def column(self, offset: int) -> int:
        """Return how many characters stand before the offset on its line."""
        return offset - self.line_start(offset)

    @property
    def line_break(self) -> str:
        """Return how the author's lines end."""
        first = self.text.find("\n")
        return "\r\n" if first > 0 and self.text[first - 1] == "\r" else "\n"


def skip_ignored(written: str, offset: int) -> int:
    """Return the offset of the next character that is neither blank nor in a comment."""
    match = _IGNORED.match(written, offset)
    return match.end() if match else offset


def read(written: str) -> Tree:
    """Return the tree of the text. Raises UnreadableError.

    Trees are shared: nobody may change one.
    """
    return _remembered(written) if len(written) <= _MOST_REMEMBERED else _read(written)


@functools.lru_cache(maxsize=_MOST_TEXTS)
def _remembered(written: str) -> Tree:
    return _read(written)


def _read(written: str) -> Tree:
    if len(written.encode(errors="replace")) > text.MAX_BYTES:
        raise UnreadableError("the text is too large")
    if _OTHER_VERSION.search(written):
        raise UnreadableError("the text asks for another version of YAML")
    try:
        return Tree(written, _Builder(written).document())
    except (YAMLError, RecursionError, *text.CONVERSION_ERRORS) as error:
        # The same that ``text.read`` refuses.
        raise UnreadableError(str(error)) from error


class _Builder:
    def __init__(self, written: str) -> None:
        self.text = written
        self.events: Iterator[Any] = iter(text.events(written))
        self.anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        for event in self.events:
            if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent):
                root = self.node(event, event.start_mark.index, 0)
                for after in self.events:
                    if isinstance(after, ScalarEvent | SequenceStartEvent | MappingStartEvent):
                        raise UnreadableError("the text holds more than one document")
                return root
        return None

    def node(self, event: Any, behind: int, depth: int) -> Node:
        """Build the node that begins with the event; ``behind`` is its colon's or dash's end."""
        if depth > json_types.MAX_DEPTH:
            raise UnreadableError("the text is nested too deeply")
        if isinstance(event, AliasEvent):
            return self.alias(event)
        start, has_tag = event.start_mark.index, event.tag is not None
        body = self.behind_properties(start) if event.anchor or has_tag else start
        if isinstance(event, ScalarEvent):
            made = self.scalar(event, start, body, behind)
        else:
            made = self.collection(event, start, body, depth)
        made.anchor, made.has_tag = event.anchor, has_tag
        if event.anchor:
            self.anchors[event.anchor] = made
        return made

    def behind_properties(self, start: int) -> int:
        while match := _PROPERTY.match(self.text, start):
            start = match.end()
        return start

    def alias(self, event: Any) -> Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            raise UnreadableError(f"the alias {event.anchor} stands for nothing")
        start, end = event.start_mark.index, event.end_mark.index
        made = Node("alias", start, start, end, target.value, target=target)
        made.has_alias, made.size = True, target.size
        return made

    def scalar(self, event: Any, start: int, body: int, behind: int) -> Node:
        end, style = event.end_mark.index, event.style or ""
        if not style and not event.value:
            # Ruamel puts what is not written before the next token; it belongs behind the colon.
            end = body = event.end_mark.index if event.anchor or event.tag else behind
            start = min(start, body)
        elif style in ("|", ">"):
            end = self.end_of_block(body, end)
        tag = event.tag
        if tag is None or str(tag) == "!":
            tag = text.tag_of(event.value, event.implicit)
        made = Node("scalar", start, body, end, style=style)
        made.is_merge = str(tag) == f"{_TAG}merge"
        made.value = event.value if made.is_merge else _value(str(tag), event.value)
        return made

    def end_of_block(self, body: int, end: int) -> int:
        header = self.text[body : self.text.find("\n", body) + 1 or len(self.text)].split("#")[0]
        written = self.text[body:end]
        if "+" in header and written.endswith("\n"):
            return end - (2 if written.endswith("\r\n") else 1)
        return body + len(written.rstrip())

    def collection(self, event: Any, start: int, body: int, depth: int) -> Node:
        kind: Kind = "mapping" if isinstance(event, MappingStartEvent) else "sequence"
        made = Node(kind, start, body, body, is_flow=bool(event.flow_style))
        read_entries = self.fields if kind == "mapping" else self.items
        end = read_entries(made, depth + 1)
        made.end = end if made.is_flow or not made.entries else made.entries[-1].end
        for entry in made.entries:
            parts = (entry.value,) if entry.key is None else (entry.key, entry.value)
            made.has_alias = made.has_alias or any(part.has_alias for part in parts)
            made.size += entry.value.size
        if made.size > json_types.MAX_NODES:
            raise UnreadableError("the text holds too many values")
        made.value = _meaning(made)
        if not made.is_flow and made.entries:
            made.body = made.entries[0].start
        return made

    def fields(self, made: Node, depth: int) -> int:
        place = made.body
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                return int(event.end_mark.index)
            key = self.node(event, event.start_mark.index, depth)
            start = self.key_start(place, key.start)
            colon = skip_ignored(self.text, key.end)
            after = colon + 1 if self.text[colon : colon + 1] == ":" else -1
            behind = after if after >= 0 else key.end
            value = self.node(next(self.events), behind, depth)
            made.entries.append(Entry(start, key, value, after))
            place = made.entries[-1].end
        raise UnreadableError("a mapping does not end")

    def key_start(self, place: int, start: int) -> int:
        """Return where a key begins that may stand behind a question mark."""
        place = skip_ignored(self.text, place)
        if self.text[place : place + 1] in ("{", ","):
            place = skip_ignored(self.text, place + 1)
        return place if place < start and self.text[place] == "?" else start

    def items(self, made: Node, depth: int) -> int:
        place = made.body if made.is_flow else skip_ignored(self.text, made.body)
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                return int(event.end_mark.index)
            if made.is_flow:
                value = self.node(event, event.start_mark.index, depth)
                made.entries.append(Entry(value.start, None, value, -1))
                continue
            dash = skip_ignored(self.text, place)
            if self.text[dash : dash + 1] != "-":
                raise UnreadableError("a list's item has no dash")
            value = self.node(event, dash + 1, depth)
            made.entries.append(Entry(dash, None, value, dash + 1))
            place = made.entries[-1].end
        raise UnreadableError("a list does not end")


def _value(tag: str, written: str) -> Any:
    """Return the value of a scalar; ``text.read`` has the last word on every patched text."""
    kind = tag.removeprefix(_TAG)
    digits = written.replace("_", "").lower()
    if kind in ("str", "timestamp"):
        return written
    if kind == "null":
        return None
    if kind == "bool" and digits in ("true", "false"):
        return digits == "true"
    if kind == "int":
        bare = digits.lstrip("+-")
        base = {"0b": 2, "0o": 8, "0x": 16}.get(bare[:2], 10)
        number = int(bare if base == 10 else bare[2:], base)
        return -number if digits.startswith("-") else number
    if kind == "float":
        return float(digits)
    raise UnreadableError(f"{written} is no value of a document")


def merged(entry: Entry) -> list[Node]:
    """Return the mappings that a merge key brings in, the strongest first."""
    source = entry.value.target or entry.value
    if source.kind == "sequence":
        return [each.value for each in source.entries]
    return [entry.value]


def _meaning(node: Node) -> Any:
    if node.kind == "sequence":
        return [entry.value.value for entry in node.entries]
    brought: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for entry in node.entries:
        assert entry.key is not None  # noqa: S101 — a mapping's entries have keys
        if entry.key.is_merge:
            for source in merged(entry):
                if not isinstance(source.value, dict):
                    raise UnreadableError("a merge key needs mappings")
                brought = {**source.value, **brought}
            continue
        if not isinstance(entry.key.value, str) or entry.key.value in own:
            raise UnreadableError("a key is no text, or is there twice")
        own[entry.key.value] = entry.value.value
    return {**brought, **own}
