"""Imports experiments from files, and says of each file what was found, kept, changed and lost.

``check`` stores nothing. ``store`` stores every experiment without errors, each whole or not at
all; one that has errors never keeps another from being stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Literal

from django.db import IntegrityError, OperationalError, ProgrammingError
from django.db.models import Q

from experiments import backends, importers
from experiments.domain import spec
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.importers import Draft, Note, SourceError, chaosmesh, reading
from experiments.models import Experiment, ExperimentVersion, User
from experiments.services import authoring, exporting, people

MAX_BYTES = reading.MAX_BYTES
"""Of all files of one import together."""
MAX_FILES = 100
MAX_ERRORS = spec.MOST_ERRORS + 1
"""All that one document is told, with its line of how many more there are."""
"""So many errors of a file are told, and how many more there were."""
_FORMATS = (*importers.FORMATS, chaosmesh.format_of(backends.chaosmesh_reader()))
_TITLES = {each.name: each.title for each in _FORMATS}

OnConflict = Literal["version", "refuse"]
ON_CONFLICT: tuple[OnConflict, ...] = ("version", "refuse")
"""What becomes of an experiment whose name exists: its next version, or an error."""
Becomes = Literal["", "experiment", "version", "nothing"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as it came."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """One experiment of a file, and what becomes of it."""

    name: str
    title: str
    line: int
    errors: tuple[SourceError, ...]
    becomes: Becomes = ""
    """A new experiment, a version of one, or nothing: its newest version says the same.

    Empty where it has errors, or where there is no database to ask.
    """
    version: int | None = None
    """The number of that version; where nothing is stored, of the one that says the same."""
    is_stored: bool = False

    @property
    def is_storable(self) -> bool:
        """Return whether there is something to store, and nothing against it."""
        return not self.errors and self.becomes in ("experiment", "version")


@dataclass(frozen=True, slots=True)
class Report:
    """What one file held."""

    file: str
    format: str
    format_title: str
    experiments: tuple[Found, ...]
    kept: tuple[Note, ...]
    changed: tuple[Note, ...]
    lost: tuple[Note, ...]
    errors: tuple[SourceError, ...]
    """Every error, in the order of the file; those of one experiment are also with it."""
    text: str = ""

    @property
    def is_fine(self) -> bool:
        """Return whether nothing was wrong."""
        return not self.errors

    def to_json(self) -> dict[str, Any]:
        """Return the report as command and API print it."""
        return {
            "file": self.file,
            "format": self.format or None,
            "fine": self.is_fine,
            "experiments": [_experiment(found) for found in self.experiments],
            "kept": [_note(note) for note in self.kept],
            "changed": [_note(note) for note in self.changed],
            "lost": [_note(note) for note in self.lost],
            "errors": [_error(error) for error in self.errors],
        }


def _experiment(found: Found) -> dict[str, Any]:
    return {
        "name": found.name or None,
        "title": found.title,
        "line": found.line,
        "becomes": found.becomes or None,
        "version": found.version,
        "stored": found.is_stored,
        "errors": len(found.errors),
    }


def _note(note: Note) -> dict[str, Any]:
    return {"line": note.line, "message": note.words}


def _error(error: SourceError) -> dict[str, Any]:
    return {
        "line": error.line,
        "column": error.column,
        "path": list(error.path),
        "where": where(error) or "document",
        "message": error.message,
    }


def where(error: SourceError) -> str:
    """Return the path of an error as people read it; empty for a whole document."""
    return SpecError(error.path, "").dotted


def formats() -> list[tuple[str, str]]:
    """Return what can be imported, and what each needs to be known by."""
    return [(each.title, each.needs) for each in _FORMATS]


def check(files: Iterable[Upload], *, on_conflict: OnConflict = "version") -> list[Report]:
    """Say what the files hold and what would become of it; stores nothing."""
    return [_report(each, None) for each in _read(files, on_conflict)]


def store(
    files: Iterable[Upload], *, user: User, on_conflict: OnConflict = "version"
) -> list[Report]:
    """Store every experiment without errors, as the person's. Raises PermissionDenied."""
    people.require(user, "author_experiment", "write experiments")
    return [_report(each, user) for each in _read(files, on_conflict, must_know=True)]


