"""The forms of the first steps: those of connections and environments, with less to know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms

from experiments.forms.connections import ConnectionForm
from experiments.forms.environments import EnvironmentForm
from experiments.models import Connection, Environment

_NAMES = {"prometheus": "metrics", "fake": "rehearsal-targets"}
_SPARED = ("timeout_s", "scrape_interval_s", "flush_interval_s", "state")
_SIGN_IN = ("username", "password", "forget_password", "bearer", "forget_bearer")
_INTERVALS = ("scrape_interval_s", "flush_interval_s")
_PRODUCTION = re.compile(r"(^|[^a-z])(prod|production|prd|live)($|[^a-z])", re.IGNORECASE)


class FirstConnectionForm(ConnectionForm):
    """A connection whose intervals may be left to be found out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        is_new = kwargs.get("instance") is None
        if is_new:
            name = _NAMES.get(kwargs.get("kind", ""), kwargs.get("kind", ""))
            kwargs["initial"] = {"name": _unused(name), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        for name in _INTERVALS:
            if name in self.fields:
                self.fields[name].required = False
                if is_new:
                    self.initial[name] = None
        if "scrape_interval_s" in self.fields:
            self.fields["scrape_interval_s"].help_text = "Empty: as it tells, or as measured."
        if "flush_interval_s" in self.fields:
            self.fields["flush_interval_s"].help_text = (
                "How often the slowest source advances (Envoy: stats_flush_interval). "
                "Empty: as Envoy tells, else 5 s."
            )
        if "addresses" in self.fields:
            self.fields[
                "addresses"
            ].help_text = "One Envoy a line: host:port of its admin interface, not of a listener."

    def filled(self) -> Connection:
        """Return the connection; intervals that are left empty are the model's defaults."""
        made = super().filled()
        usual = Connection()
        for name in _INTERVALS:
            if getattr(made, name) is None:
                setattr(made, name, getattr(usual, name))
        return made

    def is_left(self, name: str) -> bool:
        """Return whether an interval was left to be found out."""
        return name in self.fields and self.cleaned_data.get(name) is None

    def left_open(self) -> dict[str, None]:
        """Return the intervals that were left to be found out: a next try finds them empty too."""
        return {name: None for name in _INTERVALS if self.is_left(name)}

    @property
    def main(self) -> list[tuple[forms.BoundField, str]]:
        """Return the fields that everybody needs, with their units."""
        hidden = (*_SPARED, *_SIGN_IN)
        return [(self[name], "") for name in self.fields if name not in hidden]

    @property
    def sign_in(self) -> list[forms.BoundField]:
        """Return the fields of a source that asks who one is."""
        return [self[name] for name in self.fields if name in _SIGN_IN]

    @property
    def spared(self) -> list[tuple[forms.BoundField, str]]:
        """Return the fields that most leave as they are, with their units."""
        units = self.units()
        return [(self[name], units.get(name, "")) for name in self.fields if name in _SPARED]

    @property
    def is_sign_in_open(self) -> bool:
        """Return whether somebody is signed in there, or something of it is wrong."""
        if not self.sign_in:
            return False
        is_set = bool(self.instance.secrets or self["username"].value())
        return is_set or any(field.errors for field in self.sign_in)

    @property
    def is_spared_open(self) -> bool:
        """Return whether one of the latter is wrong."""
        return any(field.errors for field, _ in self.spared)


class FirstEnvironmentForm(EnvironmentForm):
    """An environment; one that sounds like production wants a word more."""

    is_understood = forms.BooleanField(
        label="I know that experiments here may hurt real users", required=False
    )

    field_order = (
        "name",
        "title",
        "description",
        "longest_fault",
        "allowed_hosts",
        "parameters",
        "is_understood",
    )

    @property
    def sounds_like_production(self) -> bool:
        """Return whether the name or the title says that real users are there."""
        return any(_PRODUCTION.search(str(self[name].value() or "")) for name in ("name", "title"))

    def clean(self) -> dict[str, Any]:
        """Want the tick, and a limit, where real users are."""
        found = super().clean() or {}
        if self.sounds_like_production:
            if not found.get("is_understood"):
                self.add_error("is_understood", "Tick this to go on: the name says production.")
            if found.get("longest_fault") is None and "longest_fault" not in self.errors:
                self.add_error("longest_fault", "Give production a limit, as in 5m.")
        return found


class FirstServiceForm(forms.Form):
    """What a service is called, whom to call, and which of the found SLIs are its own."""

    use_required_attribute = False

    of = forms.ChoiceField(
        label="Measured as",
        error_messages={"required": "Choose what it is measured by."},
        widget=forms.RadioSelect,
    )
    take = forms.MultipleChoiceField(
        label="Take",
        choices=(("p95", "95 % are faster than (p95)"), ("errors", "share of errors")),
        initial=("p95", "errors"),
        error_messages={"required": "Take one at least."},
        widget=forms.CheckboxSelectMultiple,
    )
    name = forms.SlugField(
        label="Name",
        required=False,
        max_length=63,
        help_text="Its address, for ever: small letters, digits, - and _. "
        "Empty: as the metrics call it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    owner = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Orders team"}),
    )
    contact = forms.CharField(
        required=False,
        max_length=200,
        help_text="Whom to call at 3 a.m.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "placeholder": "#orders, or a number"}
        ),
    )

    def __init__(self, keys: Sequence[str], data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        field = self.fields["of"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (for the types)
        field.choices = [(key, key) for key in keys]

    def put(self, path: Sequence[Any], message: str) -> None:
        """Show an error of a description beside the field that it is about."""
        place = str(path[0]) if path else ""
        self.add_error(place if place in self.fields else None, message)


class RehearsalForm(forms.Form):
    """Where ChaosWeb's workers find an address that answers 200."""

    use_required_attribute = False

    url = forms.CharField(
        label="Address that the rehearsal asks",
        max_length=500,
        help_text="Any that answers 200, as the workers reach it. ChaosWeb's own will do; "
        "with containers that is http://web:8000/healthz.",
        widget=forms.TextInput(attrs={"class": "cw-code", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, is_fixed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_fixed:
            self.fields["url"].disabled = True
            self.fields["url"].help_text = "An admin may change it."


def unused_environment() -> str:
    """Return a name for the first environment that is not taken."""
    names = set(Environment.objects.values_list("name", flat=True))
    return next((name for name in ("staging", "test", "lab") if name not in names), "")


def _unused(name: str) -> str:
    names = set(Connection.objects.filter(name__startswith=name).values_list("name", flat=True))
    candidates = (name, *(f"{name}-{number}" for number in range(2, len(names) + 3)))
    return next(each for each in candidates if each not in names)
