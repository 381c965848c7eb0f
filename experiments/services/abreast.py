"""Does one thing for many rows, several at a time: a hung backend holds one thread only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from django.db import connections

log = logging.getLogger(__name__)

Row = TypeVar("Row")
Found = TypeVar("Found")


def for_each(
    rows: Sequence[Row],
    act: Callable[[Row], Found],
    *,
    threads: int,
    within_s: float | None = None,
) -> list[Found]:
    """Do it for every row and return what was found, in the order given.

    An error is logged with its row, which is left out of the answer; so is a row that is not done
    ``within_s`` seconds after the call: its thread ends by itself, and nobody waits for it.
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
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="abreast")
    try:
        asked = [pool.submit(guarded, row) for row in rows]
        done, _ = wait(asked, timeout=within_s)
    finally:
        pool.shutdown(wait=within_s is None, cancel_futures=True)
    for row, each in zip(rows, asked, strict=True):
        if each not in done:
            log.warning("%s: %r is not done within %g s", act.__name__, row, within_s)
    return [found for each in asked if each in done for found in each.result()]
