"""Processes of ours that die or stand still wherever a test wants, as the machine would have it.

A process that has died reaches the database no more: every further statement of it fails, those of
its ``finally`` blocks too, and what it had not committed is rolled back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import connection, connections

_here = threading.local()
_PATIENCE_S = 60.0
_UNDOING = ("ROLLBACK", "RELEASE")


class Killed(BaseException):
    """As SIGKILL: nothing of ours catches it."""


class Process:
    """What runs while it is entered; it may be told where to die, or where to stand still.

    ``dies_at`` and ``stops_at`` are points such as ``before inject``; ``statements`` is after how
    many statements to the database it dies.
    """

    def __init__(
        self, *, dies_at: str = "", statements: int | None = None, stops_at: str = ""
    ) -> None:
        self.dies_at = dies_at
        self.statements = statements
        self.stops_at = stops_at
        self.is_dead = False
        self.is_late = False
        """It has stood still: the world has moved on since."""
        self.stands = threading.Event()
        self.goes_on = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the process of everything done inside. Its death ends the block, and no more."""
        _here.process = self
        try:
            with suppress(Killed), connection.execute_wrapper(self._count):
                yield
        finally:
            _here.process = None

    def reach(self, point: str) -> None:
        """Die or stand still if this is the point."""
        if point == self.dies_at:
            self.is_dead = True
        elif point == self.stops_at:
            self.stops_at = ""
            self.is_late = True
            self.stands.set()
            if not self.goes_on.wait(_PATIENCE_S):
                raise TimeoutError(f"nobody woke the process that stands {point}")
        if self.is_dead:
            raise Killed

    def _count(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(_UNDOING):
            return execute(sql, params, many, context)
        if self.statements is not None and not self.is_dead:
            self.statements -= 1
            self.is_dead = self.statements < 0
        if self.is_dead:
            raise Killed
        return execute(sql, params, many, context)


def current() -> Process | None:
    """Return the process that this thread runs as, if a test has said so."""
    return getattr(_here, "process", None)


@contextmanager
def watching() -> Iterator[None]:
    """Let the test itself ask the database: such statements are nobody's."""
    process, _here.process = current(), None
    wrappers, connection.execute_wrappers = connection.execute_wrappers, []
    try:
        yield
    finally:
        _here.process, connection.execute_wrappers = process, wrappers


class Aside:
    """A process in a thread of its own, which stands still at one point until it is woken.

    Only one of the two threads runs at any moment: whoever starts or wakes it waits until it
    stands still or ends.
    """

    def __init__(self, act: Callable[[], object], point: str) -> None:
        self.point = point
        self.process = Process(stops_at=point)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(act,), daemon=True)

    def start(self) -> bool:
        """Begin. Return whether it stands still now; otherwise it has ended."""
        self._thread.start()
        assert self.process.stands.wait(_PATIENCE_S), "it neither stands still nor ends"
        if not self.process.is_late:
            self._end()
        return self.process.is_late

    def wake(self, *, dies: bool = False) -> None:
        """Let it go on, or die where it stands. Returns once it has ended."""
        self.process.is_dead = dies
        self.process.goes_on.set()
        self._end()

    def _end(self) -> None:
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), "it does not end"
        if self.error is not None:
            raise self.error

    def _run(self, act: Callable[[], object]) -> None:
        try:
            with self.process.running():
                act()
        except BaseException as error:  # noqa: BLE001 — raised again in the test's own thread
            self.error = error
        finally:
            connections.close_all()
            self.process.stands.set()
