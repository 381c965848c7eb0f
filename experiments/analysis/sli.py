"""Judging one SLI: from its evidence to an outcome against what was predicted."""

from __future__ import annotations

import hashlib
import math
from typing import Literal

import numpy as np

from experiments.analysis import gate, recovery, wording
from experiments.analysis.bins import QuantileOfSums, bins_in
from experiments.analysis.compare import Comparison, by_bootstrap, by_exact, level_of, share_of
from experiments.analysis.evidence import RunEvidence, SliEvidence
from experiments.analysis.exact import Interval
from experiments.analysis.judgement import Effect, Outcome, SliJudgement
from experiments.analysis.recovery import Recovery

_HOLDING: tuple[Outcome, ...] = ("as_expected", "better_than_predicted")
State = Literal["none", "inside", "open", "beyond"]
"""Where an interval lies against a bound: none is declared, inside, across, or beyond it."""


def seeded(sli: SliEvidence, seed: int) -> np.random.Generator:
    """Return the random numbers of an SLI: the same for the same name and seed."""
    digest = hashlib.blake2b(f"{seed}:{sli.name}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def judge_sli(sli: SliEvidence, run: RunEvidence, seed: int = 0) -> SliJudgement:
    """Judge one SLI: gate, compare, decide by intervals, and see whether it recovered."""
    if sli.problem is not None or sli.series is None or not len(sli.series.times):
        why = sli.problem or "nothing was read of it"
        return SliJudgement(
            sli.name,
            "undecided",
            f"{sli.name} has no data: {why}.",
            sli.unit,
            sli.expect,
            sli.critical,
            notes=(why,),
        )
    read = gate.read(sli, run)
    lacks = gate.shortcomings(read, gate.missing_shares(sli, run))
    back = recovered(sli, run, read)
    notes = (*lacks, *read.notes, *((f"recovery: {back.note}",) if back.note else ()))
    comparison: Comparison | None = None
    outcome: Outcome
    if lacks:
        outcome, sentence, broken = _without_comparison(sli, read, lacks)
    else:
        comparison = _compare(sli, read, seed)
        outcome, sentence, broken, remarks = decide(sli, comparison)
        bucket = _too_coarse(sli, read)
        if bucket is not None:
            remarks = (*remarks, wording.coarse(sli, *bucket))
            if outcome in _HOLDING:
                outcome, sentence = "undecided", wording.too_coarse(sli, *bucket)
        notes = (*remarks, *comparison.notes, *notes)
    return SliJudgement(
        name=sli.name,
        outcome=outcome,
        sentence=sentence,
        unit=sli.unit,
        expect=sli.expect,
        critical=sli.critical,
        phases={name: read.phase_value(name) for name in read.samples},
        effect=None if comparison is None else _effect(comparison),
        method="none" if comparison is None else comparison.method,
        recovered=back.is_recovered,
        recovery_s=back.after_s,
        limit_broken=broken,
        notes=notes,
    )


def _compare(sli: SliEvidence, read: gate.Read, seed: int) -> Comparison:
    baseline, fault = read.samples["baseline"], read.samples["fault"]
    if read.has_few_events:
        return by_exact(share_of(baseline), share_of(fault))
    return by_bootstrap(read.measure, baseline, fault, seeded(sli, seed), read.dependence)


def _without_comparison(
    sli: SliEvidence, read: gate.Read, lacks: tuple[str, ...]
) -> tuple[Outcome, str, bool]:
    """Return the outcome of data that cannot bear a comparison.

    A limit is a hard rule of its own: broken beyond doubt, it needs no baseline and no gate.
    """
    level = None
    if not read.is_contradictory:
        level = level_of(read.measure, read.samples["fault"], read.is_share)
    if level is not None and limit_state(sli, level) == "beyond":
        return "deviates", wording.beyond_limit(sli, read.value("fault"), level), True
    return "undecided", f"{sli.name} cannot be judged: {lacks[0]}.", False


def limit_state(sli: SliEvidence, level: Interval) -> State:
    """Return where the fault phase's interval lies against the limits."""
    if sli.limit_min is None and sli.limit_max is None:
        return "none"
    least = -math.inf if sli.limit_min is None else sli.limit_min
    most = math.inf if sli.limit_max is None else sli.limit_max
    if level.low > most or level.high < least:
        return "beyond"
    return "inside" if least <= level.low and level.high <= most else "open"


def margin_state(sli: SliEvidence, comparison: Comparison) -> State:
    """Return where the effect's interval lies against the margin, in the worse direction.

    Of two margins the larger applies: being inside either is inside, beyond is beyond both. A
    `degrades` without a margin has one of 0.
    """
    absolute, relative = sli.margin_absolute, sli.margin_relative
    if absolute is None and relative is None:
        if sli.expect != "degrades":
            return "none"
        absolute = 0.0
    states: list[State] = []
    if absolute is not None:
        states.append(_against(comparison.absolute.scaled(sli.worse_sign), absolute))
    if relative is not None and comparison.relative is not None:
        states.append(_against(comparison.relative.scaled(sli.worse_sign), relative))
    if "inside" in states:
        return "inside"
    return "beyond" if states and set(states) == {"beyond"} else "open"


def _against(worse: Interval, margin: float) -> State:
    if worse.high <= margin:
        return "inside"
    return "beyond" if worse.low > margin else "open"


def decide(sli: SliEvidence, comparison: Comparison) -> tuple[Outcome, str, bool, tuple[str, ...]]:
    """Decide by intervals against limit and margin.

    Returns:
        The outcome, its sentence, whether a limit is broken, and remarks for the notes.
    """
    limit, margin = limit_state(sli, comparison.level), margin_state(sli, comparison)
    remarks = _remarks(sli, comparison, limit)
    if limit == "beyond":
        if margin == "beyond" and sli.expect == "holds":
            return "deviates", wording.beyond_margin(sli, comparison), True, remarks
        sentence = wording.beyond_limit(sli, comparison.fault, comparison.level)
        return "deviates", sentence, True, remarks
    outcome = _OUTCOMES[sli.expect](limit, margin)
    if outcome == "deviates":
        sentence = wording.beyond_margin(sli, comparison)
    elif outcome == "as_expected":
        sentence = wording.as_expected(sli, comparison)
    elif outcome == "better_than_predicted":
        sentence = wording.better(sli, comparison)
    elif limit == "none" and (margin == "none" or sli.expect == "may_degrade"):
        sentence = f"{sli.name} cannot be judged: it was given nothing to be held against."
    else:
        sentence = wording.open_question(sli, comparison, about_limit=limit == "open")
    return outcome, sentence, False, remarks


def _holds(limit: State, margin: State) -> Outcome:
    if margin == "beyond":
        return "deviates"
    declared = {state for state in (limit, margin) if state != "none"}
    return "as_expected" if declared == {"inside"} else "undecided"


def _may_degrade(limit: State, margin: State) -> Outcome:
    return "as_expected" if limit == "inside" else "undecided"


def _degrades(limit: State, margin: State) -> Outcome:
    if limit == "open" or margin == "open":
        return "undecided"
    return "as_expected" if margin == "beyond" else "better_than_predicted"


_OUTCOMES = {"holds": _holds, "may_degrade": _may_degrade, "degrades": _degrades}


def _remarks(sli: SliEvidence, comparison: Comparison, limit: State) -> tuple[str, ...]:
    remarks: list[str] = []
    if limit == "beyond" and limit_state(sli, Interval(*[comparison.baseline] * 2)) == "beyond":
        remarks.append("the baseline was beyond the limit already")
    if limit == "none" and sli.expect != "holds":
        remarks.append("no limit was declared, so nothing says how bad is too bad")
    only_relative = sli.margin_relative is not None and sli.margin_absolute is None
    if only_relative and comparison.baseline <= 0:
        remarks.append(
            "a relative margin says nothing about a baseline of zero or less: give an absolute one"
        )
    return tuple(remarks)


def _too_coarse(sli: SliEvidence, read: gate.Read) -> tuple[float, float] | None:
    """Return the bucket that is too wide to tell whether the quantile is inside the margin."""
    measure = read.measure
    if not isinstance(measure, QuantileOfSums):
        return None
    before = measure.bucket(read.samples["baseline"].sums)
    after = measure.bucket(read.samples["fault"].sums)
    return coarse_bucket(sli, read.value("baseline"), before, after)


def margin_at(sli: SliEvidence, baseline: float) -> float | None:
    """Return the declared margin at a baseline, in the SLI's unit; of two the larger applies."""
    absolute, relative = sli.margin_absolute, sli.margin_relative
    if absolute is None and relative is None:
        return None
    return max(absolute or 0.0, (relative or 0.0) * baseline)


def coarse_bucket(
    sli: SliEvidence, baseline: float, before: tuple[float, float], after: tuple[float, float]
) -> tuple[float, float] | None:
    """Return that of two buckets which is too wide to tell a change within the margin from more.

    ``before`` and ``after`` are the bounds of the buckets that hold the quantile in the baseline,
    where it is ``baseline``, and during the fault. A quantile may lie anywhere in its bucket: where
    in it is interpolated, not measured. None where the buckets are finer than the margin, or far
    enough apart to decide by themselves.
    """
    margin = margin_at(sli, baseline)
    if margin is None or sli.expect == "may_degrade":
        return None
    if math.isinf(after[1]):
        return None  # The comparison knows of it: its interval has no upper end.
    first, second = (before, after) if sli.worse_sign > 0 else (after, before)
    worse = Interval(second[0] - first[1], second[1] - first[0])
    widest = max(before, after, key=lambda bucket: bucket[1] - bucket[0])
    if worse.high <= margin or worse.low >= margin or widest[1] - widest[0] <= margin:
        return None
    return widest


def _effect(comparison: Comparison) -> Effect:
    relative = comparison.relative
    return Effect(
        absolute=comparison.fault - comparison.baseline,
        absolute_low=comparison.absolute.low,
        absolute_high=comparison.absolute.high,
        relative=comparison.relative_change,
        relative_low=None if relative is None else relative.low,
        relative_high=None if relative is None else relative.high,
        level_low=comparison.level.low,
        level_high=comparison.level.high,
    )


def recovered(sli: SliEvidence, run: RunEvidence, read: gate.Read) -> Recovery:
    """Assess recovery after the last removal; not assessed without a recovery phase."""
    phases = run.phases_named("recovery")
    if not phases or sli.series is None:
        return Recovery(None)
    last = phases[-1]
    baseline = read.bins["baseline"]
    return recovery.assess(
        read.measure,
        baseline,
        bins_in(sli.series, (last,), outside=run.phases_named("fault")).merge_neighbours(
            baseline.merged
        ),
        removed_at=last.start,
        watched_until=last.end,
        worse_sign=sli.worse_sign,
        is_share=read.is_share,
    )
