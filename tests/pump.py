"""An in-process queue with the real interface: what is woken waits here until it is pumped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from experiments import keeper, queue, tasks
from experiments.models import Run
from experiments.services import clock, sweeping


class _InTurn:
    """A lane without threads: what is submitted is done at once."""

    def submit(self, key: Hashable, act: Callable[[], object]) -> None:
        keeper._guarded(key, act)


class Pump:
    """Runs what was woken, and moves the clock on when nothing was.

    The clock stands still between moves. With ``is_deaf`` every wake is lost, as without Redis.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self.waiting: deque[tuple[str, tuple[Any, ...]]] = deque()
        self.start = timezone.now()
        self.offset = timedelta()
        self.skew = timedelta()
        self.is_deaf = False
        monkeypatch.setattr(queue, "_send", self._send)
        monkeypatch.setattr(clock, "now", self.now)
        monkeypatch.setattr(timezone, "now", self.now)

    def now(self) -> datetime:
        return self.start + self.offset + self.skew

    def seconds(self) -> float:
        """Return the time as the pretended backend's clock does."""
        return (self.start + self.offset).timestamp()

    def step_clock(self, seconds: float) -> None:
        """Set our clock forward or back, as NTP does: no time passes, and backends know nothing."""
        self.skew += timedelta(seconds=seconds)

    def _send(self, task: str, args: tuple[Any, ...], lane: str) -> None:
        if not self.is_deaf:
            self.waiting.append((task, args))

    def step(self) -> None:
        """Run the oldest thing that was woken."""
        task, args = self.waiting.popleft()
        getattr(tasks, task)(*args)

    def drain(self, most: int = 500) -> None:
        """Run everything that was woken, in order."""
        for _ in range(most):
            if not self.waiting:
                return
            self.step()
        raise AssertionError("the queue never ran dry")

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and do nothing."""
        self.offset += timedelta(seconds=seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, then sweep and run what is due."""
        self.let_pass(seconds)
        sweeping.sweep()
        self.drain()

    def keep(self, seconds: float = 2.0) -> None:
        """Let time pass, then let only the keeper look after things."""
        self.let_pass(seconds)
        keeper.run_once()

    def keep_in_turn(self, *, reconcile: bool = False) -> int:
        """Let only the keeper look after things, one after the other, in this very thread."""
        here = keeper.Keeper()
        here.close()
        here._lanes = {name: _InTurn() for name in here._lanes}  # type: ignore[misc]
        return here.round(reconcile=reconcile)

    def run_until(self, run: Run, *statuses: str, step_s: float = 1.0, most_s: float = 600) -> Run:
        """Let time pass until the run reaches one of the statuses."""
        self.drain()
        for _ in range(round(most_s / step_s)):
            run.refresh_from_db()
            if run.status in statuses:
                return run
            self.pass_time(step_s)
        raise AssertionError(f"{run} is still {run.status}, not {statuses}")
