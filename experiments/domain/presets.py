"""The table of ready-made SLIs: a name and a few fields become selectors. Pure, and frozen.

Sources of the metric names: Envoy, measured on 1.40; Istio, istio.io/latest/docs/reference/config/
metrics; Micrometer, as Spring Boot and Quarkus publish it (``http_server_requests_seconds``).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from experiments.domain import promql
from experiments.domain.preset_fields import (
    CLUSTER,
    ISTIO,
    LISTENER,
    MATCHERS,
    QUANTILE,
    REQUESTS,
    SERVICE,
    STATUS_LABEL,
    PresetField,
)

Path = tuple[str, ...]


class PresetError(ValueError):
    """A preset that cannot be written out; the message holds all its problems."""


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
        values = self.texts(given)
        selectors: dict[str, Any] = dict(self.write(values))
        if self.kind == "quantile":
            selectors["q"] = float(values["q"])
        return {self.kind: selectors, "unit": self.unit}

    def texts(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return the text of every field, its default where it is not given."""
        return {field.name: str(field.value(given)).strip() for field in self.fields}

    def problems(self, given: Mapping[str, Any]) -> list[tuple[Path, str]]:
        """Return every (path, message) of fields that are unknown, missing or unusable."""
        known = {field.name: field for field in self.fields}
        found: list[tuple[Path, str]] = []
        for name in given:
            if name not in known:
                message = f"{self.name} has no field “{name}”; {_nearest(str(name), known)}"
                found.append((("with", str(name)), message))
        for field in self.fields:
            problem = field.problem(field.value(given))
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


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean “{near[0]}”?" if near else f"write one of {', '.join(known)}"


def _select(metric: str, values: Mapping[str, str], **labels: str) -> str:
    """Write a selector; labels with an empty value are left out, the field ``matchers`` added."""
    written = [promql.matcher(label, text) for label, text in labels.items() if text]
    return promql.with_matchers(metric, *written, values.get("matchers", ""))


def _only_5xx(selector: str, label: str) -> str:
    return promql.with_matchers(selector, promql.matcher(label, "5..", "=~"))


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
        (LISTENER, MATCHERS),
        lambda with_: _envoy_errors(_edge("envoy_http_downstream_rq_xx", with_)),
    ),
    Preset(
        "envoy.edge_latency",
        "Latency at an Envoy listener",
        "Quantile of the whole request as callers of the listener see it; sees faults of this "
        "very Envoy. Advances once per stats_flush_interval.",
        "quantile",
        "ms",
        (LISTENER, QUANTILE, MATCHERS),
        lambda with_: {"histogram": _edge("envoy_http_downstream_rq_time_bucket", with_)},
    ),
    Preset(
        "envoy.upstream_errors",
        "Errors from an Envoy cluster",
        "Share of 5xx answers of one upstream. Does not see aborts of this very Envoy: they "
        "never reach the upstream.",
        "ratio",
        "ratio",
        (CLUSTER, MATCHERS),
        lambda with_: _envoy_errors(_upstream("envoy_cluster_upstream_rq_xx", with_)),
    ),
    Preset(
        "envoy.upstream_latency",
        "Latency of an Envoy cluster",
        "Quantile of one upstream's answer time. Does not see delays of this very Envoy. "
        "Advances once per stats_flush_interval.",
        "quantile",
        "ms",
        (CLUSTER, QUANTILE, MATCHERS),
        lambda with_: {"histogram": _upstream("envoy_cluster_upstream_rq_time_bucket", with_)},
    ),
    Preset(
        "http.request_duration",
        "Latency of an application",
        "Quantile of a request duration histogram in seconds, as most client libraries name it.",
        "quantile",
        "s",
        (REQUESTS, QUANTILE, MATCHERS),
        lambda with_: {"histogram": _select(f"{with_['metric']}_bucket", with_)},
    ),
    Preset(
        "http.request_errors",
        "Errors of an application",
        "Share of 5xx answers, counted by a request duration histogram with a status label.",
        "ratio",
        "ratio",
        (REQUESTS, STATUS_LABEL, MATCHERS),
        lambda with_: _errors(_select(f"{with_['metric']}_count", with_), with_["label"]),
    ),
    Preset(
        "sock_shop.latency",
        "Latency of a Sock Shop service",
        "Quantile of request_duration_seconds.",
        "quantile",
        "s",
        (SERVICE, QUANTILE, MATCHERS),
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
        (SERVICE, MATCHERS),
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
        (*ISTIO, QUANTILE, MATCHERS),
        lambda with_: {"histogram": _istio("istio_request_duration_milliseconds_bucket", with_)},
    ),
    Preset(
        "istio.errors",
        "Errors of an Istio service",
        "Share of 5xx answers in istio_requests_total.",
        "ratio",
        "ratio",
        (*ISTIO, MATCHERS),
        lambda with_: _errors(_istio("istio_requests_total", with_), "response_code"),
    ),
    Preset(
        "micrometer.latency",
        "Latency of a Spring Boot or Quarkus service",
        "Quantile of http_server_requests_seconds; needs its percentile histogram switched on.",
        "quantile",
        "s",
        (QUANTILE, MATCHERS),
        lambda with_: {"histogram": _select("http_server_requests_seconds_bucket", with_)},
    ),
    Preset(
        "micrometer.errors",
        "Errors of a Spring Boot or Quarkus service",
        "Share of 5xx answers in http_server_requests_seconds.",
        "ratio",
        "ratio",
        (MATCHERS,),
        lambda with_: _errors(_select("http_server_requests_seconds_count", with_), "status"),
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _TABLE})
