"""Replacements of spans of a text."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Splice(NamedTuple):
    """What stands from ``start`` to ``end`` becomes ``text``."""

    start: int
    end: int
    text: str


def ordered(splices: Iterable[Splice]) -> list[Splice]:
    """Return the splices as they follow in the text."""
    return sorted(splices, key=lambda splice: splice[:2])


def spliced(text: str, splices: Sequence[Splice], start: int = 0, end: int | None = None) -> str:
    """Return the span of the text, those splices made that lie within it.

    They are in their order, and none overlaps another.
    """
    end = len(text) if end is None else end
    parts: list[str] = []
    place = start
    for number in range(bisect.bisect_left(splices, (start,)), len(splices)):
        splice = splices[number]
        if splice.start > end:
            break
        if splice.end <= end:
            parts += [text[place : splice.start], splice.text]
            place = splice.end
    return "".join([*parts, text[place:end]])
