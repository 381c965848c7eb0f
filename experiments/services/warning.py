"""Says what a plan will regret: too short to be judged, guarded too slowly, its own probe failed.

None of it is an error: the document may be saved and run. Each warning has its field and the mend.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from drivers.units import Duration
from experiments.analysis.gate import LEAST_BINS
from experiments.domain import mandatory, spec
from experiments.domain.errors import Path, SpecError
from experiments.domain.method import Guardrail
from experiments.engine.snapshot import Pace
from experiments.models import Connection, Environment
from experiments.selectors import schedule, words
from experiments.services import judging, pacing, snapshots

_Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning, the field that it is about, and what would mend it."""

    path: Path
    message: str
    hint: str = ""
    severity: str = "warning"

    @property
    def where(self) -> str:
        """Return the path as people read it."""
        return SpecError(self.path, "").dotted


def found(
    document: spec.Experiment,
    planned: schedule.Schedule | None,
    connections: Mapping[str, Connection],
    environment: Environment | None,
) -> Iterator[Warned]:
    """Yield every warning of a document that can be read; ``planned`` is its timeline.

    Without an environment nobody knows how often its sources advance: a step of ``auto`` is then
    not judged, nor are guardrails.
    """
    watched = watched_in(document, environment)
    if environment is not None or document.timing.step is not None:
        yield from _paced(document, watched, planned, connections)
    yield from _impatient(document)


def _paced(
    document: spec.Experiment,
    watched: spec.Experiment,
    planned: schedule.Schedule | None,
    connections: Mapping[str, Connection],
) -> Iterator[Warned]:
    """Yield what depends on how often the sources advance."""
    pace = snapshots.pace_of(watched, connections)
    least = snapshots.least_step(watched, connections)
    if planned is not None and document.slis:
        yield from _short_baseline(planned, pace, least)
        yield from _short_faults(planned, pace, least)
    for index, guardrail in enumerate(watched.guardrails):
        yield from _slow(document, guardrail, _path_of(document, index, "breaches"), pace)
    places = {each.name: index for index, each in enumerate(watched.guardrails)}
    for problem in pacing.unfed(watched, pace):
        index = places[problem.where.removeprefix("guardrails.")]
        yield Warned(_path_of(document, index, "every"), problem.message, problem.hint)


def watched_in(document: spec.Experiment, environment: Environment | None) -> spec.Experiment:
    """Return the document as a run of it would have it, as far as the environment can be read."""
    own, _ = mandatory.read(environment.guardrails if environment else [])
    return mandatory.added(document, own)


def _path_of(document: spec.Experiment, index: int, field: str) -> Path:
    """Return where a guardrail is: in the document, or in the environment."""
    own = len(document.guardrails)
    if index < own:
        return "guardrails", index, field
    return "environment", "guardrails", index - own, field


def _short_baseline(planned: schedule.Schedule, pace: Pace, least_s: float) -> Iterator[Warned]:
    needed = LEAST_BINS["baseline"]
    bins = int(planned.watched_s / pace.step_s + 1e-9)
    if bins < needed:
        yield _too_short(
            ("timing", "baseline"),
            "baseline",
            planned.watched_s,
            bins,
            needed,
            pace,
            f"It can with at least {words.length(ceil(needed * pace.step_s))}",
            _step_hint(planned.watched_s / needed, least_s),
        )


def _short_faults(planned: schedule.Schedule, pace: Pace, least_s: float) -> Iterator[Warned]:
    """Warn where all faults together, each without its first bins, are too short."""
    spans = [(action.start_s, action.stop_s) for action in planned.faults]
    needed, dropped = LEAST_BINS["fault"], judging.SETTLE_STEPS
    bins = _fault_bins(spans, pace.step_s)
    if not spans or bins >= needed:
        return
    longest = max(planned.faults, key=lambda action: action.stop_s - action.start_s)
    seconds = sum(stop - start for start, stop in _joined(spans))
    if len(spans) == 1:
        lasts = f"It can with at least {words.length(ceil((needed + dropped) * pace.step_s))}"
    else:
        more = ceil((needed - bins) * pace.step_s)
        lasts = f"It can if {longest.name} lasts at least {words.length(more)} longer"
    step = seconds / (needed + dropped)
    while step >= least_s and _fault_bins(spans, step) < needed:
        step *= 0.97
    yield _too_short(
        ("method", longest.index, "duration"),
        "fault phase",
        seconds,
        bins,
        needed,
        pace,
        lasts,
        _step_hint(step, least_s),
        dropped=dropped,
        each=len(spans) > 1,
    )


