"""What pydantic's JSON Schema leaves out: short forms, and references to parameters.

An editor that checks a document must not call wrong what ChaosWeb takes.
"""

from __future__ import annotations

from typing import Any

_REFERENCE = {"type": "string", "pattern": r"\$\{[a-z][a-z0-9_]*\}"}
_DURATION: dict[str, Any] = {
    "type": ["string", "number"],
    "format": "duration",
    "examples": ["90s", "3m"],
}
_BREACHES: list[dict[str, Any]] = [
    {"type": "string", "pattern": r"^\s*\d+\s*of\s*\d+\s*$", "examples": ["3 of 5"]},
    {"type": "integer", "minimum": 1, "maximum": 100},
]
_SHORT: dict[str, list[dict[str, Any]]] = {"Baseline": [_DURATION], "Breaches": _BREACHES}
_OWN = frozenset({"Metadata", "Parameter"})
"""Parts in which no reference is written in."""
_KEPT = frozenset({"apiVersion", "kind", "name", "fault", "type"})
_HEADINGS = ("title", "description", "default", "examples", "unit")
_INSIDE = frozenset({"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"})


def taken(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that also takes the short forms, and ``${name}`` for any value."""
    made: dict[str, Any] = _loosened({key: schema[key] for key in schema if key != "$defs"})
    made["$defs"] = {}
    for name, part in schema.get("$defs", {}).items():
        own = part if name in _OWN else _loosened(part)
        short = _SHORT.get(name)
        made["$defs"][name] = _either(own, *short, _REFERENCE) if short else own
    return made


def _loosened(node: Any, name: str = "") -> Any:
    if isinstance(node, list):
        return [_loosened(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _loosened(value) if key in _INSIDE else value for key, value in node.items()}
    if "properties" in made:
        made["properties"] = {
            key: _loosened(value, key) for key, value in made["properties"].items()
        }
    return _either(made, _REFERENCE) if _is_strict(made) and name not in _KEPT else made


def _is_strict(node: dict[str, Any]) -> bool:
    """Return whether the node takes no text such as ``${name}``."""
    kind = node.get("type")
    return kind in ("integer", "number", "boolean") or (kind == "string" and "pattern" in node)


def _either(node: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    headings = {key: node[key] for key in _HEADINGS if key in node}
    bare = {key: node[key] for key in node if key not in headings}
    return {**headings, "anyOf": [bare, *others]}
