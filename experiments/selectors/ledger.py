"""The ledger for pages: what may be broken on purpose now, and how it is removed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from pydantic import ValidationError

from drivers.protocol import FaultParams
from experiments.domain.states import MAY_EXIST, InjectionPhase
from experiments.models import Injection
from experiments.selectors import words

Catalogue = Mapping[str, type[FaultParams]]
MAY_EXIST_VALUES = sorted(phase.value for phase in MAY_EXIST)
MAYBE_THERE = Q(phase__in=MAY_EXIST_VALUES) | Q(unchecked_since__isnull=False)
_P = InjectionPhase
_UNDO = {
    "restores": "What was there before is put back.",
    "self_heals": "Its targets heal by themselves.",
    "none": "It cannot be undone.",
}


@dataclass(frozen=True, slots=True)
class LiveFault:
    """One injection that may exist, in words."""

    injection: Injection
    sentence: str
    where: str
    state: str
    is_unconfirmed: bool
    """Its removal was tried and could not be confirmed: this is shown loudly."""
    is_unchecked: bool
    """Somebody said that it was removed by hand, and its backend has not answered yet."""
    alarm: str
    since: datetime | None
    gone_by: datetime | None
    next_try: datetime | None
    by_hand: tuple[str, ...]
    ends_by_itself: str


def sentence_of(injection: Injection, catalogue: Catalogue) -> str:
    """Say what the fault does; its kind alone where its model no longer reads its parameters."""
    model = catalogue.get(injection.fault)
    if model is None:
        return injection.fault
    try:
        return model.model_validate(injection.params).sentence()
    except ValidationError:
        return injection.fault


def undo_of(fault: str, catalogue: Catalogue) -> str:
    """Say how the fault ends."""
    model = catalogue.get(fault)
    if model is None:
        return ""
    by_itself = dead_man_of(fault, catalogue)
    return f"{_UNDO[model.undo]} {by_itself}".strip()


def dead_man_of(fault: str, catalogue: Catalogue) -> str:
    """Say when the backend removes the fault without us; empty if it never does."""
    model = catalogue.get(fault)
    if model is None or model.dead_man_s is None:
        return ""
    length = words.length(model.dead_man_s)
    if model.dead_man_after_duration:
        return f"Its backend removes it {length} after it should have ended, without ChaosWeb too."
    return f"Its backend removes it {length} after ChaosWeb is gone."


def targets_of(injection: Injection) -> list[str]:
    """Return the names of the concrete targets; empty until there is a plan."""
    plan: dict[str, Any] = injection.plan or {}
    return [str(target.get("name", "")) for target in plan.get("targets", ())]


def may_be_there(injection: Injection) -> bool:
    """Return whether the fault may exist: by the ledger, or as nobody has read it back as gone."""
    return injection.phase in MAY_EXIST_VALUES or injection.unchecked_since is not None


def _said(injection: Injection) -> str:
    """Say who removed the fault by hand, and that nobody has seen it gone."""
    at = f" at {words.moment(injection.by_hand_at)}" if injection.by_hand_at else ""
    found = injection.last_error.rstrip(". ")
    return (
        f"{injection.by_hand_by} said{at} that it was removed by hand; its backend has not answered"
        f" yet{f' ({found})' if found else ''}: it may still be there."
    )


def in_words(injection: Injection, catalogue: Catalogue) -> LiveFault:
    """Describe one injection that may exist."""
    targets = ", ".join(targets_of(injection))
    where = f"{injection.connection}{f': {targets}' if targets else ''}"
    is_unchecked = injection.unchecked_since is not None
    removing = injection.phase == _P.RECOVERING
    is_unconfirmed = removing and injection.failures > 0
    alarm = ""
    if is_unchecked:
        alarm = _said(injection)
    elif is_unconfirmed:
        found = injection.last_error.rstrip(". ")
        alarm = f"Its removal is not confirmed: {found or 'the backend does not answer'}."
    elif injection.phase == _P.UNSETTLED:
        alarm = (
            "It reads as gone, but a call that was never answered may yet take effect:"
            " it is read again."
        )
    elif injection.phase == _P.INTENT and injection.is_unanswered:
        alarm = "It was sent and no answer came: it may be in effect."
    return LiveFault(
        injection=injection,
        sentence=sentence_of(injection, catalogue),
        where=where,
        state="not checked yet" if is_unchecked else _state(injection, is_unconfirmed),
        is_unconfirmed=is_unconfirmed,
        is_unchecked=is_unchecked,
        alarm=alarm,
        since=injection.injected_at or injection.intent_at,
        gone_by=injection.recover_by if injection.phase in (_P.INTENT, _P.ACTIVE) else None,
        next_try=injection.due_at if removing or injection.phase == _P.UNSETTLED else None,
        by_hand=tuple((injection.plan or {}).get("by_hand", ())),
        ends_by_itself=dead_man_of(injection.fault, catalogue),
    )


def _state(injection: Injection, is_unconfirmed: bool) -> str:
    if is_unconfirmed:
        return "may still be broken"
    return {
        _P.INTENT: "being injected",
        _P.ACTIVE: "in effect",
        _P.RECOVERING: "being removed",
        _P.UNSETTLED: "reads as gone, read again",
    }[InjectionPhase(injection.phase)]


def live() -> QuerySet[Injection]:
    """Return every injection that may exist, with its run, ordered by environment.

    One that was removed by hand counts until its backend has said that it is gone.
    """
    return (
        Injection.objects.filter(MAYBE_THERE)
        .select_related(
            "connection",
            "run__version__experiment",
            "run__environment",
            "run__requested_by",
        )
        .defer("run__version__text", "run__judgement")
        .order_by("run__environment__name", "run_id", "position")
    )
