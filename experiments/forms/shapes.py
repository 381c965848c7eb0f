"""Which inputs each kind of row of the experiment form has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.domain import suggests
from experiments.domain.presets import PRESETS
from experiments.forms import faults as fault_fields
from experiments.forms import guards, used
from experiments.forms.compounds import margin, start
from experiments.forms.kinds import METHOD, PROBES, SLIS, Catalogue, Kinds, Shape
from experiments.forms.leaves import Leaf
from experiments.services import faults as known_faults

EXPECTATIONS = (
    ("holds", "holds: stays as good as before"),
    ("may_degrade", "may degrade, within its limit"),
    ("degrades", "degrades, within its limit"),
)
_DIRECTIONS = (("lower_is_better", "lower is better"), ("higher_is_better", "higher is better"))


_UNIT = (
    Leaf(("unit",), "Unit", help="s, ms, %, or any word.", is_extra=True),
    Leaf(
        ("direction",),
        "Direction",
        "choice",
        choices=_DIRECTIONS,
        default="lower_is_better",
        is_required=True,
        is_extra=True,
    ),
)


def shape_of(
    key: str, kind: str, detail: str, catalogue: Catalogue, given: Any | None = None
) -> Shape:
    """Return the fields of a row.

    Args:
        key: the list: slis, method, guardrails, probes or parameters.
        kind: the row's kind, such as ratio or fault.
        detail: the preset, the SLI of a service, or the fault.
        catalogue: every fault model by its kind.
        given: the item of the document that the row comes from: fields of ``with`` that neither
            the preset nor the fault knows are shown too, so that they can be removed.
    """
    if key == "slis":
        return _sli(kind, detail, given)
    if key == "method":
        return _action(kind, detail, catalogue, given)
    if key == "guardrails":
        return guards.guardrail(kind, given)
    return _PARAMETER if key == "parameters" else _probe(kind)


def _kind(kinds: Kinds, label: str) -> Leaf:
    return Leaf(
        ("kind",),
        label,
        "choice",
        choices=kinds.choices,
        is_required=True,
        redraws=True,
    )


def _name(example: str = "") -> Leaf:
    return Leaf(("name",), "Name", is_required=True, placeholder=example)


def _strays(known: tuple[Leaf, ...], given: Any, what: str) -> tuple[Leaf, ...]:
    with_ = given.get("with") if isinstance(given, Mapping) else None
    names = {leaf.path[1] for leaf in known}
    return tuple(
        Leaf(("with", str(name)), str(name), "yaml", help=f"{what} has no such field; empty it.")
        for name in (with_ if isinstance(with_, Mapping) else ())
        if name not in names
    )


def _sli(kind: str, preset: str, given: Any) -> Shape:
    measure: tuple[Leaf, ...] = ()
    limit = "1% or 500ms"
    if kind == "preset":
        listed = tuple((each.name, f"{each.title} · {each.name}") for each in PRESETS.values())
        chosen = PRESETS.get(preset)
        described = chosen.description if chosen else ""
        fields = tuple(
            Leaf(
                ("with", field.name),
                field.title,
                "choice" if field.choices else "number" if field.reads == "quantile" else "text",
                help=field.description,
                choices=tuple((choice, choice) for choice in field.choices),
                default=str(field.default) if field.choices else "",
                placeholder=str(field.default),
                is_required=field.required or bool(field.choices),
                suggests=suggests.of_preset(preset, field.name) if field.lookup else "",
            )
            for field in (chosen.fields if chosen else ())
        )
        measure = (
            Leaf(
                ("preset",),
                "Preset",
                "choice",
                help=described,
                choices=listed,
                is_required=True,
                is_wide=True,
                redraws=True,
                keeps_empty=True,
            ),
            *fields,
            *(_strays(fields, given, "The preset") if chosen else ()),
        )
    elif kind == "ratio":
        measure = (
            _code(("ratio", "bad"), "Bad events", 'requests_total{code=~"5.."}'),
            _code(("ratio", "total"), "All events", "requests_total"),
        )
    elif kind == "quantile":
        measure = (
            _code(("quantile", "histogram"), "Histogram", "request_duration_seconds_bucket"),
            Leaf(("quantile", "q"), "Quantile", "number", placeholder="0.95"),
        )
    elif kind == "value":
        measure = (_code(("value",), "PromQL", "sum(queue_length)"),)
    elif kind == "use":
        shown = used.shown(preset)
        measure, limit = (shown.leaf,), shown.limit
    return Shape(
        (
            _name("orders_p95"),
            _kind(SLIS, "Measured by"),
            *measure,
            Leaf(
                ("expect",),
                "Expected",
                "choice",
                choices=EXPECTATIONS,
                default="holds",
                is_required=True,
            ),
            *margin(),
            Leaf(
                ("limit", "max"),
                "Limit: at most",
                "quantity",
                help="Never worse than this, fault or not.",
                placeholder=limit,
            ),
            Leaf(("limit", "min"), "Limit: at least", "quantity", is_extra=True),
            Leaf(("critical",), "Critical: the verdict hangs on it", "flag"),
            Leaf(("title",), "Title", is_extra=True),
            Leaf(
                ("source",),
                "Source",
                help="Alias of a Prometheus of the environment.",
                placeholder="metrics",
                suggestions="aliases",
                suggests=suggests.of_alias("prometheus"),
                is_extra=True,
            ),
            *(() if kind == "use" else _UNIT),
        ),
        kind if kind in ("value", "preset", "use") else "kind",
    )


def _code(path: tuple[str, ...], label: str, example: str) -> Leaf:
    return Leaf(
        path,
        label,
        "long" if label == "PromQL" else "text",
        placeholder=example,
        is_required=True,
        is_wide=True,
        is_code=True,
        is_promql=True,
    )


def _action(kind: str, fault: str, catalogue: Catalogue, given: Any) -> Shape:
    own: tuple[Leaf, ...] = ()
    if kind == "fault":
        model = catalogue.get(fault)
        listed = known_faults.labelled(tuple(catalogue.values()))
        fields = fault_fields.leaves(model) if model else ()
        own = (
            Leaf(
                ("fault",),
                "Fault",
                "choice",
                help=model.summary if model else "",
                choices=listed,
                groups=known_faults.by_backend(listed),
                is_required=True,
                is_wide=True,
                redraws=True,
                keeps_empty=True,
            ),
            Leaf(
                ("via",),
                "Via",
                help="Alias of a connection of the environment.",
                placeholder="mesh",
                suggestions="aliases",
                suggests=suggests.of_alias(suggests.backend_of(fault) if model else ""),
                is_required=True,
            ),
            *fields,
            *(_strays(fields, given, "The fault") if model else ()),
            Leaf(("duration",), "Lasts", "duration", is_required=True, placeholder="3m"),
        )
    elif kind == "checkpoint":
        own = (
            Leaf(
                ("checkpoint",),
                "Question",
                help="What the person must see to before the run goes on.",
                is_required=True,
                is_wide=True,
                keeps_empty=True,
            ),
            Leaf(
                ("timeout",),
                "Gives up after",
                "duration",
                help="Unanswered, it stops the run.",
                placeholder="10m",
            ),
        )
    elif kind == "wait":
        own = (
            Leaf(
                ("wait",),
                "Lasts",
                "duration",
                is_required=True,
                placeholder="30s",
                keeps_empty=True,
            ),
        )
    drift = Leaf(
        ("on_drift",),
        "If it vanishes early",
        "choice",
        choices=(("stop", "stop the run"), ("reinject", "inject it again"), ("ignore", "go on")),
        default="stop",
        is_required=True,
        is_extra=True,
    )
    return Shape(
        (
            _name("slow-carts"),
            _kind(METHOD, "This is"),
            *own,
            start(),
            *((drift,) if kind == "fault" else ()),
        ),
        kind or "kind",
    )


def _probe(kind: str) -> Shape:
    own: tuple[Leaf, ...] = ()
    status: tuple[Leaf, ...] = ()
    selected: tuple[Leaf, ...] = ()
    if kind == "http":
        own = (
            Leaf(
                ("http", "url"),
                "Address",
                help="Its host must be among those that the environment allows.",
                placeholder="http://front/health",
                is_required=True,
                is_wide=True,
                is_code=True,
            ),
            Leaf(
                ("http", "method"),
                "HTTP method",
                "choice",
                choices=(("GET", "GET"), ("HEAD", "HEAD"), ("POST", "POST")),
                default="GET",
                is_required=True,
                is_extra=True,
            ),
            Leaf(("http", "timeout"), "Time-out", "duration", placeholder="5s", is_extra=True),
            Leaf(
                ("http", "headers"),
                "Headers",
                "pairs",
                help="One a line: name=value.",
                is_extra=True,
                is_wide=True,
            ),
        )
        status = (
            Leaf(
                ("tolerance", "status"),
                "Status must be",
                "integers",
                help="One, or several with commas.",
                placeholder="200",
            ),
        )
        selected = (
            Leaf(
                ("tolerance", "jsonpath"),
                "JSONPath",
                help="Then at most, at least, equal to and matches are about every value that it "
                "selects, and there must be one.",
                placeholder="$.status",
                is_code=True,
                is_extra=True,
            ),
        )
    elif kind == "promql":
        own = (
            _code(("promql", "query"), "PromQL", "min(up)"),
            Leaf(
                ("promql", "source"),
                "Source",
                placeholder="metrics",
                suggestions="aliases",
                suggests=suggests.of_alias("prometheus"),
                is_extra=True,
            ),
        )
    return Shape(
        (
            _name("shop-answers"),
            _kind(PROBES, "Asks by"),
            *own,
            Leaf(
                ("at",),
                "When",
                "checks",
                choices=(("start", "start"), ("end", "end"), ("throughout", "throughout")),
                default="start,end",
                is_required=True,
            ),
            *status,
            Leaf(("tolerance", "max"), "At most", "number"),
            Leaf(("tolerance", "min"), "At least", "number"),
            *selected,
            Leaf(("tolerance", "equals"), "Equal to", "scalar", is_extra=True),
            Leaf(("tolerance", "regex"), "Matches", is_extra=True, is_code=True),
            Leaf(
                ("every",),
                "Every",
                "duration",
                help="Of a probe throughout the run.",
                placeholder="10s",
                is_extra=True,
            ),
        ),
        "kind",
    )


_PARAMETER = Shape(
    (
        Leaf(("name",), "Name", help="Small letters, digits and _.", is_required=True),
        Leaf(
            ("type",),
            "Type",
            "choice",
            choices=tuple(
                (kind, kind)
                for kind in (
                    "duration",
                    "percentage",
                    "rate",
                    "size",
                    "number",
                    "integer",
                    "text",
                    "boolean",
                )
            ),
            is_required=True,
        ),
        Leaf(("default",), "Default", "scalar"),
        Leaf(("description",), "Description", is_wide=True),
    ),
    "name",
)
