"""Importers: one module for each format that ChaosWeb reads.

A file's bytes enter (``reading.read``), a Source goes to the format that knows it best
(``recognised``), and drafts of documents leave with what was kept, changed and lost. Nothing here
validates a document or stores it: ``services.importing`` does. Pure; services may call it.

A format is one module with a ``FORMAT`` in ``FORMATS``. One that needs a driver's reader is made
with it (``chaosmesh.format_of``), and given to ``convert`` beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.importers import own
from experiments.importers.base import Draft, Format, Imported, Note, Source, SourceError, Written

FORMATS: tuple[Format, ...] = (own.FORMAT,)
"""The formats that need no driver; of two that are equally sure of a source the first is taken."""


def recognised(source: Source, formats: Sequence[Format] = FORMATS) -> Format | None:
    """Return the format that is surest of the source; None when no format knows it."""
    sure = [(format_.detect(source), format_) for format_ in formats]
    best = max(sure, key=lambda each: each[0])
    return best[1] if best[0] > 0 else None


def convert(source: Source, formats: Sequence[Format] = FORMATS) -> Imported:
    """Return what the source's format makes of it; an unknown one is told what each would need."""
    found = recognised(source, formats)
    if found is not None:
        return found.convert(source)
    errors = source.errors or (SourceError(_unknown(source, formats), line=1, column=1),)
    return Imported(format="", errors=errors)


def _unknown(source: Source, formats: Sequence[Format]) -> str:
    if not source.documents:
        return "holds no document"
    needs = "; ".join(f"{each.title} needs {each.needs}" for each in formats)
    return f"is in no format that can be imported: {needs}"


__all__ = [
    "FORMATS",
    "Draft",
    "Format",
    "Imported",
    "Note",
    "Source",
    "SourceError",
    "Written",
    "convert",
    "recognised",
]
