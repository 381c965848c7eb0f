"""One program of the cluster: started, awaited, ended by its process id, its log quoted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers.envoy import wait_until

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "var" / "tools"
READY_WITHIN_S = 90.0
QUOTED = 4000


def tool(name: str) -> Path:
    """Return the path of a program that ``scripts/cluster-tools.sh`` built."""
    path = TOOLS / name
    assert path.exists(), (
        f"{path} is not there: run `make test-cluster`, or scripts/cluster-tools.sh"
    )
    return path


class Program:
    """A program that is ready once ``is_ready`` says so. It may be started again after its end."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        is_ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [str(each) for each in command]
        self.name = Path(self._command[0]).name
        self._folder = folder
        self._is_ready = is_ready
        # Its home is the folder: nothing of this machine's user is read or written.
        self._env = {"HOME": str(folder), "PATH": os.defpath, "TZ": "UTC", **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return its process id."""
        assert self._process is not None, f"{self.name} is not started"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready; raises AssertionError with the end of its log."""
        assert not self.is_running, f"{self.name} runs already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._env, stdout=log, stderr=log
            )
        try:
            wait_until(self._has_started, f"{self.name} is ready", READY_WITHIN_S)
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.said()}") from error

    def kill(self) -> None:
        """End it at once, as a crash does. Nothing of a test cluster has to be kept."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Crash it, and start it again at the end."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def said(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-QUOTED:] if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.name}.log"

    def _has_started(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}"
        try:
            return self._is_ready()
        except httpx.TransportError:
            return False
