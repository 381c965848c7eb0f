"""The splices that turn the author's text into one that means the new document."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.domain.errors import Path
from experiments.domain.patching import blocks, emitting, flows, matching, order, scalars
from experiments.domain.patching.splices import Splice
from experiments.domain.patching.tree import Entry, Node, Tree, UnreadableError, merged

_GONE = object()
_HEADER = re.compile(r"[|>][0-9+-]*")


class Changes:
    """Finds the splices for one text and one new document.

    ``expands`` writes every alias out; otherwise one stays where it still means the right value.
    """

    def __init__(self, tree: Tree, *, expands: bool = False) -> None:
        self.tree = tree
        self.manner = emitting.manner_of(tree)
        self.expands = expands
        self.quote = emitting.quote_of(tree.root) if tree.root and tree.root.is_flow else ""
        self.anchored: dict[int, Any] = {}
        self.matches: dict[int, list[int | None]] = {}
        self.looks: dict[int, emitting.Look] = {}

    def of(self, document: Mapping[str, Any]) -> list[Splice]:
        """Return the splices. Raises UnreadableError where the text cannot be patched."""
        root = self.tree.root
        if root is None or not matching.is_like(root, document):
            return [self._whole(root, document)]
        self._follow(root, document)
        return self._changed(root, document, ())

    def _whole(self, root: Node | None, document: Mapping[str, Any]) -> Splice:
        """Return the splice that writes a first document behind what are only comments."""
        if (root is not None and not root.is_empty) or not document:
            raise UnreadableError("the text holds no mapping")
        text = self.tree.text
        start = "" if not text or text.endswith("\n") else self.tree.line_break
        made = self._lines(emitting.block(document, 0, self.manner))
        return Splice(len(text), len(text), start + made + self.tree.line_break)

    def _lines(self, made: str) -> str:
        return made.replace("\n", self.tree.line_break)

    def _follow(self, node: Node, new: Any) -> None:
        """Note what every anchored node will mean that stays."""
        if node.anchor:
            self.anchored[id(node)] = new
        if not matching.is_like(node, new):
            return
        if node.kind == "sequence":
            found = self.matches[id(node)] = matching.items(node, new)
            for number, value in zip(found, new, strict=True):
                if number is not None:
                    self._follow(node.entries[number].value, value)
            return
        for entry in node.entries:
            name = _name(entry)
            if name in new and not _is_merge(entry):
                if entry.key is not None and entry.key.anchor:
                    self.anchored[id(entry.key)] = name
                self._follow(entry.value, new[name])
            elif _is_merge(entry):
                for source in merged(entry):
                    self._follow(source, source.value)

    def _will_mean(self, node: Node) -> Any:
        """Return what an alias (or another node) will mean; ``_GONE`` without its anchor."""
        if node.target is None:
            return node.value
        if self.expands:
            return _GONE
        return self.anchored.get(id(node.target), _GONE)

    def _changed(self, node: Node, new: Any, path: Path) -> list[Splice]:
        """Return the splices within a collection that stays one of its kind."""
        if node.kind == "mapping":
            return self._mapping(node, new, path)
        return self._sequence(node, new, path)

    def _entry(self, parent: Node, entry: Entry, new: Any, path: Path) -> list[Splice]:
        """Return the splices that give the entry its new value."""
        node = entry.value
        if node.kind == "alias":
            if matching.same(self._will_mean(node), new):
                return []
        elif matching.same(node.value, new) and not node.has_alias:
            return []
        elif matching.is_like(node, new):
            with contextlib.suppress(UnreadableError):
                return self._changed(node, new, path)
        return self._replaced(parent, entry, new)

    def _mapping(self, node: Node, new: Mapping[str, Any], path: Path) -> list[Splice]:
        own = {_name(entry): entry for entry in node.entries if not _is_merge(entry)}
        brought = self._brought(node)
        keeps_merges = brought is not None and all(name in new for name in brought)
        given = brought if brought is not None and keeps_merges else {}
        stays = [
            number
            for number, entry in enumerate(node.entries)
            if (keeps_merges if _is_merge(entry) else _name(entry) in new)
        ]
        added = [
            name
            for name in new
            if name not in own and not (name in given and matching.same(given[name], new[name]))
        ]
        made: list[Splice] = []
        for name, entry in own.items():
            if name in new:
                made += self._entry(node, entry, new[name], (*path, name))
        if not added and len(stays) == len(node.entries):
            return made
        names = [
            "" if _is_merge(node.entries[each]) else _name(node.entries[each]) for each in stays
        ]
        following = order.placed(path, names, added, new)
        arrangement: list[int | str] = []
        for place, each in enumerate((None, *stays), start=-1):
            if each is not None:
                arrangement.append(each)
            for name in following.get(place, ()):
                arrangement.append(self._field(node, name, new[name]))
        return self._arranged(node, arrangement, made, path)

    def _brought(self, node: Node) -> dict[str, Any] | None:
        """Return what the mapping's merge keys will bring; None where one will be gone."""
        brought: dict[str, Any] = {}
        for entry in node.entries:
            if _is_merge(entry):
                whole = self._will_mean(entry.value)
                for source in merged(entry):
                    meaning = self._will_mean(source)
                    if whole is _GONE or not isinstance(meaning, Mapping):
                        return None
                    brought = {**meaning, **brought}
        return brought

    def _sequence(self, node: Node, new: Sequence[Any], path: Path) -> list[Splice]:
        found = self.matches.get(id(node)) or matching.items(node, new)
        made: list[Splice] = []
        arrangement: list[int | str] = []
        for place, (number, value) in enumerate(zip(found, new, strict=True)):
            if number is None:
                arrangement.append(self._item(node, value))
                continue
            arrangement.append(number)
            made += self._entry(node, node.entries[number], value, (*path, place))
        if arrangement == list(range(len(node.entries))):
            return made
        return self._arranged(node, arrangement, made, path)

    def _arranged(
        self, node: Node, arrangement: Sequence[int | str], made: Sequence[Splice], path: Path
    ) -> list[Splice]:
        if not node.is_flow:
            return [blocks.arranged(self.tree, node, arrangement, made, is_root=not path)]
        if not flows.is_bracketed(self.tree, node):
            raise UnreadableError("a mapping has no brackets")
        return [flows.arranged(self.tree, node, arrangement, made)]

    def _field(self, parent: Node, name: str, value: Any) -> str:
        """Return the text of a new field of a mapping."""
        look = self._look(parent)
        quote = look.quote
        if parent.is_flow or (
            look.is_flow and emitting.is_block(value) and emitting.is_short(value)
        ):
            return f"{emitting.key(name, quote)}: {emitting.flow(value, quote=quote)}"
        column = self.tree.column(parent.entries[0].start)
        return self._lines(emitting.block({name: value}, column, self.manner, quote))

    def _item(self, parent: Node, value: Any) -> str:
        """Return the text of a new item of a list."""
        look = self._look(parent)
        quote = look.quote
        if parent.is_flow:
            return emitting.flow(value, quote=quote)
        if look.is_flow and emitting.is_block(value):
            return f"- {emitting.flow(value, quote=quote)}"
        column = self.tree.column(parent.entries[0].start)
        return self._lines(emitting.block([value], column, self.manner, quote))

    def _look(self, parent: Node) -> emitting.Look:
        """Return how the collection's entries are written, found once for each."""
        if id(parent) not in self.looks:
            self.looks[id(parent)] = emitting.look_of(parent, self.quote)
        return self.looks[id(parent)]

    def _replaced(self, parent: Node, entry: Entry, new: Any) -> list[Splice]:
        """Return the splices that write a value of another kind, or another scalar."""
        node, style = entry.value, entry.value.style
        anchor = f"&{node.anchor} " if node.anchor and node.has_tag else ""
        start = node.start if node.has_tag else node.body
        if parent.is_flow:
            made = anchor + _flow(node, new, self._look(parent).quote)
            if entry.key is not None and entry.after < 0:
                return [Splice(entry.key.end, entry.key.end, f": {made}")]
            return [Splice(start, node.end, self._apart(start, made))]
        if entry.after < 0:
            raise UnreadableError("a key has no colon")
        if style in ("|", ">"):
            return self._block_scalar(entry, start, anchor, new)
        is_collection = node.kind in ("mapping", "sequence") and not node.is_flow
        behind = self._behind_properties(entry)
        is_below = "\n" in self.tree.text[behind:start] or (
            is_collection and "\n" in self.tree.text[behind : node.body]
        )
        if is_collection or is_below:
            return self._whole_lines(entry, new, is_below=is_below)
        if _hangs(node, new):
            if entry.key is not None:
                return self._below(entry, start, node.end, anchor, self._block_below(entry, new))
            column = self.tree.column(entry.start)
            first, _, rest = self._behind_dash(new, column).partition("\n")
            line = self.tree.line_end(node.end)
            rest = f"\n{rest}" if rest else ""
            return [
                Splice(start, node.end, self._apart(start, anchor + first)),
                Splice(line, line, self._lines(rest)),
            ]
        made = anchor + _flow(node, new, "", is_in_flow=False)
        return [Splice(start, node.end, self._apart(start, made))]

    def _behind_properties(self, entry: Entry) -> int:
        """Return the offset behind the colon or dash, and behind an anchor on the same line."""
        node = entry.value
        if node.anchor and not node.has_tag:
            return self.tree.text.index(node.anchor, node.start) + len(node.anchor)
        return entry.after

    def _behind_dash(self, new: Any, column: int) -> str:
        return emitting.behind_dash(new, column, self.manner).lstrip(" ")

    def _block_below(self, entry: Entry, new: Any) -> str:
        """Return a block that hangs below the entry, a line break before it."""
        column = self.tree.column(entry.start)
        if entry.key is None:
            inner = column + self.manner.item
            return "\n" + " " * inner + emitting.block(new, inner, self.manner)
        return emitting.behind_key(new, column, self.manner)

    def _apart(self, start: int, made: str) -> str:
        """Return the text with a space before it where it would touch what stands there."""
        before = self.tree.text[start - 1 : start]
        return made if before in (" ", "\t", "\n", "[", "{", ",", "") else f" {made}"

    def _below(self, entry: Entry, start: int, end: int, anchor: str, made: str) -> list[Splice]:
        """Return the splices that take a value from its key's line and hang a block below it."""
        line = self.tree.line_end(end)
        rest = self.tree.text[end:line].strip()
        keeps = f" {anchor}".rstrip()
        behind = self._behind_properties(entry)
        return [
            Splice(behind, end if rest else line, keeps),
            Splice(line, line, self._lines(made)),
        ]

    def _whole_lines(self, entry: Entry, new: Any, *, is_below: bool) -> list[Splice]:
        """Return the splices that replace what takes whole lines: a block, or what hangs below."""
        node = entry.value
        end = self.tree.line_end(node.end)
        if node.kind in ("mapping", "sequence") and not node.is_flow:
            whole = blocks.end_of(self.tree, entry)
            end = self.tree.line_end(
                whole - 1 if self.tree.text.endswith("\n", 0, whole) else whole
            )
        is_block = _hangs(node, new)
        if not is_below:
            if is_block:
                column = self.tree.column(entry.start)
                return [Splice(node.start, end, self._lines(self._behind_dash(new, column)))]
            return [Splice(node.start, end, _flow(node, new, "", is_in_flow=False))]
        behind = self._behind_properties(entry)
        line = self.tree.line_end(behind)
        if is_block:
            return [Splice(line, end, self._lines(self._block_below(entry, new)))]
        made = _flow(node, new, "", is_in_flow=False)
        comment = self.tree.text[node.end : end] if node.kind in ("scalar", "alias") else ""
        return [Splice(behind, behind, f" {made}"), Splice(line, end, comment)]

    def _block_scalar(self, entry: Entry, start: int, anchor: str, new: Any) -> list[Splice]:
        """Return the splices that replace a ``|`` or ``>`` text; its header keeps its comment."""
        node, tree = entry.value, self.tree
        header = _HEADER.match(tree.text, node.body)
        if header is None:
            raise UnreadableError("a block of text has no header")
        line, end = tree.line_end(header.end()), tree.line_end(node.end)
        end = max(line, end)
        if emitting.is_block(new):
            made = self._block_below(entry, new)
            return [
                Splice(self._behind_properties(entry), header.end(), f" {anchor}".rstrip()),
                Splice(line, end, self._lines(made)),
            ]
        written = None
        if isinstance(new, str):
            lines = tree.text[tree.next_line(line) : end].splitlines()
            filled = [each for each in lines if each.strip()]
            column = tree.column(entry.start)
            indent = len(filled[0]) - len(filled[0].lstrip(" ")) if filled else column + 2
            written = scalars.block(new, style=node.style, indent=indent, was=lines)
        if written is None:
            made = _flow(node, new, "", is_in_flow=False)
            return [Splice(start, header.end(), anchor + made), Splice(line, end, "")]
        first, _, rest = written.partition("\n")
        return [
            Splice(start, header.end(), anchor + first),
            Splice(line, end, self._lines(f"\n{rest}")),
        ]


def _hangs(node: Node, new: Any) -> bool:
    """Return whether the value that replaces the node is a block of its own."""
    was = node.target or node
    return emitting.is_block(new) and not (was.is_flow and was.entries and emitting.is_short(new))


def _flow(node: Node, new: Any, quote: str, *, is_in_flow: bool = True) -> str:
    """Return a value on one line; a text in the quotes of the node that it replaces."""
    if isinstance(new, Mapping | list | tuple):
        return emitting.flow(new, quote=quote)
    style = node.style if node.style in ("'", '"') else ""
    if not style and node.kind != "scalar":
        style = quote
    return scalars.inline(new, style=style, is_in_flow=is_in_flow)


def _name(entry: Entry) -> str:
    return str(entry.key.value) if entry.key is not None else ""


def _is_merge(entry: Entry) -> bool:
    return entry.key is not None and entry.key.is_merge
