"""Which process is hurt when, and how: everything follows from the seed. Pure.

The schedule knows only planned lengths: a process that takes longer to come back may be hurt again
while it starts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

ENVOYS = ("envoy-1", "envoy-2", "envoy-3")
CONTROLS = ("control", "control-2")
WORKERS = (*CONTROLS, "looks", "web", "beat")


@dataclass(frozen=True)
class Blow:
    """One process hurt at one moment.

    ``kill``: SIGKILL, started again ``for_s`` later. ``pause``: SIGSTOP, SIGCONT ``for_s`` later.
    ``flush``: the queue loses everything it holds. ``crash``: the database ends at once, and
    recovers ``for_s`` later. ``away``: it ends in order and starts ``for_s`` later.
    """

    at_s: float
    target: str
    kind: str
    for_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.at_s:7.1f} s  {self.target:10} {self.kind:6} {self.for_s:5.1f} s"


@dataclass(frozen=True)
class Lengths:
    """The longest that each kind may last, in seconds."""

    worker_pause: float = 20.0
    queue_away: float = 60.0
    database_away: float = 15.0
    envoy_pause: float = 20.0


LONG = Lengths(worker_pause=90.0, queue_away=180.0)
BRIEF = Lengths(worker_pause=17.0, queue_away=12.0, database_away=4.0, envoy_pause=8.0)
"""A pause of a worker is still longer than the lease of its attempts, 15 s."""


def schedule(seed: int, *, every_s: float, lengths: Lengths) -> Iterator[Blow]:
    """Yield blows for ever, one in ``every_s`` on average; no target twice at a time."""
    chance = random.Random(seed)
    kinds = _kinds(lengths)
    weights = [weight for _, _, weight, _, _ in kinds]
    busy_until: dict[str, float] = {}
    now = 0.0
    while True:
        now += chance.uniform(0.2, 2 * every_s - 0.2)
        while True:
            target, kind, _, shortest, longest = chance.choices(kinds, weights)[0]
            if busy_until.get(target, 0.0) <= now:
                break
        length = chance.uniform(shortest, longest)
        busy_until[target] = now + length + 1.0
        yield Blow(now, target, kind, length)


def _kinds(lengths: Lengths) -> list[tuple[str, str, float, float, float]]:
    """Return (target, kind, weight, shortest, longest) of everything that can happen."""
    found: list[tuple[str, str, float, float, float]] = []
    for name, weight in zip(WORKERS, (12, 12, 8, 6, 6), strict=True):
        found.append((name, "kill", weight, 0.0, 5.0))
        found.append((name, "pause", weight * 0.8, 1.0, lengths.worker_pause))
    found.append(("valkey", "flush", 8, 0.0, 0.0))
    found.append(("valkey", "kill", 5, 5.0, lengths.queue_away))
    found.append(("valkey", "pause", 4, 1.0, lengths.worker_pause))
    found.append(("database", "crash", 5, 0.0, 0.0))
    found.append(("database", "away", 4, 1.0, lengths.database_away))
    for name in ENVOYS:
        found.append((name, "pause", 6, 3.0, lengths.envoy_pause))
        found.append((name, "kill", 2, 0.0, 3.0))
    found.append(("prometheus", "kill", 2, 0.0, 5.0))
    found.append(("prometheus", "pause", 2, 1.0, 10.0))
    return found
