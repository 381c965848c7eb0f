"""Find the fault points of an Envoy in its config dump. Pure.

A fault point is one place where Envoy reads the fault filter's settings: the filter of an HTTP
connection manager, or a route, virtual host or route configuration that replaces them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FAULT_TYPE = "envoy.extensions.filters.http.fault.v3.HTTPFault"
HCM_TYPE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
DEFAULT_KEYS = {
    "abort_percent_runtime": "fault.http.abort.abort_percent",
    "abort_http_status_runtime": "fault.http.abort.http_status",
    "delay_percent_runtime": "fault.http.delay.fixed_delay_percent",
    "delay_duration_runtime": "fault.http.delay.fixed_duration_ms",
    "max_active_faults_runtime": "fault.http.max_active_faults",
}
DEFAULT_FLUSH_S = 5.0
"""Envoy's own ``stats_flush_interval`` where the bootstrap gives none."""
LEVELS = ("route", "virtual host", "route configuration", "filter")
"""From the most to the least specific: a name that fits several means the first."""


@dataclass(frozen=True, slots=True)
class FaultPoint:
    """One place where the fault filter's settings are read.

    ``abort`` and ``delay`` say how the block is armed: ``fixed`` (for all), ``header`` (only for
    requests that carry Envoy's fault headers), ``grpc`` (no HTTP status), empty where missing.
    """

    level: str
    names: tuple[str, ...]
    stat_prefix: str
    label: str
    keys: Mapping[str, str]
    abort: str = ""
    delay: str = ""
    is_narrowed: bool = False
    """Whether only some requests match: by header, upstream cluster or downstream node."""
    requests_stat: str | None = None
    """The counter of the requests that come by, where Envoy keeps one."""
    host: str = ""
    """The virtual host that a route belongs to."""

    def block(self, name: str) -> str:
        """Return how the block ``abort`` or ``delay`` is armed."""
        return self.abort if name == "abort" else self.delay

    def percent_key(self, block: str) -> str:
        """Return the runtime key that holds the block's share."""
        return self.keys[f"{block}_percent_runtime"]


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    """What matters of one Envoy's configuration."""

    node_id: str = ""
    node_cluster: str = ""
    layers: tuple[str, ...] = ()
    admin_layer: str | None = None
    """The name of the admin layer, as the bootstrap gives it."""
    points: tuple[FaultPoint, ...] = field(default=())
    flush_s: float = DEFAULT_FLUSH_S
    """How often its histograms advance, in seconds."""


def read_config(dump: Iterable[Mapping[str, Any]]) -> EnvoyConfig:
    """Return what matters of ``configs`` of one or more (masked) config dumps."""
    node: Mapping[str, Any] = {}
    layers: list[Mapping[str, Any]] = []
    flush = ""
    listeners: list[Mapping[str, Any]] = []
    routes: dict[str, Mapping[str, Any]] = {}
    discovered: dict[str, Mapping[str, Any]] = {}
    for part in dump:
        kind = str(part.get("@type", "")).rpartition(".")[2]
        if kind == "BootstrapConfigDump":
            bootstrap = part.get("bootstrap", {})
            node = bootstrap.get("node", {})
            layers = bootstrap.get("layered_runtime", {}).get("layers", [])
            flush = str(bootstrap.get("stats_flush_interval", ""))
        elif kind == "ListenersConfigDump":
            listeners += [each.get("listener", {}) for each in part.get("static_listeners", [])]
            listeners += [
                each.get("active_state", {}).get("listener", {})
                for each in part.get("dynamic_listeners", [])
            ]
        elif kind == "RoutesConfigDump":
            for each in (
                *part.get("static_route_configs", ()),
                *part.get("dynamic_route_configs", ()),
            ):
                config = each.get("route_config", {})
                routes[config.get("name", "")] = config
        elif kind == "EcdsConfigDump":
            for each in part.get("ecds_filters", ()):
                filter_ = each.get("ecds_filter", {})
                discovered[filter_.get("name", "")] = filter_.get("typed_config", {})
    points: dict[tuple[str, tuple[str, ...]], FaultPoint] = {}
    for listener in listeners:
        for manager in _managers(listener):
            for point in _manager_points(listener.get("name", ""), manager, routes, discovered):
                points.setdefault((point.label, tuple(sorted(point.keys.values()))), point)
    admin = [str(layer.get("name", "")) for layer in layers if "admin_layer" in layer]
    return EnvoyConfig(
        node_id=str(node.get("id", "")),
        node_cluster=str(node.get("cluster", "")),
        layers=tuple(str(layer.get("name", "")) for layer in layers),
        admin_layer=admin[0] if admin else None,
        points=tuple(points.values()),
        flush_s=_seconds(flush) or DEFAULT_FLUSH_S,
    )


def select(points: Iterable[FaultPoint], route: str | None, block: str) -> list[FaultPoint]:
    """Return the points that ``route`` means; without one, those on the default keys."""
    if not route:
        default = DEFAULT_KEYS[f"{block}_percent_runtime"]
        return [point for point in points if point.percent_key(block) == default]
    named = [point for point in points if route in point.names]
    for level in LEVELS:
        if chosen := [point for point in named if point.level == level]:
            return chosen
    return []


