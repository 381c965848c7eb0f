"""What a new experiment, and each new row, starts with."""

from __future__ import annotations

from typing import Any

from experiments.forms import faults
from experiments.forms.kinds import LISTS, Catalogue
from experiments.forms.mapping import Fields, put_row, rows_of

DEFAULT_FAULT = "envoy.http_delay"
_USUAL_ALIAS = {
    "envoy": "mesh",
    "kubernetes": "cluster",
    "chaosmesh": "cluster",
    "fake": "rehearsal",
}


def document(*, catalogue: Catalogue, fault: str = "", has_systems: bool = True) -> dict[str, Any]:
    """Return the document that a new experiment starts with: one SLI and one fault.

    Where nothing is connected yet (not ``has_systems``), no alias and no target is guessed.
    """
    action = item("method", "fault", catalogue=catalogue, fault=fault)
    if not has_systems:
        action = _without_targets(action, catalogue)
    return {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": ""},
        "hypothesis": "",
        "slis": [item("slis", "preset", catalogue=catalogue)],
        "timing": {"baseline": "5m", "settle": "1m", "step": "auto"},
        "method": [action],
    }


def item(key: str, kind: str = "", *, catalogue: Catalogue, fault: str = "") -> Any:
    """Return the item that a new row shows; a parameter is a pair of name and value."""
    if key == "slis":
        return _sli(kind or "preset")
    if key == "method":
        return _action(kind or "fault", catalogue, fault)
    if key == "guardrails":
        watched = {"promql": "", "unit": ""} if kind == "promql" else {"sli": ""}
        return {"name": "", **watched, "above": "", "breaches": "3 of 5", "every": "5s"}
    if key == "probes":
        own: dict[str, Any] = {"url": ""} if kind != "promql" else {"query": ""}
        name = "promql" if kind == "promql" else "http"
        tolerance = {"status": 200} if name == "http" else {"max": ""}
        return {"name": "", name: own, "tolerance": tolerance}
    return ["", {"type": "duration", "default": ""}]


def _sli(kind: str) -> dict[str, Any]:
    measures: dict[str, Any] = {
        "preset": {"preset": "envoy.edge_errors", "with": {"listener": ""}},
        "ratio": {"ratio": {"bad": "", "total": ""}},
        "quantile": {"quantile": {"histogram": "", "q": 0.95}},
        "value": {"value": ""},
        "use": {"use": ""},
    }
    margins: dict[str, Any] = {
        "preset": {"absolute": "0.5%"},
        "ratio": {"absolute": "0.5%"},
        "quantile": {"relative": "20%"},
        "value": {"relative": "20%"},
    }
    margin = {"margin": margins[kind]} if kind in margins else {}
    return {"name": "", **measures.get(kind, {}), "expect": "holds", **margin}


def _action(kind: str, catalogue: Catalogue, fault: str) -> dict[str, Any]:
    if kind == "checkpoint":
        return {"name": "", "checkpoint": "", "timeout": "10m"}
    if kind == "wait":
        return {"name": "", "wait": "30s"}
    chosen = fault or (DEFAULT_FAULT if DEFAULT_FAULT in catalogue else next(iter(catalogue), ""))
    model = catalogue.get(chosen)
    return {
        "name": "",
        "fault": chosen,
        "via": _USUAL_ALIAS.get(chosen.split(".")[0], ""),
        "with": faults.example(model) if model else {},
        "duration": "3m",
    }


def _without_targets(action: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return a fault's action with its alias and what it hits left to be written."""
    targets = {
        leaf.path[1]
        for leaf in faults.leaves(catalogue[action["fault"]])
        if leaf.suggests and len(leaf.path) == 2
    }
    kept = {name: value for name, value in action["with"].items() if name not in targets}
    return {**action, "via": "", "with": kept}


def act(fields: Fields, action: str, *, catalogue: Catalogue) -> str:
    """Do what a button of the form asks: add, remove or move a row. Return the row's id, or none.

    Actions: ``add:slis``, ``add:method:checkpoint``, ``remove:slis:2``, ``up:method:1``,
    ``down:method:0``.
    """
    verb, key, detail = (*action.split(":", 2), "", "")[:3]
    if key not in LISTS:
        return ""
    rows = rows_of(fields, key)
    if verb == "add":
        number = fresh_number(fields, key)
        put_row(fields, key, number, item(key, detail, catalogue=catalogue), catalogue=catalogue)
        return f"row-{key}-{number}"
    if detail not in rows:
        return ""
    place = rows.index(detail)
    if verb == "remove":
        rows.remove(detail)
    elif verb in ("up", "down"):
        rows.insert(max(0, place + (-1 if verb == "up" else 1)), rows.pop(place))
    fields.setlist(f"{key}-rows", rows)
    return "" if verb == "remove" else f"row-{key}-{detail}"


def fresh_number(fields: Fields, key: str) -> str:
    """Return a number that no row of the list has."""
    taken = [int(number) for number in rows_of(fields, key) if number.isdecimal()]
    return str(max(taken, default=-1) + 1)
