"""The evidence of a run: what each fault did, document by document, and the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drivers.protocol import Document, Observation, Plan
from experiments.analysis import wording
from experiments.domain.states import MAY_EXIST
from experiments.models import Injection, Run, RunEvent
from experiments.selectors import ledger

_MOST_EVENTS = 300
_TONES = {
    "error": "red",
    "stop": "amber",
    "inject": "red",
    "recovered": "green",
    "drift": "amber",
    "probe": "blue",
    "checkpoint": "violet",
}


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """What is known of one injection: what was asked for, and what the backend's counters say."""

    injection: Injection
    sentence: str
    where: str
    phase: str
    is_live: bool
    requested: str
    delivered: str
    exposed: str
    outcome: str
    judged: str
    targets: tuple[tuple[str, str, str], ...]
    documents: tuple[Document, ...]
    by_hand: tuple[str, ...]
    undo: str
    message: str


def evidence_rows(run: Run, catalogue: ledger.Catalogue) -> list[EvidenceRow]:
    """Return the evidence of every injection of the run."""
    judged = {
        fault["action"]: fault["sentence"] for fault in (run.judgement or {}).get("faults", ())
    }
    rows = []
    for injection in run.injections.all():
        plan = Plan.model_validate(injection.plan) if injection.plan else None
        seen = injection.evidence or injection.observation
        shares = Observation.model_validate(seen) if seen else None
        newest = (
            Observation.model_validate(injection.observation) if injection.observation else None
        )
        requested = (shares.requested_share if shares else None) or (
            plan.requested_share if plan else None
        )
        exposed = ""
        if shares and shares.exposed is not None and shares.affected is not None:
            exposed = f"{shares.affected:,.0f} of {shares.exposed:,.0f}".replace(",", "\u202f")
        targets: list[tuple[str, str, str]] = (
            [(each.name, each.phase, each.detail) for each in newest.targets] if newest else []
        )
        if not targets and plan:
            targets = [(each.name, "", each.detail) for each in plan.targets]
        rows.append(
            EvidenceRow(
                injection=injection,
                sentence=ledger.sentence_of(injection, catalogue),
                where=injection.connection.name,
                phase=injection.phase,
                is_live=injection.phase in MAY_EXIST,
                requested=_share(requested),
                delivered=_share(shares.delivered_share if shares else None),
                exposed=exposed,
                outcome=_phase_outcome(injection),
                judged=judged.get(injection.action, ""),
                targets=tuple(targets),
                documents=plan.documents if plan else (),
                by_hand=plan.by_hand if plan else (),
                undo=ledger.undo_of(injection.fault, catalogue),
                message=injection.last_error or (newest.message if newest else ""),
            )
        )
    return rows


def _share(share: float | None) -> str:
    return "not known" if share is None else f"{wording.number(100 * share)} %"


def _phase_outcome(injection: Injection) -> str:
    return {"active": "active", "recovered": "gone", "planned": "", "cancelled": ""}.get(
        injection.phase, "pending"
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal."""

    at: datetime
    message: str
    note: str
    tone: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The newest lines, newest first, and how many older ones are left out."""

    lines: tuple[Line, ...] = ()
    older: int = 0
    judging_at: datetime | None = None


def journal(run: Run, *, everything: bool = False) -> Journal:
    """Return the journal, newest first."""
    events: list[RunEvent] = list(run.events.order_by("-id"))
    judging_at = next((event.at for event in events if event.new == "judging"), None)
    shown = events if everything else events[:_MOST_EVENTS]
    lines = tuple(_line(event) for event in shown)
    return Journal(lines, len(events) - len(shown), judging_at)


def _line(event: RunEvent) -> Line:
    moved = f"{event.old or 'new'} → {event.new}" if event.kind == "status" else ""
    note = " · ".join(filter(None, (moved, "" if event.actor == "engine" else event.actor)))
    tone = _TONES.get(event.kind, "")
    if event.kind == "status":
        tone = {"injecting": "red", "refused": "amber", "errored": "red"}.get(event.new, "slate")
    return Line(event.at, event.message, note, tone)
