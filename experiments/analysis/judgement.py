"""Judgement: what the judge concludes, in types that become plain JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["held", "deviated", "inconclusive", "not_exercised"]
Outcome = Literal["as_expected", "deviates", "undecided", "better_than_predicted"]
FaultOutcome = Literal["took_effect", "not_exercised", "doubtful"]


@dataclass(frozen=True)
class PhaseValue:
    """One SLI in one phase: its value from summed counts, and what that rests on.

    ``n_bins`` are usable bins after settling, de-overlap and merging; ``n_events`` are requests,
    None for a plain value; ``bad`` only for ratios.
    """

    value: float | None
    n_bins: int
    n_events: float | None = None
    bad: float | None = None


@dataclass(frozen=True)
class Effect:
    """Fault against baseline with 95 % intervals; None where unknown or unbounded.

    ``absolute`` is fault − baseline in the SLI's unit, ``relative`` is fault / baseline − 1;
    ``level_low`` to ``level_high`` is the interval of the fault phase's own value.
    """

    absolute: float
    absolute_low: float
    absolute_high: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    level_low: float
    level_high: float


@dataclass(frozen=True)
class SliJudgement:
    """What became of one SLI, in a sentence and in numbers.

    ``notes`` say why the data do not suffice and what would, and what else a reader must know.
    ``recovered`` is None where it was not assessed.
    """

    name: str
    outcome: Outcome
    sentence: str
    unit: str = ""
    expect: str = "holds"
    critical: bool = False
    phases: Mapping[str, PhaseValue] = field(default_factory=dict)
    effect: Effect | None = None
    method: str = "none"
    recovered: bool | None = None
    recovery_s: float | None = None
    limit_broken: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaultJudgement:
    """Whether one fault was really there; shares count from 0 to 1, with a 95 % interval."""

    action: str
    outcome: FaultOutcome
    sentence: str
    delivered_share: float | None = None
    delivered_low: float | None = None
    delivered_high: float | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdict of a run, one plain sentence, and every reason for it."""

    verdict: Verdict
    sentence: str
    reasons: tuple[str, ...] = ()
    slis: tuple[SliJudgement, ...] = ()
    faults: tuple[FaultJudgement, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; what is not finite becomes None."""
        plain = _plain(self)
        assert isinstance(plain, dict)  # noqa: S101  a dataclass becomes a dictionary
        return plain


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {item.name: _plain(getattr(value, item.name)) for item in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
