"""The table of ready-made SLIs: a name and a few fields become selectors. Pure, and frozen.

Sources of the metric names: Envoy, measured on 1.40; Istio, istio.io/latest/docs/reference/config/
metrics; Micrometer, as Spring Boot and Quarkus publish it (``http_server_requests_seconds``).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from experiments.domain import promql

Path = tuple[str, ...]
Reads = Literal["text", "matchers", "metric", "label", "quantile"]


class PresetError(ValueError):
    """A preset that cannot be written out; the message holds all its problems."""


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


@dataclass(frozen=True, slots=True)
class Preset:
    """One ready-made SLI. ``unit`` is that of its buckets, or ``ratio``."""

    name: str
    title: str
    description: str
    kind: Literal["ratio", "quantile"]
    unit: str
    fields: tuple[PresetField, ...]
    write: Callable[[Mapping[str, str]], dict[str, str]]
    """Text of every field to the selectors: bad and total, or histogram."""

    def expand(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``unit`` and either ``ratio`` (bad, total) or ``quantile`` (histogram, q).

        Raises PresetError with every problem of ``given``.
        """
        found = self.problems(given)
        if found:
            raise PresetError("; ".join(f"{'.'.join(path)}: {message}" for path, message in found))
        values = {field.name: str(_value(field, given)).strip() for field in self.fields}
        selectors: dict[str, Any] = dict(self.write(values))
        if self.kind == "quantile":
            selectors["q"] = float(values["q"])
        return {self.kind: selectors, "unit": self.unit}

    def problems(self, given: Mapping[str, Any]) -> list[tuple[Path, str]]:
        """Return every (path, message) of fields that are unknown, missing or unusable."""
        known = {field.name: field for field in self.fields}
        found: list[tuple[Path, str]] = []
        for name in given:
            if name not in known:
                message = f"{self.name} has no field “{name}”; {_nearest(str(name), known)}"
                found.append((("with", str(name)), message))
        for field in self.fields:
            problem = _problem(field, _value(field, given))
            if problem:
                found.append((("with", field.name), problem))
        matchers = str(given.get("matchers") or "")
        if self.kind == "quantile" and not promql.check_matchers(matchers):
            narrowed = promql.with_matchers("any_bucket", matchers)
            problem = promql.check_histogram(narrowed)
            if problem:
                found.append((("with", "matchers"), problem))
        return found


