"""The keeper: a thread in every control worker that needs neither queue nor beat.

Every two seconds it takes what nobody has looked after from the database: overdue injections first
(a fault is worth more than a run), then overdue runs; and beside them, in a loop of its own, the
runs' other calls. ``manage.py keeper`` runs the same loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ClassVar

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from experiments.services import calling, carrying, conducting, reconciling

log = logging.getLogger(__name__)

GRACE_S = 1.5
"""How long after its moment a thing is overdue: the queue had its chance."""
_RECONCILE_EVERY = 90


class Keeper:
    """Two loops per process: one for runs and injections, one for what may take minutes."""

    _running: ClassVar[Keeper | None] = None

    def __init__(self) -> None:
        self._stop = threading.Event()
        # A judge that waits for a slow source must never hold a fault's removal back.
        self._threads = (
            threading.Thread(target=self._keep, name="keeper", daemon=True),
            threading.Thread(target=self._follow, name="keeper-calls", daemon=True),
        )

    @classmethod
    def start(cls) -> None:
        """Start the loop in this process, once."""
        if cls._running is None:
            cls._running = cls()
            for thread in cls._running._threads:
                thread.start()

    @classmethod
    def stop(cls) -> None:
        """End the loop and wait until it has handed over."""
        if cls._running is not None:
            cls._running._stop.set()
            for thread in cls._running._threads:
                thread.join(timeout=10)
            cls._running = None

    def _keep(self) -> None:
        while not self._stop.wait(settings.KEEPER_EVERY_S):
            _guarded("round", 0, keep)

    def _follow(self) -> None:
        rounds = 0
        while not self._stop.wait(settings.KEEPER_EVERY_S):
            reconcile = rounds % _RECONCILE_EVERY == 0
            _guarded("round", rounds, partial(follow, reconcile=reconcile))
            rounds += 1


def run_once(*, reconcile: bool = False) -> int:
    """Look after everything overdue, several at a time. Return how many there were."""
    return keep() + follow(reconcile=reconcile)


def keep() -> int:
    """Decide overdue runs, then carry overdue injections. Return how many there were."""
    try:
        runs, injections = conducting.overdue(grace_s=GRACE_S)
    except DatabaseError as error:
        return _blind(error)
    # A hung backend holds a thread, never the loop's other injections.
    with ThreadPoolExecutor(max_workers=16, thread_name_prefix="keeper") as pool:
        list(pool.map(_carry, injections))
        list(pool.map(_tick, runs))
    close_old_connections()
    return len(runs) + len(injections)


def follow(*, reconcile: bool) -> int:
    """Make the runs' overdue calls; compare backends and ledger. Return how many calls."""
    try:
        calls = conducting.overdue_calls(grace_s=GRACE_S)
    except DatabaseError as error:
        return _blind(error)
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="keeper-calls") as pool:
        list(pool.map(_make, calls))
        if reconcile:
            list(pool.map(_reconcile, [None]))
    close_old_connections()
    return len(calls)


def _blind(error: DatabaseError) -> int:
    log.warning("the keeper cannot read the database: %s", error)
    close_old_connections()
    return 0


def _carry(injection_id: int) -> None:
    _guarded("injection", injection_id, lambda: carrying.carry(injection_id=injection_id))


def _tick(run_id: int) -> None:
    _guarded("run", run_id, lambda: conducting.tick(run_id=run_id))


def _make(call: tuple[int, str]) -> None:
    run_id, kind = call
    _guarded("run", run_id, lambda: calling.make(run_id=run_id, kind=kind))


def _reconcile(_: None) -> None:
    _guarded("ledger", 0, reconciling.reconcile)


def _guarded(what: str, identity: int, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # the loop's edge: one broken row must never keep it from the others
        log.exception("keeper: %s %s", what, identity)
    finally:
        # The pool's thread ends with the round, and its connection with it.
        connections.close_all()
