"""The table of SLIs: what was predicted, what was read, and what it reads as."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from experiments.analysis import wording
from experiments.analysis.evidence import SliEvidence
from experiments.analysis.exact import Interval
from experiments.analysis.judgement import PhaseValue
from experiments.domain.spec import Experiment
from experiments.selectors import words


class LiveValues(Protocol):
    """One SLI so far, as ``services.sofar`` gives it."""

    @property
    def name(self) -> str:
        """Return the SLI's name."""

    @property
    def badge(self) -> str:
        """Return what it reads as."""

    @property
    def baseline(self) -> PhaseValue:
        """Return the value in the baseline."""

    @property
    def fault(self) -> PhaseValue:
        """Return the value under the fault."""

    @property
    def recovery(self) -> PhaseValue:
        """Return the value after it."""

    @property
    def note(self) -> str:
        """Say why there is none."""


@dataclass(frozen=True, slots=True)
class SliRow:
    """One line of the table of SLIs."""

    name: str
    label: str
    expected: str
    is_critical: bool
    baseline: str = ""
    fault: str = ""
    recovery: str = ""
    change: str = ""
    interval: str = ""
    outcome: str = ""
    reads_as: str = ""
    sentence: str = ""
    notes: tuple[str, ...] = ()


_POINT_DIGITS = 4
"""A ratio's change so far is told to a hundredth of a point: the rest is noise."""
_LIVE_OUTCOMES = {
    "within so far": "within",
    "outside so far": "breached",
    "worse so far, as expected": "as_expected",
    "too few data yet": "too_few",
}
_FINAL_OUTCOMES = {
    "deviates": ("deviated", "deviated"),
    "undecided": ("inconclusive", "undecided"),
    "better_than_predicted": ("better", "better than predicted"),
}


def expected(sli: SliEvidence) -> str:
    """Say what is predicted of the SLI."""
    within, limit = wording.margin(sli), wording.limit(sli)
    if sli.expect == "holds":
        parts = [f"within {within}" if within else "", f"{limit}" if limit else ""]
        return f"holds {' and '.join(filter(None, parts))}".rstrip()
    said = "may degrade"
    if sli.expect == "degrades":
        said = f"degrades by more than {within}" if within else "degrades"
    return f"{said}, stays {limit}" if limit else said


def live_rows(
    document: Experiment, promised: Mapping[str, SliEvidence], seen: Iterable[LiveValues]
) -> list[SliRow]:
    """Return the table of a run that still goes on: what the SLIs read as so far."""
    rows = []
    for values in seen:
        sli, promise = document.sli(values.name), promised[values.name]
        before, after = values.baseline.value, values.fault.value
        change = ""
        if before is not None and after is not None:
            change = _change(after - before, after / before - 1 if before > 0 else None, promise)
        rows.append(
            SliRow(
                name=sli.name,
                label=sli.label,
                expected=expected(promise),
                is_critical=sli.critical,
                baseline=_value(before, promise.unit),
                fault=_value(after, promise.unit),
                recovery=_value(values.recovery.value, promise.unit),
                change=change,
                outcome=_LIVE_OUTCOMES.get(values.badge, ""),
                reads_as=values.badge,
                notes=(values.note,) if values.note else (),
            )
        )
    return rows


def judged_rows(
    judged: Sequence[Mapping[str, Any]],
    document: Experiment | None,
    promised: Mapping[str, SliEvidence],
) -> list[SliRow]:
    """Return the table of a judged run: values, change with its interval, and the outcome."""
    labels = {sli.name: sli.label for sli in document.slis} if document else {}
    rows = []
    for sli in judged:
        name, unit = sli["name"], sli.get("unit", "")
        values = {
            phase: (sli.get("phases", {}).get(phase) or {}).get("value")
            for phase in ("baseline", "fault", "recovery")
        }
        change, interval = _judged_change(sli.get("effect"), unit)
        outcome, text = _FINAL_OUTCOMES.get(sli["outcome"], ("held", "holds"))
        if sli["outcome"] == "as_expected" and sli.get("expect") != "holds":
            outcome, text = "as_expected", "as expected"
        promise = promised.get(name)
        back = sli.get("recovery_s")
        notes = list(sli.get("notes", ()))
        if back is not None:
            notes.append(f"back to its baseline {words.length(back)} after the removal")
        rows.append(
            SliRow(
                name=name,
                label=labels.get(name, name),
                expected=expected(promise) if promise else str(sli.get("expect", "")),
                is_critical=bool(sli.get("critical")),
                **{phase: _value(value, unit) for phase, value in values.items()},
                change=change,
                interval=interval,
                outcome=outcome,
                reads_as=text,
                sentence=sli.get("sentence", ""),
                notes=tuple(notes),
            )
        )
    return rows


def _value(value: float | None, unit: str) -> str:
    return "–" if value is None else wording.amount(value, unit)


def _change(absolute: float, relative: float | None, promise: SliEvidence) -> str:
    if relative is not None and promise.unit != "ratio":
        return wording.percent(relative)
    if promise.unit == "ratio":
        absolute = round(absolute, _POINT_DIGITS)
        if not absolute:
            return "0 points"
    return wording.change(absolute, promise.unit)


def _judged_change(effect: Mapping[str, Any] | None, unit: str) -> tuple[str, str]:
    if effect is None:
        return "", ""
    if effect.get("relative") is not None and unit != "ratio":
        text = wording.percent(effect["relative"])
        low, high, write = effect["relative_low"], effect["relative_high"], wording.percent
        return text, _spread(low, high, write)

    def write_change(value: float) -> str:
        return wording.change(value, unit)

    low, high = effect["absolute_low"], effect["absolute_high"]
    return write_change(effect["absolute"]), _spread(low, high, write_change)


def _spread(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    bounded = Interval(
        float("-inf") if low is None else low, float("inf") if high is None else high
    )
    text = wording.spread(bounded, write)
    return text.replace(" points", "", text.count(" points") - 1)
