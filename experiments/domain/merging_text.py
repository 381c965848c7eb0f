"""Merges what two people made of one YAML text, so that the comments of both stay. Pure.

Lines that only one side changed are that side's. Where both changed the same lines, theirs stand
and what the merged document says is patched into them; comments of mine that found no place are
told. Texts whose lines would take too long to compare are not merged line by line: theirs stands.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from experiments.domain import patching, uses
from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.merging import Conflict, Side, merge

_COMMENT = re.compile(r"(?:^|\s)(#.*)$")
_SPACE = re.compile(r"\s+")
_MOST_STEPS = 6_000_000
"""Steps of comparing two texts line by line, at worst: about half a second."""


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
    both = woven(base, theirs, mine)
    made = _patched(both, found.document) if both is not None else None
    if made is None:
        made = patching.patch(theirs, found.document).text
    held = _SPACE.sub(" ", made)
    lost = [
        comment
        for side in (theirs, mine)
        for comment in _new_comments(base, side)
        if comment not in held
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


def woven(base: str, theirs: str, mine: str) -> str | None:
    """Merge line by line; where both changed the same lines, theirs stand.

    None where that would take too long: where hundreds of changed lines are all alike.
    """
    old, *new = (each.splitlines(keepends=True) for each in (base, theirs, mine))
    differing = [_Differing.of(old, each) for each in new]
    if any(each.steps > _MOST_STEPS for each in differing):
        return None
    left, right = (list(_changes(each)) for each in differing)
    taken = left + [change for change in right if not any(_touch(change, each) for each in left)]
    made: list[str] = []
    at = 0
    for start, stop, lines in sorted(taken, key=lambda change: change[:2]):
        made += [*old[at:start], *lines]
        at = stop
    return "".join(made + old[at:])


_Change = tuple[int, int, list[str]]
"""The lines of the base from and up to which others stand, and these."""


@dataclass(frozen=True, slots=True)
class _Differing:
    """The lines of two texts without those that both begin and end with; ``start`` is how many."""

    start: int
    old: list[str]
    new: list[str]

    @classmethod
    def of(cls, old: list[str], new: list[str]) -> _Differing:
        """Take away what the texts begin and end with alike."""
        most, start, end = min(len(old), len(new)), 0, 0
        while start < most and old[start] == new[start]:
            start += 1
        while end < most - start and old[-1 - end] == new[-1 - end]:
            end += 1
        return cls(start, old[start : len(old) - end], new[start : len(new) - end])

    @property
    def steps(self) -> int:
        """Return how many steps ``SequenceMatcher`` takes at worst.

        For each match that it finds it looks at all lines again, and at each place of the other
        text that has the same line.
        """
        counts = Counter(self.new)
        pairs = sum(1 + counts[line] for line in self.old)
        return pairs * min(len(self.old), len(self.new))


def _changes(of: _Differing) -> Iterator[_Change]:
    new = of.new
    matcher = difflib.SequenceMatcher(None, of.old, new, autojunk=False)
    for kind, begin, end, first, last in matcher.get_opcodes():
        start, stop = of.start + begin, of.start + end
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
