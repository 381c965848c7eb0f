"""When each action of a document would begin and end, as a timeline to draw; also of a draft."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivers.units import Duration, UnitError
from experiments.domain.errors import Path
from experiments.selectors import words

_WIDTH = 1000.0
_LEAST_WIDTH = 4.0
_STEPS = (
    5,
    10,
    15,
    20,
    30,
    60,
    120,
    180,
    300,
    600,
    900,
    1200,
    1800,
    3600,
    7200,
    14400,
    28800,
    86400,
)
_MOST_TICKS = 3
_LAST_TICK = 0.92


@dataclass(frozen=True, slots=True)
class Planned:
    """One action in time, seconds after the end of the baseline."""

    index: int
    name: str
    kind: str
    start_s: float
    stop_s: float
    delay_s: float = 0.0
    begins: str = ""
    """After or with what it begins, in words."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the timeline: SVG units of a thousand, shares of the whole, and words."""

    label: str
    kind: str
    x: str
    width: str
    says: str
    left: str = ""
    share: str = ""
    waits: str = ""
    """Where its delay begins, as a share; empty without one."""
    waited: str = ""
    when: str = ""
    path: Path = ()
    """The field that says how long it takes."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A planned run. Checkpoints are drawn as long as they may wait."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[str, str], ...]
    """Round times: each with its share of the whole."""
    total_s: float
    baseline_s: float
    watched_s: float
    """How much baseline the verdict has: what is waited for, or taken from the history."""
    fault_s: float
    """From the first fault's start to the last one's end."""
    waits_for_people: bool
    actions: tuple[Planned, ...] = ()
    """In the order of the document."""

    @property
    def faults(self) -> tuple[Planned, ...]:
        """Return the faults, in the order of the document."""
        return tuple(action for action in self.actions if action.kind == "fault")

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
    end = max(action.stop_s for action in spans)
    total = baseline + end + settle
    faults = [(action.start_s, action.stop_s) for action in spans if action.kind == "fault"]
    bars = []
    if baseline:
        waiting = Planned(-1, "baseline", "baseline", 0.0, baseline)
        bars.append(_bar(waiting, 0.0, total, ("timing", "baseline")))
    for action in spans:
        field = {"checkpoint": "timeout", "wait": "wait"}.get(action.kind, "duration")
        bars.append(_bar(action, baseline, total, ("method", action.index, field)))
    if settle:
        settling = Planned(-1, "settle", "settling", end, end + settle)
        bars.append(_bar(settling, baseline, total, ("timing", "settle")))
    return Schedule(
        tuple(bars),
        tuple(_ticks(total)),
        total,
        baseline,
        watched,
        max(stop for _, stop in faults) - min(start for start, _ in faults) if faults else 0.0,
        any(action.kind == "checkpoint" for action in spans),
        tuple(spans),
    )


def marked(planned: Schedule, warnings: Iterable[tuple[Path, str]]) -> Schedule:
    """Return the timeline with each warning at the bar whose length it is about."""
    told = list(warnings)
    bars = tuple(
        replace(bar, warnings=tuple(text for path, text in told if path == bar.path))
        for bar in planned.bars
    )
    return replace(planned, bars=bars)


def _ticks(total: float) -> Iterator[tuple[str, str]]:
    """Yield at most four round times from the start on; the last leaves room for its words."""
    step = next(
        (each for each in _STEPS if total <= each * _MOST_TICKS), math.ceil(total / _MOST_TICKS)
    )
    for number in range(_MOST_TICKS + 1):
        at = number * step
        if at <= total * _LAST_TICK:
            yield words.clock(at), _share(at * _WIDTH / total if total else 0.0)


def _bar(action: Planned, offset: float, total: float, path: Path) -> Bar:
    scale = _WIDTH / total if total else 0.0
    start, stop = offset + action.start_s, offset + action.stop_s
    width = max((stop - start) * scale, _LEAST_WIDTH)
    x = min(start * scale, _WIDTH - width)
    lasts = words.length(stop - start)
    if action.kind == "checkpoint":
        lasts = f"up to {lasts}"
    says = f"{action.name}: from {words.clock(start)}, {lasts}"
    if action.begins:
        says += f", {action.begins}"
    if action.kind == "checkpoint":
        says += "; waits for a person"
    delay = action.delay_s * scale
    return Bar(
        action.name,
        action.kind,
        f"{x:.1f}",
        f"{width:.1f}",
        says,
        left=_share(x),
        share=_share(width),
        waits=_share(x - delay) if delay else "",
        waited=_share(delay) if delay else "",
        when=f"{words.clock(start)} · {lasts}",
        path=path,
    )


def _share(thousandths: float) -> str:
    return f"{thousandths / 10:.2f}%"


def _spans(method: list[Any]) -> list[Planned] | None:
    """Return each action in time; None when one cannot be told."""
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
    return [
        Planned(index, name, kinds[name], *done[name], *_delayed(method[index].get("start"), index))
        for index, name in enumerate(order)
    ]


def _delayed(start: Any, index: int) -> tuple[float, str]:
    """Return an action's delay in seconds, and in words what it begins with or after."""
    if not isinstance(start, Mapping):
        return 0.0, ""
    delay = _seconds(start.get("delay")) or 0.0
    key = "with" if start.get("with") else "after"
    others = [str(each) for each in start.get(key) or []]
    said = f"{key} {', '.join(others)}" if others else "at the beginning"
    later = f"{words.length(delay)} later" if delay else ""
    return delay, ", ".join(filter(None, (said, later))) if others or later else ""


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
