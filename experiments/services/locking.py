"""What several workers take without waiting for each other: row locks, and claims that run out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection
from django.db.models import F, Model, Q, QuerySet

M = TypeVar("M", bound=Model)

REWAKE_S = 2.0
"""After how long something that was dispatched and that nobody took is dispatched again."""


def free(now: datetime) -> Q:
    """Return which rows nobody has claimed, or whose claim has run out."""
    return Q(attempt_deadline__isnull=True) | Q(attempt_deadline__lte=now)


def unasked(now: datetime) -> Q:
    """Return which due rows nobody has been asked to take, or not lately."""
    return (
        Q(woken_at__isnull=True)
        | Q(woken_at__lt=F("due_at"))
        | Q(woken_at__lte=now - timedelta(seconds=REWAKE_S))
    )


def skip_locked(rows: QuerySet[M]) -> QuerySet[M]:
    """Return the rows that nobody else holds, held by this transaction.

    On SQLite every writing transaction excludes the others already.
    """
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows
