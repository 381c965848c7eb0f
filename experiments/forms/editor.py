"""The experiment form: sections and rows with their inputs, and each error beside its field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from drivers.units import Duration, Percentage, Rate, Size, UnitError
from experiments.domain import parameters
from experiments.domain.errors import Path, SpecError
from experiments.forms import mapping
from experiments.forms.kinds import LISTS, SECTIONS, Catalogue, Kinds, Shape
from experiments.forms.leaves import Leaf
from experiments.forms.mapping import Fields
from experiments.forms.widgets import Area, Choice, Text

_UNITS = {"duration": Duration, "percentage": Percentage, "rate": Rate, "size": Size}
_PLAIN_DURATION = re.compile(r"\d+(\.\d+)?\s?m?s")
"""What nobody needs to be told in other words: 90ms, 30s."""
TITLES = {"hypothesis": "Hypothesis", "timing": "Timing"} | {
    key: kinds.title for key, kinds in LISTS.items()
}
ORDER = ("hypothesis", "slis", "method", "guardrails", "probes", "timing", "parameters")


class _Input(forms.Field):
    """An input that judges nothing: the document's model does."""

    def clean(self, value: Any) -> Any:
        """Return the value as it was written."""
        return value


class RowForm(forms.Form):
    """The inputs of one row or section."""

    use_required_attribute = False

    def __init__(
        self, fields: Fields, prefix: str, shape: Shape, values: Mapping[str, Any]
    ) -> None:
        super().__init__(data=fields, auto_id="id_%s")
        self.row_prefix = prefix
        self.leaves = {leaf.key: leaf for leaf in shape.leaves}
        self.values = values
        for key, leaf in self.leaves.items():
            name = prefix + key
            made = _Input(
                required=leaf.is_required,
                label=leaf.label,
                help_text=leaf.help,
                widget=_widget(leaf, fields.getlist(name)),
            )
            if leaf.shown_when:
                when = {prefix + other: list(values) for other, values in leaf.shown_when}
                made.widget.attrs["data-shown-when"] = json.dumps(when)
            self.fields[name] = made
        self.full_clean()

    def inputs(self, *, is_extra: bool) -> Iterator[Input]:
        """Yield the inputs to show at once, or those behind “More”."""
        for key, leaf in self.leaves.items():
            if leaf.is_extra == is_extra:
                bound = self[self.row_prefix + key]
                yield Input(leaf, bound, reading(leaf, str(bound.value() or ""), self.values))

    @property
    def main(self) -> list[Input]:
        """Return the inputs to show at once."""
        return list(self.inputs(is_extra=False))

    @property
    def extra(self) -> list[Input]:
        """Return the inputs behind “More”."""
        return list(self.inputs(is_extra=True))

    @property
    def is_extra_open(self) -> bool:
        """Return whether something behind “More” is set or wrong."""
        for leaf in self.leaves.values():
            if leaf.is_extra:
                bound = self[self.row_prefix + leaf.key]
                value = bound.value()
                if bound.errors or (value and value not in (leaf.default, leaf.placeholder)):
                    return True
        return False

    def key_for(self, path: Path, anchor: str) -> str:
        """Return the input that shows an error at a path below this row."""
        texts = [str(part) for part in path]
        while texts:
            key = "-".join(texts)
            for name, leaf in self.leaves.items():
                if key in leaf.answers_for:
                    return name
            near = [name for name in self.leaves if name == key or name.startswith(f"{key}-")]
            if near:
                return key if key in near else near[0]
            texts.pop()
        return anchor if anchor in self.leaves else next(iter(self.leaves))

    def put_error(self, key: str, message: str) -> str:
        """Show the message beside the input; return its id."""
        self.add_error(self.row_prefix + key, message)
        return self.target(key)

    def target(self, key: str) -> str:
        """Return the id that a link to the input leads to."""
        bound = self[self.row_prefix + key]
        return bound.id_for_label or f"{bound.auto_id}_field"


@dataclass(frozen=True, slots=True)
class Input:
    """One input as the template shows it; ``note`` says what its text means."""

    leaf: Leaf
    bound: BoundField
    note: str


@dataclass(slots=True)
class Row:
    """One row of a list."""

    kinds: Kinds
    number: str
    kind: str
    form: RowForm
    shape: Shape
    base: str
    carried: list[tuple[str, str]]
    position: int
    name: str
    badge: str
    is_open: bool = True

    @property
    def id(self) -> str:
        """Return the id of its element."""
        return f"row-{self.kinds.key}-{self.number}"

    @property
    def error_count(self) -> int:
        """Return how many of its inputs are wrong."""
        return len(self.form.errors)


