"""What processes take: their resident memory, and processor time between two moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Self

import psutil

from tests.system.stack import Stack

_EVERY_S = 1.0
_BESIDE = ("postgres", "prometheus", "envoy")
"""Servers that the bench started itself; a process of that name among its children is one."""


class Usage:
    """Samples the installation's processes, and the servers beside them, while it is open."""

    def __init__(self, stack: Stack) -> None:
        self._processes = {
            name: psutil.Process(stack.pid(name)) for name in stack.names() if stack.is_alive(name)
        }
        for child in psutil.Process().children():
            if child.name() in _BESIDE:
                self._processes[f"{child.name()}-{child.pid}"] = child
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="usage", daemon=True)
        self._began: tuple[float, Mapping[str, float]] = (0.0, {})
        self.rss_mb: dict[str, float] = {}
        """The most that was seen of each, in 10⁶ bytes."""
        self.cpu_cores: dict[str, float] = {}
        """How much of a core each took, on average."""
        self.machine_cores = 0.0
        """How much of all cores anything took, ours or not."""

    def __enter__(self) -> Self:
        self._began = time.monotonic(), self._seconds()
        psutil.cpu_percent()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.machine_cores = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
        self._over.set()
        self._thread.join(timeout=10)
        at, before = self._began
        took = time.monotonic() - at
        found: dict[str, float] = {}
        for name, seconds in self._seconds().items():
            kind = name.split("-")[0] if name.split("-")[0] in _BESIDE else name
            found[kind] = found.get(kind, 0.0) + (seconds - before.get(name, 0.0)) / took
        self.cpu_cores = found

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            for name, process in self._processes.items():
                try:
                    rss_mb = process.memory_info().rss / 1e6
                except psutil.NoSuchProcess:
                    continue
                self.rss_mb[name] = max(self.rss_mb.get(name, 0.0), rss_mb)

    def _seconds(self) -> Mapping[str, float]:
        return {name: _cpu_s(process) for name, process in self._processes.items()}


def _cpu_s(process: psutil.Process) -> float:
    """Return the processor time of the process, of its children, and of those that have ended."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += sum(each.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total
