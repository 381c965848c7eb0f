"""What is wrong with a document, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

_MOST_HINTS = 50
"""A document of ten thousand unknown fields is not read for ten thousand near ones."""


@dataclass(frozen=True, slots=True, order=True)
class SpecError:
    """One error of a document: where it is, and what was found and would be right.

    ``line`` and ``column`` (from 1) are known where a text could not be read; ``message`` then
    names the line, too.
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


def _show(value: Any) -> str:
    text = f"“{value}”" if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _message(error: ErrorDetails) -> str:
    kind, context, found = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "missing":
        return "is missing"
    if kind in _TEXTS:
        return _TEXTS[kind] if kind == "extra_forbidden" else f"{_TEXTS[kind]}, not {_show(found)}"
    bounds = {
        "greater_than": ("more than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in bounds:
        word, key = bounds[kind]
        return f"must be {word} {context[key]}, not {_show(found)}"
    if kind in ("literal_error", "enum"):
        return f"{_show(found)} is none of {context['expected']}"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long"
    if kind == "string_too_short" or (kind == "string_pattern_mismatch" and found == ""):
        return "is missing"
    if kind == "too_short":
        return "needs at least one"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return f"{_show(found)} {_PATTERNS[context['pattern']]}"
    if kind == "string_pattern_mismatch":
        return f"{_show(found)} does not match {context['pattern']}"
    if kind == "value_error":
        return str(context["error"])
    return error["msg"]


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
        told.append(SpecError((*prefix, *details["loc"]), message))
    return told
