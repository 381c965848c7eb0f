"""From a fault to Envoy's runtime and back: overrides, sentinels, documents, counters. Pure.

An override is one runtime key. Its sentinel ``chaosweb.<token>.<key>`` travels in the same POST and
holds, as JSON, what we set and what was there, so that the fault can be undone from Envoy alone.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from drivers.envoy.config import EnvoyConfig, FaultPoint, stat_name
from drivers.envoy.faults import EnvoyFault, HttpAbort, HttpDelay
from drivers.protocol import Document, Plan, Target
from drivers.units import Percentage

SENTINEL = "chaosweb."
# A route's completed counter appears with its first response; its total is there from the start
# (but leaves out requests that found no connection), so it tells a zero from a missing counter.
_ROUTE_COMPLETED = ".upstream_rq_completed"
_ROUTE_TOTAL = ".upstream_rq_total"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Meter(_Part):
    """Which counters tell how many requests met a fault, of how many.

    ``requests`` minus ``others`` (requests on routes that replace the settings) could have met it;
    ``requests`` is empty where Envoy does not count them: the share cannot be known then.
    """

    injected: str
    requests: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    adds_injected: bool = False
    """Whether ``requests`` leaves out those that the fault itself answered."""

    def names(self) -> set[str]:
        """Return every counter that it reads."""
        return {self.injected, *self.requests, *self.others}


class TargetPlan(_Part):
    """What is to be done to one Envoy."""

    address: str
    node: str = ""
    admin_layer: str | None = None
    points: tuple[str, ...] = ()
    overrides: dict[str, str]
    """What we set, by runtime key."""
    was: dict[str, str | None]
    """What the admin layer held before, by runtime key; None where it held nothing."""
    meters: tuple[Meter, ...] = ()


class SentinelValue(_Part):
    """What a sentinel says: the fault, what we set, what was there."""

    fault: str
    set: str
    was: str | None


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A sentinel found in a runtime; ``value`` is None where it cannot be read."""

    token: str
    key: str
    value: SentinelValue | None


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime as just read: the admin layer's own values, and the values in force."""

    layers: tuple[str, ...]
    admin: Mapping[str, str]
    final: Mapping[str, str]
    shadows: Mapping[str, str]
    """Keys that a layer above the admin layer sets, with that layer's name."""

    def sentinels(self) -> list[Sentinel]:
        """Return every sentinel in the admin layer."""
        found = []
        for name, text in self.admin.items():
            if name.startswith(SENTINEL):
                token, dot, key = name[len(SENTINEL) :].partition(".")
                if token and dot and key:
                    found.append(Sentinel(token, key, _read_sentinel(text)))
        return found

    def holders(self, key: str) -> list[str]:
        """Return the tokens whose sentinels stand beside ``key``."""
        return [found.token for found in self.sentinels() if found.key == key]


def _read_sentinel(text: str) -> SentinelValue | None:
    try:
        return SentinelValue.model_validate_json(text)
    except ValidationError:
        return None


def read_runtime(answer: Mapping[str, Any], admin_layer: str | None) -> Runtime:
    """Return ``/runtime?format=json``. An empty text is how Envoy shows “not in this layer”.

    The admin layer is found by name: the list leaves out layers that did not load.
    """
    layers = tuple(str(layer) for layer in answer.get("layers", ()))
    index = layers.index(admin_layer) if admin_layer in layers else None
    admin: dict[str, str] = {}
    final: dict[str, str] = {}
    shadows: dict[str, str] = {}
    for key, entry in answer.get("entries", {}).items():
        values = [str(value) for value in entry.get("layer_values", ())]
        final[key] = str(entry.get("final_value", ""))
        if index is None:
            continue
        if index < len(values) and values[index]:
            admin[key] = values[index]
        for layer, value in zip(layers[index + 1 :], values[index + 1 :], strict=False):
            if value:
                shadows[key] = layer
    return Runtime(layers, admin, final, shadows)


def percent_value(percentage: Percentage) -> str:
    """Return a share as Envoy reads it: an integer, or a fraction in strict JSON.

    A plain ``0.5`` would silently become 0, and ``1.9`` 1.
    """
    value = float(percentage)
    if value == int(value):
        return str(int(value))
    is_coarse = abs(value * 100 - round(value * 100)) < 1e-6
    factor, name = (100, "TEN_THOUSAND") if is_coarse else (10_000, "MILLION")
    fraction = {"numerator": round(value * factor), "denominator": name}
    return json.dumps(fraction, separators=(",", ":"))


def overrides(params: EnvoyFault, points: Iterable[FaultPoint]) -> dict[str, str]:
    """Return the runtime keys to set, and their values, for the points that have the block."""
    wanted: dict[str, str] = {}
    for point in points:
        if point.block(params.block) in ("", "grpc"):
            continue
        wanted[point.percent_key(params.block)] = percent_value(params.percentage)
        if isinstance(params, HttpAbort):
            wanted[point.keys["abort_http_status_runtime"]] = str(params.http_status)
        elif isinstance(params, HttpDelay):
            millis = round(float(params.fixed_delay) * 1000)
            wanted[point.keys["delay_duration_runtime"]] = str(millis)
    return wanted


