"""Fields and items of a block collection as pieces of whole lines, and how they are put together.

A piece owns the comment lines directly above it, the comments on its lines, and the comment lines
below it that are indented deeper than it. What lies between two pieces is the gap of the second.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from experiments.domain.patching.splices import Splice, ordered, spliced
from experiments.domain.patching.tree import Entry, Node, Tree, UnreadableError


@dataclass(frozen=True, slots=True)
class Piece:
    """One field or item: where its gap, its own comments and its first line begin, and its end."""

    gap: int
    lead: int
    start: int
    end: int


def end_of(tree: Tree, entry: Entry) -> int:
    """Return where the entry's lines end: behind its last line, or its last deeper comment."""
    column = tree.column(entry.start)
    end = place = tree.next_line(entry.end)
    while place < len(tree.text):
        line = tree.text[place : tree.line_end(place)]
        bare = line.strip()
        if bare and not bare.startswith("#"):
            break
        if bare and len(line) - len(line.lstrip()) <= column:
            break
        place = tree.next_line(place)
        if bare:
            end = place
    return end


def pieces(tree: Tree, node: Node, *, is_root: bool = False) -> list[Piece]:
    """Return the pieces of a block collection. Raises UnreadableError where lines are shared."""
    found: list[Piece] = []
    for number, entry in enumerate(node.entries):
        line = tree.line_start(entry.start)
        end = end_of(tree, entry)
        if tree.text[line : entry.start].strip():
            if number:
                raise UnreadableError("two fields share a line")
            found.append(Piece(entry.start, entry.start, entry.start, end))
            continue
        above = found[-1].end if found else 0
        lead = _lead(tree, above, line)
        if not found:
            head = tree.text[above:lead]
            if is_root and not head.strip(" \t\r\n\ufeff"):
                lead = line
            found.append(Piece(lead, lead, entry.start, end))
        else:
            found.append(Piece(above, lead, entry.start, end))
    return found


def _lead(tree: Tree, above: int, line: int) -> int:
    """Return where the comment lines begin that stand directly above a line."""
    lead = line
    while lead > above:
        before = tree.line_start(lead - 1)
        if before < above or not tree.text[before:lead].lstrip().startswith("#"):
            break
        lead = before
    return lead


def arranged(
    tree: Tree,
    node: Node,
    arrangement: Sequence[int | str],
    splices: Sequence[Splice],
    *,
    is_root: bool = False,
) -> Splice:
    """Return the splice that gives the collection these entries in this order.

    ``arrangement`` names each entry by its number, and has the text of each new one (lines behind
    the first indented already, no line break at the end). ``splices`` are made in what stays.
    """
    known = pieces(tree, node, is_root=is_root)
    first, last = known[0], known[-1]
    is_inline = bool(tree.text[tree.line_start(first.start) : first.start].strip())
    indent = " " * tree.column(first.start)
    spread = len(known) > 1 and all(
        _is_blank(tree.text[piece.gap : piece.lead]) for piece in known[1:]
    )
    kept = {each for each in arrangement if isinstance(each, int)}
    inner = ordered(splices)
    parts: list[str] = []
    for number, each in enumerate(arrangement):
        if isinstance(each, str):
            gap, lead, body = tree.line_break if spread else "", "", each
        else:
            piece = known[each]
            gap = _gap(tree, known, each, kept) or (tree.line_break if spread else "")
            lead = (
                tree.text[piece.lead : tree.line_start(piece.start)]
                if each or not is_inline
                else ""
            )
            body = spliced(tree.text, inner, piece.start, piece.end)
        if number == 0:
            gap = gap if "#" in gap else ""
        if number == 0 and is_inline:
            lead = (gap + lead).lstrip()
            parts.append(f"{lead}{indent}{body}" if lead else body)
        else:
            parts.append(f"{gap}{lead}{indent}{body}")
    made = "".join(part if part.endswith("\n") else part + tree.line_break for part in parts)
    made += _stray(tree, known, kept)
    if not tree.text.endswith("\n", 0, last.end):
        made = made.removesuffix("\n").removesuffix("\r")
    return Splice(first.lead, last.end, made)


def _is_blank(gap: str) -> bool:
    return bool(gap) and not gap.strip()


def _gap(tree: Tree, known: Sequence[Piece], number: int, kept: Set[int]) -> str:
    """Return what stays above a piece: its own gap, and what removed ones above leave behind."""
    own = tree.text[known[number].gap : known[number].lead]
    left = ""
    above = number - 1
    while above > 0 and above not in kept:
        left = tree.text[known[above].gap : known[above].lead] + left
        above -= 1
    if "#" in left:
        return left + own
    return own or left


def _stray(tree: Tree, known: Sequence[Piece], kept: Set[int]) -> str:
    """Return the comments that stood by themselves above removed pieces at the end."""
    left = ""
    for number in range(len(known) - 1, 0, -1):
        if number in kept:
            break
        left = tree.text[known[number].gap : known[number].lead] + left
    return left if "#" in left else ""
