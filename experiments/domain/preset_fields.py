"""One field of a ready-made SLI: its words, how its text is read, where its values are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from experiments.domain import promql
from experiments.domain.errors import show
from experiments.domain.lookups import Lookup, label_of

Reads = Literal["text", "matchers", "metric", "label", "quantile"]


@dataclass(frozen=True, slots=True)
class PresetField:
    """One value that a preset needs; ``default`` is used where it is not given."""

    name: str
    title: str
    description: str
    default: str | float = ""
    required: bool = False
    reads: Reads = "text"
    choices: tuple[str, ...] = ()
    lookup: Lookup | None = None
    """Where Prometheus holds the values that it may have."""

    def value(self, given: Mapping[str, Any]) -> Any:
        """Return what is given for it, or its default."""
        found = given.get(self.name)
        return self.default if found is None else found

    def problem(self, value: Any) -> str | None:
        """Return what is wrong with a value, or None."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return f"{self.title} must be a text or a number, not {show(value)}"
        text = str(value).strip()
        if not text:
            return f"is needed: {self.description}" if self.required else None
        if self.choices and text not in self.choices:
            return f"“{text}” is none of {', '.join(self.choices)}"
        if self.name == "listener" and text == "admin":
            return "“admin” is Envoy's own admin interface; write the stat_prefix of a listener"
        return _READERS[self.reads](text)


def _quantile_problem(text: str) -> str | None:
    try:
        q = float(text)
    except ValueError:
        q = math.nan
    return None if 0 < q < 1 else f"“{text}” is no quantile; write for example 0.95"


def _metric_problem(text: str) -> str | None:
    problem = promql.check_selector(text)
    if problem:
        return problem
    if "{" in text:
        return "write only the metric's name; its labels belong into matchers"
    return "write the name without its _bucket" if text.endswith("_bucket") else None


def _label_problem(text: str) -> str | None:
    try:
        promql.matcher(text, "")
    except promql.SelectorError as error:
        return str(error)
    return None


_READERS: Mapping[Reads, Callable[[str], str | None]] = {
    "text": lambda text: None,
    "matchers": promql.check_matchers,
    "metric": _metric_problem,
    "label": _label_problem,
    "quantile": _quantile_problem,
}

QUANTILE = PresetField("q", "Quantile", "between 0 and 1", 0.95, reads="quantile")
MATCHERS = PresetField(
    "matchers", "More matchers", 'narrows it further, as in pod=~"front-.*"', reads="matchers"
)
LISTENER = PresetField(
    "listener",
    "Listener",
    "the stat_prefix of Envoy's HTTP connection manager",
    required=True,
    lookup=Lookup(
        "values",
        "envoy_http_downstream_rq_xx",
        "envoy_http_conn_manager_prefix",
        without=frozenset({"admin"}),
    ),
)
CLUSTER = PresetField(
    "cluster",
    "Cluster",
    "the cluster's name in Envoy",
    required=True,
    lookup=label_of("envoy_cluster_upstream_rq_xx", "envoy_cluster_name"),
)
SERVICE = PresetField(
    "service",
    "Service",
    "the service's name, as its label has it",
    required=True,
    lookup=label_of("request_duration_seconds_count", "service"),
)
REQUESTS = PresetField(
    "metric",
    "Histogram",
    "its name without _bucket",
    "http_request_duration_seconds",
    reads="metric",
    lookup=Lookup("values", label="__name__", ending="_bucket"),
)
STATUS_LABEL = PresetField(
    "label",
    "Status label",
    "the label that holds 200, 503, …",
    "code",
    reads="label",
    lookup=Lookup(
        "labels",
        "{metric}_count",
        without=frozenset({"__name__", "instance", "job", "le"}),
        first=("code", "status", "status_code", "http_status", "http_response_status_code"),
    ),
)
ISTIO = (
    replace(
        SERVICE,
        lookup=label_of(
            "istio_requests_total",
            "destination_service_name",
            destination_service_namespace="namespace",
        ),
    ),
    PresetField(
        "namespace",
        "Namespace",
        "the service's namespace; any if empty",
        lookup=label_of(
            "istio_requests_total",
            "destination_service_namespace",
            destination_service_name="service",
        ),
    ),
    PresetField(
        "reporter",
        "Reporter",
        "who counts: source (the callers) or destination; both would count everything twice",
        "source",
        choices=("source", "destination"),
    ),
)