@dataclass(slots=True)
class Section:
    """One section of the form: inputs of its own, or rows."""

    key: str
    title: str
    form: RowForm | None = None
    rows: list[Row] = field(default_factory=list)
    kinds: Kinds | None = None
    errors: list[str] = field(default_factory=list)

    @property
    def error_count(self) -> int:
        """Return how many inputs of the section are wrong."""
        own = len(self.form.errors) if self.form else 0
        return own + len(self.errors) + sum(row.error_count for row in self.rows)


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the summary: where the error's field is, and what is wrong."""

    target: str
    where: str
    message: str
    path: Path = ()


class Editor:
    """The whole form, made from fields (posted, or a document's)."""

    def __init__(self, fields: Fields, *, catalogue: Catalogue, opened: Iterable[str] = ()) -> None:
        self.fields = fields
        self.catalogue = catalogue
        self.base = fields.get("base") or ""
        self.document = mapping.fields_to_document(fields, catalogue=catalogue)
        declared, _ = parameters.declared(self.document.get("parameters"))
        self.values, _ = parameters.settle(declared, {})
        self.faults: list[Fault] = []
        self.sections = [self._section(key, set(opened)) for key in ORDER]
        self.by_key = {section.key: section for section in self.sections}
        for error in mapping.duplicates(fields):
            self.place([error])

    def _section(self, key: str, opened: set[str]) -> Section:
        if key in SECTIONS:
            form = RowForm(self.fields, "", SECTIONS[key], self.values)
            return Section(key, TITLES[key], form=form)
        kinds = LISTS[key]
        rows = [
            self.row(kinds, number, position)
            for position, number in enumerate(mapping.rows_of(self.fields, key))
        ]
        for row in rows:
            row.is_open = row.id in opened or len(rows) == 1 or row.position == 0
        return Section(key, TITLES[key], rows=rows, kinds=kinds)

    def row(self, kinds: Kinds, number: str, position: int) -> Row:
        """Return one row as the fields have it."""
        prefix = f"{kinds.key}-{number}-"
        kind, shape = mapping.shape_of_row(self.fields, kinds, number, self.catalogue)
        form = RowForm(self.fields, prefix, shape, self.values)
        known = {*form.fields, f"{prefix}base"}
        carried = [
            (name, text)
            for name, texts in self.fields.lists()
            if name.startswith(prefix) and name not in known
            for text in texts
            if text
        ]
        badge = self.fields.get(prefix + kind, "") if kinds.detail_of(kind) == kind else kind
        return Row(
            kinds,
            number,
            kind,
            form,
            shape,
            self.fields.get(f"{prefix}base") or "null",
            carried,
            position,
            self.fields.get(f"{prefix}name") or "",
            badge or "",
        )

    def place(self, errors: Iterable[SpecError]) -> None:
        """Show every error beside its field, and in the summary."""
        for error in errors:
            target, where = self._put(error)
            self.faults.append(Fault(target, where, error.message, error.path))
        order = {target: place for place, target in enumerate(self._targets())}
        self.faults.sort(key=lambda fault: order.get(fault.target, -1))

    def _targets(self) -> Iterator[str]:
        """Yield the id of every place that an error can be at, as the page has them."""
        for section in self.sections:
            yield f"section-{section.key}"
            for form in ([section.form] if section.form else []) + [
                row.form for row in section.rows
            ]:
                yield from (form.target(key) for key in form.leaves)

    def _put(self, error: SpecError) -> tuple[str, str]:
        head, *rest = error.path or ("",)
        for section in self.sections:
            if section.key == head and section.kinds is not None:
                row = self._row_at(section, rest[0]) if rest else None
                if row is None:
                    section.errors.append(error.message)
                    return f"section-{section.key}", section.title
                key = row.form.key_for(tuple(rest[1:]), row.shape.anchor)
                row.is_open = True
                who = row.name or f"{row.kinds.noun} {row.position + 1}"
                return row.form.put_error(key, error.message), self._label(row.form, key, who)
        key = "timing" if head == "timing" else "hypothesis"
        form = self.by_key[key].form
        if form is None or head not in ("timing", "metadata", "hypothesis"):
            self.by_key["hypothesis"].errors.append(str(error))
            return "section-hypothesis", error.dotted or "Document"
        name = form.key_for(error.path, SECTIONS[key].anchor)
        return form.put_error(name, error.message), self._label(form, name, "")

    @staticmethod
    def _label(form: RowForm, key: str, who: str) -> str:
        label = form.leaves[key].label
        return f"{who} · {label}" if who else label

    @staticmethod
    def _row_at(section: Section, place: str | int) -> Row | None:
        if section.key == "parameters" and isinstance(place, str):
            named = [row for row in section.rows if row.name.strip() == place]
            return named[-1] if named else None
        if isinstance(place, int) and place < len(section.rows):
            return section.rows[place]
        return None

    @property
    def notes(self) -> list[tuple[str, str]]:
        """Return the id and the meaning of every input whose text can be said more plainly."""
        return [
            (str(each.bound.id_for_label), each.note)
            for form in self.forms
            for is_extra in (False, True)
            for each in form.inputs(is_extra=is_extra)
            if each.note
        ]

    @property
    def forms(self) -> list[RowForm]:
        """Return the inputs of every section and row."""
        own = [section.form for section in self.sections if section.form]
        return own + [row.form for section in self.sections for row in section.rows]

    @property
    def sli_names(self) -> list[str]:
        """Return the names that a guardrail may refer to."""
        return [row.name for row in self.by_key["slis"].rows if row.name]


