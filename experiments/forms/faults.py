"""Fields of a fault, made from its model: a new fault needs no template and no script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from drivers.protocol import FaultParams
from experiments.domain import suggests
from experiments.forms.leaves import Leaf, Reads, scalar

_UNITS: Mapping[str, Reads] = {
    "duration": "duration",
    "percentage": "percentage",
    "rate": "rate",
    "size": "size",
}
_TYPES: Mapping[str, Reads] = {"integer": "integer", "number": "number", "string": "text"}


_ENDLESS = 2**31 - 1
"""A bound that is only the machine's is not worth telling."""


@cache
def leaves(model: type[FaultParams], under: tuple[str, ...] = ("with",)) -> tuple[Leaf, ...]:
    """Return the inputs of every parameter of the fault, nested models' included."""
    schema = model.model_json_schema()
    return tuple(_object(schema, schema.get("$defs", {}), under, model.kind))


def _object(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], under: tuple[str, ...], fault: str
) -> list[Leaf]:
    required = schema.get("required", ())
    found: list[Leaf] = []
    for name, given in schema.get("properties", {}).items():
        field, is_optional = _resolved(given, definitions)
        if field.get("type") == "object" and field.get("properties"):
            inner = _object(field, definitions, (*under, name), fault)
            found += [_as_part(leaf, field, is_optional=is_optional) for leaf in inner]
        else:
            is_required = name in required and not is_optional
            made = _leaf((*under, name), field, is_required, definitions)
            word = str(field.get("suggest", ""))
            asks = suggests.of_fault(fault, word) if word else ""
            found.append(
                replace(
                    made,
                    suggests=asks,
                    is_extra=bool(field.get("rare")),
                    shown_when=_shown_when(field, under),
                )
            )
    return found


def _as_part(leaf: Leaf, group: Mapping[str, Any], *, is_optional: bool) -> Leaf:
    """Return an input of a nested model, whose it is where that may be left out or is asked."""
    if group.get("rare"):
        leaf = replace(leaf, is_extra=True)
    if not (is_optional or group.get("titled")):
        return leaf
    label = f"{group['title']} · {leaf.label}" if group.get("title") else leaf.label
    is_asked = leaf.is_required and (not is_optional or leaf.reads in ("choice", "boolean"))
    return replace(leaf, label=label, is_required=is_asked)


def _shown_when(
    field: Mapping[str, Any], under: tuple[str, ...]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the inputs beside it, and the values of each with which it is shown."""
    given: Mapping[str, list[Any]] = field.get("shown_when") or {}
    return tuple(
        ("-".join((*under, name)), tuple(scalar(value) for value in values))
        for name, values in given.items()
    )


def _resolved(
    field: Mapping[str, Any], definitions: Mapping[str, Any]
) -> tuple[Mapping[str, Any], bool]:
    """Follow references, and take the one branch of an optional field."""
    is_optional = False
    while True:
        if "$ref" in field:
            target = definitions[str(field["$ref"]).rsplit("/", 1)[-1]]
            field = {**target, **{key: field[key] for key in field if key != "$ref"}}
            continue
        branches = field.get("anyOf") or field.get("allOf") or []
        others = [branch for branch in branches if branch.get("type") != "null"]
        is_optional = is_optional or len(others) < len(branches)
        if len(others) != 1:
            return field, is_optional
        rest = {key: value for key, value in field.items() if key not in ("anyOf", "allOf")}
        field = {**others[0], **rest}


def _leaf(
    path: tuple[str, ...],
    field: Mapping[str, Any],
    is_required: bool,
    definitions: Mapping[str, Any],
) -> Leaf:
    reads, choices, item = _kind(field, definitions)
    default = field.get("default")
    examples = [_as_lines(each) for each in _examples(field)]
    shown = "" if default is None or default == [] else scalar(default)
    shown = "" if isinstance(default, dict) else shown
    is_chosen = reads in ("choice", "boolean")
    if is_chosen and not is_required and not shown:
        choices = (("", "not set"), *choices)
    return Leaf(
        path,
        field.get("title") or path[-1].replace("_", " ").capitalize(),
        reads,
        help=" ".join(part for part in (field.get("description", ""), _bounds(field)) if part),
        unit=_unit(field),
        choices=choices,
        default=shown if is_chosen else "",
        placeholder=shown or (f"for example {examples[0]}" if examples else ""),
        is_required=is_required or is_chosen,
        is_wide=reads in ("lines", "pairs", "yaml", "long"),
        item=item,
    )


def _kind(
    field: Mapping[str, Any], definitions: Mapping[str, Any]
) -> tuple[Reads, tuple[tuple[str, str], ...], Reads]:
    if field.get("format") in _UNITS:
        return _UNITS[field["format"]], (), "text"
    if "enum" in field or "const" in field:
        values = field.get("enum") or [field["const"]]
        labels = field.get("enum_labels", {})
        choices = tuple(
            (scalar(value), str(labels.get(scalar(value), scalar(value).replace("_", " "))))
            for value in values
        )
        return "choice", choices, "text"
    kind = field.get("type")
    if kind == "boolean":
        return "boolean", (("true", "yes"), ("false", "no")), "text"
    if kind == "array":
        item, _ = _resolved(field.get("items", {}), definitions)
        if item.get("type") in _TYPES:
            return "lines", (), "text" if item["type"] == "string" else "number"
    if kind == "object":
        extra, _ = _resolved(field.get("additionalProperties") or {}, definitions)
        if extra.get("type") == "string":
            return "pairs", (), "text"
    if isinstance(kind, str) and kind in _TYPES:
        return _TYPES[kind], (), "text"
    return "yaml", (), "text"


def _as_lines(value: Any) -> str:
    """Return an example as somebody would write it into the input."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={scalar(each)}" for key, each in value.items())
    return ", ".join(map(scalar, value)) if isinstance(value, list) else scalar(value)