def unread(file: str, why: str) -> Report:
    """Return the report of a file that could not be opened."""
    return Report(file, "", "", (), (), (), (), (SourceError(why),))


@dataclass(slots=True)
class _File:
    """One file on its way to its report."""

    upload: Upload
    text: str
    imported: importers.Imported
    known: _Known


def _read(
    files: Iterable[Upload], on_conflict: OnConflict, *, must_know: bool = False
) -> Iterator[_File]:
    known = _Known(on_conflict, must_know=must_know)
    left = MAX_BYTES
    for number, upload in enumerate(files):
        is_alone_too_large = len(upload.content) > MAX_BYTES
        if number >= MAX_FILES or (len(upload.content) > left and not is_alone_too_large):
            told = f"was not read: one import takes {MAX_FILES} files of {MAX_BYTES} bytes in all"
            refused = importers.Imported("", errors=(SourceError(told),))
            yield _File(upload, "", refused, known)
            continue
        left -= 0 if is_alone_too_large else len(upload.content)
        source = reading.read(upload.name, upload.content)
        yield _File(upload, source.text, importers.convert(source, _FORMATS), known)


def _report(file: _File, user: User | None) -> Report:
    imported = file.imported
    found: list[Found] = []
    errors, changed = list(imported.errors), list(imported.changed)
    for draft in imported.drafts:
        one = _found(draft, file.known)
        if user is not None and one.is_storable:
            one = _stored(one, draft, user, file)
        elif one.is_storable:
            made = _Version(one.version or 1, authoring.frozen(draft.raw), draft.text)
            file.known.add(one.name, made)
        found.append(one)
        errors += one.errors
        if one.becomes == "version":
            changed.append(
                Note(f"“{one.name}” exists: this becomes its version {one.version}", one.line)
            )
    errors.sort(key=lambda error: (error.line is None, error.line or 0, error.column or 0))
    return Report(
        file=file.upload.name,
        format=imported.format,
        format_title=_TITLES.get(imported.format, ""),
        experiments=tuple(found),
        kept=imported.kept,
        changed=tuple(changed),
        lost=imported.lost,
        errors=_cut(errors),
        text=file.text,
    )


def _cut(errors: list[SourceError]) -> tuple[SourceError, ...]:
    if len(errors) <= MAX_ERRORS:
        return tuple(errors)
    more = SourceError(f"and {len(errors) - MAX_ERRORS} more errors")
    return (*errors[:MAX_ERRORS], more)


def _found(draft: Draft, known: _Known) -> Found:
    parsed = _parsed(draft.raw, known)
    name, title = _called(draft.raw)
    if parsed.spec is None:
        # Each place costs a search, and nobody reads the thousandth error.
        told = [draft.error(error) for error in parsed.errors[:MAX_ERRORS]]
        rest = [SourceError(error.message, error.path) for error in parsed.errors[MAX_ERRORS:]]
        return Found(name, title, draft.line, (*told, *rest))
    found = Found(name, parsed.spec.title, draft.line, ())
    try:
        newest = known.newest(name)
    except (OperationalError, ProgrammingError):
        if known.must_know:
            raise
        # Checking works where no database has been made yet, too.
        return found
    if newest is None:
        return replace(found, becomes="experiment", version=1)
    if newest.says(authoring.frozen(draft.raw), draft.text):
        return replace(found, becomes="nothing", version=newest.number)
    if known.on_conflict == "refuse":
        taken = draft.error(SpecError(("metadata", "name"), f"“{name}” is taken"))
        return replace(found, errors=(taken,))
    return replace(found, becomes="version", version=newest.number + 1)


