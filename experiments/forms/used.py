"""How the experiment form shows an SLI of a service: the choice, and what it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.forms.leaves import Leaf, scalar
from experiments.selectors import named_slis


def leaf(reference: str) -> Leaf:
    """Return the choice among the SLIs of all services; below it, what the chosen one is."""
    choices = tuple(
        (name, f"{name} · {title}" if title else name) for name, title in named_slis.listed()
    )
    says = _in_words(_found(reference))
    return Leaf(
        ("use",),
        "SLI",
        "choice",
        help=f"Stands for {says}. The version keeps a copy of that."
        if says
        else "The version keeps a copy of what it stands for.",
        choices=choices if reference else (("", "choose…"), *choices),
        is_required=True,
        is_wide=True,
        redraws=True,
        keeps_empty=True,
    )


def limit(reference: str) -> str:
    """Return what stands in an empty limit: the service's own, if it has one."""
    bounds = _found(reference).get("limit") or {}
    return f"{scalar(bounds['max'])}, as {reference} has it" if "max" in bounds else "1% or 500ms"


def _found(reference: str) -> Mapping[str, Any]:
    service, _, name = reference.partition(".")
    return named_slis.known().get(service, {}).get(name, {}) if name else {}


def _in_words(sli: Mapping[str, Any]) -> str:
    """Say what an SLI of a service is, in one line."""
    if "ratio" in sli:
        what = f"the ratio of {sli['ratio']['bad']} to {sli['ratio']['total']}"
    elif "quantile" in sli:
        what = f"the {sli['quantile'].get('q', 0.95):g} quantile of {sli['quantile']['histogram']}"
    elif "preset" in sli:
        given = ", ".join(f"{name} {scalar(value)}" for name, value in sli.get("with", {}).items())
        what = f"{sli['preset']} ({given})" if given else str(sli["preset"])
    else:
        what = str(sli.get("value", ""))
    parts = [what]
    bounds = sli.get("limit") or {}
    parts += [f"at most {scalar(bounds['max'])}"] if "max" in bounds else []
    parts += [f"at least {scalar(bounds['min'])}"] if "min" in bounds else []
    margin = sli.get("margin") or {}
    parts += [f"margin {scalar(value)} ({kind})" for kind, value in margin.items()]
    return ", ".join(parts)
