"""One value as YAML, in the style that it had before wherever that still says the same."""

from __future__ import annotations

import json
import re
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


def block(value: str, *, style: str, indent: int, width: int = 0) -> str | None:
    """Return the text as a literal (``|``) or folded (``>``) block, or None where it cannot be one.

    The lines behind the header are indented by ``indent`` columns; a folded text is broken before
    ``width``.
    """
    content = value.removesuffix("\n")
    lines = content.split("\n")
    if not content or content[0] in " \n" or not content.strip():
        return None
    if any(not _PRINTABLE.fullmatch(line) or (line and not line.strip()) for line in lines):
        return None
    if content.endswith("\n"):
        return None
    if style == ">":
        if any(line.startswith(" ") or line.endswith(" ") for line in lines):
            return None
        lines = _doubled(content, width - indent)
    header = style if value.endswith("\n") else f"{style}-"
    return "\n".join([header, *(" " * indent + line if line else "" for line in lines)])


def _doubled(content: str, width: int) -> list[str]:
    """Return the lines of a folded block: what is a line break in the text is an empty line."""
    lines: list[str] = []
    for number, line in enumerate(content.split("\n")):
        if number and line:
            lines.append("")
        lines += _folded(line, width) if line else [""]
    return lines


def _folded(line: str, width: int) -> list[str]:
    """Break a line at single spaces, so that folding gives it back."""
    words = re.split(r"(?<! ) (?! )", line)
    lines = [words[0]]
    for word in words[1:]:
        if width > 0 and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines
