"""Forms of the halt page: a stop link, a webhook."""

from __future__ import annotations

from typing import Any

from django import forms

from experiments.models import Environment, Run, StopLink, Webhook
from experiments.selectors import halting as selector
from experiments.services import stop_links

EVERYTHING = "*"
"""Names everything in forms and addresses; no environment can be called so."""
_MOST_RUNS = 50
_LASTS = [("8h", "8 hours"), ("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days")]


class StopLinkForm(forms.Form):
    """What a link stops, for how long it works, and what it is for."""

    scope = forms.ChoiceField(label="What it stops")
    lasts = forms.ChoiceField(label="Works for", choices=_LASTS, initial="1d")
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=StopLink._meta.get_field("note").max_length,
        help_text="For whom or where; the journal names it when the link is used.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scope = self.fields["scope"]
        assert isinstance(scope, forms.ChoiceField)  # noqa: S101 — declared above
        runs = selector.stoppable(None).select_related("version__experiment")
        scope.choices = [
            ("", "Choose …"),
            (
                "Stop one run",
                [
                    (f"run:{run.pk}", f"Run {run.pk}: {run.version.experiment.title}")
                    for run in runs.order_by("-pk")[:_MOST_RUNS]
                ],
            ),
            (
                "Halt an environment",
                [(f"environment:{each.name}", str(each)) for each in Environment.objects.all()],
            ),
            ("Halt", [(EVERYTHING, "Everything")]),
        ]

    def scoped(self) -> dict[str, Any]:
        """Return the run or the environment, as ``stop_links.make`` takes it."""
        kind, _, name = str(self.cleaned_data["scope"]).partition(":")
        if kind == "run":
            return {"run": Run.objects.get(pk=int(name))}
        if kind == "environment":
            return {"environment": Environment.objects.get(name=name)}
        return {}

    def given(self) -> dict[str, Any]:
        """Return everything that ``stop_links.make`` takes."""
        return {
            **self.scoped(),
            "lasts": stop_links.LASTS[self.cleaned_data["lasts"]],
            "note": self.cleaned_data["note"],
        }


class WebhookForm(forms.Form):
    """The name in a webhook's address, and what it halts."""

    name = forms.CharField(
        label="Name",
        max_length=Webhook._meta.get_field("name").max_length,
        validators=Webhook._meta.get_field("name").validators,
        help_text="Part of its address, and of the journal. Small letters, digits, - and _.",
    )
    scope = forms.ChoiceField(label="What it halts")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scope = self.fields["scope"]
        assert isinstance(scope, forms.ChoiceField)  # noqa: S101 — declared above
        scope.choices = [
            ("", "Choose …"),
            *((each.name, str(each)) for each in Environment.objects.all()),
            (EVERYTHING, "Everything"),
        ]

    def environment(self) -> Environment | None:
        """Return what it halts; None is everything."""
        name = self.cleaned_data["scope"]
        return None if name == EVERYTHING else Environment.objects.get(name=name)
