"""Start processes in the order they need each other, watch them, and leave none behind."""

import ctypes
import graphlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_S = 0.05
_TAIL_LINES = 20
_TAIL_BYTES = 8_000


class ProcessError(Exception):
    """Something is wrong with one of our processes; the message says what its log says last."""


class ProcessDied(ProcessError):  # noqa: N818 (it reads as what happened)
    """A process ended by itself."""


class NotReady(ProcessError):  # noqa: N818
    """A process did not become ready in time."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """Describe a process: how it starts, when it is ready, how it is stopped."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    needs: tuple[str, ...] = ()
    ready: Callable[[], bool] | None = None
    ready_within_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 5.0
    # What the kernel sends when we die without a word. A process with children of its own
    # (gunicorn, Celery) wants SIGTERM, so that it stops them.
    orphan_signal: signal.Signals = signal.SIGKILL


class _Running:
    """Own one started process and its group; raises OSError if it cannot be started."""

    def __init__(self, process: Process) -> None:
        self.process = process
        process.log.parent.mkdir(parents=True, exist_ok=True)
        with process.log.open("wb") as log:
            self._popen = subprocess.Popen(
                process.argv,
                env=dict(process.env),
                cwd=process.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so Ctrl-C reaches only us, and we stop them in order
                preexec_fn=_tether(process.orphan_signal),
            )
        self.pid = self._popen.pid

    def exit_code(self) -> int | None:
        """Return None while it runs."""
        if self._popen.returncode is None and self._popen.poll() is not None:
            # Its children are swept at once: later the kernel may have given the id away.
            self._signal_group(signal.SIGKILL)
        return self._popen.returncode

    def stop(self, is_hurried: Callable[[], bool]) -> None:
        if self.exit_code() is not None:
            return
        self._signal_group(self.process.stop_signal)
        deadline = time.monotonic() + self.process.stop_within_s
        while self.exit_code() is None:
            if time.monotonic() > deadline or is_hurried():
                self._signal_group(signal.SIGKILL)
                self._popen.wait()
                return
            time.sleep(_POLL_S)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # gone; macOS says "not permitted" of a group that holds only zombies


class Supervisor:
    """Keep processes as a context: leaving it, for whatever reason, stops them all.

    SIGTERM and SIGINT of this process leave the context too; a second one while stopping
    kills at once. Start from a thread that lives as long as the processes shall: Linux sends
    the orphan's signal when the thread that started them ends.
    """

    def __init__(self) -> None:
        self._running: list[_Running] = []
        self._is_hurried = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._is_hurried = False
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, _leave)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in self._handlers:
            signal.signal(number, self._hurry)
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()

    def start(self, processes: Iterable[Process]) -> None:
        """Start all, those that wait for nothing first, and return once every one is ready.

        Raises ProcessDied or NotReady; what was started then still runs until stopped.
        """
        wanted = {process.name: process for process in processes}
        present = set(self.pids())
        sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
        for process in wanted.values():
            missing = set(process.needs) - present - set(wanted)
            if missing or process.name in present:
                raise ValueError(f"{process.name}: needs {missing or 'another name'}")
            sorter.add(process.name, *(need for need in process.needs if need in wanted))
        sorter.prepare()
        while sorter.is_active():
            names = sorter.get_ready()
            batch: list[_Running] = []
            for name in names:
                try:
                    batch.append(_Running(wanted[name]))
                except OSError as error:
                    raise ProcessError(f"{name} cannot be started: {error}") from error
                self._running.append(batch[-1])
            for each in batch:
                self._wait_until_ready(each)
            sorter.done(*names)

    def check(self) -> None:
        """Raise ProcessDied if any process has ended by itself."""
        for each in self._running:
            code = each.exit_code()
            if code is not None:
                raise ProcessDied(
                    f"{each.process.name} {_ending(code)}.\n{_tail(each.process.log)}"
                )

    def watch(self, every_s: float = 0.5) -> NoReturn:
        """Stay until a signal arrives or a process dies."""
        while True:
            self.check()
            time.sleep(every_s)

    def stop(self) -> None:
        """Stop all, the last started first. Stopping twice does nothing."""
        while self._running:
            self._running[-1].stop(lambda: self._is_hurried)
            self._running.pop()

    def pids(self) -> dict[str, int]:
        """Return the id of each process by its name."""
        return {each.process.name: each.pid for each in self._running}

    def _wait_until_ready(self, each: _Running) -> None:
        process = each.process
        if process.ready is None:
            return
        deadline = time.monotonic() + process.ready_within_s
        while not process.ready():
            self.check()
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{process.name} was not ready after {process.ready_within_s:g} s.\n"
                    f"{_tail(process.log)}"
                )
            time.sleep(_POLL_S)

    def _hurry(self, number: int, frame: FrameType | None) -> None:
        self._is_hurried = True


def log_says(log: Path, text: str) -> Callable[[], bool]:
    """Make a ready check for a process that only its log shows to be ready."""
    return lambda: log.exists() and text in log.read_text(errors="replace")


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _tether(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: after it, only this one call is safe.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tether() -> None:
        prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and prctl: no signal will come
            os._exit(1)

    return tether


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    shown = "\n".join(f"    {line}" for line in lines) or "    (empty)"
    return f"The end of its log, {log}:\n{shown}"