def meters(
    params: EnvoyFault, chosen: Iterable[FaultPoint], points: Iterable[FaultPoint]
) -> tuple[Meter, ...]:
    """Return, per connection manager, the counters that tell what share met the fault."""
    by_prefix: dict[str, list[FaultPoint]] = {}
    for point in chosen:
        if point.block(params.block) not in ("", "grpc"):
            by_prefix.setdefault(point.stat_prefix, []).append(point)
    everything = list(points)
    return tuple(
        _meter(
            params,
            mine,
            [each for each in everything if each.stat_prefix == prefix and each not in mine],
        )
        for prefix, mine in by_prefix.items()
    )


def _meter(params: EnvoyFault, mine: list[FaultPoint], rest: list[FaultPoint]) -> Meter:
    injected = f"http.{stat_name(mine[0].stat_prefix)}.fault.{params.counter}"
    if any(point.is_narrowed or point.block(params.block) != "fixed" for point in mine):
        return Meter(injected=injected)
    filters = [point for point in mine if point.level == "filter"]
    # With the filter itself, all requests count but those on routes that replace its settings.
    counted = filters or mine
    others = [point for point in rest if point.level != "filter"] if filters else []
    stats = [point.requests_stat for point in counted]
    other_stats = [point.requests_stat for point in others]
    if None in stats or None in other_stats:
        return Meter(injected=injected)
    return Meter(
        injected=injected,
        requests=tuple(sorted({stat for stat in stats if stat})),
        others=tuple(sorted({stat for stat in other_stats if stat})),
        adds_injected=not filters and params.block == "abort",
    )


def sentinel_key(token: str, key: str) -> str:
    """Return the runtime key that says whose the override of ``key`` is."""
    return f"{SENTINEL}{token}.{key}"


def inject_values(token: str, fault: str, target: TargetPlan) -> dict[str, str]:
    """Return all that one POST sets: each override with its sentinel."""
    values: dict[str, str] = {}
    for key, value in target.overrides.items():
        said = SentinelValue(fault=fault, set=value, was=target.was.get(key))
        values[key] = value
        values[sentinel_key(token, key)] = said.model_dump_json()
    return values


def recover_values(token: str, target: TargetPlan) -> dict[str, str]:
    """Return all that one POST sets to undo the target as if nobody else touched it."""
    values: dict[str, str] = {}
    for key in target.overrides:
        values[key] = target.was.get(key) or ""
        values[sentinel_key(token, key)] = ""
    return values


def modify_path(values: Mapping[str, str]) -> str:
    """Return the path of the POST. An empty value deletes its key."""
    pairs = (f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in values.items())
    return "/runtime_modify?" + "&".join(pairs)


def document(address: str, host: str, values: Mapping[str, str]) -> Document:
    """Return the POST as it goes over the wire."""
    body = f"POST {modify_path(values)} HTTP/1.1\nHost: {host}\nContent-Length: 0\n"
    return Document(target=address, body=body, language="http")


def by_hand(url: str, socket: str | None, values: Mapping[str, str]) -> str:
    """Return the exact command that makes the same POST without us."""
    through = f"--unix-socket {shlex.quote(socket)} " if socket else ""
    return f"curl -fsS {through}-X POST {shlex.quote(url + modify_path(values))}"


def target_plans(plan: Plan) -> tuple[TargetPlan, ...]:
    """Return what the plan means to do to each Envoy."""
    return tuple(TargetPlan.model_validate(plan.details[each.name]) for each in plan.targets)


def stats_path(targets_meters: Iterable[Meter]) -> str | None:
    """Return the path that reads just these counters, or None when there are none."""
    wanted = {name for meter in targets_meters for name in meter.names()}
    wanted |= {_born_with(name) for name in wanted}
    if not wanted:
        return None
    pattern = "^(" + "|".join(re.escape(name) for name in sorted(wanted)) + ")$"
    return "/stats?filter=" + quote(pattern, safe="")


def read_stats(text: str) -> dict[str, float]:
    """Return the counters of ``/stats`` by name; lines that hold no number are left out."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, colon, value = line.rpartition(": ")
        if colon and value.strip().isdigit():
            found[name] = float(value)
    for name in list(found):
        if name.endswith(_ROUTE_TOTAL):
            found.setdefault(name.removesuffix(_ROUTE_TOTAL) + _ROUTE_COMPLETED, 0.0)
    return found


def _born_with(name: str) -> str:
    return name.replace(_ROUTE_COMPLETED, _ROUTE_TOTAL)


def identity(config: EnvoyConfig, address: str) -> str:
    """Return the name of the Envoy in claims: its node, or its address where it has no node id.

    The node is the same by whatever address it is reached. Two Envoys that share a node id share
    their claims: a needless refusal is the safe side of that mistake.
    """
    if config.node_id:
        return f"{config.node_cluster}/{config.node_id}" if config.node_cluster else config.node_id
    return address.replace("localhost:", "127.0.0.1:")


def described(address: str, config: EnvoyConfig, points: Iterable[FaultPoint]) -> Target:
    """Return the Envoy as a target, with its node and fault points."""
    node = f"node {config.node_id}" if config.node_id else "no node id"
    return Target(name=address, detail="; ".join([node, *(point.label for point in points)]))