def problems(name: str, given: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Return every (path, message) that is wrong with a preset's use; empty when it expands."""
    if name not in PRESETS:
        return [(("preset",), f"there is no preset “{name}”; {_nearest(name, PRESETS)}")]
    return PRESETS[name].problems(given)


def expand(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Write out a preset, see ``Preset.expand``. Raises PresetError."""
    if name not in PRESETS:
        raise PresetError(problems(name, given)[0][1])
    return PRESETS[name].expand(given)


def _value(field: PresetField, given: Mapping[str, Any]) -> Any:
    found = given.get(field.name)
    return field.default if found is None else found


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean “{near[0]}”?" if near else f"write one of {', '.join(known)}"


def _problem(field: PresetField, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return f"{field.title} must be a text or a number, not {type(value).__name__}"
    text = str(value).strip()
    if not text:
        return f"is needed: {field.description}" if field.required else None
    if field.choices and text not in field.choices:
        return f"“{text}” is none of {', '.join(field.choices)}"
    if field.name == "listener" and text == "admin":
        return "“admin” is Envoy's own admin interface; write the stat_prefix of a listener"
    return _READERS[field.reads](text)


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


def _select(metric: str, values: Mapping[str, str], **labels: str) -> str:
    """Write a selector; labels with an empty value are left out, the field ``matchers`` added."""
    written = [promql.matcher(label, text) for label, text in labels.items() if text]
    return promql.with_matchers(metric, *written, values.get("matchers", ""))


def _only_5xx(selector: str, label: str) -> str:
    return promql.with_matchers(selector, promql.matcher(label, "5..", "=~"))


_Q = PresetField("q", "Quantile", "between 0 and 1", 0.95, reads="quantile")
_MORE = PresetField(
    "matchers", "More matchers", 'narrows it further, as in pod=~"front-.*"', reads="matchers"
)
_LISTENER = PresetField(
    "listener", "Listener", "the stat_prefix of Envoy's HTTP connection manager", required=True
)
_CLUSTER = PresetField("cluster", "Cluster", "the cluster's name in Envoy", required=True)
_SERVICE = PresetField(
    "service", "Service", "the service's name, as its label has it", required=True
)
_REQUESTS = PresetField(
    "metric",
    "Histogram",
    "its name without _bucket",
    "http_request_duration_seconds",
    reads="metric",
)
_CODE = PresetField(
    "label", "Status label", "the label that holds 200, 503, …", "code", reads="label"
)
_ISTIO = (
    _SERVICE,
    PresetField("namespace", "Namespace", "the service's namespace; any if empty"),
    PresetField(
        "reporter",
        "Reporter",
        "who counts: source (the callers) or destination; both would count everything twice",
        "source",
        choices=("source", "destination"),
    ),
)


def _edge(metric: str, values: Mapping[str, str]) -> str:
    return _select(metric, values, envoy_http_conn_manager_prefix=values["listener"])


def _upstream(metric: str, values: Mapping[str, str]) -> str:
    return _select(metric, values, envoy_cluster_name=values["cluster"])


def _istio(metric: str, values: Mapping[str, str]) -> str:
    return _select(
        metric,
        values,
        reporter=values["reporter"],
        destination_service_name=values["service"],
        destination_service_namespace=values["namespace"],
    )


def _errors(total: str, label: str) -> dict[str, str]:
    return {"bad": _only_5xx(total, label), "total": total}


def _envoy_errors(total: str) -> dict[str, str]:
    bad = promql.with_matchers(total, promql.matcher("envoy_response_code_class", "5"))
    return {"bad": bad, "total": total}


_TABLE = (
    Preset(
        "envoy.edge_errors",
        "Errors at an Envoy listener",
        "Share of 5xx answers that callers of the listener get; sees faults of this very Envoy.",
        "ratio",
        "ratio",
        (_LISTENER, _MORE),
        lambda with_: _envoy_errors(_edge("envoy_http_downstream_rq_xx", with_)),
    ),
    Preset(
        "envoy.edge_latency",
        "Latency at an Envoy listener",
        "Quantile of the whole request as callers of the listener see it; sees faults of this "
        "very Envoy. Advances once per stats_flush_interval.",
        "quantile",
        "ms",
        (_LISTENER, _Q, _MORE),
        lambda with_: {"histogram": _edge("envoy_http_downstream_rq_time_bucket", with_)},
    ),
    Preset(
        "envoy.upstream_errors",
        "Errors from an Envoy cluster",
        "Share of 5xx answers of one upstream. Does not see aborts of this very Envoy: they "
        "never reach the upstream.",
        "ratio",
        "ratio",
        (_CLUSTER, _MORE),
        lambda with_: _envoy_errors(_upstream("envoy_cluster_upstream_rq_xx", with_)),
    ),
    Preset(
        "envoy.upstream_latency",
        "Latency of an Envoy cluster",
        "Quantile of one upstream's answer time. Does not see delays of this very Envoy. "
        "Advances once per stats_flush_interval.",
        "quantile",
        "ms",
        (_CLUSTER, _Q, _MORE),
        lambda with_: {"histogram": _upstream("envoy_cluster_upstream_rq_time_bucket", with_)},
    ),
    Preset(
        "http.request_duration",
        "Latency of an application",
        "Quantile of a request duration histogram in seconds, as most client libraries name it.",
        "quantile",
        "s",
        (_REQUESTS, _Q, _MORE),
        lambda with_: {"histogram": _select(f"{with_['metric']}_bucket", with_)},
    ),
    Preset(
        "http.request_errors",
        "Errors of an application",
        "Share of 5xx answers, counted by a request duration histogram with a status label.",
        "ratio",
        "ratio",
        (_REQUESTS, _CODE, _MORE),
        lambda with_: _errors(_select(f"{with_['metric']}_count", with_), with_["label"]),
    ),
    Preset(
        "sock_shop.latency",
        "Latency of a Sock Shop service",
        "Quantile of request_duration_seconds.",
        "quantile",
        "s",
        (_SERVICE, _Q, _MORE),
        lambda with_: {
            "histogram": _select("request_duration_seconds_bucket", with_, service=with_["service"])
        },
    ),
    Preset(
        "sock_shop.errors",
        "Errors of a Sock Shop service",
        "Share of 5xx answers in request_duration_seconds.",
        "ratio",
        "ratio",
        (_SERVICE, _MORE),
        lambda with_: _errors(
            _select("request_duration_seconds_count", with_, service=with_["service"]),
            "status_code",
        ),
    ),
    Preset(
        "istio.latency",
        "Latency of an Istio service",
        "Quantile of istio_request_duration_milliseconds.",
        "quantile",
        "ms",
        (*_ISTIO, _Q, _MORE),
        lambda with_: {"histogram": _istio("istio_request_duration_milliseconds_bucket", with_)},
    ),
    Preset(
        "istio.errors",
        "Errors of an Istio service",
        "Share of 5xx answers in istio_requests_total.",
        "ratio",
        "ratio",
        (*_ISTIO, _MORE),
        lambda with_: _errors(_istio("istio_requests_total", with_), "response_code"),
    ),
    Preset(
        "micrometer.latency",
        "Latency of a Spring Boot or Quarkus service",
        "Quantile of http_server_requests_seconds; needs its percentile histogram switched on.",
        "quantile",
        "s",
        (_Q, _MORE),
        lambda with_: {"histogram": _select("http_server_requests_seconds_bucket", with_)},
    ),
    Preset(
        "micrometer.errors",
        "Errors of a Spring Boot or Quarkus service",
        "Share of 5xx answers in http_server_requests_seconds.",
        "ratio",
        "ratio",
        (_MORE,),
        lambda with_: _errors(_select("http_server_requests_seconds_count", with_), "status"),
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _TABLE})
