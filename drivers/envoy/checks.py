"""Judge whether a fault can be injected into one Envoy as it is now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers.envoy.admin import NO_ADMIN_LAYER_HINT
from drivers.envoy.config import EnvoyConfig, FaultPoint, names, select
from drivers.envoy.faults import EnvoyFault, HttpAbort
from drivers.envoy.payload import Runtime, overrides
from drivers.protocol import Problem


def problems(
    address: str, params: EnvoyFault, token: str, config: EnvoyConfig, runtime: Runtime
) -> list[Problem]:
    """Return what stands in the way on this Envoy: errors prevent, warnings explain."""
    found: list[Problem] = []
    if config.admin_layer is None or config.admin_layer not in runtime.layers:
        found.append(
            Problem(
                message="The runtime has no admin layer, so no fault can be switched on.",
                hint=NO_ADMIN_LAYER_HINT,
                where=address,
            )
        )
    chosen = select(config.points, params.route, params.block)
    found += _filter_problems(address, params, config, chosen)
    wanted = overrides(params, chosen)
    found += _runtime_problems(address, token, wanted, runtime)
    found += _switch_problems(address, chosen, runtime)
    found += _share_problems(address, params, chosen, config)
    return found


def _filter_problems(
    address: str, params: EnvoyFault, config: EnvoyConfig, chosen: list[FaultPoint]
) -> Iterator[Problem]:
    if not config.points:
        yield Problem(
            message="No listener has the fault filter.",
            hint="Put envoy.filters.http.fault before the router in http_filters.",
            where=address,
        )
        return
    known = ", ".join(names(config.points)) or "none that has a name"
    if not chosen:
        message = (
            f"There is no route, virtual host, listener or stat_prefix “{params.route}” with a "
            "fault config."
            if params.route
            else "No fault filter uses the default runtime keys."
        )
        yield Problem(message=message, hint=f"There are: {known}.", where=address)
        return
    lacking = [point for point in chosen if not point.block(params.block)]
    for point in lacking:
        yield Problem(
            message=f"{point.label} has no {params.block} block, so it ignores the fault.",
            hint=_block_hint(params),
            severity="error" if len(lacking) == len(chosen) else "warning",
            where=address,
        )
    for point in chosen:
        if point.block(params.block) == "grpc":
            yield Problem(
                message=f"{point.label} aborts with a gRPC status only.",
                hint="Use http_status in its abort block.",
                where=address,
            )
    wanted = overrides(params, chosen)
    for point in config.points:
        # A shared status or duration alone harms nobody: without a share it is not read.
        key = point.percent_key(params.block)
        if key in wanted and point not in chosen and point.block(params.block):
            yield Problem(
                message=f"It would hit {point.label} too: both read {key}.",
                hint="Give each its own *_runtime keys, or leave the route empty to hit both.",
                where=address,
            )


def _block_hint(params: EnvoyFault) -> str:
    if isinstance(params, HttpAbort):
        return "Add abort: {http_status: 503, percentage: {numerator: 0}} to it."
    return "Add delay: {fixed_delay: 0.001s, percentage: {numerator: 0}} to it."


def _runtime_problems(
    address: str, token: str, wanted: Mapping[str, str], runtime: Runtime
) -> Iterator[Problem]:
    for key in wanted:
        others = [holder for holder in runtime.holders(key) if holder != token]
        if others:
            yield Problem(
                message=f"Injection {others[0]} holds {key}.",
                hint="Recover it first, or wait until it ends.",
                where=address,
            )
        elif key in runtime.admin and token not in runtime.holders(key):
            yield Problem(
                message=f"Somebody else set {key} to {runtime.admin[key]}.",
                hint="The fault replaces it and puts it back when it ends.",
                severity="warning",
                where=address,
            )
        if key in runtime.shadows:
            yield Problem(
                message=f"Layer {runtime.shadows[key]} sets {key} above the admin layer and wins.",
                hint="Make the admin layer the last, or remove the key there.",
                where=address,
            )


def _switch_problems(address: str, chosen: list[FaultPoint], runtime: Runtime) -> Iterator[Problem]:
    for key in sorted({point.keys["max_active_faults_runtime"] for point in chosen}):
        if runtime.final.get(key) == "0":
            yield Problem(
                message=f"{key} is 0: the kill switch is on and stops every fault.",
                hint=f"Delete it: POST /runtime_modify?{key}=",
                where=address,
            )


def _share_problems(
    address: str, params: EnvoyFault, chosen: list[FaultPoint], config: EnvoyConfig
) -> Iterator[Problem]:
    for point in chosen:
        if point.is_narrowed or point.block(params.block) == "header":
            yield Problem(
                message=f"{point.label} meets only requests that it matches, which Envoy does not "
                "count: the delivered share stays unknown.",
                severity="warning",
                where=address,
            )
        elif point.requests_stat is None:
            yield Problem(
                message=f"Envoy does not count the requests of {point.label}: the delivered share "
                "stays unknown.",
                hint="Give the route a stat_prefix (a virtual host: to its routes).",
                severity="warning",
                where=address,
            )
    if any(point.level == "filter" for point in chosen):
        prefixes = {point.stat_prefix for point in chosen}
        for point in config.points:
            if point in chosen or point.level == "filter" or point.stat_prefix not in prefixes:
                continue
            yield Problem(
                message=f"{point.label} replaces the filter's settings: the fault stops there.",
                hint=""
                if point.requests_stat
                else "Give the route a stat_prefix, or the delivered share stays unknown.",
                severity="warning",
                where=address,
            )
