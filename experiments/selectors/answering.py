"""Words for “was it us?”: each fault that was live then, and one sentence for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.domain.states import MAY_EXIST
from experiments.models import Injection, Orphan
from experiments.selectors import ledger, words
from experiments.selectors.spans import Span

_DONE = {
    "abort": "made to fail",
    "delay": "slowed down",
    "kill": "killed",
    "partition": "cut off",
    "stress": "put under stress",
}
"""What each family does to a service, as a participle."""
_OTHERWISE = "broken on purpose"


@dataclass(frozen=True, slots=True)
class Question:
    """Which service and environment (empty: any), and when."""

    service: str
    environment: str
    span: Span
    now: datetime

    @property
    def is_now(self) -> bool:
        """Return whether the present moment is asked about."""
        return self.span.start == self.span.end == self.now

    @property
    def where(self) -> str:
        """Say what was asked about: ``for carts in staging``."""
        of = f" for {self.service}" if self.service else ""
        place = f" in {self.environment}" if self.environment else ""
        return f"{of}{place}"

    @property
    def when(self) -> str:
        """Say when: ``at 14:02 UTC``, ``between 14:02:00 and 14:05:00 UTC``."""
        if self.is_now:
            return f"at this moment ({self.now:%H:%M:%S} UTC)"
        start = moment(self.span.start, self.now)
        if self.span.is_moment:
            return f"at {start[:-3] if self.span.is_minute else start} UTC"
        return f"between {start} and {moment(self.span.end, self.now)} UTC"


@dataclass(frozen=True, slots=True)
class Lived:
    """One fault that was, or may have been, in effect."""

    injection: Injection
    sentence: str
    service: str
    where: str
    who: str
    began_at: datetime
    """When it was confirmed in effect; before that, when it may first have been sent."""
    ended_at: datetime | None
    """When it was read back as gone; None while it may still be there."""
    is_certain: bool
    """It was seen in effect; otherwise it may have been."""
    is_rehearsal: bool
    """Its backend is a rehearsal: nothing real was touched."""
    is_unconfirmed: bool
    """Its removal is not confirmed by its backend."""
    is_unchecked: bool
    """Somebody said that it was removed by hand, which its backend has not confirmed."""
    state: str
    note: str
    by_hand: tuple[str, ...]
    family: str
    gone_by: datetime | None

    @property
    def is_live(self) -> bool:
        """Return whether it may still be there."""
        return self.ended_at is None

    @property
    def lasted(self) -> str:
        """Return how long it was there; empty while it may still be."""
        if self.ended_at is None:
            return ""
        return words.length((self.ended_at - self.began_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Lost:
    """One fault on a backend that no run looked after."""

    orphan: Orphan
    targets: str
    is_live: bool


@dataclass(frozen=True, slots=True)
class Near:
    """The nearest fault before or after the span."""

    injection: Injection
    is_before: bool
    text: str


def moment(at: datetime, now: datetime) -> str:
    """Return the time of day; with its date where that is another than today's, in UTC."""
    if at.date() == now.date():
        return words.moment(at)
    year = "" if at.year == now.year else f" {at.year}"
    return f"{at.day} {at:%b}{year} {words.moment(at)}"


def lived(row: Injection, catalogue: ledger.Catalogue) -> Lived:
    """Put one injection that was sent into words."""
    model = catalogue.get(row.fault)
    targets = ", ".join(ledger.targets_of(row))
    may_exist = row.phase in MAY_EXIST
    is_unchecked = row.unchecked_since is not None
    is_certain = row.injected_at is not None
    live = ledger.in_words(row, catalogue) if may_exist else None
    state = "was in effect" if is_certain else "may have been in effect"
    note = "" if is_certain else "It was sent, and nobody saw whether it took effect."
    if live is not None:
        state, note = live.state, live.alarm
    elif is_unchecked:
        state = "removed by hand, not confirmed"
        note = (
            f"{row.by_hand_by} said that it was removed by hand; its backend has not confirmed it:"
            " it may still be in effect."
        )
    elif row.lost_at is not None:
        note = f"It was seen missing at {words.moment(row.lost_at)}, before it was to be removed."
    began = row.injected_at or row.intent_at
    assert began is not None  # noqa: S101 — only what was sent is read
    return Lived(
        injection=row,
        sentence=ledger.sentence_of(row, catalogue),
        service=row.run.version.experiment.service,
        where=f"{row.connection}{f': {targets}' if targets else ''}",
        who=words.person(row.run.requested_by),
        began_at=began,
        ended_at=None if may_exist or is_unchecked else row.recovered_at,
        is_certain=is_certain,
        is_rehearsal=row.connection.kind == "fake",
        is_unconfirmed=is_unchecked or bool(live and live.is_unconfirmed),
        is_unchecked=is_unchecked,
        state=state,
        note=note,
        by_hand=tuple((row.plan or {}).get("by_hand", ())),
        family=model.family if model else "",
        gone_by=live.gone_by if live else None,
    )


