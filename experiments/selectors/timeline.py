"""The run's timeline: its phases as a bar, its actions as a Gantt, and what was planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from experiments.domain.method import Checkpoint, FaultAction, Wait
from experiments.domain.spec import Experiment
from experiments.domain.states import Status
from experiments.models import ActionRecord, Injection, Run
from experiments.selectors import words

_WIDTH = 1000.0
_TICKS = 5
_LEAST_WIDTH = 3.0
_S = Status
_ORDER = (_S.CHECKING, _S.BASELINE, _S.INJECTING, _S.RECOVERING, _S.SETTLING, _S.JUDGING)
_NAMES = dict(
    zip(_ORDER, ("check", "baseline", "inject", "recover", "settle", "judge"), strict=True)
)


@dataclass(frozen=True, slots=True)
class PhaseStep:
    """One segment of the phase bar. ``state`` is done, now, next or skipped."""

    name: str
    state: str
    is_fault: bool
    seconds: int
    text: str
    planned: str
    since: datetime | None = None
    until: datetime | None = None
    ends_here: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle of a track that is 1000 wide."""

    x: str
    width: str
    kind: str
    title: str


_Draw = Callable[[datetime, datetime, str, str], Bar]


@dataclass(frozen=True, slots=True)
class Track:
    """One row of the Gantt, and the same in words."""

    label: str
    note: str
    bars: tuple[Bar, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Gantt:
    """The rows over one span of time."""

    tracks: tuple[Track, ...]
    ticks: tuple[str, ...]
    now: str
    """Where now is; empty for an ended run."""


def planned(document: Experiment) -> dict[str, tuple[float, float]]:
    """Return when each action is planned to begin and end, seconds after the baseline."""
    found: dict[str, tuple[float, float]] = {}
    previous = 0.0
    for action in document.method:
        start = action.start
        if start is None:
            begin = previous
        else:
            named = [found[name][0] for name in start.with_ if name in found]
            named += [found[name][1] for name in start.after if name in found]
            begin = max(named, default=0.0) + float(start.delay)
        found[action.name] = (begin, begin + _lasts(action))
        previous = found[action.name][1]
    return found


def _lasts(action: FaultAction | Checkpoint | Wait) -> float:
    if isinstance(action, FaultAction):
        return float(action.duration)
    return float(action.wait) if isinstance(action, Wait) else 0.0


def planned_end(run: Run, document: Experiment, now: datetime) -> datetime:
    """Return when the run is over if all goes as planned from here."""
    if run.ended_at is not None:
        return run.ended_at
    settle = timedelta(seconds=float(document.timing.settle))
    if run.settling_at is not None:
        return max(now, run.settling_at + settle)
    if run.recovering_at is not None:
        return now + settle
    method = max((end for _, end in planned(document).values()), default=0.0)
    if run.injecting_at is not None:
        return max(now, run.injecting_at + timedelta(seconds=method)) + settle
    baseline = timedelta(seconds=document.timing.baseline.wait_s)
    begun = max(now, (run.baseline_at or now) + baseline)
    return begun + timedelta(seconds=method) + settle


def phase_steps(
    run: Run, document: Experiment | None, judging_at: datetime | None
) -> list[PhaseStep]:
    """Return the phase bar: lengths as they were, or as they are planned."""
    starts: dict[Status, datetime | None] = {
        _S.CHECKING: run.requested_at,
        _S.BASELINE: run.baseline_at,
        _S.INJECTING: run.injecting_at,
        _S.RECOVERING: run.recovering_at,
        _S.SETTLING: run.settling_at,
        _S.JUDGING: judging_at,
    }
    lengths = _planned_lengths(document)
    now = _S.CHECKING if run.status == _S.REQUESTED else Status(run.status)
    reached = [status for status in _ORDER if starts[status] is not None]
    steps: list[PhaseStep] = []
    for status in _ORDER:
        begun = starts[status]
        ended = _end_of(status, starts, run)
        length = lengths.get(status)
        shown = words.clock(length) if length is not None else ""
        if status is now:
            until = None if length is None or begun is None else begun + timedelta(seconds=length)
            step = PhaseStep(
                _NAMES[status],
                "now",
                status is _S.INJECTING,
                round(length or 1),
                "",
                shown,
                begun,
                until,
            )
        elif begun is not None and ended is not None:
            took = (ended - begun).total_seconds()
            last = status is reached[-1] and run.status in (_S.REFUSED, _S.STOPPED, _S.ERRORED)
            word = run.status if last and run.injecting_at is None else ""
            step = PhaseStep(
                _NAMES[status],
                "done",
                status is _S.INJECTING,
                max(1, round(took)),
                words.clock(took),
                shown,
                ends_here=word,
            )
        else:
            state = "next" if run.is_live else "skipped"
            step = PhaseStep(
                _NAMES[status],
                state,
                status is _S.INJECTING,
                round(length or 1),
                shown if run.is_live else "",
                shown,
            )
        steps.append(step)
    return steps


def _planned_lengths(document: Experiment | None) -> dict[Status, float]:
    if document is None:
        return {}
    return {
        _S.BASELINE: document.timing.baseline.wait_s,
        _S.INJECTING: max((end for _, end in planned(document).values()), default=0.0),
        _S.SETTLING: float(document.timing.settle),
    }


def _end_of(status: Status, starts: Mapping[Status, datetime | None], run: Run) -> datetime | None:
    """Return when a phase ended: when the next one began, or the run did end."""
    for later in _ORDER[_ORDER.index(status) + 1 :]:
        if (begun := starts[later]) is not None:
            return begun
    return run.ended_at


def gantt(run: Run, document: Experiment, now: datetime) -> Gantt | None:
    """Return the timeline of the actions; None for a run that never got as far as its baseline."""
    if run.baseline_at is None:
        return None
    start = run.baseline_at
    end = max(planned_end(run, document, now), start + timedelta(seconds=1))
    span = (end - start).total_seconds()

    def bar(begin: datetime, finish: datetime, kind: str, title: str) -> Bar:
        x = _WIDTH * max(0.0, (begin - start).total_seconds()) / span
        width = _WIDTH * (finish - begin).total_seconds() / span
        width = min(max(width, _LEAST_WIDTH), _WIDTH - min(x, _WIDTH - _LEAST_WIDTH))
        return Bar(f"{x:.1f}", f"{width:.1f}", kind, title)

    until = run.ended_at or now
    rows = {row.action: row for row in run.injections.all()}
    records = {record.name: record for record in run.actions.all()}
    plan = planned(document)
    zero = run.injecting_at or start + timedelta(seconds=document.timing.baseline.wait_s)
    watching = [bar(start, run.injecting_at or until, "baseline", "baseline")]
    if run.settling_at is not None:
        watching.append(bar(run.settling_at, until, "settling", "settle and judge"))
    tracks = [Track("watching", "", tuple(watching), "baseline first, settling last")]
    for action in document.method:
        begin, finish = (zero + timedelta(seconds=each) for each in plan[action.name])
        row, record = rows.get(action.name), records.get(action.name)
        bars: list[Bar] = []
        text = "not begun"
        if row is not None and row.injected_at is not None:
            bars, text = _fault_bars(bar, row, until)
        elif record is not None:
            kind = "checkpoint" if isinstance(action, Checkpoint) else "wait"
            ended = record.finished_at or until
            bars = [bar(record.started_at, ended, kind, record.outcome or kind)]
            text = _when(record)
        if run.is_live and not (record and record.finished_at):
            ghost_end = max(finish, begin)
            bars.insert(0, bar(begin, ghost_end, "planned", "planned"))
        note = action.fault if isinstance(action, FaultAction) else _kind_of(action)
        tracks.append(Track(action.name, note, tuple(bars), text))
    tracks += [
        Track(
            record.name,
            "guardrail without data",
            (bar(record.started_at, record.finished_at or until, "checkpoint", "checkpoint"),),
            _when(record),
        )
        for record in records.values()
        if record.name not in plan
    ]
    ticks = tuple(words.clock(span * index / (_TICKS - 1)) for index in range(_TICKS))
    place = _WIDTH * (now - start).total_seconds() / span
    return Gantt(tuple(tracks), ticks, f"{place:.1f}" if run.is_live and place < _WIDTH else "")


def _when(record: ActionRecord) -> str:
    text = f"began {words.moment(record.started_at)}"
    return text + (f", ended {words.moment(record.finished_at)}" if record.finished_at else "")


def _kind_of(action: Checkpoint | Wait) -> str:
    return "checkpoint" if isinstance(action, Checkpoint) else "wait"


def _fault_bars(bar: _Draw, row: Injection, until: datetime) -> tuple[list[Bar], str]:
    assert row.injected_at is not None  # noqa: S101 — the caller has looked
    gone = row.recovered_at or until
    removal = row.recovering_at or gone
    bars = [bar(row.injected_at, removal, "fault", "in effect")]
    text = f"in effect from {words.moment(row.injected_at)}"
    if row.recovering_at is not None:
        bars.append(bar(removal, gone, "recovering", "being removed"))
        text += f", removal begun {words.moment(row.recovering_at)}"
    if row.recovered_at is not None:
        text += f", gone {words.moment(row.recovered_at)}"
    return bars, text
