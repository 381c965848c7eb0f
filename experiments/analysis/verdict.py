"""The verdict: all SLIs, faults, probes and the run's end, composed by precedence.

Deviated, then not_exercised, then inconclusive, then held. A stopped run is never held.
"""

from __future__ import annotations

from experiments.analysis import wording
from experiments.analysis.evidence import EndedBy, ProbeEvidence, RunEvidence
from experiments.analysis.exercise import check_fault
from experiments.analysis.judgement import FaultJudgement, Judgement, SliJudgement, Verdict
from experiments.analysis.live import SoFar, so_far
from experiments.analysis.sli import judge_sli

__all__ = ["SoFar", "judge", "so_far"]

_STOPS: dict[EndedBy, str] = {
    "person": "A person stopped the run before its plan was done.",
    "guardrail": "A guardrail stopped the run because its data stayed away.",
    "halt": "A halt stopped the run before its plan was done.",
    "backend": "The backend ended the run before its plan was done.",
    "error": "The run ended in an error before its plan was done.",
}
_BREACH = "A guardrail stopped the run because its threshold was breached."


def judge(evidence: RunEvidence, *, seed: int = 0) -> Judgement:
    """Judge a run: the same evidence and seed give the same judgement.

    Args:
        evidence: all that is known of the run.
        seed: of the bootstrap's random numbers.
    """
    slis = tuple(judge_sli(sli, evidence, seed) for sli in evidence.slis)
    faults = tuple(check_fault(fault) for fault in evidence.faults)
    return compose(evidence, slis, faults)


def compose(
    evidence: RunEvidence, slis: tuple[SliJudgement, ...], faults: tuple[FaultJudgement, ...]
) -> Judgement:
    """Compose the parts' judgements into the run's verdict by precedence."""
    deviations = _deviations(evidence, slis)
    absent = _absent(faults)
    doubts = _doubts(evidence, slis, faults)
    verdict: Verdict
    if deviations:
        verdict, sentence = "deviated", deviations[0]
        sentence += f" And {len(deviations) - 1} more deviated." if len(deviations) > 1 else ""
        sentence += f" Yet {absent[0]}" if absent else ""
    elif absent:
        verdict, sentence = "not_exercised", f"Nothing was tested: {absent[0]}"
    elif doubts:
        verdict, sentence = "inconclusive", f"No verdict: {doubts[0]}"
    else:
        verdict, sentence = "held", _held(evidence, slis, faults)
    reasons = (*deviations, *absent, *doubts, *_remarks(slis))
    return Judgement(verdict, sentence, tuple(dict.fromkeys(reasons)), slis, faults)


def _is_stopped(evidence: RunEvidence) -> bool:
    """Return whether the run ended early without its own data asking for it."""
    on_data = evidence.ended_by == "guardrail" and evidence.guardrail_on_data
    return evidence.ended_by != "plan" and not on_data


def _deviations(evidence: RunEvidence, slis: tuple[SliJudgement, ...]) -> list[str]:
    """Return what disproves the hypothesis, critical SLIs first.

    Of a run that was stopped by no data, a person, halt, the backend or an error, only a broken
    limit counts: its end depends on what was seen, which biases every estimate of an effect.
    """
    stopped = _is_stopped(evidence)
    deviating = [
        sli for sli in slis if sli.outcome == "deviates" and (sli.limit_broken or not stopped)
    ]
    deviating.sort(key=lambda sli: not sli.critical)
    found = [sli.sentence for sli in deviating]
    found += [_failed(probe) for probe in evidence.probes if _disproves(probe)]
    if evidence.ended_by == "guardrail" and evidence.guardrail_on_data:
        found.append(_BREACH)
    return found


def _disproves(probe: ProbeEvidence) -> bool:
    return probe.passed is False and probe.at in ("end", "throughout")


def _failed(probe: ProbeEvidence) -> str:
    when = {"start": "before the fault", "end": "at the end", "throughout": "during the run"}
    because = f": {probe.detail}" if probe.detail else ""
    return f"Probe {probe.name} failed {when[probe.at]}{because.rstrip('.')}."


def _absent(faults: tuple[FaultJudgement, ...]) -> list[str]:
    """Return why the run did not exercise its hypothesis: any fault missing is a part untested."""
    if not faults:
        return ["no fault was injected."]
    return [fault.sentence for fault in faults if fault.outcome == "not_exercised"]


def _doubts(
    evidence: RunEvidence, slis: tuple[SliJudgement, ...], faults: tuple[FaultJudgement, ...]
) -> list[str]:
    """Return what keeps the run from a verdict, the run's early end first."""
    stopped = _is_stopped(evidence)
    found = [_STOPS[evidence.ended_by]] if stopped else []
    found += [fault.sentence for fault in faults if fault.outcome == "doubtful"]
    undecided = [sli for sli in slis if sli.outcome == "undecided"]
    undecided.sort(key=lambda sli: not sli.critical)
    found += [sli.sentence for sli in undecided]
    if stopped:
        found += [
            f"{sli.sentence} The early end makes that estimate unreliable."
            for sli in slis
            if sli.outcome == "deviates" and not sli.limit_broken
        ]
    for probe in evidence.probes:
        if probe.passed is None:
            because = f": {probe.detail}" if probe.detail else ""
            found.append(f"Probe {probe.name} could not be made{because.rstrip('.')}.")
        elif probe.passed is False and probe.at == "start":
            found.append(_failed(probe))
    if not slis and not evidence.probes:
        found.append("Nothing was watched: the run has neither SLIs nor probes.")
    return found


def _remarks(slis: tuple[SliJudgement, ...]) -> list[str]:
    """Return what decides nothing in this version and must be said all the same."""
    found = [sli.sentence for sli in slis if sli.outcome == "better_than_predicted"]
    found += [
        f"{sli.name} was not back within its baseline band when watching ended."
        for sli in slis
        if sli.recovered is False
    ]
    return found


def _held(
    evidence: RunEvidence, slis: tuple[SliJudgement, ...], faults: tuple[FaultJudgement, ...]
) -> str:
    watched = []
    if slis:
        watched.append(wording.counted(len(slis), "SLI"))
    if evidence.probes:
        watched.append(wording.counted(len(evidence.probes), "probe"))
    actions = wording.listed(list(dict.fromkeys(fault.action for fault in faults)))
    better = [sli.name for sli in slis if sli.outcome == "better_than_predicted"]
    but = f"; {wording.listed(better)} did better than predicted" if better else ""
    verb = "was" if len(slis) + len(evidence.probes) == 1 else "were"
    return f"{wording.listed(watched)} {verb} as predicted under {actions}{but}."
