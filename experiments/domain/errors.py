"""What is wrong with a document, and where."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

_TEXTS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field here",
    "string_type": "must be a text",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}


_PATTERNS = {
    r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$": "may hold small letters, digits, - and _ (no - or _ at"
    " the ends)",
    r"^https?://[^\s/]+\S*$": "is no address; write for example http://front/health",
}

_LONGEST = 60
_MOST_HINTS = 50
"""A document of ten thousand unknown fields is not read for ten thousand near ones."""


@dataclass(frozen=True, slots=True, order=True)
class SpecError:
    """One error of a document: where it is, and what was found and would be right.

    ``line`` and ``column`` (from 1) are known where a text could not be read; ``message`` then
    names the line, too, unless there is a path to name.
    """

    path: Path
    message: str
    line: int | None = field(default=None, compare=False)
    column: int | None = field(default=None, compare=False)

    @property
    def dotted(self) -> str:
        """Return the path as people read it: ``method[0].with.percentage``."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text

    def __str__(self) -> str:
        return f"{self.dotted or 'document'}: {self.message}"


class InvalidDocumentError(ValueError):
    """A document with errors; ``errors`` holds all of them."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors))


def show(value: Any) -> str:
    """Return a value as its author would know it again: JSON, texts in quotes, at most a line."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, str):
        text = f"“{value}”"
    elif isinstance(value, list | tuple):
        text = "a list"
    elif isinstance(value, Mapping):
        text = "a mapping"
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}…"


def _number(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _choice(found: Any, expected: str) -> str:
    """Say which words may stand in a place; pydantic lists them as Python has them."""
    words = re.findall(r"'([^']*)'", expected) or [expected]
    one_of = " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    if found is None or found == "":
        return f"is empty: write {one_of}"
    if len(words) == 1:
        return f"must be {one_of}, not {show(found)}"
    near = difflib.get_close_matches(found, words, n=1) if isinstance(found, str) else []
    hint = f"; did you mean “{near[0]}”?" if near else ""
    return f"{show(found)} is none of {one_of}{hint}"


def _as_shown(message: str, found: Any) -> str:
    """Return what a unit says of a value, the value as its author wrote it."""
    if found is None or found == "":
        begun = repr(found) if found is None else "“”"
        hint = message.partition("; ")[2]
        is_about = message.startswith(f"{begun} ")
        return "; ".join(filter(None, ("is empty", hint))) if is_about else message
    if isinstance(found, str) or not message.startswith(repr(found)):
        return message
    return show(found) + message.removeprefix(repr(found))


def _message(error: ErrorDetails) -> str:
    kind, context, found = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "missing":
        return "is missing"
    if kind in _TEXTS:
        if kind == "extra_forbidden":
            return _TEXTS[kind]
        is_empty = found is None or found == ""
        return f"is empty, and {_TEXTS[kind]}" if is_empty else f"{_TEXTS[kind]}, not {show(found)}"
    bounds = {
        "greater_than": ("more than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in bounds:
        word, key = bounds[kind]
        return f"must be {word} {_number(context[key])}, not {show(found)}"
    if kind in ("literal_error", "enum"):
        return _choice(found, str(context["expected"]))
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long"
    if kind == "string_too_short" or (kind == "string_pattern_mismatch" and found == ""):
        return "is missing"
    if kind == "too_short":
        return "needs at least one"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return f"{show(found)} {_PATTERNS[context['pattern']]}"
    if kind == "string_pattern_mismatch":
        return f"{show(found)} does not match {context['pattern']}"
    if kind == "value_error":
        return _as_shown(str(context["error"]), found)
    return _as_shown(error["msg"], found)


_QUANTITY = "must be a number, or a text with a unit such as 500ms or 1%"
_EITHER = {
    **dict.fromkeys(("min", "max", "absolute", "above", "below"), _QUANTITY),
    "status": "must be a status such as 200, or a list of them",
    "equals": "must be a text, a number, true or false",
}
"""What is said of a field that may be of several types; pydantic has an error for each of them."""
_TYPE = re.compile(r"(str|float|int|bool|tuple\[.*\])$")


def _plain(path: Path, message: str) -> tuple[Path, str]:
    """Drop the type that pydantic writes behind a field that may be of several."""
    for index, (part, kind) in enumerate(itertools.pairwise(path)):
        if part in _EITHER and isinstance(kind, str) and _TYPE.match(kind):
            return path[: index + 1], _EITHER[str(part)]
    return path, message


def from_pydantic(
    error: ValidationError, prefix: Path = (), hint: Callable[[Path], str] | None = None
) -> list[SpecError]:
    """Return pydantic's errors in our words, each path behind ``prefix``.

    Pydantic calls a list too short when its items are wrong; only their own errors are told.
    ``hint`` says of an unknown field's path what was probably meant; it is asked a few times only.
    """
    found = error.errors(include_url=False)
    left, told = _MOST_HINTS, []
    for details in found:
        if details["type"] == "too_short" and details["input"]:
            continue
        message = _message(details)
        if details["type"] == "extra_forbidden" and hint is not None and left:
            left -= 1
            message = "; ".join(filter(None, (message, hint(details["loc"]))))
        path, message = _plain(details["loc"], message)
        told.append(SpecError((*prefix, *path), message))
    return list(dict.fromkeys(told))