def lost(row: Orphan) -> Lost:
    """Put one orphan into words."""
    names = ", ".join(str(target.get("name", "")) for target in row.targets)
    return Lost(row, names, row.gone_at is None)


def near(row: Injection, question: Question, *, is_before: bool) -> Near:
    """Say how far away the fault was: ``ended 12 min earlier``."""
    service = row.run.version.experiment.service
    what = f"fault of {service}" if service else "fault"
    if is_before:
        assert row.recovered_at is not None  # noqa: S101 — it was found by its end
        gap = words.length((question.span.start - row.recovered_at).total_seconds())
        text = f"The nearest {what} in {row.run.environment.name} ended {gap} earlier"
    else:
        assert row.intent_at is not None  # noqa: S101 — it was found by its beginning
        gap = words.length((row.intent_at - question.span.end).total_seconds())
        text = f"The next {what} in {row.run.environment.name} began {gap} later"
    return Near(row, is_before, text)


def kind_of(own: Sequence[Lived], others: Sequence[Lived], orphans: Sequence[Lost]) -> str:
    """Return ``yes``, ``perhaps`` or ``no``; a rehearsal touches nothing and explains nothing."""
    if any(row.is_certain and not row.is_rehearsal for row in own):
        return "yes"
    is_open = any(not row.is_rehearsal for row in (*own, *others)) or bool(orphans)
    return "perhaps" if is_open else "no"


def sentence(
    question: Question,
    kind: str,
    own: Sequence[Lived],
    others: Sequence[Lived],
    orphans: Sequence[Lost],
) -> str:
    """Answer in one or two plain sentences."""
    real = [row for row in own if not row.is_rehearsal]
    first = max(real, key=_weight, default=None)
    if first is not None:
        said = _told(first, question, "Yes" if kind == "yes" else "Perhaps")
        more = len(real) - 1
        if more:
            also = words.counted(more, "more fault")
            said += f" {also} {'was' if more == 1 else 'were'} live then too."
        return said
    verb = "is" if question.is_now else "was"
    nothing = f"no fault of ChaosWeb {verb} live{question.where} {question.when}"
    strangers = [row for row in others if not row.is_rehearsal]
    if kind == "perhaps":
        found = []
        if strangers:
            found.append(words.counted(len(strangers), "fault") + " of other services")
        if orphans:
            found.append(words.counted(len(orphans), "fault") + " that no run looks after")
        count = len(strangers) + len(orphans)
        were = ("is" if count == 1 else "are") if question.is_now else _were(count)
        return f"Perhaps: {nothing}, but {' and '.join(found)} {were}."
    if own or others:
        return f"No: {nothing}, only a rehearsal, which touches nothing real."
    return f"No: {nothing}."


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _weight(row: Lived) -> tuple[bool, bool, datetime]:
    """Order what is told first: what was seen, what still lives, the newest."""
    return row.is_certain, row.is_live, row.began_at


def _told(row: Lived, question: Question, start: str) -> str:
    run = row.injection.run
    done = _DONE.get(row.family, _OTHERWISE)
    subject = row.service or ", ".join(ledger.targets_of(row.injection)) or "something"
    place = f"in {run.environment.name}"
    by = f"by run {run.pk} ({row.who})"
    began = moment(row.began_at, question.now)
    if row.ended_at is None:
        have = "has been" if row.is_certain else "may have been"
        rest = ", and the fault is still live."
        if row.is_unconfirmed:
            rest = ". Its removal is not confirmed: it may still be in effect."
        elif not row.is_certain:
            rest = ": whether it took effect is not known yet."
        return f"{start}: {subject} {have} {done} {place} since {began} UTC {by}{rest}"
    was = "was" if row.is_certain else "may have been"
    ended = moment(row.ended_at, question.now)
    if row.ended_at.date() == row.began_at.date():
        ended = words.moment(row.ended_at)
    rest = "." if row.is_certain else ": nobody saw whether the fault took effect."
    return f"{start}: {subject} {was} {done} {place} from {began} to {ended} UTC {by}{rest}"
