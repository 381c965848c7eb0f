"""When each action of a document would begin and end, as a timeline to draw; also of a draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.units import Duration, UnitError
from experiments.selectors import words

_WIDTH = 1000.0
_LEAST_WIDTH = 4.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the timeline: SVG units of a thousand, and words."""

    label: str
    kind: str
    x: str
    width: str
    says: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A planned run. Checkpoints are drawn as long as they may wait."""

    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    total_s: float
    baseline_s: float
    watched_s: float
    """How much baseline the verdict has: what is waited for, or taken from the history."""
    fault_s: float
    """From the first fault's start to the last one's end."""
    waits_for_people: bool

    @property
    def total(self) -> str:
        """Return the length of the whole, in words."""
        said = words.length(self.total_s)
        return f"up to {said}" if self.waits_for_people else said


def _seconds(value: Any, default: str = "0s") -> float | None:
    try:
        return float(Duration(default if value in (None, "") else value))
    except UnitError:
        return None


def plan(raw: Mapping[str, Any]) -> Schedule | None:
    """Return the timeline of a document whose parameters are written in; None if it has none yet.

    Tolerates everything else that is wrong with a draft.
    """
    method = raw.get("method")
    timing = raw.get("timing")
    timing = timing if isinstance(timing, Mapping) else {}
    given = timing.get("baseline")
    history = given.get("last") if isinstance(given, Mapping) else None
    length = given.get("length", "0s") if isinstance(given, Mapping) else given
    baseline = 0.0 if history is not None else _seconds(length, "3m")
    watched = _seconds(history) if history is not None else baseline
    settle = _seconds(timing.get("settle"), "1m")
    spans = _spans(method) if isinstance(method, list) else None
    if not spans or baseline is None or watched is None or settle is None:
        return None
    if min(baseline, watched, settle) < 0:
        return None
    end = max(stop for _, _, _, stop in spans)
    total = baseline + end + settle
    faults = [(start, stop) for _, kind, start, stop in spans if kind == "fault"]
    scale = _WIDTH / total if total else 0.0
    bars = [_bar("baseline", "baseline", 0.0, baseline, scale)] if baseline else []
    bars += [
        _bar(name, kind, baseline + start, baseline + stop, scale)
        for name, kind, start, stop in spans
    ]
    if settle:
        bars.append(_bar("settle", "settling", baseline + end, total, scale))
    return Schedule(
        tuple(bars),
        tuple(words.clock(total * share / 4) for share in range(5)),
        total,
        baseline,
        watched,
        max(stop for _, stop in faults) - min(start for start, _ in faults) if faults else 0.0,
        any(kind == "checkpoint" for _, kind, _, _ in spans),
    )


def _bar(label: str, kind: str, start: float, stop: float, scale: float) -> Bar:
    width = max((stop - start) * scale, _LEAST_WIDTH)
    x = min(start * scale, _WIDTH - width)
    says = f"{label}: from {words.clock(start)}, {words.length(stop - start)}"
    return Bar(label, kind, f"{x:.1f}", f"{width:.1f}", says)


_Span = tuple[str, str, float, float]


def _spans(method: list[Any]) -> list[_Span] | None:
    """Return name, kind, start and end of each action; None when one cannot be told."""
    waiting: list[tuple[int, str, str, Mapping[str, Any] | None, float]] = []
    for index, action in enumerate(method):
        if not isinstance(action, Mapping):
            return None
        kind, lasts = _lasts(action)
        if lasts is None or lasts < 0:
            return None
        start = action.get("start")
        start = start if isinstance(start, Mapping) else None
        waiting.append(
            (index, str(action.get("name") or f"action {index + 1}"), kind, start, lasts)
        )
    order = [name for _, name, _, _, _ in waiting]
    if len(set(order)) < len(order):
        return None
    done: dict[str, tuple[float, float]] = {}
    kinds = {name: kind for _, name, kind, _, _ in waiting}
    while waiting:
        left = []
        for entry in waiting:
            index, name, _, start, lasts = entry
            begins = _begins(start, order[index - 1] if index else None, done)
            if begins is None:
                left.append(entry)
            else:
                done[name] = (begins, begins + lasts)
        if len(left) == len(waiting):
            return None
        waiting = left
    return [(name, kinds[name], *done[name]) for name in order]


def _lasts(action: Mapping[str, Any]) -> tuple[str, float | None]:
    if "checkpoint" in action:
        return "checkpoint", _seconds(action.get("timeout"), "10m")
    if "wait" in action:
        return "wait", _seconds(action.get("wait"))
    return "fault", _seconds(action.get("duration"))


def _begins(
    start: Mapping[str, Any] | None, previous: str | None, done: Mapping[str, tuple[float, float]]
) -> float | None:
    if start is None:
        if previous is None:
            return 0.0
        return done[previous][1] if previous in done else None
    delay = _seconds(start.get("delay"))
    key = "with" if start.get("with") else "after"
    others = start.get(key) or []
    if delay is None or not isinstance(others, list) or any(each not in done for each in others):
        return None
    return max((done[each][0 if key == "with" else 1] for each in others), default=0.0) + delay
