"""One value of the document as a form shows it: how it becomes text, and the text a value again.

Nothing is judged here. What cannot be read as its type stays the text that was written, so that the
document's own model says what is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from experiments.domain import text
from experiments.domain.errors import InvalidDocumentError

Reads = Literal[
    "text",
    "long",
    "number",
    "integer",
    "scalar",
    "duration",
    "percentage",
    "rate",
    "size",
    "quantity",
    "integers",
    "flag",
    "choice",
    "boolean",
    "checks",
    "words",
    "lines",
    "pairs",
    "yaml",
]
Texts = Mapping[str, Sequence[str]]

ABSENT: Final[Any] = object()
"""What stands for a value that the document does not have."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TRIMMED = frozenset(
    {"number", "integer", "scalar", "duration", "percentage", "rate", "size", "quantity"}
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One input: where its value is, what it is called, how it is read."""

    path: tuple[str, ...]
    label: str
    reads: Reads = "text"
    help: str = ""
    unit: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    """The same choices under titles, where they are too many for one list."""
    default: str = ""
    """What is shown, and meant, where the document says nothing (of ``checks``: with commas)."""
    placeholder: str = ""
    suggestions: str = ""
    """The id of a datalist of the page."""
    suggests: str = ""
    """What is asked for while somebody writes it, see ``domain.suggests``."""
    is_required: bool = False
    is_wide: bool = False
    is_code: bool = False
    is_promql: bool = False
    """Code that is a PromQL query or selector: an editor helps to write it."""
    is_extra: bool = False
    """Rarely needed: shown behind “More”."""
    shown_when: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Other inputs of the row (by key) and their values, without which it has no meaning."""
    redraws: bool = False
    """Its change shows other fields."""
    keeps_empty: bool = False
    """An emptied text stays in the document, as it says which kind of row this is."""
    item: Reads = "text"
    answers_for: tuple[str, ...] = ()
    """Other keys of the document whose errors belong here."""

    @property
    def key(self) -> str:
        """Return its name within its row."""
        return "-".join(self.path)

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Return the inputs: itself."""
        return (self,)

    def shows(self, value: Any) -> dict[str, list[str]]:
        """Return the texts of each input for a value of the document."""
        return {self.key: show(self, value)}

    def takes(self, given: Texts) -> Any:
        """Return the value of the document that the texts mean; ABSENT for none."""
        return read(self, given.get(self.key, ()))


@dataclass(frozen=True, slots=True)
class Compound:
    """Several inputs that are one value of the document."""

    path: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    shows: Callable[[Any], dict[str, list[str]]]
    takes: Callable[[Texts], Any]


Field = Leaf | Compound


def dump(value: Any) -> str:
    """Return the value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def plain(lines: str) -> str:
    """Return the text with the line ends of a document; browsers send their own."""
    return lines.replace("\r\n", "\n").replace("\r", "\n")


def scalar(value: Any) -> str:
    """Return one value as the text of one input."""
    if value is ABSENT or value is None:
        return ""
    return value if isinstance(value, str) else dump(value)


def number(written: str) -> Any:
    """Return the number that the text is, or the text."""
    written = written.strip()
    if not _NUMBER.fullmatch(written):
        return written
    return json.loads(written)


def show(leaf: Leaf, value: Any) -> list[str]:
    """Return the texts that an input shows for a value."""
    if leaf.reads == "flag":
        return ["on"] if value is not ABSENT and value else []
    if leaf.reads == "checks":
        if value is ABSENT:
            return leaf.default.split(",") if leaf.default else []
        return [scalar(each) for each in value] if isinstance(value, list) else [scalar(value)]
    if value is ABSENT:
        return [leaf.default]
    if leaf.reads == "yaml" and isinstance(value, dict | list):
        return [text.write(value).strip()]
    if leaf.reads in ("words", "integers") and isinstance(value, list):
        return [", ".join(scalar(each) for each in value)]
    if leaf.reads == "lines" and isinstance(value, list):
        return ["\n".join(scalar(each) for each in value)]
    if leaf.reads == "pairs" and isinstance(value, dict):
        return ["\n".join(f"{key}={scalar(each)}" for key, each in value.items())]
    return [scalar(value)]


def read(leaf: Leaf, given: Sequence[str]) -> Any:
    """Return the value that the texts mean; ABSENT for an emptied input."""
    if leaf.reads == "flag":
        return bool(given) or ABSENT
    if leaf.reads == "checks":
        return list(given)
    written = plain(given[-1]) if given else ""
    if leaf.reads in _TRIMMED or leaf.reads == "choice":
        written = written.strip()
    if not written.strip():
        return "" if leaf.keeps_empty else ABSENT
    return _READERS[leaf.reads](leaf, written)


def _words(leaf: Leaf, written: str) -> list[str]:
    return [word.strip() for word in written.split(",") if word.strip()]


def _integers(leaf: Leaf, written: str) -> Any:
    found = [number(word) for word in written.split(",") if word.strip()]
    return found[0] if len(found) == 1 else found


def _lines(leaf: Leaf, written: str) -> list[Any]:
    lines = [line.strip() for line in written.split("\n") if line.strip()]
    return [number(line) for line in lines] if leaf.item == "number" else lines


def _pairs(leaf: Leaf, written: str) -> Any:
    lines = [line.partition("=") for line in written.split("\n") if line.strip()]
    if not all(equals for _, equals, _ in lines):
        return written
    return {
        name.strip(): number(value) if leaf.item == "number" else value.strip()
        for name, _, value in lines
    }


def _yaml(leaf: Leaf, written: str) -> Any:
    try:
        return text.read(written)
    except InvalidDocumentError:
        return written


def _scalar(leaf: Leaf, written: str) -> Any:
    return {"true": True, "false": False}.get(written, number(written))


def _text(leaf: Leaf, written: str) -> str:
    return written


def _number(leaf: Leaf, written: str) -> Any:
    return number(written)


_READERS: Mapping[str, Callable[[Leaf, str], Any]] = {
    "text": _text,
    "long": _text,
    "choice": _text,
    "duration": _text,
    "percentage": _text,
    "rate": _text,
    "size": _text,
    "number": _number,
    "integer": _number,
    "quantity": _number,
    "scalar": _scalar,
    "boolean": _scalar,
    "integers": _integers,
    "words": _words,
    "lines": _lines,
    "pairs": _pairs,
    "yaml": _yaml,
}
