"""The form of a service: what it is, its dashboards, its places and its named SLIs, in rows.

Forms only gather: ``domain.services`` judges, and every error is put beside its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict

from experiments.domain import text
from experiments.domain.errors import InvalidDocumentError, Path, SpecError
from experiments.domain.presets import PRESETS
from experiments.domain.services import MOST_SLIS
from experiments.forms.leaves import number, scalar

if TYPE_CHECKING:
    _FormSet = forms.BaseFormSet["_Row"]
else:
    _FormSet = forms.BaseFormSet

EXTRA = 2
ROWS = ("dashboards", "slis")
MEASURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "ratio": ("Ratio: bad of all events", ("bad", "total")),
    "quantile": ("Quantile of a histogram", ("histogram", "q")),
    "value": ("PromQL of your own", ("value",)),
    "preset": ("Ready-made", ("preset", "with")),
}
"""The ways to measure, with what pages call each and the inputs that it has."""
_CODE = {"class": "cw-code", "spellcheck": "false", "autocomplete": "off"}
_PROMQL = {"data-promql": "yes"}
_PRESETS = [
    ("", "none"),
    *((each.name, f"{each.title} · {each.name}") for each in PRESETS.values()),
]
_NAME_HELP = "Small letters, digits, - and _."


class _Text(forms.CharField):
    """A text that judges nothing; ``needed`` only spares it the word “optional”."""

    def __init__(
        self, *, example: str = "", is_code: bool = False, is_promql: bool = False, **kwargs: Any
    ) -> None:
        lines = kwargs.pop("lines", 0)
        is_code = is_code or is_promql
        attrs = {"placeholder": example, **(_CODE if is_code else {"autocomplete": "off"})}
        attrs |= _PROMQL if is_promql else {}
        widget = forms.Textarea(attrs={**attrs, "rows": str(lines)}) if lines else None
        kwargs.setdefault("required", False)
        super().__init__(widget=widget or forms.TextInput(attrs=attrs), **kwargs)

    def validate(self, value: Any) -> None:
        """Judge nothing."""


class _Choice(forms.ChoiceField):
    """A choice that always has a value on the page."""

    def validate(self, value: Any) -> None:
        """Judge nothing."""


class _Row(forms.Form):
    """Some inputs, of which the domain judges what they hold."""

    use_required_attribute = False
    aliases: Mapping[str, str] = {}
    """By which input an error of another place is shown."""
    anchor = "name"

    def said(self, name: str) -> str:
        """Return what an input holds, blanks around it left out."""
        return str(self.cleaned_data.get(name) or "").strip()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is written in it."""
        return not any(self[name].value() for name in self.judged)

    @property
    def judged(self) -> Sequence[str]:
        """Return the inputs that make a row more than an empty one."""
        return [name for name in self.fields if name != "DELETE"]

    def put(self, path: Path, message: str) -> None:
        """Show an error of a path below this row beside its input."""
        parts = [str(part) for part in path]
        for name in (self.aliases.get("-".join(parts)), *reversed(parts), *parts[:1]):
            shown = self.aliases.get(name, name) if name else None
            if shown in self.fields:
                self.add_error(shown, message)
                return
        self.add_error(self.anchor if self.anchor in self.fields else None, message)


class ServiceForm(_Row):
    """What a service is called, and where help is."""

    name = _Text(help_text=f"Its address, for ever. {_NAME_HELP}", example="orders", required=True)
    title = _Text(example="Orders")
    description = _Text(lines=3)
    owner = _Text(example="Orders team")
    contact = _Text(help_text="Whom to call at 3 a.m.", example="#orders, or a number")
    runbook = _Text(help_text="An address.", example="https://wiki.example/orders")


class DashboardForm(_Row):
    """One dashboard."""

    anchor = "url"
    title = _Text(example="Latency and errors")
    url = _Text(label="Address", example="https://grafana.example/d/orders", required=True)

    def raw(self) -> dict[str, Any]:
        """Return the dashboard as a description has it."""
        return {"title": self.said("title"), "url": self.said("url")}


class PlaceForm(_Row):
    """Where the service lives in one environment."""

    anchor = "where"
    where = _Text(label="Lives", example="namespace shop, deployment orders")
    labels = _Text(help_text="As in app=orders, tier=back", example="app=orders", is_code=True)

    def raw(self) -> dict[str, Any]:
        """Return the place as a description has it; a label without = is one without a value."""
        pairs = [each.partition("=") for each in self.said("labels").split(",") if each.strip()]
        labels = {key.strip(): value.strip().strip('"') for key, _, value in pairs}
        return {"where": self.said("where"), "labels": labels}


