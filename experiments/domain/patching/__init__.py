"""Form edits are patched into the author's own YAML text: what did not change stays as written.

A text and the new document enter, a text leaves that means exactly that document. Nothing is ever
believed: every patched text is read again, and one that does not say what it should is given up
for a clean dump. Pure; services and pages may call it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.domain import text as yaml
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.patching import emitting
from experiments.domain.patching.changes import Changes
from experiments.domain.patching.matching import same
from experiments.domain.patching.places import locate, path_at, places
from experiments.domain.patching.splices import ordered, spliced
from experiments.domain.patching.tree import UnreadableError, read


@dataclass(frozen=True, slots=True)
class Patched:
    """A text that means the document; ``kept`` is false where it had to be written anew."""

    text: str
    kept: bool


def patch(text: str, document: Mapping[str, Any]) -> Patched:
    """Return the author's text, changed so that it means the document (JSON types).

    Comments, blank lines, quotes, order and the shape of what did not change stay as they are.
    """
    for base, expands in _ways(text):
        try:
            tree = read(base)
            made = spliced(base, ordered(Changes(tree, expands=expands).of(document)))
        except UnreadableError:
            continue
        if _means(made, document):
            return Patched(made, kept=True)
    clean = yaml.write(document)
    if not _means(clean, document):
        # Ruamel writes a few characters plainly that it reads as line breaks (U+0085).
        clean = emitting.block(document, 0, emitting.Manner()) + "\n" if document else "{}\n"
    return Patched(clean, kept=False)


def _ways(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what to try: the text as it is, with aliases written out, with its last line ended."""
    yield text, False
    if "*" in text:
        yield text, True
    if not text.endswith("\n"):
        yield text + ("\r\n" if "\r\n" in text else "\n"), False


def _means(text: str, document: Mapping[str, Any]) -> bool:
    try:
        return same(yaml.read(text), document)
    except InvalidDocumentError:
        return False


__all__ = ["Patched", "locate", "patch", "path_at", "places"]
