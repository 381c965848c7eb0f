"""The rows of an environment's guardrails: they watch every run there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict

from experiments.domain import mandatory
from experiments.domain.errors import Path, SpecError
from experiments.domain.method import Guardrail
from experiments.forms import guards
from experiments.forms.leaves import number
from experiments.models import Environment

if TYPE_CHECKING:
    _FormSet = forms.BaseFormSet["GuardrailForm"]
else:
    _FormSet = forms.BaseFormSet

PREFIX = "guardrails"
_EXTRA = 2
_SIDES = (("above", "is above"), ("below", "is below"))
_SHOWN_BY = {"above": "bound", "below": "bound"}


def _text(placeholder: str) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": "off", "placeholder": placeholder})


class _Text(forms.CharField):
    """A text that a guardrail must have: an empty row need not, and the domain tells the others."""

    def validate(self, value: Any) -> None:
        """Judge nothing."""


class _Choice(forms.ChoiceField):
    """A choice that has a default."""

    def validate(self, value: Any) -> None:
        """Refuse only what is no choice."""
        if value:
            super().validate(value)


class GuardrailForm(forms.Form):
    """One guardrail; a row without name, PromQL and bound is none. The domain judges it."""

    use_required_attribute = False

    name = _Text(help_text="Small letters, digits, - and _.", widget=_text("too-many-errors"))
    promql = _Text(
        label="PromQL",
        help_text="It must give one series, also while all is well: add “or vector(0)” if not.",
        widget=forms.Textarea(
            attrs={
                "rows": "2",
                "class": "cw-code",
                "spellcheck": "false",
                "placeholder": "sum(up)",
                "data-promql": "yes",
            }
        ),
    )
    side = _Choice(label="Stops when it", choices=_SIDES)
    bound = _Text(label="Bound", widget=_text("20% or 2s"))
    unit = forms.CharField(required=False, help_text=guards.UNIT_HELP, widget=_text("ratio"))
    source = forms.CharField(required=False, help_text="Alias of a Prometheus of this environment.")
    breaches = forms.CharField(required=False, help_text="So many of the newest readings.")
    every = forms.CharField(required=False)
    no_data = _Choice(label="Without data", choices=guards.NO_DATA, help_text=guards.NO_DATA_HELP)

    @property
    def is_empty(self) -> bool:
        """Return whether the row holds no guardrail."""
        return not any(self[name].value() for name in ("name", "promql", "bound"))

    @property
    def title(self) -> str:
        """Return what the row is called on the page."""
        return str(self["name"].value() or "")

    def raw(self) -> dict[str, Any]:
        """Return the guardrail as a document would have it, emptied fields left out."""
        given = {name: str(value).strip() for name, value in self.cleaned_data.items()}
        found: dict[str, Any] = {
            name: given[name]
            for name in ("name", "promql", "unit", "source", "every", "no_data")
            if given.get(name)
        }
        if given.get("bound"):
            found[given.get("side") or "above"] = number(given["bound"])
        if given.get("breaches"):
            found["breaches"] = number(given["breaches"])
        return found


class GuardrailRows(_FormSet):
    """All rows of an environment."""

    found: tuple[Guardrail, ...] = ()
    """What the rows hold, once they were checked and all of it was right."""

    def add_fields(self, form: GuardrailForm, index: int | None) -> None:
        """Call the box of each row what it does."""
        super().add_fields(form, index)
        form.fields["DELETE"].label = "Remove it when I save"

    def check(self, sources: Collection[str] | None) -> None:
        """Read the guardrails; put every error beside its field.

        ``sources`` are the aliases of the environment's Prometheus servers; None: not known yet.
        """
        raw = [row.raw() for row in self._kept()]
        self.found, errors = mandatory.read(raw, sources=sources)
        self.place(errors)

    @property
    def kept(self) -> list[dict[str, Any]]:
        """Return the guardrails as the environment keeps them."""
        return [mandatory.to_json(guardrail) for guardrail in self.found]

    def place(self, errors: Iterable[SpecError]) -> None:
        """Show each error beside its field."""
        rows = self._kept()
        for error in errors:
            if error.path and isinstance(error.path[0], int):
                row = rows[error.path[0]]
                row.add_error(_field_of(row, error.path[1:]), error.message)
            else:
                self.non_form_errors().append(error.message)

    @property
    def has_errors(self) -> bool:
        """Return whether a row or the whole is wrong."""
        return bool(self.non_form_errors()) or any(row.errors for row in self.forms)

    def _kept(self) -> list[GuardrailForm]:
        return [
            row for row in self.forms if not row.is_empty and not row.cleaned_data.get("DELETE")
        ]


def _field_of(row: GuardrailForm, path: Path) -> str:
    name = str(path[0]) if path else "bound"
    name = _SHOWN_BY.get(name, name)
    return name if name in row.fields else "name"


_Rows = forms.formset_factory(
    GuardrailForm,
    formset=GuardrailRows,
    extra=_EXTRA,
    max_num=mandatory.MOST,
    can_delete=True,
)


def guardrail_rows(data: Any = None, environment: Environment | None = None) -> GuardrailRows:
    """Return the rows of an environment's guardrails, and two empty ones.

    Unbound where ``data`` is of a form without them.
    """
    data = data if data is not None and f"{PREFIX}-TOTAL_FORMS" in data else None
    stored = environment.guardrails if environment else []
    # What was sent is read whole: a row that equals the stored one is no empty one.
    initial = [_shown(each) for each in stored if isinstance(each, Mapping) and data is None]
    made: GuardrailRows = _Rows(data, initial=initial, prefix=PREFIX)  # type: ignore[assignment]
    for row in made.forms:
        if row.initial == {}:
            row.initial = {"source": "metrics", "breaches": "3 of 5", "every": "5s"}
    return made


def with_more_rows(data: QueryDict) -> QueryDict:
    """Return what was sent with two more empty rows."""
    more = data.copy()
    key = f"{PREFIX}-TOTAL_FORMS"
    total = more.get(key, "0")
    more[key] = str(int(total) + _EXTRA if total.isdecimal() else _EXTRA)
    return more


def _shown(stored: Mapping[str, Any]) -> dict[str, Any]:
    side = "below" if stored.get("below") is not None else "above"
    bound = stored.get(side)
    return {
        **{name: stored.get(name) for name in GuardrailForm.base_fields},
        "side": side,
        "bound": f"{bound:g}" if isinstance(bound, float) else bound,
    }
