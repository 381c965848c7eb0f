"""The form of an environment's secrets: values go in, and never come out again."""

from __future__ import annotations

from typing import Any

from django import forms

from experiments.domain import secrets as references
from experiments.models import Environment
from experiments.services import secrets

NEW_ROWS = 2
_NAME = f"^{references.NAME}$"
_VALUE_RULE = f"{secrets.SHORTEST} to {secrets.LONGEST} characters of plain text, on one line."
_NAME_RULE = "Small letters, digits, - and _; at most 63, a letter first."


class SecretsForm(forms.Form):
    """A value and a box for each secret that there is, and a name and a value for new ones."""

    use_required_attribute = False

    def __init__(self, data: Any = None, *, environment: Environment) -> None:
        super().__init__(data, auto_id="id_secret_%s")
        self.kept = secrets.kept(environment)
        # By name: between showing and sending somebody else may have added one.
        for each in self.kept:
            self.fields[f"value-{each.name}"] = _value("New value", "unchanged")
            self.fields[f"remove-{each.name}"] = forms.BooleanField(label="Remove", required=False)
        for index in range(NEW_ROWS):
            self.fields[f"new_name-{index}"] = forms.RegexField(
                _NAME,
                label="Name",
                required=False,
                help_text=_NAME_RULE,
                error_messages={"invalid": "This cannot be the name of a secret."},
                widget=forms.TextInput(
                    attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "api-token"}
                ),
            )
            self.fields[f"new_value-{index}"] = _value("Value", "")
            self.fields[f"new_value-{index}"].help_text = _VALUE_RULE

    def clean(self) -> dict[str, Any]:
        """Want each new row whole, and each name once."""
        found = super().clean() or {}
        taken = {each.name for each in self.kept}
        for each in self.kept:
            if found.get(f"remove-{each.name}") and found.get(f"value-{each.name}"):
                self.add_error(f"value-{each.name}", f"{each.name} is either replaced or removed.")
        for index in range(NEW_ROWS):
            name_key, value_key = f"new_name-{index}", f"new_value-{index}"
            name, value = found.get(name_key), found.get(value_key)
            if name and name in taken:
                self.add_error(name_key, f"“{name}” is there already: replace its value instead.")
            if name and not value and value_key not in self.errors:
                self.add_error(value_key, f"Enter what {name} stands for.")
            if value and not name and name_key not in self.errors:
                self.add_error(name_key, "Give it the name that documents will use.")
            taken.add(name or "")
        return found

    def changes(self) -> dict[str, str | None]:
        """Return what to set, by name, and None for what to remove."""
        found: dict[str, str | None] = {}
        for each in self.kept:
            if self.cleaned_data[f"remove-{each.name}"]:
                found[each.name] = None
            elif self.cleaned_data[f"value-{each.name}"]:
                found[each.name] = self.cleaned_data[f"value-{each.name}"]
        for index in range(NEW_ROWS):
            if self.cleaned_data[f"new_name-{index}"]:
                found[self.cleaned_data[f"new_name-{index}"]] = self.cleaned_data[
                    f"new_value-{index}"
                ]
        return found

    def rows(self) -> list[tuple[secrets.Kept, forms.BoundField, forms.BoundField]]:
        """Return each secret that there is with its two fields."""
        return [
            (each, self[f"value-{each.name}"], self[f"remove-{each.name}"]) for each in self.kept
        ]

    def new_rows(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Return the fields of new secrets."""
        return [
            (self[f"new_name-{index}"], self[f"new_value-{index}"]) for index in range(NEW_ROWS)
        ]


class _SecretField(forms.CharField):
    """A text that can be kept. What was pasted with blanks or a line's end is taken without."""

    def validate(self, value: str) -> None:
        """Refuse what no header could send, or nothing could mask."""
        super().validate(value)
        why = secrets.unfit(value) if value else ""
        if why:
            raise forms.ValidationError(f"It {why}. Enter it again: it was not kept.")


def _value(label: str, placeholder: str) -> forms.CharField:
    shown = forms.PasswordInput(attrs={"autocomplete": "new-password", "placeholder": placeholder})
    return _SecretField(label=label, required=False, widget=shown)
