"""From a place in the document to its line and column in the author's text, and back."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.domain.errors import Path
from experiments.domain.patching.tree import Entry, Node, Tree, UnreadableError, read

Place = tuple[int, int]
"""Line and column, both counted from 1."""


def locate(text: str, path: Path) -> Place | None:
    """Return where the value at the path is written; its nearest ancestor's where it is missing.

    That is where the value begins if it begins on its key's line, else where its key (or dash)
    stands. Returns None for a text that cannot be read.
    """
    return places(text, [path])[0]


def places(text: str, paths: Iterable[Path]) -> list[Place | None]:
    """Return where each path is, as ``locate`` does, reading the text once."""
    try:
        tree = read(text)
    except UnreadableError:
        return [None for _ in paths]
    return [_place(tree, path) for path in paths]


def _place(tree: Tree, path: Path) -> Place:
    if tree.root is None:
        return 1, 1
    node, offset = tree.root, tree.root.body
    for part in path:
        entry = _entry(node, part)
        if entry is None:
            break
        node, offset = entry.value, _start(tree, entry)
    return tree.text.count("\n", 0, offset) + 1, tree.column(offset) + 1


def path_at(text: str, line: int, column: int) -> Path | None:
    """Return the path of the deepest value that is written at the line and column.

    A blank or comment line counts to what stands above it and is indented less than the column.
    Returns None for a text that cannot be read, and where nothing is written yet.
    """
    try:
        tree = read(text)
    except UnreadableError:
        return None
    if tree.root is None:
        return None
    offset = _offset(tree, line, column)
    path: Path = ()
    node = tree.root
    while True:
        found = _at(tree, node, offset)
        if found is None:
            return path
        number, entry = found
        path = (*path, number if entry.key is None else str(entry.key.value))
        node = entry.value


def _entry(node: Node, part: str | int) -> Entry | None:
    if node.kind == "sequence" and isinstance(part, int):
        return node.entries[part] if 0 <= part < len(node.entries) else None
    if node.kind == "mapping":
        for entry in node.entries:
            if entry.key is not None and not entry.key.is_merge and entry.key.value == part:
                return entry
    return None


def _start(tree: Tree, entry: Entry) -> int:
    """Return where people look for the entry."""
    value = entry.value
    is_block = value.kind in ("mapping", "sequence") and not value.is_flow
    if is_block or value.is_empty or "\n" in tree.text[entry.start : value.start]:
        return entry.start
    return value.start


def _offset(tree: Tree, line: int, column: int) -> int:
    start = 0
    for _ in range(1, line):
        start = tree.next_line(start)
    start = tree.line_start(start)
    end = tree.line_end(start)
    written = tree.text[start:end]
    first = start + len(written) - len(written.lstrip())
    place = min(start + max(column, 1) - 1, end)
    is_written = bool(written.strip()) and not written.lstrip().startswith("#")
    return max(place, first) if is_written else place


def _at(tree: Tree, node: Node, offset: int) -> tuple[int, Entry] | None:
    """Return the entry of the collection in which the offset lies."""
    if node.kind not in ("mapping", "sequence") or (node.is_flow and offset >= node.end):
        return None
    before = [(number, entry) for number, entry in enumerate(node.entries) if entry.start <= offset]
    if not before:
        return None
    number, entry = before[-1]
    if not node.is_flow and offset > tree.line_end(entry.end):
        is_deeper = tree.column(offset) > tree.column(entry.start)
        return (number, entry) if is_deeper else None
    if entry.key is not None and entry.key.is_merge:
        return None
    return number, entry
