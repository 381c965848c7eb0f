"""Faults that no run looks after: what is still there, and what was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from experiments.models import Alias, Connection, Injection, Orphan
from experiments.selectors import ledger

_PAST = 20


@dataclass(frozen=True, slots=True)
class OrphanRow:
    """One orphan in words."""

    orphan: Orphan
    targets: str
    by_hand: tuple[str, ...]
    run_id: int | None
    """The run that it was injected by; None when the ledger does not know its token."""


def all_orphans() -> QuerySet[Orphan]:
    """Return every orphan, newest first, those that are gone too."""
    return Orphan.objects.select_related("connection")


def still_there() -> QuerySet[Orphan]:
    """Return the orphans not read back as gone, without those that the ledger removes itself."""
    kept = Injection.objects.filter(ledger.MAYBE_THERE).values("token")
    return all_orphans().filter(gone_at__isnull=True).exclude(token__in=kept)


def places() -> QuerySet[Any]:
    """Return the environment of each orphan that is still there; its connection, if it has none."""
    environment = Alias.objects.filter(connection=OuterRef("connection")).order_by("environment")
    name = Coalesce(Subquery(environment.values("environment__name")[:1]), "connection__name")
    return still_there().order_by().values_list(name)


def rows(orphans: Iterable[Orphan]) -> list[OrphanRow]:
    """Return them in words; one query for the runs that they came from."""
    found = list(orphans)
    tokens = [orphan.token for orphan in found]
    runs = dict(Injection.objects.filter(token__in=tokens).values_list("token", "run_id"))
    return [
        OrphanRow(
            orphan=orphan,
            targets=", ".join(str(target.get("name", "")) for target in orphan.targets),
            by_hand=tuple(str(command) for command in orphan.by_hand),
            run_id=runs.get(orphan.token),
        )
        for orphan in found
    ]


def of_connection(connection: Connection) -> list[OrphanRow]:
    """Return the connection's orphans: those that are there first, then the newest that went."""
    mine = all_orphans().filter(connection=connection)
    there = mine.filter(gone_at__isnull=True)
    return rows([*there, *mine.filter(gone_at__isnull=False).order_by("-gone_at")[:_PAST]])
