"""How the experiment form shows an SLI of a service: the choice, and what it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.forms.leaves import Leaf, scalar
from experiments.selectors import named_slis


@dataclass(frozen=True, slots=True)
class Used:
    """The choice among the SLIs of all services, and what stands in an empty limit below it."""

    leaf: Leaf
    limit: str


def shown(reference: str) -> Used:
    """Return the inputs of a row that uses the SLI of this name, which may lead nowhere."""
    named = named_slis.known()
    service, _, name = reference.partition(".")
    found = named.get(service, {}).get(name, {})
    says = _in_words(found) if found else ""
    bounds = found.get("limit") or {}
    choices = tuple(
        (each, f"{each} · {title}" if title else each) for each, title in named_slis.listed(named)
    )
    leaf = Leaf(
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
    limit = f"{scalar(bounds['max'])}, as {reference} has it" if "max" in bounds else "1% or 500ms"
    return Used(leaf, limit)


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