class SliForm(_Row):
    """One named SLI: its measure is the one whose inputs are filled."""

    aliases: Mapping[str, str] = {
        "limit": "limit_max",
        "limit-max": "limit_max",
        "limit-min": "limit_min",
        "margin": "margin",
        "margin-absolute": "margin",
        "margin-relative": "margin",
        "quantile-q": "q",
    }
    name = _Text(help_text=f"Used as service.name. {_NAME_HELP}", example="p95", required=True)
    title = _Text(example="95 % are faster than")
    bad = _Text(label="Bad events", example='requests_total{code=~"5.."}', is_promql=True)
    total = _Text(label="All events", example="requests_total", is_promql=True)
    histogram = _Text(example="request_duration_seconds_bucket", is_promql=True)
    q = _Text(label="Quantile", example="0.95")
    value = _Text(label="PromQL", example="sum(queue_length)", is_promql=True, lines=2)
    preset = _Choice(required=False, choices=_PRESETS)
    with_ = _Text(label="Its fields", help_text="One a line: field: value.", is_code=True, lines=2)
    limit_max = _Text(label="Limit: at most", example="500ms or 1%")
    limit_min = _Text(label="Limit: at least")
    margin = _Text(help_text="How much worse is still the same.", example="20%")
    margin_of = _Choice(
        label="The margin counts",
        choices=(
            ("relative", "relative: of the baseline"),
            ("absolute", "absolute: in the SLI's unit"),
        ),
    )
    source = _Text(help_text="Alias of a Prometheus of the environment.", example="metrics")
    unit = _Text(help_text="s, ms, %, or any word.")
    direction = _Choice(
        choices=(
            ("lower_is_better", "lower is better"),
            ("higher_is_better", "higher is better"),
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field, given = self.fields["preset"], self["preset"].value()
        if isinstance(field, forms.ChoiceField) and given and not field.valid_value(given):
            # One that this ChaosWeb does not know stays to be seen.
            field.choices = [*_PRESETS, (given, given)]

    @property
    def judged(self) -> Sequence[str]:
        """Return the inputs that make a row more than an empty one: choices have no empty one."""
        return [name for name in self.fields if name not in ("DELETE", "margin_of", "direction")]

    @property
    def title_shown(self) -> str:
        """Return what the row is called on the page."""
        return str(self["name"].value() or "")

    @property
    def measures(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """Return the ways to measure: what each is called, its inputs, and whether it is used."""
        found = []
        for title, names in MEASURES.values():
            bound = [self["with_" if name == "with" else name] for name in names]
            is_used = any(each.value() or each.errors for each in bound)
            found.append((title, bound, is_used))
        return found

    def raw(self) -> dict[str, Any]:
        """Return the SLI as a description has it, what is empty left out."""
        found: dict[str, Any] = {
            name: self.said(name)
            for name in ("name", "title", "source", "value", "preset", "unit")
            if self.said(name)
        }
        found.setdefault("name", "")
        if self.said("bad") or self.said("total"):
            found["ratio"] = {"bad": self.said("bad"), "total": self.said("total")}
        if self.said("histogram") or self.said("q"):
            found["quantile"] = {"histogram": self.said("histogram")}
            if self.said("q"):
                found["quantile"]["q"] = number(self.said("q"))
        if self.said("with_"):
            found["with"] = self._with()
        limit = {key: number(self.said(f"limit_{key}")) for key in ("min", "max")}
        if any(limit.values()) or 0 in limit.values():
            found["limit"] = {key: value for key, value in limit.items() if value != ""}
        if self.said("margin"):
            of = self.said("margin_of") or "relative"
            written = self.said("margin")
            found["margin"] = {of: number(written) if of == "absolute" else written}
        if self.said("direction") == "higher_is_better":
            found["direction"] = "higher_is_better"
        return found

    def _with(self) -> Any:
        try:
            return text.read(self.said("with_"))
        except InvalidDocumentError:
            # The domain says that a text is no mapping of names to values.
            return self.said("with_")


SliForm.aliases = {**SliForm.aliases, "with": "with_"}


class _Rows(_FormSet):
    """Rows of which those that are filled count."""

    def add_fields(self, form: _Row, index: int | None) -> None:
        """Call the box of each row what it does."""
        super().add_fields(form, index)
        form.fields["DELETE"].label = "Remove it when I save"

    @property
    def kept(self) -> list[Any]:
        """Return the rows that hold something and are not to be removed."""
        return [
            row for row in self.forms if not row.is_empty and not row.cleaned_data.get("DELETE")
        ]


_DASHBOARDS = forms.formset_factory(
    DashboardForm, formset=_Rows, extra=EXTRA, max_num=50, can_delete=True
)
_SLIS = forms.formset_factory(
    SliForm, formset=_Rows, extra=EXTRA, max_num=MOST_SLIS + EXTRA, can_delete=True
)


class ServiceEditor:
    """The whole form, from what was posted or from a description (JSON types)."""

    def __init__(
        self,
        environments: Iterable[str],
        *,
        data: QueryDict | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        given = raw or {}
        self.form = ServiceForm(data, initial={**given, "runbook": given.get("runbook") or ""})
        shown = data is None
        self.dashboards: Any = _DASHBOARDS(
            data, initial=list(given.get("dashboards", ())) if shown else None, prefix="dashboards"
        )
        slis = [_shown(each) for each in given.get("slis", ())] if shown else None
        self.slis: Any = _SLIS(data, initial=slis, prefix="slis")
        places = given.get("places") or {}
        self.places = {
            name: PlaceForm(data, initial=_place(places.get(name, {})), prefix=f"place-{number_}")
            for number_, name in enumerate(environments)
        }
        self.errors: list[str] = []

    def is_readable(self) -> bool:
        """Return whether what was posted can be gathered at all."""
        parts = [self.form, self.dashboards, self.slis, *self.places.values()]
        # Each is asked: one that was not has nothing to gather.
        readable = [part.is_valid() for part in parts]
        return all(readable)

    def raw(self) -> dict[str, Any]:
        """Return the description that the inputs mean."""
        names = ("name", "title", "description", "owner", "contact", "runbook")
        return {
            **{name: self.form.said(name) for name in names},
            "dashboards": [row.raw() for row in self.dashboards.kept],
            "slis": [row.raw() for row in self.slis.kept],
            "places": {name: row.raw() for name, row in self.places.items() if not row.is_empty},
        }

    def place(self, errors: Iterable[SpecError]) -> None:
        """Show every error beside its field."""
        for error in errors:
            row, path = self._row(error.path)
            if row is None:
                self.errors.append(error.message if not error.path else str(error))
            else:
                row.put(path, error.message)

    def _row(self, path: Path) -> tuple[_Row | None, Path]:
        head, rest = (path[0], path[1:]) if path else ("", ())
        if head in ROWS:
            rows = getattr(self, str(head)).kept
            is_one = bool(rest) and isinstance(rest[0], int) and rest[0] < len(rows)
            return (rows[rest[0]], rest[1:]) if is_one else (None, path)
        if head == "places":
            return self.places.get(str(rest[0]) if rest else ""), rest[1:]
        return (self.form, path) if head in self.form.fields else (None, path)

    @property
    def error_count(self) -> int:
        """Return how many inputs are wrong."""
        rows = [self.form, *self.dashboards.forms, *self.slis.forms, *self.places.values()]
        return len(self.errors) + sum(len(row.errors) for row in rows)


def with_more_rows(data: QueryDict, which: str) -> QueryDict:
    """Return what was posted with two more empty rows of a list."""
    more = data.copy()
    key = f"{which}-TOTAL_FORMS"
    total = more.get(key, "0")
    if which in ROWS:
        more[key] = str((int(total) if total.isdecimal() else 0) + EXTRA)
    return more


def _place(place: Mapping[str, Any]) -> dict[str, str]:
    labels = place.get("labels") or {}
    said = ", ".join(f"{key}={value}" for key, value in labels.items())
    return {"where": place.get("where", ""), "labels": said}


def _shown(sli: Mapping[str, Any]) -> dict[str, Any]:
    """Return an SLI as the inputs of its row show it."""
    found = {
        name: sli[name]
        for name in ("name", "title", "source", "value", "preset", "unit", "direction")
        if name in sli
    }
    found |= sli.get("ratio") or {}
    quantile = sli.get("quantile") or {}
    found |= {"histogram": quantile.get("histogram", ""), "q": scalar(quantile.get("q", ""))}
    found["with_"] = text.write(sli["with"]).strip() if sli.get("with") else ""
    limit = sli.get("limit") or {}
    found |= {f"limit_{key}": scalar(value) for key, value in limit.items()}
    for of, value in (sli.get("margin") or {}).items():
        found |= {"margin": scalar(value), "margin_of": of}
    return found
