"""The form of an environment: what it is, its aliases, its values of parameters, its hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms

from drivers.units import Duration, UnitError
from experiments.domain import text
from experiments.domain.errors import InvalidDocumentError
from experiments.models import Alias, Connection, Environment

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Environment]
    _FormSet = forms.BaseFormSet["AliasForm"]
else:
    _ModelForm, _FormSet = forms.ModelForm, forms.BaseFormSet

_HOST = re.compile(
    r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d+)?"
)


class EnvironmentForm(_ModelForm):
    """All but the aliases, which are rows of their own."""

    use_required_attribute = False

    parameters = forms.CharField(
        label="Values of parameters",
        required=False,
        help_text="One a line: name: value. They replace the defaults of every experiment here.",
        widget=forms.Textarea(
            attrs={"rows": "3", "class": "cw-code", "placeholder": "delay: 90ms"}
        ),
    )
    allowed_hosts = forms.CharField(
        label="Hosts that HTTP probes may ask",
        required=False,
        help_text="One a line: host, host:port or *.host. Without any, no HTTP probe runs here.",
        widget=forms.Textarea(attrs={"rows": "3", "class": "cw-code", "placeholder": "front"}),
    )
    longest_fault = forms.CharField(
        label="Longest fault",
        required=False,
        help_text="No fault may be asked to last longer here, as in 15m. Empty: no limit.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "15m"}),
    )

    class Meta:
        model = Environment
        fields = ("name", "title", "description", "parameters", "allowed_hosts")
        help_texts = {"name": "Small letters, digits, - and _."}
        widgets = {"description": forms.Textarea(attrs={"rows": "2"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance: Environment | None = kwargs.get("instance")
        if instance is not None:
            values = instance.parameters or {}
            kwargs["initial"] = {
                "parameters": text.write(values).strip() if values else "",
                "allowed_hosts": "\n".join(map(str, instance.allowed_hosts or [])),
                "longest_fault": longest_fault(instance),
                **kwargs.get("initial", {}),
            }
        super().__init__(*args, **kwargs)

    def clean_name(self) -> str:
        """Refuse the one name that is an address of its own."""
        name = str(self.cleaned_data["name"])
        if name == "new":
            raise forms.ValidationError("“new” is taken by the page that makes them.")
        return name

    def clean_parameters(self) -> dict[str, Any]:
        """Return the values by name; ``name=value`` is read as ``name: value``."""
        written = str(self.cleaned_data["parameters"])
        lines = [
            re.sub(r"^(\s*[a-z][a-z0-9_]*)\s*=\s*", r"\1: ", each) for each in written.split("\n")
        ]
        try:
            found = text.read("\n".join(lines)) if written.strip() else {}
        except InvalidDocumentError as error:
            raise forms.ValidationError([each.message for each in error.errors]) from error
        if not isinstance(found, dict):
            raise forms.ValidationError("Write one value a line, as in delay: 90ms.")
        for name, value in found.items():
            if not isinstance(value, str | int | float | bool):
                raise forms.ValidationError(f"{name} must be one value, not a list or a mapping.")
        return found

    def clean_longest_fault(self) -> float | None:
        """Return the seconds; None without a limit."""
        written = str(self.cleaned_data["longest_fault"]).strip()
        if not written:
            return None
        try:
            seconds = float(Duration(written))
        except UnitError as error:
            raise forms.ValidationError(str(error)) from error
        if seconds <= 0:
            raise forms.ValidationError("Write more than 0 s, or leave it empty for no limit.")
        return seconds

    def save(self, commit: bool = True) -> Environment:
        """Return the environment, with the limit in seconds."""
        if "longest_fault" in self.fields:
            self.instance.longest_fault_s = self.cleaned_data["longest_fault"]
        saved: Environment = super().save(commit)
        return saved

    def clean_allowed_hosts(self) -> list[str]:
        """Return the hosts."""
        hosts = list(dict.fromkeys(str(self.cleaned_data["allowed_hosts"]).split()))
        wrong = [host for host in hosts if not _HOST.fullmatch(host)]
        if wrong:
            raise forms.ValidationError(
                f"{', '.join(wrong)}: write a host without http://, as in front or *.shop:8080."
            )
        return hosts


def longest_fault(environment: Environment) -> str:
    """Return the longest that a fault may last there, as people write it; empty without a limit."""
    seconds = environment.longest_fault_s
    return "" if seconds is None else str(Duration(seconds))


class AliasForm(forms.Form):
    """One alias and the connection that it is bound to."""

    use_required_attribute = False

    name = forms.CharField(
        label="Alias",
        max_length=63,
        required=False,
        validators=Alias._meta.get_field("name").validators,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "mesh"}),
    )
    connection = forms.ModelChoiceField(
        Connection.objects.all(), required=False, empty_label="no connection"
    )

    def clean(self) -> dict[str, Any]:
        """Want both or neither: an empty row is no alias."""
        found = super().clean() or {}
        name, connection = found.get("name"), found.get("connection")
        if name and connection is None and "connection" not in self.errors:
            self.add_error("connection", f"Choose what “{name}” is bound to.")
        if connection is not None and not name and "name" not in self.errors:
            self.add_error("name", f"Give {connection} an alias, such as mesh or metrics.")
        return found


class AliasRows(_FormSet):
    """All aliases of an environment."""

    def clean(self) -> None:
        """Refuse an alias that is there twice."""
        seen: set[str] = set()
        for form in self.forms:
            name = form.cleaned_data.get("name") if form.is_valid() else None
            if name and name in seen:
                form.add_error("name", f"“{name}” is there twice.")
            seen.add(name or "")

    def bound(self) -> list[tuple[str, Connection]]:
        """Return the aliases and their connections, empty rows left out."""
        rows = [form.cleaned_data for form in self.forms]
        return [(row["name"], row["connection"]) for row in rows if row.get("name")]


AliasFormSet = forms.formset_factory(AliasForm, formset=AliasRows, extra=2, max_num=50)


def alias_rows(
    data: Any = None,
    environment: Environment | None = None,
    proposed: Iterable[tuple[str, Connection]] = (),
) -> AliasRows:
    """Return the rows of an environment's aliases and two empty ones, or proposed ones and one."""
    proposed = list(proposed)
    initial = [
        {"name": alias.name, "connection": alias.connection_id}
        for alias in (environment.aliases.all() if environment else ())
    ] or [{"name": name, "connection": connection.pk} for name, connection in proposed]
    made: AliasRows = AliasFormSet(data, initial=initial, prefix="aliases")  # type: ignore[assignment]
    if proposed:
        made.extra = 1
    return made
