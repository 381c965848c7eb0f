"""Look at a whole fleet before anything is asked of it: who answers, and what each one lacks.

Only reads. What a fault then meets in detail, ``checks.problems`` tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from drivers.envoy.admin import NO_ADMIN_LAYER_HINT
from drivers.envoy.config import EnvoyConfig, FaultPoint
from drivers.envoy.fleet import Fleet
from drivers.protocol import Document, DriverError, Member, Problem, Suggestion

_FILTER = """\
http_filters:
  - name: envoy.filters.http.fault
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
      delay: {fixed_delay: 0.001s, percentage: {numerator: 0}}
      abort: {http_status: 503, percentage: {numerator: 0}}
      # Keys of its own, so that a fault here meets no other listener:
      delay_percent_runtime: chaos.carts.delay_percent
      delay_duration_runtime: chaos.carts.delay_ms
      abort_percent_runtime: chaos.carts.abort_percent
      abort_http_status_runtime: chaos.carts.abort_status
  # … and after it, as the last one, what is there already:
  - name: envoy.filters.http.router
"""
_BLOCKS = {
    "delay": "delay: {fixed_delay: 0.001s, percentage: {numerator: 0}}",
    "abort": "abort: {http_status: 503, percentage: {numerator: 0}}",
}
_MOST_NAMED = 5


def survey(fleet: Fleet) -> list[Member]:
    """Return every Envoy of the fleet in the order of its addresses."""

    def look(address: str) -> Member:
        client = fleet.client(address)
        config = client.config(fresh=True)
        found = tuple(_problems(address, config))
        return Member(
            name=address,
            version=f"Envoy {client.version()}".strip(),
            problems=found,
            targets=_targets(config.points),
            snippets=tuple(_snippets(address, config)),
            flush_s=config.flush_s,
        )

    return [
        Member(
            name=address,
            problems=(Problem(message=found.message, hint=found.hint, where=address),),
        )
        if isinstance(found, DriverError)
        else found
        for address, found in fleet.each(look, fleet.addresses).items()
    ]


def _problems(address: str, config: EnvoyConfig) -> Iterator[Problem]:
    if config.admin_layer is None:
        yield Problem(
            message="The runtime has no admin layer, so no fault can be switched on.",
            hint=NO_ADMIN_LAYER_HINT,
            where=address,
        )
    if not config.points:
        yield Problem(
            message="No listener has the fault filter.",
            hint="Put envoy.filters.http.fault before the router in http_filters.",
            where=address,
        )
    for block in _BLOCKS:
        lacking = [point for point in config.points if not point.block(block)]
        if lacking:
            yield Problem(
                message=f"{_named(lacking)}: no {block} block, so nothing there can be hit by one.",
                hint=f"Add {_BLOCKS[block]} to its fault filter.",
                severity="warning",
                where=address,
            )
    for block in _BLOCKS:
        yield from _shared(address, config, block)


def _shared(address: str, config: EnvoyConfig, block: str) -> Iterator[Problem]:
    """Warn of points that one fault would hit together, as they read the same runtime key."""
    by_key: dict[str, list[FaultPoint]] = {}
    for point in config.points:
        if point.block(block):
            by_key.setdefault(point.percent_key(block), []).append(point)
    for key, points in by_key.items():
        if len(points) > 1:
            yield Problem(
                message=f"{_named(points)} are hit together: all read {key}.",
                hint="Give each its own *_runtime keys, or accept that one fault hits them all.",
                severity="warning",
                where=address,
            )


def _targets(points: tuple[FaultPoint, ...]) -> tuple[Suggestion, ...]:
    found: dict[str, Suggestion] = {}
    for point in points:
        name = _name(point)
        blocks = [block for block in _BLOCKS if point.block(block)]
        if name and blocks:
            detail = f"{point.level}: {' and '.join(blocks)}"
            found.setdefault(name, Suggestion(value=name, detail=detail))
    return tuple(found[name] for name in sorted(found))


def _name(point: FaultPoint) -> str:
    """Return what a fault best calls the point: the stat_prefix, which metrics carry too."""
    if point.level == "filter" and point.stat_prefix:
        return point.stat_prefix
    return next(iter(point.names), "")


def _named(points: list[FaultPoint]) -> str:
    names = [_name(point) or point.label for point in points]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _snippets(address: str, config: EnvoyConfig) -> Iterator[Document]:
    if config.admin_layer is None:
        lines = ["layered_runtime:", "  layers:"]
        if config.layers:
            lines.append(f"    # after those that are there: {', '.join(config.layers)}")
        else:
            lines.append("    - {name: base, static_layer: {}}")
        lines.append("    - {name: admin, admin_layer: {}}")
        body = "\n".join(lines) + "\n"
        yield Document(target=f"bootstrap of {address}", body=body, language="yaml")
    if not config.points:
        target = f"each HTTP connection manager of {address}"
        yield Document(target=target, body=_FILTER, language="yaml")
