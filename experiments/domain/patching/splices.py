"""Replacements of spans of a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Splice(NamedTuple):
    """What stands from ``start`` to ``end`` becomes ``text``."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Iterable[Splice], start: int = 0, end: int | None = None) -> str:
    """Return the span of the text, those splices made that lie within it; none may overlap."""
    end = len(text) if end is None else end
    parts: list[str] = []
    place = start
    for splice in sorted(splices, key=lambda each: each[:2]):
        if start <= splice.start and splice.end <= end:
            parts += [text[place : splice.start], splice.text]
            place = splice.end
    return "".join([*parts, text[place:end]])
