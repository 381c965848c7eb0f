"""The keeper: threads in every control worker that need neither queue nor beat.

Every two seconds it takes what nobody has looked after from the database. Each kind of work has
a lane of its own, so that a backend or source that hangs holds back nothing of another kind:
ticks, injections to inject or remove, looks, the runs' other calls, and the audit: what backends
say of faults that no run looks after. ``manage.py keeper`` runs the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from experiments.services import (
    calling,
    carrying,
    closing,
    conducting,
    halting,
    observing,
    reconciling,
    shared,
    sweeping,
    watching,
)

log = logging.getLogger(__name__)

GRACE_S = 1.5
"""How long after its moment a thing is overdue: the queue had its chance."""
_AUDIT_EVERY = 5
_RECONCILE_EVERY = 90
_HAND_OVER_S = 6.0
"""How long a keeper that is told to end waits for calls on their way."""


class Lane:
    """Threads for one kind of work; what is still being done is not begun a second time."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=f"keeper-{name}")
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[None]] = {}

    def submit(self, key: Hashable, act: Callable[[], object]) -> None:
        """Have it done unless it is being done already."""
        with self._lock:
            if key in self._running:
                return
            done = self._pool.submit(_guarded, key, act)
            self._running[key] = done
        done.add_done_callback(lambda _: self._forget(key))

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            self._running.pop(key, None)

    def join(self) -> None:
        """Wait until everything that was submitted is done."""
        with self._lock:
            running = list(self._running.values())
        wait(running)

    def close(self, timeout_s: float = 0.0) -> None:
        """Take nothing more, drop what has not begun, and wait a while for the rest."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = list(self._running.values())
        if not wait(running, timeout=timeout_s).not_done:
            self._pool.shutdown(wait=True)


class Keeper:
    """One loop per process, and a lane for each kind of work."""

    _running: ClassVar[Keeper | None] = None

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._lanes = {
            "ticks": Lane("ticks", 4),
            "carries": Lane("carries", 32),
            "looks": Lane("looks", 8),
            "calls": Lane("calls", 8),
            "audit": Lane("audit", 3),
        }
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    @classmethod
    def start(cls) -> None:
        """Start the loop in this process, once."""
        if cls._running is None:
            cls._running = cls()
            cls._running._thread.start()

    @classmethod
    def stop(cls) -> None:
        """End the loop and hand over: what is not done by then is claimed by another in time."""
        if cls._running is not None:
            cls._running._stop.set()
            cls._running._thread.join(timeout=_HAND_OVER_S)
            ends_at = time.monotonic() + _HAND_OVER_S
            for lane in cls._running._lanes.values():
                lane.close(max(0.0, ends_at - time.monotonic()))
            cls._running = None

    def _keep(self) -> None:
        rounds = 0
        while not self._stop.wait(settings.KEEPER_EVERY_S):
            reconcile = rounds % _RECONCILE_EVERY == 0
            audit = rounds % _AUDIT_EVERY == 0
            _guarded("round", partial(self.round, reconcile=reconcile, audit=audit))
            rounds += 1

    def round(self, *, reconcile: bool, audit: bool = True) -> int:
        """Submit everything overdue, and the audit. Return how many things were overdue."""
        try:
            runs = sweeping.overdue_runs(grace_s=GRACE_S)
            injections = sweeping.overdue_injections(grace_s=GRACE_S)
            watches, faults = sweeping.overdue_looks(grace_s=GRACE_S)
            calls = sweeping.overdue_calls(grace_s=GRACE_S)
        except DatabaseError as error:
            log.warning("the keeper cannot read the database: %s", error)
            close_old_connections()
            return 0
        for run_id in runs:
            self._submit("ticks", run_id, conducting.tick, run_id=run_id)
        for pk in injections:
            self._submit("carries", pk, carrying.carry, injection_id=pk)
        for chunk in watches:
            self._submit("looks", ("watch", *chunk), watching.watch, run_ids=chunk)
        for chunk in faults:
            self._submit("looks", ("observe", *chunk), observing.observe, injection_ids=chunk)
        for run_id, kind in calls:
            self._submit("calls", (run_id, kind), calling.make, run_id=run_id, kind=kind)
        if audit:
            self._submit("audit", "closed", closing.check_closed)
            self._submit("audit", "halts", halting.enforce)
        if reconcile:
            self._submit("audit", "reconcile", reconciling.reconcile)
            self._submit("audit", "forget", shared.forget)
        elif audit:
            self._submit("audit", "orphans", reconciling.remove_again)
        close_old_connections()
        looks = sum(map(len, watches)) + sum(map(len, faults))
        return len(runs) + len(injections) + looks + len(calls)

    def _submit(self, lane: str, key: Hashable, act: Callable[..., Any], **arguments: Any) -> None:
        self._lanes[lane].submit(key, partial(act, **arguments))

    def join(self) -> None:
        """Wait until everything that was submitted is done."""
        for lane in self._lanes.values():
            lane.join()

    def close(self) -> None:
        """End the lanes of a keeper that never had a loop."""
        for lane in self._lanes.values():
            lane.close()


def run_once(*, reconcile: bool = False) -> int:
    """Look after everything overdue, and wait until it is done. Return how many there were."""
    keeper = Keeper()
    try:
        found = keeper.round(reconcile=reconcile)
        keeper.join()
    finally:
        keeper.close()
    return found


def _guarded(what: Hashable, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # the loop's edge: one broken row must never keep it from the others
        log.exception("keeper: %s", what)
    finally:
        # A thread may idle for hours: its connection must not.
        connections.close_all()
