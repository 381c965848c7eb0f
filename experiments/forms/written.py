"""One document as both views of the editor show it: the form's inputs and the author's own YAML.

Whichever view was posted, the other is made from it: fields are patched into the text that they
began as, a text that can be read becomes fields. Nothing is lost on the way; what one view cannot
hold (two parameters of one name, a text that is no document) keeps the person in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from experiments.domain import patching
from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError, Path, SpecError
from experiments.forms import mapping
from experiments.forms.editor import ORDER, TITLES, Editor
from experiments.forms.kinds import LISTS, Catalogue
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


@dataclass
class Written:
    """A document in the making. What takes long is made when it is asked for, and once."""

    view: View
    base: str
    """The text that was written, or that the form's fields are patched into."""
    document: Mapping[str, Any]
    catalogue: Catalogue
    form: Editor | None = None
    """The form that was posted; of a posted text there is none before it is asked for."""
    unread: tuple[SpecError, ...] = ()
    """Why the text cannot be read as a document."""

    @cached_property
    def text(self) -> str:
        """Return what the document says, in the author's own words."""
        return patching.patch(self.base, self.document).text if self.form else self.base

    @cached_property
    def editor(self) -> Editor | None:
        """Return the form of the document; None where the text cannot be read as one."""
        if self.form is not None or self.unread:
            return self.form
        fields = mapping.document_to_fields(self.document, catalogue=self.catalogue)
        return Editor(fields, catalogue=self.catalogue)

    @property
    def is_read(self) -> bool:
        """Return whether there is a document to speak of."""
        return not self.unread

    def place(self, errors: Iterable[SpecError]) -> None:
        """Show errors beside their fields; a text that cannot be read has none but its own."""
        found = list(errors)
        if found and self.editor is not None:
            self.editor.place(found)

    @property
    def _placed(self) -> Editor | None:
        """Return the form if there is one already: errors that were placed have made it."""
        return self.form or self.__dict__.get("editor")

    @property
    def cannot_be_text(self) -> bool:
        """Return whether the fields hold what no YAML can: parameters of one or no name."""
        return self.form is not None and bool(mapping.duplicates(self.form.fields))

    @property
    def marks(self) -> list[Mark]:
        """Return every error that was placed, in the order of the view that is shown."""
        if self.unread:
            return [_unread(error) for error in self.unread]
        faults = self._placed.faults if self._placed else []
        if not faults:
            return []
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
        if self.unread:
            return []
        if self.view == "form" and self.editor is not None:
            return [
                Part(
                    section.title,
                    f"#section-{section.key}",
                    len(section.rows),
                    section.error_count,
                    tuple(
                        Part(row.name or "unnamed", f"#{row.id}")
                        for row in section.rows
                        if section.key in _SUBS
                    ),
                )
                for section in self.editor.sections
            ]
        return self._lines()

    def _lines(self) -> list[Part]:
        """Return the outline of the text, each part with its line."""
        names = {key: mapping.names(self.document, key) for key in LISTS}
        shown = {key: names[key] if key in _SUBS else [] for key in ORDER}
        paths: list[Path] = []
        for key, below in shown.items():
            paths += [(key,), *((key, position) for position in range(len(below)))]
        places = dict(zip(paths, patching.places(self.text, paths), strict=True))
        wrong = (
            {each.key: each.error_count for each in self._placed.sections} if self._placed else {}
        )

        def href(path: Path, *, is_there: bool = True) -> str:
            place = places[path]
            return f"#line-{place[0]}" if place and is_there else ""

        return [
            Part(
                TITLES[key],
                href((key,), is_there=key in self.document),
                len(names.get(key, ())),
                wrong.get(key, 0),
                tuple(
                    Part(name or "unnamed", href((key, position)))
                    for position, name in enumerate(shown[key])
                ),
            )
            for key in ORDER
        ]


def from_fields(
    fields: Fields, *, base: str, catalogue: Catalogue, opened: Iterable[str] = ()
) -> Written:
    """Return what the form's fields mean, patched into the text that they began as."""
    editor = Editor(fields, catalogue=catalogue, opened=opened)
    return Written("form", base, editor.document, catalogue, editor)


def from_text(text: str, *, catalogue: Catalogue) -> Written:
    """Return what a text means, with every error of one that cannot be read."""
    try:
        raw = yaml.read(text)
        if not isinstance(raw, dict):
            what = "is empty" if raw is None else "must be a mapping of names to values"
            raise InvalidDocumentError([SpecError((), f"the document {what}", 1, 1)])
    except InvalidDocumentError as error:
        return Written("yaml", text, {}, catalogue, unread=error.errors)
    return Written("yaml", text, raw, catalogue)


def lines_like(text: str, kept: str) -> str:
    """Return a posted text with the line ends that it had: browsers post CR LF whatever it was."""
    plain = text.replace("\r\n", "\n")
    is_windows = "\r\n" in kept and "\n" not in kept.replace("\r\n", "")
    return plain.replace("\n", "\r\n") if is_windows else plain


def _unread(error: SpecError) -> Mark:
    line = error.line or 1
    message = error.message.removeprefix(f"line {line}: ")
    if error.path:
        message = f"{error.dotted} {message}"
    return Mark(f"Line {line}", message, "", line, error.column or 1)
