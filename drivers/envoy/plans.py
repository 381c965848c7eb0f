"""Make plans: from what was read of each Envoy, or from the sentinels found there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drivers.envoy.config import EnvoyConfig, select
from drivers.envoy.faults import EnvoyFault
from drivers.envoy.payload import Runtime, TargetPlan, identity, meters, overrides
from drivers.protocol import DriverError, Json


def target_plan(
    address: str, params: EnvoyFault, token: str, config: EnvoyConfig, runtime: Runtime
) -> TargetPlan:
    """Return what the fault does to this Envoy, and what was there before it."""
    chosen = select(config.points, params.route, params.block)
    wanted = overrides(params, chosen)
    return TargetPlan(
        address=address,
        node=identity(config, address),
        admin_layer=config.admin_layer,
        points=tuple(point.label for point in chosen),
        overrides=wanted,
        was=_before(address, token, wanted, runtime),
        meters=meters(params, chosen, config.points),
    )


def _before(
    address: str, token: str, wanted: Iterable[str], runtime: Runtime
) -> dict[str, str | None]:
    """Return what the admin layer held before the injection, which may be in place already.

    Its sentinels tell then. Raises DriverError, final, where one of them is missing or cannot be
    read: the value beside it may be our own.
    """
    said = {found.key: found.value for found in runtime.sentinels() if found.token == token}
    now = {key: runtime.admin.get(key) for key in wanted}
    if not said.keys() & now.keys():
        return now
    before: dict[str, str | None] = {}
    for key, value in now.items():
        record = said.get(key)
        if record is None and (key in said or value is not None):
            raise DriverError(
                f"{address}: a fault is already injected under this token ({token}), and its "
                f"sentinel does not tell what {key} was before.",
                hint="Recover it first, then plan again.",
            )
        before[key] = record.was if record else None
    return before


def owned_targets(
    address: str, config: EnvoyConfig, runtime: Runtime
) -> list[tuple[str, str, TargetPlan]]:
    """Return the token, fault and plan of each of our faults that this Envoy holds."""
    by_token: dict[str, dict[str, tuple[str, str, str | None]]] = {}
    for found in runtime.sentinels():
        said = found.value
        entry = (said.fault, said.set, said.was) if said else ("", "", None)
        by_token.setdefault(found.token, {})[found.key] = entry
    return [
        (
            token,
            next((fault for fault, _, _ in keys.values() if fault), ""),
            TargetPlan(
                address=address,
                node=identity(config, address),
                admin_layer=config.admin_layer,
                overrides={key: value for key, (_, value, _) in keys.items()},
                was={key: was for key, (_, _, was) in keys.items()},
            ),
        )
        for token, keys in by_token.items()
    ]


def claims(targets: Sequence[TargetPlan]) -> tuple[str, ...]:
    """Return the physical things that the plan holds: one runtime key of one Envoy each."""
    return tuple(sorted({f"envoy:{each.node}:{key}" for each in targets for key in each.overrides}))


def details(targets: Sequence[TargetPlan]) -> dict[str, Json]:
    """Return what ``payload.target_plans`` reads back."""
    return {each.address: each.model_dump(mode="json") for each in targets}
