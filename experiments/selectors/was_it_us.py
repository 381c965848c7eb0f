"""Was it us? The faults that were live at a moment or in a span, and a plain answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.domain.states import InjectionPhase
from experiments.models import Environment, Experiment, Injection, Orphan, Service
from experiments.selectors import answering, ledger, spans
from experiments.selectors.answering import Lived, Lost, Near, Question

_NEARBY = timedelta(hours=24)
_MOST = 100
"""Rows in one list: in a wide span there may be thousands."""
_NAME_LENGTH = 63
_HEAVY = (
    "handle",
    "observation",
    "evidence",
    "run__version__text",
    "run__version__document",
    "run__judgement",
    "run__problems",
    "run__parameters",
)
_MAY_BE_LIVE = Q(phase__in=ledger.MAY_EXIST_VALUES) | Q(unchecked_since__isnull=False)
_WAS = Q(phase=InjectionPhase.RECOVERED.value, unchecked_since__isnull=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that was live then, that of the service first, and what it comes to."""

    question: Question
    kind: str
    """``yes``, ``perhaps`` or ``no``."""
    sentence: str
    own: tuple[Lived, ...]
    """The faults of the service; all of them where none was named."""
    others: tuple[Lived, ...]
    """The faults of other services, live then in the same environments."""
    orphans: tuple[Lost, ...]
    nearby: tuple[Near, ...]
    is_cut: bool
    """There were more than are listed."""


def read(query: Mapping[str, str], now: datetime) -> Question:
    """Read the question from an address. Raises InvalidDocumentError with every error."""
    service = query.get("service", "").replace("\x00", "").strip()
    environment = query.get("environment", "").replace("\x00", "").strip()
    errors = [
        SpecError((field,), f"is longer than {_NAME_LENGTH} characters")
        for field, value in (("service", service), ("environment", environment))
        if len(value) > _NAME_LENGTH
    ]
    try:
        span = spans.read(query, now)
    except InvalidDocumentError as error:
        raise InvalidDocumentError([*errors, *error.errors]) from error
    if errors:
        raise InvalidDocumentError(errors)
    return Question(service, environment, span, now)


def answer(question: Question, catalogue: ledger.Catalogue) -> Answer:
    """Answer it in at most ten queries, each through an index and cut at a bound."""
    live = _may_be_live()
    of_service = Q(run__version__experiment__service=question.service) if question.service else Q()
    own, is_cut = _live_then(question, of_service, live)
    others: list[Injection] = []
    if question.service:
        others, are_cut = _live_then(question, ~of_service, live)
        is_cut = is_cut or are_cut
    orphans = tuple(answering.lost(row) for row in _orphans(question)[:_MOST])
    told = tuple(answering.lived(row, catalogue) for row in own)
    told_others = tuple(answering.lived(row, catalogue) for row in others)
    kind = answering.kind_of(told, told_others, orphans)
    nearby = () if kind == "yes" else _nearby(question, of_service, told, live)
    return Answer(
        question=question,
        kind=kind,
        sentence=answering.sentence(question, kind, told, told_others, orphans),
        own=told,
        others=told_others,
        orphans=orphans,
        nearby=nearby,
        is_cut=is_cut,
    )


def _rows(question: Question) -> QuerySet[Injection]:
    rows = (
        Injection.objects.select_related(
            "connection",
            "run__version__experiment",
            "run__environment",
            "run__requested_by",
        )
        .defer(*_HEAVY)
        .filter(intent_at__isnull=False)
    )
    if question.environment:
        rows = rows.filter(run__environment__name=question.environment)
    return rows


def _may_be_live() -> list[int]:
    """Return the ids of all faults that may exist now, read once for every list of the answer."""
    return list(Injection.objects.filter(_MAY_BE_LIVE).order_by().values_list("pk", flat=True))


def _live_then(question: Question, which: Q, now_live: list[int]) -> tuple[list[Injection], bool]:
    """Return what was live in the span, what still is first, then the newest; and whether cut.

    What is over is found by the index on its end, which an OR with the rest would not use on every
    database.
    """
    begun = _rows(question).filter(which, intent_at__lte=question.span.end)
    live = list(begun.filter(pk__in=now_live).order_by("-intent_at", "-pk")[: _MOST + 1])
    over = begun.filter(_WAS, recovered_at__gte=question.span.start)
    past = list(over.order_by("-recovered_at", "-pk")[: _MOST + 1])
    return [*live[:_MOST], *past[:_MOST]], max(len(live), len(past)) > _MOST


def _orphans(question: Question) -> QuerySet[Orphan]:
    rows = Orphan.objects.select_related("connection").filter(
        Q(gone_at__isnull=True) | Q(gone_at__gte=question.span.start),
        first_seen_at__lte=question.span.end,
    )
    if question.environment:
        rows = rows.filter(
            connection__in=Environment.objects.filter(name=question.environment).values(
                "connections"
            )
        )
    return rows


def _nearby(
    question: Question, which: Q, own: Sequence[Lived], now_live: list[int]
) -> tuple[Near, ...]:
    """Return the nearest fault before and after the span, of the service if it has one."""
    if own:
        return ()
    start, end = question.span.start, question.span.end
    found = []
    rows = _rows(question)
    before = rows.filter(_WAS, recovered_at__lt=start, recovered_at__gte=start - _NEARBY).order_by(
        "-recovered_at"
    )
    # A later fault ended later still, or is live: its end is what the index holds.
    after = rows.filter(
        Q(pk__in=now_live) | Q(recovered_at__gte=end, recovered_at__lte=end + 2 * _NEARBY),
        intent_at__gt=end,
        intent_at__lte=end + _NEARBY,
    ).exclude(phase=InjectionPhase.CANCELLED.value)
    for near, is_before in ((before, True), (after.order_by("intent_at"), False)):
        row = near.filter(which).first()
        if row is None and question.service:
            row = near.first()
        if row is not None:
            found.append(answering.near(row, question, is_before=is_before))
    return tuple(found)


def services() -> list[str]:
    """Return the names of the services that the forms offer."""
    written = Experiment.objects.exclude(service="").values_list("service", flat=True).distinct()
    return sorted({*Service.objects.values_list("name", flat=True), *written.order_by()})


def environments() -> list[tuple[str, str]]:
    """Return name and title of every environment."""
    return [(each.name, str(each)) for each in Environment.objects.only("name", "title")]
