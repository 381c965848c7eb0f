"""Does one thing for many rows, several at a time: a hung backend holds one thread only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

log = logging.getLogger(__name__)

Row = TypeVar("Row")
Found = TypeVar("Found")


def for_each(rows: Sequence[Row], act: Callable[[Row], Found], *, threads: int) -> list[Found]:
    """Do it for every row and return what was found, in the order given.

    An error is logged with its row, which is left out of the answer.
    """

    def guarded(row: Row) -> list[Found]:
        try:
            return [act(row)]
        except Exception:  # the thread's edge: one broken row must never keep it from the others
            log.exception("%s: %r", act.__name__, row)
            return []
        finally:
            # The pool's thread ends with the call, and its connection with it.
            connections.close_all()

    if not rows:
        return []
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="abreast") as pool:
        return [found for each in pool.map(guarded, rows) for found in each]
