"""Brings services and their SLIs in from OpenSLO files, and says what was kept, changed and lost.

``check`` stores nothing. ``store`` stores every service without errors. What is known of a service
already stays: an SLI of the same name is replaced, a title or description only where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.importers import openslo, reading
from experiments.importers.base import Note, SourceError
from experiments.models import Service, User
from experiments.services import describing, people

MAX_BYTES = reading.MAX_BYTES
Becomes = Literal["", "service", "change", "nothing"]


@dataclass(frozen=True, slots=True)
class Found:
    """One service of a file, and what becomes of it; nothing where it has errors."""

    name: str
    line: int
    slis: tuple[str, ...]
    becomes: Becomes
    errors: tuple[str, ...] = ()
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What one file held."""

    services: tuple[Found, ...]
    kept: tuple[Note, ...]
    changed: tuple[Note, ...]
    lost: tuple[Note, ...]
    errors: tuple[SourceError, ...]
    text: str = ""

    @property
    def is_fine(self) -> bool:
        """Return whether nothing was wrong."""
        return not self.errors

    @property
    def is_storable(self) -> bool:
        """Return whether there is something to store."""
        return any(found.becomes in ("service", "change") for found in self.services)

    def to_json(self) -> dict[str, Any]:
        """Return the report as the command prints it."""
        return {
            "fine": self.is_fine,
            "services": [
                {
                    "name": found.name,
                    "line": found.line,
                    "slis": list(found.slis),
                    "becomes": found.becomes or None,
                    "stored": found.is_stored,
                    "errors": list(found.errors),
                }
                for found in self.services
            ],
            "kept": [_note(note) for note in self.kept],
            "changed": [_note(note) for note in self.changed],
            "lost": [_note(note) for note in self.lost],
            "errors": [{"line": each.line, "message": each.message} for each in self.errors],
        }


def check(content: bytes) -> Report:
    """Say what a file holds and what would become of it; stores nothing."""
    return _report(content, None)


def store(content: bytes, *, user: User) -> Report:
    """Store every service without errors, as the person's doing. Raises PermissionDenied."""
    people.require(user, "author_experiment", "describe services")
    return _report(content, user)


def _report(content: bytes, user: User | None) -> Report:
    source = reading.read("", content)
    made = openslo.convert(source)
    changed, errors = list(made.changed), list(made.errors)
    found = []
    for name, raw in made.services.items():
        line = made.lines[name]
        known = Service.objects.filter(name=name).first()
        merged, notes = _merged(raw, known)
        changed += [Note(words, line) for words in notes]
        one = _found(name, line, raw, merged, known)
        if user is not None and one.becomes in ("service", "change"):
            one = _stored(one, merged, known, user)
        errors += [SourceError(f"service “{name}”: {told}", line=line) for told in one.errors]
        found.append(one)
    return Report(tuple(found), made.kept, tuple(changed), made.lost, tuple(errors), source.text)


def _found(
    name: str, line: int, raw: Mapping[str, Any], merged: dict[str, Any], known: Service | None
) -> Found:
    slis = tuple(sli["name"] for sli in raw["slis"])
    try:
        read = describing.read(merged)
    except InvalidDocumentError as error:
        return Found(name, line, slis, "", _told(error))
    if known is None:
        return Found(name, line, slis, "service")
    is_same = read == describing.read(describing.to_json(known))
    return Found(name, line, slis, "nothing" if is_same else "change")


def _stored(found: Found, merged: dict[str, Any], known: Service | None, user: User) -> Found:
    try:
        describing.save(raw=merged, user=user, service=known)
    except InvalidDocumentError as error:
        # Somebody else described it at this very moment.
        return replace(found, becomes="", errors=_told(error))
    return replace(found, is_stored=True)


def _told(error: InvalidDocumentError) -> tuple[str, ...]:
    return tuple(_one(each) for each in error.errors)


def _one(error: SpecError) -> str:
    return str(error) if error.path else error.message


def _merged(raw: Mapping[str, Any], known: Service | None) -> tuple[dict[str, Any], list[str]]:
    """Return the description with what the file adds, and what it replaces, in words."""
    if known is None:
        return dict(raw), []
    made = describing.to_json(known)
    for key in ("title", "description"):
        made[key] = made[key] or raw.get(key, "")
    new = {sli["name"]: sli for sli in raw["slis"]}
    notes = [
        f"“{known.name}.{sli['name']}” exists and is replaced"
        for sli in made["slis"]
        if sli["name"] in new and new[sli["name"]] != sli
    ]
    kept = [new.pop(sli["name"], sli) for sli in made["slis"]]
    made["slis"] = [*kept, *new.values()]
    return made, notes


def _note(note: Note) -> dict[str, Any]:
    return {"line": note.line, "message": note.words}
