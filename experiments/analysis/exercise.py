"""The manipulation check: was the fault really there, and as strong as was asked?"""

from __future__ import annotations

from experiments.analysis.evidence import FaultEvidence
from experiments.analysis.exact import Interval, Share
from experiments.analysis.judgement import FaultJudgement
from experiments.analysis.wording import number

TOLERANCE = 0.05
"""How far, as a share, a delivery may miss what was requested and still be the same fault."""


def check_fault(fault: FaultEvidence) -> FaultJudgement:
    """Judge one fault by the backend's confirmation and by what its counters show."""
    share, interval = _delivered(fault)
    because = f" ({fault.detail})" if fault.detail else ""
    not_there = _absence(fault, share)
    if not_there is not None:
        return FaultJudgement(
            fault.action, "not_exercised", f"{fault.action} {not_there}{because}.", share
        )
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    if fault.took_effect is False:
        sentence = (
            f"The backend denies that {fault.action} took effect, its counters affirm it{because}."
        )
        return FaultJudgement(fault.action, "doubtful", sentence, share, low, high)
    wanted = fault.requested_share
    doubt = fault.doubt
    if wanted is not None and share is None and not fault.affected:
        doubt = doubt or "nobody could count whom it reached"
    if doubt:
        sentence = f"{fault.action} cannot be relied on: {doubt}{because}."
        return FaultJudgement(fault.action, "doubtful", sentence, share, low, high)
    if wanted is not None and share is not None and interval is not None:
        off = interval.high < wanted - TOLERANCE or interval.low > wanted + TOLERANCE
        if off:
            sentence = (
                f"{fault.action} reached {number(100 * share)} % where"
                f" {number(100 * wanted)} % were requested{because}."
            )
            return FaultJudgement(fault.action, "doubtful", sentence, share, low, high)
    reached = "" if share is None else f" and reached {number(100 * share)} %"
    sentence = f"{fault.action} took effect{reached}{because}."
    return FaultJudgement(fault.action, "took_effect", sentence, share, low, high)


def _delivered(fault: FaultEvidence) -> tuple[float | None, Interval | None]:
    """Return the delivered share and its 95 % interval (of width 0 where counts are unknown)."""
    share = fault.delivered_share
    if fault.exposed and fault.affected is not None:
        share = fault.affected / fault.exposed
    if share is None:
        return None, None
    if not fault.exposed:
        return share, Interval(share, share)
    return share, Share(share * fault.exposed, fault.exposed).interval()


def _absence(fault: FaultEvidence, share: float | None) -> str | None:
    """Return why the fault was not there, None where it was or may have been."""
    if fault.requested_share is not None and fault.requested_share <= 0:
        return "was requested for 0 %: nothing was to happen"
    if fault.exposed is not None and fault.exposed <= 0 and not fault.affected:
        return "met no requests or targets at all"
    if (share is not None and share <= 0) or fault.affected == 0:
        met = "" if fault.exposed is None else f" of {fault.exposed}"
        return f"affected none{met}: it never took effect"
    is_seen = share is not None or bool(fault.affected)
    if fault.took_effect is False and not is_seen:
        return "never took effect, says its backend"
    if fault.took_effect is None and not is_seen:
        return "was never confirmed to have taken effect"
    return None