def reading(leaf: Leaf, text: str, values: Mapping[str, Any]) -> str:
    """Return what a text means, in words; empty where it says so itself or cannot be read."""
    text = text.strip()
    name = parameters.REFERENCE.fullmatch(text)
    if name:
        return f"stands for {values[name[1]]}" if name[1] in values else ""
    if leaf.key == "breaches":
        return _breaches(text)
    if leaf.reads == "quantity" and not text.endswith(("ms", "us", "µs", "s", "m", "h")):
        return ""
    unit = Duration if leaf.reads == "quantity" or leaf.key == "timing-step" else None
    unit = unit or _UNITS.get(leaf.reads)  # type: ignore[assignment]
    if unit is None or not text:
        return ""
    try:
        value = unit(text)
    except UnitError:
        return ""
    if unit is Duration and abs(float(value)) < 60 and _PLAIN_DURATION.fullmatch(text):
        return ""
    said = _seconds(float(value)) if unit is Duration else str(value)
    return "" if said.replace(" ", "") == text.replace(" ", "") else f"reads as {said}"


def _breaches(text: str) -> str:
    count = re.fullmatch(r"([1-9]\d*)(?:\s*of\s*([1-9]\d*))?", text)
    if count is None:
        return ""
    if count[2] in (None, count[1]):
        return "reads as each reading" if count[1] == "1" else f"reads as {count[1]} in a row"
    return f"reads as {count[1]} of the newest {count[2]} readings"


def _seconds(seconds: float) -> str:
    if abs(seconds) < 60:
        return f"{seconds:.6f}".rstrip("0").rstrip(".") + " s"
    parts, left = [], seconds
    for word, factor in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count, left = divmod(left, factor)
        if count:
            parts.append(f"{count:.0f} {word}{'s' if count != 1 else ''}")
    if left:
        parts.append(f"{left:g} s")
    return " ".join(parts)


def _widget(leaf: Leaf, given: list[str]) -> forms.Widget:
    attrs: dict[str, str] = {"autocomplete": "off"}
    if leaf.is_code:
        attrs |= {"class": "cw-code", "spellcheck": "false"}
    if leaf.placeholder:
        attrs["placeholder"] = leaf.placeholder
    if leaf.suggestions:
        attrs["list"] = leaf.suggestions
    if leaf.is_promql:
        attrs["data-promql"] = "yes"
    if leaf.suggests:
        attrs["data-suggest"] = leaf.suggests
    text = given[-1] if given else ""
    if leaf.reads == "flag":
        return forms.CheckboxInput()
    if leaf.reads == "checks":
        known = {value for value, _ in leaf.choices}
        odd = [(value, value) for value in given if value not in known]
        return forms.CheckboxSelectMultiple(choices=[*leaf.choices, *odd])
    if leaf.reads in ("choice", "boolean"):
        choices = list(leaf.choices)
        odd = [] if text in {value for value, _ in choices} else [(text, text or "choose…")]
        marks = {"data-redraws": "yes"} if leaf.redraws else {}
        return Choice(odd if leaf.groups else [*odd, *choices], marks, leaf.groups)
    if leaf.reads in ("long", "lines", "pairs", "yaml") or "\n" in text:
        return Area(attrs={**attrs, "rows": "2"})
    return Text(attrs=attrs)