def _parsed(raw: Any, known: _Known) -> spec.Parsed:
    try:
        return authoring.validate(raw)
    except (OperationalError, ProgrammingError):
        if known.must_know:
            raise
        return spec.parse(raw, faults=backends.faults())


def _called(raw: Any) -> tuple[str, str]:
    """Return name and title of a document that may have errors."""
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    values = metadata if isinstance(metadata, dict) else {}
    name, title = (values.get(key) for key in ("name", "title"))
    called = name[:63] if isinstance(name, str) else ""
    return called, title[:200] if isinstance(title, str) and title else called


def _stored(found: Found, draft: Draft, user: User, file: _File) -> Found:
    """Store one experiment; what the database or another person has against it is an error."""
    experiment = Experiment.objects.filter(name=found.name).first()
    try:
        saved = authoring.save(
            raw=draft.raw,
            author=user,
            message=f"imported from {_base(file.upload.name)}",
            experiment=experiment,
            written=draft.text,
        )
    except InvalidDocumentError as error:
        errors = tuple(draft.error(each) for each in error.errors)
        return replace(found, errors=errors, becomes="", version=None)
    except IntegrityError:
        told = "somebody saved under this name at the same moment: import it again"
        raced = draft.error(SpecError(("metadata", "name"), told))
        return replace(found, errors=(raced,), becomes="", version=None)
    return replace(found, version=saved.number, is_stored=True)


def author_named(username: str) -> User:
    """Return as whom a shell imports: that person, or the first admin where none is named.

    Raises LookupError, saying whom there is not.
    """
    if username:
        found = User.objects.filter(username=username, is_active=True).first()
        if found is None:
            raise LookupError(f"There is no active person “{username}”.")
        return found
    active = User.objects.filter(is_active=True).order_by("pk")
    admin = active.filter(Q(is_superuser=True) | Q(groups__name=people.ADMIN)).first()
    if admin is None:
        raise LookupError("There is no admin to import as: name a person with --as.")
    return admin


def _base(name: str) -> str:
    """Return a file's own name, as a version's message shows it."""
    base = PurePath(name.replace("\\", "/")).name
    return "".join(letter for letter in base if letter.isprintable())[:150] or "a file"


def _bare(text: str) -> list[str]:
    """Return the lines without what only divides a stream."""
    return [line for line in text.strip().splitlines() if not exporting.MARK.match(line)]


@dataclass(frozen=True, slots=True)
class _Version:
    """The newest version of a name; ``text`` is None where none has been written yet."""

    number: int
    document: Any
    text: str | None

    def says(self, document: Any, text: str | None) -> bool:
        """Return whether it says the same, comments included where both have a text."""
        is_alike = text is None or self.text is None or _bare(text) == _bare(self.text)
        return is_alike and self.document == document


class _Known:
    """The newest version of each name: stored, or of an earlier place in the same check."""

    def __init__(self, on_conflict: OnConflict, *, must_know: bool) -> None:
        self.on_conflict = on_conflict
        self.must_know = must_know
        self._added: dict[str, _Version] = {}

    def add(self, name: str, version: _Version) -> None:
        """Remember what an earlier place would make of the name."""
        self._added[name] = version

    def newest(self, name: str) -> _Version | None:
        """Return the newest version; None for a name that is free."""
        if name in self._added:
            return self._added[name]
        row = _row(name)
        return _Version(row.number, row.document, row.text) if row else None


def _row(name: str) -> ExperimentVersion | None:
    rows = ExperimentVersion.objects.filter(experiment__name=name)
    return rows.order_by("-number").first()


__all__ = [
    "MAX_BYTES",
    "ON_CONFLICT",
    "Found",
    "Note",
    "OnConflict",
    "Report",
    "SourceError",
    "Upload",
    "author_named",
    "check",
    "formats",
    "store",
    "unread",
    "where",
]