def _examples(field: Mapping[str, Any]) -> list[Any]:
    """Return the examples as values; a unit's own come as a phrase: “90ms, 30s or 1h30m”."""
    found = list(field.get("examples", ()))
    if field.get("format") in _UNITS:
        return [part for each in found for part in re.split(r",\s*|\s+or\s+", str(each))]
    return found


def _unit(field: Mapping[str, Any]) -> str:
    """Return the unit to print behind the input; units that people write themselves have none."""
    return "" if field.get("format") in _UNITS else str(field.get("unit", ""))


def _bounds(field: Mapping[str, Any]) -> str:
    """Return the bounds in words, for plain numbers: units tell theirs in the description."""
    if field.get("format") in _UNITS or field.get("type") not in ("integer", "number"):
        return ""
    low, high = field.get("minimum"), field.get("maximum")
    if high is not None and high >= _ENDLESS:
        high = None
    if low is not None and high is not None:
        return f"From {low} to {high}."
    return f"At least {low}." if low is not None else f"At most {high}." if high is not None else ""


def rows(model: type[FaultParams]) -> list[dict[str, Any]]:
    """Return the fault's parameters as rows of a table: title, unit, bounds, default and so on."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    found = []
    for leaf in leaves(model):
        field: Mapping[str, Any] = schema
        for name in leaf.path[1:]:
            field, _ = _resolved(field.get("properties", {}).get(name, {}), definitions)
        low = field.get("minimum", field.get("exclusiveMinimum"))
        high = field.get("maximum", field.get("exclusiveMaximum"))
        default = field.get("default")
        found.append(
            {
                "name": ".".join(leaf.path[1:]),
                "title": leaf.label,
                "description": field.get("description", ""),
                "kind": field.get("format") or leaf.reads,
                "unit": str(field.get("unit", "")),
                "low": low,
                "high": None if high is not None and high >= _ENDLESS else high,
                "longest": field.get("maxLength"),
                "choices": [label for _, label in leaf.choices],
                "default": "" if default is None else scalar(default),
                "is_required": leaf.is_required and not leaf.choices,
                "examples": [_as_lines(each) for each in _examples(field)],
            }
        )
    return found


def example(model: type[FaultParams]) -> dict[str, Any]:
    """Return parameters for the fault that are worth starting from: its examples and defaults."""
    schema = model.model_json_schema()
    if schema.get("examples"):
        given = schema["examples"][0]
        return {name: given[name] for name in schema.get("properties", {}) if name in given}
    definitions = schema.get("$defs", {})
    found: dict[str, Any] = {}
    for name, given in schema.get("properties", {}).items():
        field, _ = _resolved(given, definitions)
        is_required = name in schema.get("required", ())
        default = field.get("default")
        if default not in (None, "", [], {}):
            found[name] = default
        elif _examples(field) and (is_required or default is None):
            found[name] = _examples(field)[0]
        elif is_required and "enum" in field:
            found[name] = field["enum"][0]
    return found
