"""Warnings where both views of the editor have them: at a field and a line. None is an error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from experiments.domain import patching
from experiments.domain.errors import Path
from experiments.forms.editor import Editor, RowForm
from experiments.forms.kinds import LISTS, SECTIONS
from experiments.forms.written import Mark, Written

_AT = ("timing", "hypothesis")


class Told(Protocol):
    """What is told of a field: a warning of a plan."""

    @property
    def path(self) -> Path:
        """Return the field."""

    @property
    def message(self) -> str:
        """Return what is wrong."""

    @property
    def hint(self) -> str:
        """Return what would mend it."""

    @property
    def severity(self) -> str:
        """Return whether a run would be refused (error) or not (warning)."""


@dataclass(frozen=True, slots=True)
class WarnedMark(Mark):
    """One warning with the ways to it, and what would mend it."""

    hint: str = ""
    severity: str = "warning"


def marks(state: Written, told: Iterable[Told]) -> list[WarnedMark]:
    """Return a mark for each warning, in their order; what is not of the document has no place."""
    found = list(told)
    if not found or state.editor is None:
        return []
    places = patching.places(state.text, [each.path for each in found])
    made = []
    for each, place in zip(found, places, strict=True):
        target, where = _field(state.editor, each.path)
        line, column = place if place and target else (None, None)
        made.append(WarnedMark(where, each.message, target, line, column, each.hint, each.severity))
    return made


def _field(editor: Editor, path: Path) -> tuple[str, str]:
    """Return the id of the field that shows the path, and what people call it."""
    head, *rest = path or ("",)
    section = editor.by_key.get(str(head))
    if head in LISTS and section is not None:
        place = rest[0] if rest else None
        if not isinstance(place, int) or place >= len(section.rows):
            return f"section-{head}", section.title
        row = section.rows[place]
        key = row.form.key_for(tuple(rest[1:]), row.shape.anchor)
        who = row.name or f"{row.kinds.noun} {row.position + 1}"
        return row.form.target(key), _label(row.form, key, who)
    if head in _AT and section is not None and section.form is not None:
        key = section.form.key_for(path, SECTIONS[str(head)].anchor)
        length = f"{key.removesuffix('-mode')}-length"  # of a baseline: what is to be longer
        target = length if key.endswith("-mode") and length in section.form.leaves else key
        return section.form.target(target), _label(section.form, key, "")
    return "", "environment" if head == "environment" else str(head)


def _label(form: RowForm, key: str, who: str) -> str:
    label = form.leaves[key].label
    return f"{who} · {label}" if who else label
