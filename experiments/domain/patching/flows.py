"""Fields and items of a flow collection (``{…}``, ``[…]``) and how they are put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.domain.patching.splices import Splice, ordered, spliced
from experiments.domain.patching.tree import Node, Tree, UnreadableError, skip_ignored

_TRAILING = re.compile(r"[ \t]*#[^\r\n]*")
_COMMENT = re.compile(r"#[^\r\n]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """One field or item: what stands before it, its span, and what stands behind it."""

    lead: str
    start: int
    end: int
    before_comma: str
    has_comma: bool
    comment: str
    """On its last line, behind the comma."""


def _pieces(tree: Tree, node: Node) -> tuple[list[Piece], str]:
    """Return the pieces and what stands before the closing bracket."""
    text, place = tree.text, node.body + 1
    found: list[Piece] = []
    for entry in node.entries:
        lead = text[place : entry.start]
        if _COMMENT.sub("", lead).strip():
            raise UnreadableError("a field of a flow mapping is written in a way of its own")
        end = entry.end
        comma = skip_ignored(text, end)
        has_comma = text[comma : comma + 1] == ","
        place = comma + 1 if has_comma else end
        comment = _TRAILING.match(text, place)
        place = comment.end() if comment else place
        found.append(
            Piece(
                lead,
                entry.start,
                end,
                text[end:comma] if has_comma else "",
                has_comma,
                comment[0] if comment else "",
            )
        )
    closing = text[place : node.end - 1]
    if _COMMENT.sub("", closing).strip():
        raise UnreadableError("a flow collection ends in a way of its own")
    return found, closing


def is_bracketed(tree: Tree, node: Node) -> bool:
    """Return whether the collection has brackets: ``[a: 1]`` holds a mapping without."""
    return tree.text[node.body : node.body + 1] in ("{", "[")


def arranged(
    tree: Tree, node: Node, arrangement: Sequence[int | str], splices: Sequence[Splice]
) -> Splice:
    """Return the splice that gives the collection these entries in this order.

    ``arrangement`` names each entry by its number, and has the text of each new one.
    """
    known, closing = _pieces(tree, node)
    first = known[0].lead
    usual = _usual(tree, known)
    inner = ordered(splices)
    ends_with_comma = known[-1].has_comma
    made = ""
    is_after_comment = False
    for number, each in enumerate(arrangement):
        if isinstance(each, str):
            piece = Piece(usual, 0, 0, "", False, "")
            body = each
        else:
            piece = known[each]
            body = spliced(tree.text, inner, piece.start, piece.end)
        lead = piece.lead
        if number == 0 and "#" not in lead:
            lead = first if "#" not in first else usual
        elif number and each == 0 and "#" not in lead:
            lead = usual
        needs_comma = number < len(arrangement) - 1 or ends_with_comma
        made += _broken(tree, lead, usual, is_after_comment=is_after_comment) + body
        made += piece.before_comma if needs_comma or piece.before_comma.strip() else ""
        made += ("," if needs_comma else "") + piece.comment
        is_after_comment = bool(piece.comment) or (
            not needs_comma and bool(piece.before_comma.strip())
        )
    made += _broken(tree, closing, usual, is_after_comment=is_after_comment)
    return Splice(node.body + 1, node.end - 1, made)


def _usual(tree: Tree, known: Sequence[Piece]) -> str:
    """Return what stands before a new piece: a space, or a line break and the indentation."""
    lead = (known[1] if len(known) > 1 else known[0]).lead
    if "\n" not in lead:
        return " "
    return tree.line_break + lead[lead.rfind("\n") + 1 :]


def _broken(tree: Tree, lead: str, usual: str, *, is_after_comment: bool) -> str:
    if not is_after_comment or lead.lstrip(" \t").startswith(("\n", "\r\n")):
        return lead
    return (usual if "\n" in usual else f"{tree.line_break} ") + lead.lstrip()
