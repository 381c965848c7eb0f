"""What importers read and return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.domain import patching
from experiments.domain.errors import Path, SpecError
from experiments.importers import places

_SHORT = 40_000
"""Characters of a text that ``patching`` remembers; a longer one it would read for every place."""


@dataclass(frozen=True, slots=True)
class SourceError:
    """One thing wrong with a source: what, and where; lines and columns count from 1."""

    message: str
    path: Path = ()
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was kept, changed or lost, in words, and where it stood."""

    words: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """One YAML or JSON document of a source that could be read."""

    raw: Any
    """JSON types, as far as they were checked: ``json_types.problems`` finds nothing in them."""
    text: str
    line: int
    """The line of the source on which ``text`` begins, from 1."""
    column: int = 1
    is_json: bool = False

    def error(self, error: SpecError) -> SourceError:
        """Return the error of a path of this document with its place in the source."""
        return SourceError(error.message, error.path, *self.place(error.path))

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column in the source of what stands at the path."""
        # JSON allows tabs where YAML does not; inside its texts there are none.
        text = self.text.replace("\t", " ") if self.is_json else self.text
        found = patching.locate(text, path) if len(text) <= _SHORT else None
        line, column = found or places.locate(text, path)
        return self.line + line - 1, column + (self.column - 1 if line == 1 else 0)


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or what somebody pasted: its documents, and what could not be read."""

    name: str
    text: str
    documents: tuple[Written, ...] = ()
    errors: tuple[SourceError, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """One experiment that was found: its raw document, not yet validated."""

    raw: Any
    written: Written
    path: Path = ()
    """Where in the written document it stands."""
    text: str | None = None
    """The author's own YAML with its comments; None where there is none that says only this."""

    @property
    def line(self) -> int:
        """Return the line of the source on which it begins."""
        return self.written.place(self.path)[0]

    def error(self, error: SpecError) -> SourceError:
        """Return an error of this experiment's document with its place in the source."""
        line, column = self.written.place((*self.path, *error.path))
        return SourceError(error.message, error.path, line, column)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a format made of a source."""

    format: str
    drafts: tuple[Draft, ...] = ()
    kept: tuple[Note, ...] = ()
    changed: tuple[Note, ...] = ()
    lost: tuple[Note, ...] = ()
    errors: tuple[SourceError, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name, what it needs to be known by, and its two functions.

    ``detect`` returns how sure it is that a source is its own, 0 to 1; ``convert`` is only called
    with such a source. Neither raises, whatever a source holds.
    """

    name: str
    title: str
    needs: str
    detect: Callable[[Source], float]
    convert: Callable[[Source], Imported]
