"""One document as both views of the editor show it: the form's inputs and the author's own YAML.

Whichever view was posted, the other is made from it: fields are patched into the text that they
began as, a text that can be read becomes fields. Nothing is lost on the way; what one view cannot
hold (two parameters of one name, a text that is no document) keeps the person in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from experiments.domain import patching
from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError, Path, SpecError
from experiments.forms import mapping
from experiments.forms.editor import Editor, Row, Section
from experiments.forms.kinds import Catalogue
from experiments.forms.mapping import Fields

View = Literal["form", "yaml"]
_SUBS = ("slis", "method")


@dataclass(frozen=True, slots=True)
class Mark:
    """One error where both views have it: beside a field, and at a line and column (from 1)."""

    where: str
    message: str
    target: str = ""
    """The id of the field; empty where the text cannot be read and there is none."""
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of the outline: a section or a row, where it stands in the view that is shown."""

    title: str
    href: str
    count: int = 0
    error_count: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(slots=True)
class Written:
    """A document in the making. ``editor`` is None where the text cannot be read as one."""

    view: View
    text: str
    """What the document says, in the author's own words."""
    base: str
    """The text that the form's fields are patched into."""
    document: Mapping[str, Any]
    editor: Editor | None
    unread: tuple[SpecError, ...] = ()

    def place(self, errors: Iterable[SpecError]) -> None:
        """Show errors beside their fields; a text that cannot be read has none but its own."""
        if self.editor is not None:
            self.editor.place(errors)

    @property
    def cannot_be_text(self) -> bool:
        """Return whether the fields hold what no YAML can: parameters of one or no name."""
        return self.editor is not None and bool(mapping.duplicates(self.editor.fields))

    @property
    def marks(self) -> list[Mark]:
        """Return every error that was placed, in the order of the view that is shown."""
        if self.editor is None:
            return [_unread(error) for error in self.unread]
        faults = self.editor.faults
        found = [
            Mark(fault.where, fault.message, fault.target, *(place or (None, None)))
            for fault, place in zip(
                faults, patching.places(self.text, [fault.path for fault in faults]), strict=True
            )
        ]
        if self.view == "yaml":
            found.sort(key=lambda mark: (mark.line or 0, mark.column or 0))
        return found

    @property
    def outline(self) -> list[Part]:
        """Return the sections and what is in them, with links into the view that is shown."""
        if self.editor is None:
            return []
        rows = [(section, _rows(section)) for section in self.editor.sections]
        paths: list[Path] = []
        for section, below in rows:
            paths += [(section.key,), *((section.key, row.position) for row in below)]
        lines = iter(patching.places(self.text, paths) if self.view == "yaml" else ())

        def href(target: str, *, is_there: bool = True) -> str:
            if self.view == "form":
                return f"#{target}"
            place = next(lines)
            return f"#line-{place[0]}" if place and is_there else ""

        return [
            Part(
                section.title,
                href(f"section-{section.key}", is_there=section.key in self.document),
                len(section.rows),
                section.error_count,
                tuple(Part(row.name or "unnamed", href(row.id)) for row in below),
            )
            for section, below in rows
        ]


def from_fields(
    fields: Fields, *, base: str, catalogue: Catalogue, opened: Iterable[str] = ()
) -> Written:
    """Return what the form's fields mean, patched into the text that they began as."""
    editor = Editor(fields, catalogue=catalogue, opened=opened)
    made = patching.patch(base, editor.document).text
    return Written("form", made, base, editor.document, editor)


def from_text(text: str, *, catalogue: Catalogue) -> Written:
    """Return what a text means, with every error of one that cannot be read."""
    try:
        raw = yaml.read(text)
        if not isinstance(raw, dict):
            what = "is empty" if raw is None else "must be a mapping of names to values"
            raise InvalidDocumentError([SpecError((), f"the document {what}", 1, 1)])
    except InvalidDocumentError as error:
        return Written("yaml", text, text, {}, None, error.errors)
    fields = mapping.document_to_fields(raw, catalogue=catalogue)
    return Written("yaml", text, text, raw, Editor(fields, catalogue=catalogue))


def lines_like(text: str, kept: str) -> str:
    """Return a posted text with the line ends that it had: browsers post CR LF whatever it was."""
    plain = text.replace("\r\n", "\n")
    is_windows = "\r\n" in kept and "\n" not in kept.replace("\r\n", "")
    return plain.replace("\n", "\r\n") if is_windows else plain


def _rows(section: Section) -> list[Row]:
    return section.rows if section.key in _SUBS else []


def _unread(error: SpecError) -> Mark:
    line = error.line or 1
    message = error.message.removeprefix(f"line {line}: ")
    if error.path:
        message = f"{error.dotted} {message}"
    return Mark(f"Line {line}", message, "", line, error.column or 1)
