"""An in-process queue with the real interface: what is woken waits here until it is pumped."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from experiments import queue
from experiments.models import Run
from experiments.services import clock, conducting
from experiments import tasks


class Pump:
    """Runs what was woken, and moves the clock on when nothing was."""

    def __init__(self, monkeypatch: Any) -> None:
        self.waiting: deque[tuple[str, tuple[Any, ...]]] = deque()
        self.offset = timedelta()
        monkeypatch.setattr(queue, "_send", self._send)
        monkeypatch.setattr(clock, "now", self.now)

    def now(self) -> datetime:
        return timezone.now() + self.offset

    def _send(self, task: str, args: tuple[Any, ...], lane: str) -> None:
        self.waiting.append((task, args))

    def drain(self, most: int = 500) -> None:
        """Run everything that was woken, in order."""
        for _ in range(most):
            if not self.waiting:
                return
            task, args = self.waiting.popleft()
            getattr(tasks, task)(*args)
        raise AssertionError("the queue never ran dry")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, then sweep and run what is due."""
        self.offset += timedelta(seconds=seconds)
        conducting.sweep()
        self.drain()

    def run_until(self, run: Run, *statuses: str, step_s: float = 1.0, most_s: float = 600) -> Run:
        """Let time pass until the run reaches one of the statuses."""
        self.drain()
        for _ in range(round(most_s / step_s)):
            run.refresh_from_db()
            if run.status in statuses:
                return run
            self.pass_time(step_s)
        raise AssertionError(f"{run} is still {run.status}, not {statuses}")
