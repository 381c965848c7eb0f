"""Judge from what was read whether a fault is in force, and whom it met. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.envoy.payload import Meter, Runtime, TargetPlan, sentinel_key
from drivers.protocol import DriverError, Json, Observation, Plan, TargetState


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read from one Envoy; ``error`` says why it was not."""

    target: TargetPlan
    runtime: Runtime | None = None
    counters: Mapping[str, float] | None = None
    error: DriverError | None = None

    def has_ours(self, token: str, *, is_answered: bool) -> bool:
        """Tell whether anything is there that carries the token, or that lost its sentinel."""
        if self.runtime is None:
            return False
        if any(found.token == token for found in self.runtime.sentinels()):
            return True
        return is_answered and bool(unmarked(self.target, self.runtime))


def is_in_place(token: str, target: TargetPlan, runtime: Runtime) -> bool:
    """Tell whether every override and its sentinel are there."""
    return bool(target.overrides) and all(
        runtime.admin.get(key) == value and token in runtime.holders(key)
        for key, value in target.overrides.items()
    )


def unmarked(target: TargetPlan, runtime: Runtime) -> Collection[str]:
    """Return the keys that have exactly our value, which was not there before, and no sentinel.

    Where the injection was answered, each stood beside its sentinel: somebody's hand deleted that.
    """
    return [
        key
        for key, value in target.overrides.items()
        if runtime.admin.get(key) == value != target.was.get(key) and not runtime.holders(key)
    ]


def refusal(token: str, target: TargetPlan, runtime: Runtime) -> DriverError | None:
    """Return why the fault must not be injected over what is there, or None."""
    for key, value in target.overrides.items():
        others = [holder for holder in runtime.holders(key) if holder != token]
        if others:
            return DriverError(
                f"Injection {others[0]} holds {key} on {target.address}.",
                hint="Recover it first, or wait until it ends.",
            )
        now, was = runtime.admin.get(key), target.was.get(key)
        is_ours = now == value and token in runtime.holders(key)
        # An Envoy that restarted since has lost the earlier override: that is no foreign value.
        if not (is_ours or now is None or now == was):
            return DriverError(
                f"{key} on {target.address} was {was or 'not set'} when the fault was planned and "
                f"is {now} now.",
                hint="Somebody else changed it: plan again.",
            )
    return None


def removal(
    token: str, target: TargetPlan, runtime: Runtime, *, is_answered: bool
) -> dict[str, str]:
    """Return what one POST must set to undo all that is ours; empty when nothing is.

    A value that is no longer ours is left; only its sentinel goes. A value of ours that lost its
    sentinel goes when the injection ``is_answered``: when we are known to have set it.
    """
    values: dict[str, str] = {}
    for found in runtime.sentinels():
        if found.token != token:
            continue
        said = found.value
        ours = {target.overrides.get(found.key), said.set if said else None} - {None}
        was = target.was.get(found.key) if found.key in target.was else (said and said.was)
        if runtime.admin.get(found.key) in ours:
            values[found.key] = was or ""
        values[sentinel_key(token, found.key)] = ""
    if is_answered:
        for key in unmarked(target, runtime):
            values[key] = target.was.get(key) or ""
    return values


def state(token: str, seen: Seen, *, is_injected: bool, is_answered: bool) -> TargetState:
    """Return how far the fault is in force on one Envoy; see ``observation``."""
    target, runtime = seen.target, seen.runtime
    if runtime is None:
        detail = str(seen.error or "It was not read.")
        is_final = seen.error is not None and not seen.error.retryable
        return TargetState(
            name=target.address, phase="failed" if is_final else "unreachable", detail=detail
        )
    bare = unmarked(target, runtime) if is_answered else ()
    is_marked = is_in_place(token, target, runtime)
    if is_marked or (bare and _has_every_value(token, target, runtime)):
        if hidden := [key for key in target.overrides if key in runtime.shadows]:
            return TargetState(
                name=target.address,
                phase="failed",
                detail=f"Layer {runtime.shadows[hidden[0]]} sets {hidden[0]} above ours and wins.",
            )
        detail = "" if is_marked else "Its sentinel is missing."
        return TargetState(name=target.address, phase="active", detail=detail)
    foreign = [
        f"{key} is {runtime.admin[key]}"
        for key, value in target.overrides.items()
        if key in runtime.admin
        and runtime.admin[key] != target.was.get(key)
        and not (runtime.admin[key] == value and token in runtime.holders(key))
        and key not in bare
    ]
    if foreign:
        detail = f"{'; '.join(foreign)}: neither ours nor what was before."
        return TargetState(name=target.address, phase="foreign", detail=detail)
    if not is_injected:
        return TargetState(name=target.address, phase="pending")
    is_left = seen.has_ours(token, is_answered=is_answered)
    detail = "Part of it is still there." if is_left else ""
    return TargetState(name=target.address, phase="gone", detail=detail)