def names(points: Iterable[FaultPoint]) -> list[str]:
    """Return every name that ``select`` would understand."""
    return sorted({name for point in points for name in point.names if name})


def _seconds(text: str) -> float | None:
    """Return a protobuf duration (``0.400s``) in seconds; None when it is none."""
    try:
        found = float(text.removesuffix("s"))
    except ValueError:
        return None
    return found if found > 0 else None


def _is_type(config: Mapping[str, Any], name: str) -> bool:
    return str(config.get("@type", "")).endswith("/" + name)


def _managers(listener: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    chains = [*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})]
    for chain in chains:
        for filter_ in chain.get("filters", ()):
            config = filter_.get("typed_config", {})
            if _is_type(config, HCM_TYPE):
                yield config


def _manager_points(
    listener: str,
    manager: Mapping[str, Any],
    routes: Mapping[str, Mapping[str, Any]],
    discovered: Mapping[str, Mapping[str, Any]],
) -> Iterator[FaultPoint]:
    prefix = str(manager.get("stat_prefix", ""))
    place = f"listener {listener}, stat_prefix {prefix}"
    filters: list[str] = []
    for filter_ in manager.get("http_filters", ()):
        name = str(filter_.get("name", ""))
        config = filter_.get("typed_config") or discovered.get(name, {})
        if not _is_type(config, FAULT_TYPE):
            continue
        filters.append(name)
        yield _point(
            config,
            level="filter",
            names=(listener, prefix),
            prefix=prefix,
            label=f"{place}, filter {name}",
            requests=f"http.{stat_name(prefix)}.downstream_rq_total",
        )
    # A route's fault config only replaces that of a filter with the same name.
    if filters:
        for config in _route_configs(manager, routes):
            yield from _route_points(config, prefix, place, filters)


def _route_configs(
    manager: Mapping[str, Any], routes: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    if "route_config" in manager:
        return [manager["route_config"]]
    if "rds" in manager:
        found = routes.get(manager["rds"].get("route_config_name", ""))
        return [found] if found else []
    # Scoped routes pick their configuration per request: any of them may apply.
    return list(routes.values()) if "scoped_routes" in manager else []


def _route_points(
    config: Mapping[str, Any], prefix: str, place: str, filters: Iterable[str]
) -> Iterator[FaultPoint]:
    yield from _overriding(
        config, filters, "route configuration", (config.get("name", ""),), prefix, place, None
    )
    for host in config.get("virtual_hosts", ()):
        host_name = str(host.get("name", ""))
        yield from _overriding(host, filters, "virtual host", (host_name,), prefix, place, None)
        for route in host.get("routes", ()):
            name = str(route.get("name", ""))
            stat = (
                f"vhost.{stat_name(host_name)}.route.{stat_name(route['stat_prefix'])}"
                ".upstream_rq_completed"
                if route.get("stat_prefix")
                else None
            )
            yield from _overriding(route, filters, "route", (name,), prefix, place, stat, host_name)
            weighted = route.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
            for cluster in weighted:
                yield from _overriding(
                    cluster,
                    filters,
                    "route",
                    (name, cluster.get("name", "")),
                    prefix,
                    place,
                    None,
                    host_name,
                )


def _overriding(
    holder: Mapping[str, Any],
    filters: Iterable[str],
    level: str,
    names: tuple[str, ...],
    prefix: str,
    place: str,
    requests: str | None,
    host: str = "",
) -> Iterator[FaultPoint]:
    for filter_name in filters:
        config = holder.get("typed_per_filter_config", {}).get(filter_name, {})
        if _is_type(config, "envoy.config.route.v3.FilterConfig"):
            config = {} if config.get("disabled") else config.get("config", {})
        if _is_type(config, FAULT_TYPE):
            label = f"{level} {'/'.join(name for name in names if name) or '(unnamed)'}, {place}"
            yield _point(
                config,
                level=level,
                names=names,
                prefix=prefix,
                label=label,
                requests=requests,
                host=host,
            )


def _point(
    config: Mapping[str, Any],
    *,
    level: str,
    names: tuple[str, ...],
    prefix: str,
    label: str,
    requests: str | None,
    host: str = "",
) -> FaultPoint:
    abort, delay = config.get("abort", {}), config.get("delay", {})
    narrowing = ("headers", "upstream_cluster", "downstream_nodes")
    return FaultPoint(
        level=level,
        names=tuple(name for name in names if name),
        stat_prefix=prefix,
        label=label,
        keys={field: config.get(field) or default for field, default in DEFAULT_KEYS.items()},
        abort=_armed(
            abort, {"http_status": "fixed", "header_abort": "header", "grpc_status": "grpc"}
        ),
        delay=_armed(delay, {"fixed_delay": "fixed", "header_delay": "header"}),
        is_narrowed=any(config.get(field) for field in narrowing),
        requests_stat=requests,
        host=host,
    )


def _armed(block: Mapping[str, Any], kinds: Mapping[str, str]) -> str:
    return next((kind for field, kind in kinds.items() if field in block), "")


def stat_name(text: str) -> str:
    """Return a name as it appears in counters, where Envoy writes a colon as an underscore."""
    return text.replace("://", "_").replace(":/", "_").replace(":", "_")
