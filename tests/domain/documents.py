"""A document in which everything is used once, and the rehearsed catalogue to read it with."""

from __future__ import annotations

import copy
from typing import Any

from drivers.fake import FAULTS
from experiments.domain import spec

CATALOGUE = {model.kind: model for model in FAULTS}
FULL: dict[str, Any] = {
    "apiVersion": "chaosweb/v1",
    "kind": "Experiment",
    "metadata": {"name": "only-carts", "title": "Only carts", "service": "carts", "tags": ["a"]},
    "hypothesis": "Carts slows down and nothing else does.",
    "parameters": {"delay": {"type": "duration", "default": "90ms"}},
    "slis": [
        {"name": "carts", "preset": "sock_shop.latency", "with": {"service": "carts"}}
        | {"expect": "degrades", "limit": {"max": "500ms"}},
        {"name": "orders", "quantile": {"histogram": "seconds_bucket", "q": 0.9}}
        | {"margin": {"relative": "20%"}},
        {"name": "errors", "ratio": {"bad": 'hits{code="500"}', "total": "hits"}}
        | {"limit": {"max": "1%"}, "margin": {"absolute": "0.5%"}, "critical": True},
        {"name": "rate", "value": "sum(rate(hits[1m]))", "unit": "rps"}
        | {"direction": "higher_is_better", "expect": "may_degrade", "limit": {"min": "5 rps"}},
    ],
    "probes": [
        {"name": "answers", "http": {"url": "http://front/"}, "tolerance": {"status": [200, 204]}},
        {"name": "up", "at": ["throughout"], "promql": {"query": "up"}, "tolerance": {"min": 1}},
    ],
    "timing": {"baseline": {"last": "30m"}, "settle": "1m", "step": "auto"},
    "method": [
        {"name": "slow", "fault": "fake.delay", "via": "mesh", "duration": "3m"}
        | {"with": {"percentage": "50%", "fixed_delay": "${delay}"}, "on_drift": "reinject"},
        {"name": "pause", "wait": "10s", "start": {"with": ["slow"], "delay": "1s"}},
        {"name": "look", "checkpoint": "Fine?", "start": {"after": ["slow", "pause"]}},
    ],
    "guardrails": [{"name": "stop", "sli": "errors", "above": "20%", "breaches": "3 of 5"}],
}


def full(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(FULL) | changes


def edited(path: str, value: Any) -> dict[str, Any]:
    """Return the document with one value changed: ``slis.0.limit``."""
    raw = full()
    node: Any = raw
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    node[int(last) if isinstance(node, list) else last] = value
    return raw


def without(path: str) -> dict[str, Any]:
    raw = full()
    node: Any = raw
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    del node[int(last) if isinstance(node, list) else last]
    return raw


def errors(raw: Any, values: dict[str, Any] | None = None) -> dict[str, str]:
    """Return what is wrong by dotted path; several errors of one place are joined."""
    found: dict[str, str] = {}
    for error in spec.parse(raw, faults=CATALOGUE, values=values).errors:
        known = found.get(error.dotted)
        found[error.dotted] = f"{known}; {error.message}" if known else error.message
    return found


def read(raw: Any, values: dict[str, Any] | None = None) -> Any:
    return spec.parse(raw, faults=CATALOGUE, values=values).or_raise()
