"""The sections of the experiment form, and the lists whose rows come in kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.protocol import FaultParams
from experiments.forms.compounds import baseline
from experiments.forms.leaves import Field, Leaf

Catalogue = Mapping[str, type[FaultParams]]

_NAME_HELP = "Small letters, digits, - and _."


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of one row, and where an error goes that concerns the row as a whole."""

    fields: tuple[Field, ...]
    anchor: str

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Return every input, in order."""
        return tuple(leaf for field in self.fields for leaf in field.leaves)


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of row of one list: by which field of the document each is known."""

    key: str
    title: str
    noun: str
    choices: tuple[tuple[str, str], ...] = ()
    nested: frozenset[str] = frozenset()
    """Kinds whose field is a mapping: it is written even while it is empty."""
    detail: str = ""
    """The field whose value decides which fields ``with`` has."""
    redrawn: frozenset[str] = frozenset()
    """Further kinds whose own field's value decides what the row shows."""
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Fields that leave the document when the row becomes one of this kind."""
    partners: tuple[str, ...] = ()
    """Fields that leave the document when the row becomes one of another kind."""
    shorter: Mapping[str, str] = field(default_factory=dict)
    """What the buttons that add a row call a kind, where its own name says too little."""
    is_added_once: bool = False
    """One button adds a row; its kind is chosen there."""

    @property
    def adders(self) -> tuple[tuple[str, str], ...]:
        """Return the kind and the words of each button that adds a row."""
        if self.is_added_once or not self.choices:
            return (("", self.noun),)
        return tuple((kind, self.shorter.get(kind, kind)) for kind, _ in self.choices)

    def detail_of(self, kind: str) -> str:
        """Return the field whose value decides which fields a row of this kind has, if any."""
        return kind if kind in self.redrawn else self.detail

    def of(self, item: Any) -> str:
        """Return the kind of an item of the document; empty when it has none."""
        if isinstance(item, Mapping):
            for kind, _ in self.choices:
                if item.get(kind) is not None:
                    return kind
        return ""


SLIS = Kinds(
    "slis",
    "What to watch",
    "SLI",
    (
        ("preset", "ready-made"),
        ("use", "SLI of a service"),
        ("ratio", "ratio: bad of all events"),
        ("quantile", "quantile of a histogram"),
        ("value", "PromQL of your own"),
    ),
    frozenset({"ratio", "quantile"}),
    "preset",
    redrawn=frozenset({"use"}),
    lacks={"use": ("unit", "direction")},
    shorter={
        "preset": "ready-made",
        "use": "from a service",
        "ratio": "error ratio",
        "quantile": "latency quantile",
        "value": "PromQL",
    },
)
METHOD = Kinds(
    "method",
    "Method",
    "action",
    (
        ("fault", "a fault"),
        ("checkpoint", "a checkpoint: wait for a person"),
        ("wait", "a wait"),
    ),
    detail="fault",
)
GUARDRAILS = Kinds(
    "guardrails",
    "Guardrails",
    "guardrail",
    (("sli", "one of the SLIs"), ("promql", "PromQL of its own")),
    partners=("source", "unit"),
    is_added_once=True,
)
PROBES = Kinds(
    "probes",
    "Probes",
    "probe",
    (("http", "an HTTP request"), ("promql", "a PromQL query")),
    frozenset({"http", "promql"}),
)
PARAMETERS = Kinds("parameters", "Parameters", "parameter")
LISTS: Mapping[str, Kinds] = {
    kinds.key: kinds for kinds in (SLIS, METHOD, GUARDRAILS, PROBES, PARAMETERS)
}

HYPOTHESIS = Shape(
    (
        Leaf(
            ("metadata", "name"),
            "Name",
            help=f"Its address, for ever. {_NAME_HELP}",
            is_required=True,
            placeholder="only-carts-feels-it",
        ),
        Leaf(("metadata", "title"), "Title", placeholder="Only carts feels 90 ms", is_wide=True),
        Leaf(("metadata", "service"), "Service", help="What the business calls it."),
        Leaf(("metadata", "tags"), "Tags", "words", help="Separated by commas."),
        Leaf(
            ("hypothesis",),
            "Hypothesis",
            "long",
            help="One sentence: what happens, and what does not, while the fault is there.",
            is_required=True,
            is_wide=True,
        ),
        Leaf(("metadata", "description"), "Description", "long", is_extra=True, is_wide=True),
    ),
    "metadata-name",
)
TIMING = Shape(
    (
        baseline(),
        Leaf(
            ("timing", "settle"),
            "Settle",
            "duration",
            help="How long to watch after the last fault is gone.",
            placeholder="1m",
        ),
        Leaf(
            ("timing", "step"),
            "Step",
            help="One bin of the charts and the verdict; auto: five scrapes of the source.",
            placeholder="auto",
        ),
    ),
    "timing-baseline-length",
)
SECTIONS: Mapping[str, Shape] = {"hypothesis": HYPOTHESIS, "timing": TIMING}