def _has_every_value(token: str, target: TargetPlan, runtime: Runtime) -> bool:
    """Tell whether every override has our value and no other injection holds one."""
    return all(
        runtime.admin.get(key) == value and set(runtime.holders(key)) <= {token}
        for key, value in target.overrides.items()
    )


def observation(
    plan: Plan,
    seen: Sequence[Seen],
    *,
    is_injected: bool,
    is_answered: bool,
    with_share: bool = True,
) -> Observation:
    """Return what was read of the whole fleet, with the share of requests that met the fault.

    ``is_injected``: what is not there is gone, not pending. ``is_answered``: the injection returned
    its handle, so that a value of ours is ours even without its sentinel.
    """
    states = tuple(
        state(plan.token, each, is_injected=is_injected, is_answered=is_answered) for each in seen
    )
    has_ours = any(each.has_ours(plan.token, is_answered=is_answered) for each in seen)
    exposed, affected = _met(plan, seen) if with_share else (None, None)
    share = None if affected is None or not exposed else min(1.0, affected / exposed)
    evidence: dict[str, Json] = {
        each.target.address: {
            "overrides": {key: each.runtime.final.get(key) for key in each.target.overrides},
            "counters": dict(each.counters or {}),
        }
        for each in seen
        if each.runtime is not None
    }
    return Observation(
        phase=_overall(states, has_ours=has_ours, is_injected=is_injected),
        targets=states,
        requested_share=plan.requested_share,
        delivered_share=share,
        exposed=exposed,
        affected=affected,
        evidence=evidence,
        message=" ".join(f"{each.name}: {each.detail}" for each in states if each.detail),
    )


def _overall(
    states: Sequence[TargetState], *, has_ours: bool, is_injected: bool
) -> Literal["pending", "active", "partly", "gone", "failed"]:
    phases = {each.phase for each in states}
    if phases == {"active"}:
        return "active"
    if "active" in phases or has_ours:
        return "failed" if phases == {"failed"} else "partly"
    # An Envoy that was not read may still have the fault: that is never “gone”.
    if phases & {"unreachable", "failed"}:
        return "partly" if is_injected else "pending"
    return "gone" if is_injected else "pending"


def _met(plan: Plan, seen: Sequence[Seen]) -> tuple[float | None, float | None]:
    """Return how many requests could have met the fault since the plan, and how many did."""
    exposed: float | None = 0.0
    affected: float | None = None
    for each in seen:
        start = plan.counters.get(each.target.address)
        if start is None or each.counters is None:
            continue
        now = each.counters
        # Counters only fall when Envoy restarted: then all of them began again at 0.
        is_restarted = any(now[name] < start[name] for name in now if name in start)
        since = {
            name: value if is_restarted else value - start.get(name, 0.0)
            for name, value in now.items()
        }
        for meter in each.target.meters:
            if meter.injected not in since:
                continue
            affected = (affected or 0.0) + since[meter.injected]
            came = _came_by(meter, since)
            exposed = None if came is None or exposed is None else exposed + came
    return (None, None) if affected is None else (exposed, affected)


def _came_by(meter: Meter, since: Mapping[str, float]) -> float | None:
    if not meter.requests or not meter.names() <= since.keys():
        return None
    came = sum(since[name] for name in meter.requests) - sum(since[name] for name in meter.others)
    return max(0.0, came + (since[meter.injected] if meter.adds_injected else 0.0))
