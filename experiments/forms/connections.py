"""The form of a connection: proper fields for each kind, secrets that are never shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from experiments.forms import kubernetes_connection as kubernetes
from experiments.models import Connection

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Connection]
else:
    _ModelForm = forms.ModelForm

_FIELDS = {
    "envoy": ("addresses", "timeout_s", "flush_interval_s"),
    "prometheus": ("url", "scrape_interval_s", "flush_interval_s", "timeout_s", "username"),
    "kubernetes": kubernetes.FIELDS,
    "fake": ("targets", "state"),
}
_SECRETS = {"prometheus": ("bearer", "password"), "kubernetes": kubernetes.SECRETS}
_OPTIONS = ("addresses", "url", "timeout_s", "username", "targets", "state", *kubernetes.OPTIONS)


class ConnectionForm(_ModelForm, kubernetes.KubernetesFields):
    """Name and kind, then the options of the kind. Options that no field shows are kept."""

    use_required_attribute = False

    addresses = forms.CharField(
        label="Admin addresses",
        help_text="One Envoy a line: host:port of its admin interface.",
        widget=forms.Textarea(
            attrs={"rows": "3", "class": "cw-code", "placeholder": "127.0.0.1:9901"}
        ),
    )
    url = forms.CharField(
        label="URL",
        help_text="With its path prefix, if it has one.",
        widget=forms.TextInput(attrs={"class": "cw-code", "placeholder": "http://prometheus:9090"}),
    )
    timeout_s = forms.FloatField(
        label="Time-out",
        required=False,
        help_text="How long one answer may take. Envoy: 2 s by default, at most 5; Prometheus: 5.",
    )
    username = forms.CharField(
        label="User name", required=False, help_text="For basic authentication."
    )
    password = forms.CharField(label="Password", required=False)
    bearer = forms.CharField(
        label="Bearer token", required=False, help_text="Takes the place of user and password."
    )
    targets = forms.CharField(
        label="Pretended targets",
        required=False,
        help_text="One a line.",
        widget=forms.Textarea(attrs={"rows": "2", "placeholder": "one"}),
    )
    state = forms.CharField(
        label="Folder of its state",
        required=False,
        help_text="Shared by every process that rehearses; empty: each has its own.",
    )

    class Meta:
        model = Connection
        fields = ("name", "kind", "scrape_interval_s", "flush_interval_s")
        labels = {"scrape_interval_s": "Scrape interval", "flush_interval_s": "Flush interval"}
        help_texts = {"name": "Small letters, digits, - and _."}

    def __init__(self, *args: Any, kind: str = "", **kwargs: Any) -> None:
        instance: Connection = kwargs.get("instance") or Connection()
        kwargs["initial"] = {**_initial(instance), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        kinds = dict(Connection.KINDS)
        self.kind = kind if kind in kinds else instance.kind if instance.kind in kinds else "envoy"
        self.secret_names = _SECRETS.get(self.kind, ())
        shown = {"name", "kind", *_FIELDS[self.kind], *self.secret_names}
        for name in [name for name in self.fields if name not in shown]:
            del self.fields[name]
        self.fields["kind"].widget = forms.HiddenInput()
        self.fields["kind"].initial = self.kind
        self.initial["kind"] = self.kind
        for name in self.secret_names:
            self._hide(name, is_set=_has_secret(instance, name))
        for name in self.fields:
            self.fields[name].widget.attrs.setdefault("autocomplete", "off")
        self.order_fields(["name", *_FIELDS[self.kind]])

    def _hide(self, name: str, *, is_set: bool) -> None:
        """Make the secret write-only: nothing of it reaches the page, not even its length."""
        field = self.fields[name]
        field.widget = kubernetes.secret_widget(name)
        if is_set:
            field.widget.attrs["placeholder"] = "set; leave empty to keep it"
            self.fields[f"forget_{name}"] = forms.BooleanField(
                label=f"Take the {str(field.label).lower()} away", required=False
            )

    def clean_name(self) -> str:
        """Refuse the one name that is an address of its own."""
        name = str(self.cleaned_data["name"])
        if name == "new":
            raise forms.ValidationError("“new” is taken by the page that makes them.")
        return name

    def clean_addresses(self) -> list[str]:
        """Return the addresses, each once."""
        return list(dict.fromkeys(str(self.cleaned_data["addresses"]).split()))

    def clean_targets(self) -> list[str]:
        """Return the names of the pretended targets."""
        return str(self.cleaned_data["targets"]).split()

    def secrets(self) -> dict[str, str | None]:
        """Return the secrets to store; None for one to take away."""
        found: dict[str, str | None] = {}
        for name in self.secret_names:
            if self.cleaned_data.get(f"forget_{name}"):
                found[name] = None
            elif self.cleaned_data.get(name):
                found[name] = self.cleaned_data[name]
        return found

    def filled(self) -> Connection:
        """Return the connection with the form's values, not stored."""
        connection: Connection = self.save(commit=False)
        options: dict[str, Any] = connection.options or {}
        kept = {
            name: value
            for name, value in options.items()
            if name not in _OPTIONS or name not in self.fields
        }
        connection.options = kept | self.options()
        stored = connection.secrets if isinstance(connection.secrets, dict) else {}
        secrets = {**stored, **self.secrets()}
        connection.secrets = {name: value for name, value in secrets.items() if value}
        return connection

    def options(self) -> dict[str, Any]:
        """Return the options that are filled in and right."""
        filled = {name: self.cleaned_data.get(name) for name in _OPTIONS if name in self.fields}
        return {name: value for name, value in filled.items() if value not in (None, "", [])}

    def units(self) -> dict[str, str]:
        """Return the unit behind each field that has one."""
        return {name: "s" for name in self.fields if name.endswith("_s")}


def _initial(connection: Connection) -> dict[str, Any]:
    options = connection.options or {}
    found = {name: options.get(name) for name in _OPTIONS}
    for name in ("addresses", "targets", "namespaces"):
        listed = options.get(name)
        found[name] = "\n".join(map(str, listed)) if isinstance(listed, list | tuple) else listed
    return found


def _has_secret(connection: Connection, name: str) -> bool:
    """Return whether the secret is set; secrets whose key was lost are no mapping any more."""
    return isinstance(connection.secrets, dict) and bool(connection.secrets.get(name))
