"""Which inputs a guardrail has, in a document and in an environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.domain import suggests
from experiments.forms.kinds import GUARDRAILS, Shape
from experiments.forms.leaves import Leaf

NO_DATA = (
    ("stop", "stop the run"),
    ("checkpoint", "ask a person"),
    ("ignore", "go on without it"),
)
NO_DATA_HELP = (
    "Asking holds the next action back, and stops the run after 10 minutes without an answer. "
    "Going on leaves you unguarded."
)
UNIT_HELP = "s, ms, ratio (0 to 1, bounds in %), or any word."


def guardrail(kind: str, given: Any = None) -> Shape:
    """Return the fields of a guardrail of a document: on one of its SLIs, or on its own PromQL."""
    own: tuple[Leaf, ...] = (
        Leaf(
            ("promql",),
            "PromQL",
            "long",
            help="It must give one series.",
            placeholder="sum(queue_length)",
            is_required=True,
            is_wide=True,
            is_code=True,
            is_promql=True,
            keeps_empty=True,
        ),
        Leaf(("unit",), "Unit", help=UNIT_HELP, placeholder="messages"),
        Leaf(
            ("source",),
            "Source",
            help="Alias of a Prometheus of the environment.",
            placeholder="metrics",
            suggestions="aliases",
            suggests=suggests.of_alias("prometheus"),
        ),
    )
    if kind != "promql":
        own = (
            Leaf(("sli",), "SLI", suggestions="sli-names", is_required=True, keeps_empty=True),
            *_strays(own, kind, given),
        )
    return Shape(
        (
            Leaf(("name",), "Name", is_required=True, placeholder="too-many-errors"),
            Leaf(
                ("kind",),
                "Watches",
                "choice",
                choices=GUARDRAILS.choices,
                is_required=True,
                redraws=True,
            ),
            *own,
            Leaf(("above",), "Stops above", "quantity", placeholder="20% or 2s"),
            Leaf(("below",), "Stops below", "quantity"),
            Leaf(
                ("breaches",),
                "Breaches",
                "integer",
                help="So many of the newest readings.",
                placeholder="3 of 5",
            ),
            Leaf(
                ("every",),
                "Every",
                "duration",
                help="No faster than its source has something new.",
                placeholder="5s",
            ),
            Leaf(
                ("no_data",),
                "Without data",
                "choice",
                help=NO_DATA_HELP,
                choices=NO_DATA,
                default="stop",
                is_required=True,
            ),
        ),
        "above",
    )


def _strays(known: tuple[Leaf, ...], kind: str, given: Any) -> tuple[Leaf, ...]:
    """Return the fields of PromQL that a guardrail on an SLI has all the same, to be emptied."""
    if not isinstance(given, Mapping) or GUARDRAILS.of(given) != kind:
        return ()
    return tuple(
        Leaf(leaf.path, leaf.label, help="Belongs to PromQL of its own; empty it.")
        for leaf in known
        if leaf.path[0] in given
    )
