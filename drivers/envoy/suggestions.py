"""Say which names a fault's ``route`` may take, as the Envoys' configurations have them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drivers.envoy.config import LEVELS, EnvoyConfig, FaultPoint, names
from drivers.protocol import Suggestion

_BLOCKS = ("abort", "delay")


def routes(configs: Sequence[EnvoyConfig]) -> list[Suggestion]:
    """Return every name that means a fault point on some Envoy, the most specific first.

    The detail says what it is, which blocks are armed there, on how many of several Envoys it is,
    and whether its runtime keys are shared, so that its fault would be refused.
    """
    found: list[tuple[int, Suggestion]] = []
    for name in sorted({name for config in configs for name in names(config.points)}):
        meant = [chosen for config in configs if (chosen := _meant(config.points, name))]
        level = min(LEVELS.index(point.level) for chosen in meant for point in chosen)
        points = [point for chosen in meant for point in chosen]
        parts = [", ".join(dict.fromkeys(_what(point, name) for point in points)), _armed(points)]
        if any(_is_shared(config.points, name) for config in configs):
            parts.append("shares its runtime keys with other places")
        if len(configs) > 1:
            parts.append(f"on {len(meant)} of {len(configs)} Envoys")
        found.append((level, Suggestion(value=name, detail=" · ".join(parts))))
    return [suggestion for _, suggestion in sorted(found, key=lambda each: each[0])]


def clusters(found: Iterable[Iterable[str]]) -> list[Suggestion]:
    """Return the clusters of the Envoys by name, and on how many of several each is."""
    fleet = [set(each) for each in found]
    counted = {name: sum(name in each for each in fleet) for each in fleet for name in each}
    return [
        Suggestion(
            value=name,
            detail=f"on {count} of {len(fleet)} Envoys" if len(fleet) > 1 else "",
        )
        for name, count in sorted(counted.items())
    ]


def _meant(points: Iterable[FaultPoint], name: str) -> list[FaultPoint]:
    """Return the points that the name means; see ``config.select``, which this follows."""
    named = [point for point in points if name in point.names]
    level = min((LEVELS.index(point.level) for point in named), default=0)
    return [point for point in named if point.level == LEVELS[level]]


def _what(point: FaultPoint, name: str) -> str:
    first = point.names[0]
    if point.level == "filter":
        return "listener" if name == first and len(point.names) > 1 else "stat_prefix"
    if point.level != "route":
        return point.level
    if name != first:
        return f"weighted cluster of route {first}"
    return f"route of virtual host {point.host}" if point.host else "route"


def _armed(points: Sequence[FaultPoint]) -> str:
    """Say which blocks are configured everywhere that the name means."""
    armed = [block for block in _BLOCKS if all(point.block(block) for point in points)]
    return f"{' and '.join(armed)} armed" if armed else "neither abort nor delay armed"


def _is_shared(points: Sequence[FaultPoint], name: str) -> bool:
    """Tell whether some other point reads the same share; ``checks`` refuses such a fault."""
    chosen = _meant(points, name)
    return any(
        point.block(block)
        and point.percent_key(block) in {each.percent_key(block) for each in chosen}
        for block in _BLOCKS
        for point in points
        if point not in chosen
    )