def _too_short(
    path: Path,
    what: str,
    seconds: float,
    bins: int,
    needed: int,
    pace: Pace,
    lasts: str,
    step: str,
    *,
    dropped: int = 0,
    each: bool = False,
) -> Warned:
    first = f" (the first {dropped}{' of each fault' if each else ''} do not count)"
    return Warned(
        path,
        f"The {what} of {words.length(seconds)} has {bins} bins of {pace.step_s:g} s"
        f"{first if dropped else ''}; the verdict needs {needed}, so the run would be"
        " inconclusive.",
        f"{lasts}{step}.",
    )


def _step_hint(step: float, least_s: float) -> str:
    """Offer a step that the sources can fill; checks refuse a shorter one."""
    return f", or with a step of {step:.3g} s" if step >= least_s else ""


def _fault_bins(spans: Sequence[_Span], step_s: float) -> int:
    """Count the bins inside the faults that are not right after the start of one of them."""
    unsettled = [(start, start + judging.SETTLE_STEPS * step_s) for start, _ in spans]
    return sum(
        int((stop - start) / step_s + 1e-9)
        for start, stop in _without(_joined(spans), _joined(unsettled))
    )


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    """Return the same time as spans that do not overlap, in order."""
    made: list[_Span] = []
    for start, stop in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], stop))
        else:
            made.append((start, stop))
    return made


def _without(spans: Sequence[_Span], gaps: Sequence[_Span]) -> Iterator[_Span]:
    for start, stop in spans:
        at = start
        for opens, closes in gaps:
            if closes <= at or opens >= stop:
                continue
            if opens > at:
                yield at, opens
            at = max(at, closes)
        if at < stop:
            yield at, stop


def _slow(
    document: spec.Experiment, guardrail: Guardrail, path: Path, pace: Pace
) -> Iterator[Warned]:
    """Warn of a guardrail that needs longer to speak than a fault lasts."""
    count = guardrail.breaches.count
    every = max(float(guardrail.every), pace.step_s)
    least = count * every
    over = [action for action in document.faults if float(action.duration) <= least]
    if not over or all(action.params.undo == "none" for action in over):
        return
    names = ", ".join(action.name for action in over)
    shortest = min(float(action.duration) for action in over)
    wanted = shortest / count
    mend = "ask for fewer breaches, or let the fault last longer"
    if wanted > pace.step_s:
        faster = math.floor(wanted * 10 - 1e-9) / 10
        mend = f"read it every {max(faster, pace.step_s):g} s or more often, or {mend}"
    ends = "is" if len(over) == 1 else "are"
    yield Warned(
        path,
        f"It can stop the run after {words.length(least)} at the earliest"
        f" ({count} breach{'es' if count > 1 else ''}, {every:g} s apart)."
        f" {names} {ends} over by then.",
        f"{mend[:1].upper()}{mend[1:]}.",
    )


def _impatient(document: spec.Experiment) -> Iterator[Warned]:
    """Warn of a probe throughout that waits for less than a fault holds requests back."""
    for index, probe in enumerate(document.probes):
        if probe.http is None or "throughout" not in probe.at:
            continue
        for action in document.faults:
            if action.params.family != "delay":
                continue
            given = [value for _, value in action.params if isinstance(value, Duration)]
            if given and max(given) >= probe.http.timeout:
                yield Warned(
                    ("probes", index, "http", "timeout"),
                    f"{probe.name} waits {probe.http.timeout} for its answer, and {action.name}"
                    f" holds requests back by {max(given)}: where they meet, the probe fails and"
                    " the hypothesis with it.",
                    f"Wait longer than {max(given)}, unless the delay is not to be felt there.",
                )
