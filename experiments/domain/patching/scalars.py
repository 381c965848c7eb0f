"""One value as YAML, in the style that it had before wherever that still says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_NO_TEXT = re.compile(
    r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|<<|="
    r"|[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+)"
    r"|[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
"""What plain YAML reads as something else than a text; rather too much than too little."""
_PRINTABLE = re.compile(
    r"[\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_FIRST = frozenset("-?:,[]{}#&*!|>'\"%@`.=<~ ")
_FLOW = re.compile(r"[,\[\]{}]|:(?![\w/])|\?")


def is_plain(value: str, *, is_in_flow: bool) -> bool:
    """Return whether the text may stand without quotes."""
    if not value or value[0] in _FIRST or value[-1] in " :" or not _PRINTABLE.fullmatch(value):
        return False
    if ": " in value or " #" in value or _NO_TEXT.fullmatch(value):
        return False
    return not (is_in_flow and _FLOW.search(value))


def inline(value: Any, *, style: str = "", is_in_flow: bool = False) -> str:
    """Return a scalar on one line; ``style`` is the quote (or none) that is wished for."""
    if not isinstance(value, str):
        return json.dumps(value)
    if style not in ("'", '"') and is_plain(value, is_in_flow=is_in_flow):
        return value
    fits_single = bool(_PRINTABLE.fullmatch(value))
    if fits_single and (style == "'" or (style != '"' and _is_better_single(value))):
        return "'" + value.replace("'", "''") + "'"
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _is_better_single(value: str) -> bool:
    return ('"' in value or "\\" in value) and "'" not in value


def block(value: str, *, style: str, indent: int, was: Sequence[str] = ()) -> str | None:
    """Return the text as a literal (``|``) or folded (``>``) block, or None where it cannot be one.

    The lines behind the header are indented by ``indent`` columns. A folded text is broken as its
    lines ``was`` were, and nowhere wider.
    """
    content = value.removesuffix("\n")
    lines = content.split("\n")
    if not content.strip() or content[0] in " \n" or content.endswith("\n"):
        return None
    if any(not _PRINTABLE.fullmatch(line) or (line and not line.strip()) for line in lines):
        return None
    if style == ">":
        if any(line.startswith(" ") or line.endswith(" ") for line in lines):
            return None
        lines = _folded(lines, [line.strip() for line in was])
    header = style if value.endswith("\n") else f"{style}-"
    return "\n".join([header, *(" " * indent + line if line else "" for line in lines)])


def _folded(paragraphs: Sequence[str], was: Sequence[str]) -> list[str]:
    """Return the lines of a folded block: what is a line break in the text is an empty line."""
    width = max(map(len, was), default=0)
    lines: list[str] = []
    for number, paragraph in enumerate(paragraphs):
        if number and paragraph:
            lines.append("")
        if not paragraph:
            lines.append("")
        elif len(paragraphs) == 1:
            lines += _broken_as(paragraph, [line for line in was if line], width)
        else:
            lines += _broken(paragraph, width)
    return lines


def _broken_as(paragraph: str, was: Sequence[str], width: int) -> list[str]:
    """Keep the lines with which the paragraph still begins and ends; break what is between."""
    first = 0
    while first < len(was) and re.match(re.escape(was[first]) + " (?! )", paragraph):
        paragraph = paragraph[len(was[first]) + 1 :]
        first += 1
    last = len(was)
    while last > first and re.search("(?<! ) " + re.escape(was[last - 1]) + "$", paragraph):
        paragraph = paragraph[: -len(was[last - 1]) - 1]
        last -= 1
    return [*was[:first], *_broken(paragraph, width), *was[last:]]


def _broken(line: str, width: int) -> list[str]:
    """Break a line at single spaces, so that folding gives it back."""
    words = re.split(r"(?<! ) (?! )", line)
    lines = [words[0]]
    for word in words[1:]:
        if width and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines
