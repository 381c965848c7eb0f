"""New values as text that looks like the author's: steps of indentation, quotes, flow or block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.domain.patching import scalars
from experiments.domain.patching.tree import Node, Tree

_LONGEST_FLOW = 80


@dataclass(frozen=True, slots=True)
class Manner:
    """How the author indents: columns of a nested mapping, of a list below its key, of an item."""

    mapping: int = 2
    sequence: int = 2
    item: int = 2


@dataclass(frozen=True, slots=True)
class Look:
    """How the entries of one collection are written: quotes of keys, lists and mappings in flow."""

    quote: str
    is_flow: bool


def manner_of(tree: Tree) -> Manner:
    """Return how the text indents, from the first block that shows it."""
    found: dict[str, int] = {}
    waiting = [tree.root] if tree.root else []
    while waiting and len(found) < 3:
        node = waiting.pop(0)
        if node.kind in ("scalar", "alias") or node.is_flow:
            continue
        for entry in node.entries:
            child = entry.value
            if child.kind in ("mapping", "sequence") and not child.is_flow and child.entries:
                step = tree.column(child.body) - tree.column(entry.start)
                if node.kind == "mapping":
                    found.setdefault(child.kind, step)
                elif "\n" not in tree.text[entry.start : child.body]:
                    found.setdefault("item", step)
            waiting.append(child)
    return Manner(**found)


def flow(value: Any, *, quote: str = "") -> str:
    """Return the value on one line, as it may stand anywhere; ``quote`` is wished for texts."""
    if isinstance(value, Mapping):
        fields = [f"{key(name, quote)}: {flow(each, quote=quote)}" for name, each in value.items()]
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(each, quote=quote) for each in value) + "]"
    return scalars.inline(value, style=quote, is_in_flow=True)


def key(name: str, quote: str = "") -> str:
    """Return the key of a field."""
    return scalars.inline(name, style=quote, is_in_flow=True)


def is_block(value: Any) -> bool:
    """Return whether the value can take several lines: a list or mapping with content."""
    return isinstance(value, Mapping | list | tuple) and bool(value)


def block(value: Any, column: int, manner: Manner, quote: str = "") -> str:
    """Return a list or mapping with content as a block that begins at the column.

    Its first line is not indented: whoever writes it stands at the column already.
    """
    if isinstance(value, Mapping):
        parts = [
            f"{key(name, quote)}:{behind_key(each, column, manner, quote)}"
            for name, each in value.items()
        ]
    else:
        parts = [f"-{behind_dash(each, column, manner, quote)}" for each in value]
    return ("\n" + " " * column).join(parts)


def behind_key(value: Any, column: int, manner: Manner, quote: str = "") -> str:
    """Return what follows the colon of a key at the column."""
    if is_block(value):
        step = manner.mapping if isinstance(value, Mapping) else manner.sequence
        inner = column + step
        return "\n" + " " * inner + block(value, inner, manner, quote)
    return " " + _leaf(value, column + manner.mapping, quote)


def behind_dash(value: Any, column: int, manner: Manner, quote: str = "") -> str:
    """Return what follows the dash of an item at the column."""
    inner = column + manner.item
    if is_block(value):
        return " " * (manner.item - 1) + block(value, inner, manner, quote)
    return " " * (manner.item - 1) + _leaf(value, inner, quote)


def _leaf(value: Any, indent: int, quote: str) -> str:
    if isinstance(value, str) and "\n" in value:
        written = scalars.block(value, style="|", indent=indent)
        if written is not None:
            return written
    if isinstance(value, Mapping | list | tuple):
        return flow(value)
    return scalars.inline(value, style=quote)


def is_short(value: Any) -> bool:
    """Return whether the value on one line is short enough to be read there."""
    return len(flow(value)) <= _LONGEST_FLOW


def look_of(parent: Node, quote: str) -> Look:
    """Return how the entries of a collection are written; ``quote`` where they do not show it."""
    beside = [
        entry.value
        for entry in parent.entries
        if entry.value.kind in ("mapping", "sequence") and entry.value.entries
    ]
    shown = parent if parent.kind == "mapping" or not beside else beside[0]
    is_flow = bool(beside) and all(node.is_flow for node in beside)
    return Look(quote_of(shown) or quote, is_flow)


def quote_of(node: Node) -> str:
    """Return the quote of the node's keys when all have the same: JSON is YAML too."""
    styles = {entry.key.style for entry in node.entries if entry.key is not None}
    return styles.pop() if len(styles) == 1 else ""
