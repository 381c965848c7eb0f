"""Merges what two people made of one YAML text, so that the comments of both stay. Pure.

Lines that only one side changed are that side's. Where both changed the same lines, theirs stand
and what the merged document says is patched into them; comments of mine that found no place are
told.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.domain import patching, uses
from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.merging import Conflict, Side, merge

_COMMENT = re.compile(r"(?:^|\s)(#.*)$")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class MergedText:
    """The text of both, the conflicts of its document, and what found no place in it."""

    text: str
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...] = ()
    homeless: tuple[str, ...] = ()
    """Comments that one side wrote and the text does not hold."""


def merge_texts(
    base: str,
    theirs: str,
    mine: str,
    choices: dict[str, Side] | None = None,
    *,
    otherwise: Side = "theirs",
) -> MergedText:
    """Return the text that holds both sides' changes since ``base``.

    Raises InvalidDocumentError where one of the three cannot be read as a document.
    """
    found = merge(_read(base), _read(theirs), _read(mine), choices, otherwise=otherwise)
    made = _patched(woven(base, theirs, mine), found.document)
    if made is None:
        made = patching.patch(theirs, found.document).text
    lost = [
        comment
        for side in (theirs, mine)
        for comment in _new_comments(base, side)
        if comment not in _SPACE.sub(" ", made)
    ]
    return MergedText(made, found.conflicts, found.notes, tuple(dict.fromkeys(lost)))


def _read(text: str) -> dict[str, object]:
    raw = yaml.read(text)
    return uses.bare(raw) if isinstance(raw, dict) else {}


def _patched(text: str, document: dict[str, object]) -> str | None:
    """Return the lines of both, meaning the document; None where they are no YAML together."""
    try:
        if not isinstance(yaml.read(text), dict):
            return None
    except InvalidDocumentError:
        return None
    made = patching.patch(text, document)
    return made.text if made.kept else None


def woven(base: str, theirs: str, mine: str) -> str:
    """Merge line by line; where both changed the same lines, theirs stand."""
    old = base.splitlines(keepends=True)
    left = list(_changes(old, theirs.splitlines(keepends=True)))
    right = list(_changes(old, mine.splitlines(keepends=True)))
    taken = left + [change for change in right if not any(_touch(change, each) for each in left)]
    made: list[str] = []
    at = 0
    for start, stop, lines in sorted(taken, key=lambda change: change[:2]):
        made += [*old[at:start], *lines]
        at = stop
    return "".join(made + old[at:])


_Change = tuple[int, int, list[str]]
"""The lines of the base from and up to which others stand, and these."""


def _changes(old: list[str], new: list[str]) -> Iterator[_Change]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, stop, first, last in matcher.get_opcodes():
        if kind == "replace" and stop - start == last - first:
            # Neighbouring lines that were changed one by one are changes of their own.
            for place in range(stop - start):
                yield start + place, start + place + 1, [new[first + place]]
        elif kind != "equal":
            yield start, stop, new[first:last]


def _touch(one: _Change, other: _Change) -> bool:
    """Return whether two changes are about the same lines, or add at the same place."""
    if one[0] == one[1] or other[0] == other[1]:
        return one[0] <= other[1] and other[0] <= one[1]
    return one[0] < other[1] and other[0] < one[1]


def _new_comments(base: str, side: str) -> Iterator[str]:
    """Yield the comments of a side that the base does not have, their spaces made single."""
    known = _SPACE.sub(" ", base)
    for line in side.splitlines():
        found = _COMMENT.search(line)
        comment = _SPACE.sub(" ", found[1]).strip() if found else ""
        if comment.strip("# ") and comment not in known:
            yield comment
