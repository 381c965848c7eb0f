"""When a guardrail stops a run: m of the n newest distinct samples, or no data for too long.

One that waits for a person when it is without data opens a checkpoint. Answered, it stays blind
until data have come back; lost again, they open the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from experiments.domain.method import Guardrail
from experiments.domain.rules import NO_DATA
from experiments.engine.snapshot import ActionState, Pace, Sample

CHECKPOINT_S = 600.0
"""How long a checkpoint of a guardrail without data waits for a person."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a guardrail says now, in a sentence."""

    state: Literal["quiet", "breached", "no_data"]
    reason: str = ""


def is_breach(guardrail: Guardrail, value: float, bound: float) -> bool:
    """Return whether the value is beyond the bound, both in the SLI's unit."""
    return value > bound if guardrail.above is not None else value < bound


def patience(guardrail: Guardrail, pace: Pace) -> timedelta:
    """Return how old the newest sample may be before the guardrail is blind."""
    return timedelta(seconds=pace.lag_s + max(3 * float(guardrail.every), 2 * pace.step_s))


def blind_at(
    guardrail: Guardrail, samples: Sequence[Sample], *, watched_since: datetime, pace: Pace
) -> datetime:
    """Return when the guardrail is blind unless a newer sample comes."""
    seen = [sample.at for sample in samples if sample.is_breach is not None]
    return max([watched_since, *seen]) + patience(guardrail, pace)


def rule(
    guardrail: Guardrail,
    samples: Sequence[Sample],
    *,
    watched_since: datetime,
    now: datetime,
    pace: Pace,
) -> Ruling:
    """Judge the newest distinct samples, oldest first. Samples without data do not count."""
    seen = [sample for sample in samples if sample.is_breach is not None]
    window = seen[-guardrail.breaches.of :]
    breaches = [sample for sample in window if sample.is_breach]
    if len(breaches) >= guardrail.breaches.count:
        side = "above" if guardrail.above is not None else "below"
        bound = guardrail.above if guardrail.above is not None else guardrail.below
        shown = f"{bound:g}" if isinstance(bound, float) else bound
        values = ", ".join(
            f"{sample.note or f'{sample.value:g}'} at {sample.at:%H:%M:%S}" for sample in breaches
        )
        return Ruling(
            "breached",
            f"{guardrail.name}: {len(breaches)} of the last {len(window)} readings of "
            f"{guardrail.watches} were {side} {shown}: {values}",
        )
    newest = max([watched_since, *(sample.at for sample in seen[-1:])])
    if now - newest >= patience(guardrail, pace):
        blind = next((sample.note for sample in reversed(samples) if sample.note), "")
        if samples and samples[-1].is_breach is not None:
            blind = ""
        return Ruling(
            "no_data",
            f"{guardrail.name}: no new data of {guardrail.watches} for "
            f"{(now - newest).total_seconds():.0f} s{f' ({blind})' if blind else ''}",
        )
    return Ruling("quiet")


def checkpoint_names(guardrail: str, others: Collection[str]) -> Iterator[str]:
    """Yield the names of a guardrail's checkpoints, in order; none is another guardrail's.

    With a guardrail ``lag`` and another one ``lag-2``, the second one of ``lag`` ends in ``-3``.
    """
    yield f"{NO_DATA}{guardrail}"
    number = 2
    while True:
        if f"{guardrail}-{number}" not in others:
            yield f"{NO_DATA}{guardrail}-{number}"
        number += 1


def newest_checkpoint(
    guardrail: str, others: Collection[str], actions: Mapping[str, ActionState]
) -> tuple[str, ActionState | None, str]:
    """Return the guardrail's newest checkpoint and its state (None before the first one).

    The third value is the name of the one that it would open next.
    """
    names = checkpoint_names(guardrail, others)
    newest, state = "", None
    for name in names:
        if name not in actions:
            return newest, state, name
        newest, state = name, actions[name]
    raise AssertionError("names never end")


def has_come_back(
    guardrail: Guardrail, samples: Sequence[Sample], since: datetime, pace: Pace
) -> bool:
    """Return whether data came back after a checkpoint that opened ``since``.

    It opened because nothing was newer than its patience; a newer sample ended that, however late
    it was read.
    """
    blind_before = since - patience(guardrail, pace)
    return any(sample.at > blind_before for sample in samples if sample.is_breach is not None)
