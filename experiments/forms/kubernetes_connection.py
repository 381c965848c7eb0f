"""The fields of a connection to a Kubernetes cluster; its credentials are never shown again."""

from __future__ import annotations

from typing import Any

from django import forms

FIELDS = ("namespaces", "access", "kubeconfig", "context", "server", "ca", "token")
"""In the order of the page; credentials stand beside the way in that they belong to."""
_OF_KUBECONFIG = {"data-shown-when": '{"access": ["kubeconfig"]}'}
_OF_TOKEN = {"data-shown-when": '{"access": ["token"]}'}
SECRETS = ("kubeconfig", "token")
OPTIONS = ("namespaces", "access", "context", "server", "ca")


class SecretTextarea(forms.Textarea):
    """A text area that never writes what it was given into the page."""

    def format_value(self, value: Any) -> None:
        """Return nothing, also for what was just sent with an error elsewhere."""
        return


class KubernetesFields(forms.Form):
    """What a connection to a cluster asks for, beside its name."""

    namespaces = forms.CharField(
        label="Allowed namespaces",
        required=False,
        help_text="One a line: a name, or its beginning and *, as in shop-*. No other is touched; "
        "kube-system only where it is written out.",
        widget=forms.Textarea(attrs={"rows": "3", "class": "cw-code", "placeholder": "shop"}),
    )
    access = forms.ChoiceField(
        label="Way in",
        choices=[
            ("kubeconfig", "A kubeconfig"),
            ("token", "A service account's token"),
            ("in_cluster", "The account of the pod that ChaosWeb runs in"),
        ],
        initial="kubeconfig",
    )
    kubeconfig = forms.CharField(
        label="Kubeconfig",
        required=False,
        help_text="What “kubectl config view --minify --flatten --raw” writes. It may run no "
        "program and name no file.",
    )
    context = forms.CharField(
        label="Context",
        required=False,
        help_text="Of the kubeconfig; empty: its current one.",
        widget=forms.TextInput(attrs=_OF_KUBECONFIG),
    )
    server = forms.CharField(
        label="Server",
        required=False,
        help_text="For a token: the API server's address.",
        widget=forms.TextInput(
            attrs={
                "class": "cw-code",
                "placeholder": "https://cluster.example:6443",
                **_OF_TOKEN,
            }
        ),
    )
    ca = forms.CharField(
        label="Certificate authority",
        required=False,
        help_text="For a token, as PEM; empty: the authorities that this machine trusts.",
        widget=forms.Textarea(attrs={"rows": "3", "class": "cw-code", **_OF_TOKEN}),
    )
    token = forms.CharField(
        label="Token",
        required=False,
        help_text="“kubectl create token ACCOUNT --duration 24h” makes one. It is not renewed.",
    )

    def clean_namespaces(self) -> list[str]:
        """Return the names and wildcards, each once."""
        return list(dict.fromkeys(str(self.cleaned_data["namespaces"]).split()))


def secret_widget(name: str) -> forms.Widget:
    """Return the widget of a secret: several lines for a kubeconfig, one for all others."""
    attrs = {"autocomplete": "new-password"}
    if name == "token":
        attrs |= _OF_TOKEN
    if name == "kubeconfig":
        attrs |= _OF_KUBECONFIG
        return SecretTextarea(
            attrs={**attrs, "rows": "6", "class": "cw-code", "spellcheck": "false"}
        )
    return forms.PasswordInput(render_value=False, attrs=attrs)
