"""ChaosWeb's own processes on free ports, each of which a test may kill, stop and bring back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo import application, roster
from demo.processes import Process, Supervisor, log_says
from demo.roster import ROOT
from demo.settings import HOST, free_ports

PATIENCE_S = 60.0
_TAIL = 6_000


class Stack:
    """Run Valkey, web server, workers and beat while the context is open.

    Every process has a supervisor of its own, so that the death of one ends no other. There are
    ``controls`` control workers: ``control``, ``control-2`` and so on. ``agent`` is the module that
    ``ask`` talks to.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        database_url: str = "",
        controls: int = 1,
        agent: str = "tests.system.agent",
    ) -> None:
        self.workdir = workdir
        self._agent_module = agent
        config = free_ports()
        password = secrets.token_urlsafe(12)
        redis_url = f"redis://:{password}@{HOST}:{config.valkey_port}/0"
        self.env = application.settings(config, workdir, redis_url=redis_url)
        if database_url:
            self.env["DATABASE_URL"] = database_url
        self.web_url = self.env["BASE_URL"]
        sandbox = roster.processes(config, workdir / "sandbox", valkey_password=password)
        own = list(application.processes(config, workdir, self.env))
        control = next(each for each in own if each.name == "control")
        own += [_another(control, number) for number in range(2, controls + 1)]
        valkey = next(each for each in sandbox if each.name == "valkey")
        self._processes = {
            each.name: dataclasses.replace(each, needs=()) for each in (valkey, *own)
        }
        self._supervisors: dict[str, Supervisor] = {}
        self._paused: set[int] = set()
        self._agent: subprocess.Popen[str] | None = None
        self._talk = threading.Lock()

    def __enter__(self) -> Self:
        """Make the database and start everything; return once all of it is ready."""
        try:
            self._open_agent()
            self.ask("migrate")
            self.heal()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything, the last started first."""
        self._resume_all()
        for name in self._supervisors:
            if name != "valkey" and self.is_alive(name):
                # All at once: each takes a second or more to say goodbye.
                os.kill(self.pid(name), signal.SIGTERM)
        for supervisor in reversed(self._supervisors.values()):
            supervisor.stop()
        self._supervisors.clear()
        if self._agent is not None and self._agent.stdin is not None:
            self._agent.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._agent.wait(timeout=5)
            self._agent.kill()
            self._agent.wait()
            self._agent = None

    def heal(self) -> None:
        """Start again whatever is not running, and let go on what is paused."""
        self._resume_all()
        missing = [each for each in self._processes.values() if not self.is_alive(each.name)]
        # Started together, awaited together: each takes seconds of a core to import the product.
        for batch in ([e for e in missing if e.name == "valkey"], _rest(missing)):
            waiting = [(each, self._launch(each)) for each in batch]
            for each, began in waiting:
                self._await(each, began)

    def is_alive(self, name: str) -> bool:
        """Return whether the process runs, be it paused."""
        supervisor = self._supervisors.get(name)
        if supervisor is None:
            return False
        try:
            supervisor.check()
        except Exception:  # noqa: BLE001 (it has died, in whatever way)
            return False
        return True

    def names(self) -> list[str]:
        """Return the names of all the processes, running or not."""
        return list(self._processes)

    def pid(self, name: str) -> int:
        """Return the id of the process."""
        return self._supervisors[name].pids()[name]

    def kill(self, name: str) -> None:
        """Kill the process without a word, and see it dead."""
        os.kill(self.pid(name), signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while self.is_alive(name):
            assert time.monotonic() < deadline, f"{name} does not die"
            time.sleep(0.01)

    def pause(self, name: str) -> None:
        """Make the process hang: its connections stay open, nothing answers."""
        pid = self.pid(name)
        # All of its group: gunicorn's worker is a child that would go on without its parent.
        os.killpg(pid, signal.SIGSTOP)
        self._paused.add(pid)

    def resume(self, name: str) -> None:
        """Let a process that hangs go on."""
        pid = self.pid(name)
        os.killpg(pid, signal.SIGCONT)
        self._paused.discard(pid)

    def launch(self, name: str) -> None:
        """Start a process that does not run, without waiting until it is ready."""
        assert not self.is_alive(name), f"{name} runs"
        self._launch(self._processes[name])

    def is_ready(self, name: str) -> bool:
        """Return whether the process runs and has said that it is ready."""
        ready = self._processes[name].ready
        return self.is_alive(name) and (ready is None or ready())

    def ask(self, command: str, **arguments: Any) -> Any:
        """Have the agent do something; return its answer. Raises AssertionError with its words."""
        with self._talk:
            agent = self._agent
            assert agent is not None
            assert agent.stdin is not None
            assert agent.stdout is not None
            agent.stdin.write(json.dumps([command, arguments]) + "\n")
            agent.stdin.flush()
            line = agent.stdout.readline()
        assert line, f"the agent has ended\n{self.logs()}"
        found = json.loads(line)
        assert "error" not in found, f"{command}: {found.get('error')}"
        return found["answer"]

    def logs(self) -> str:
        """Return the end of every log."""
        found = sorted(self.workdir.rglob("*.log"))
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-_TAIL:]}" for path in found
        )

    def _open_agent(self) -> None:
        log = (self.workdir / "agent.log").open("ab")
        self._agent = subprocess.Popen(
            [sys.executable, "-m", self._agent_module],
            env=self.env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()

    def _launch(self, process: Process) -> float:
        if process.log.exists():
            # What the last one said is kept; the next one's readiness is read from a new log.
            number = len(list(process.log.parent.glob(f"{process.log.name}.*"))) + 1
            process.log.rename(process.log.with_name(f"{process.log.name}.{number}"))
        supervisor = Supervisor()
        # Its readiness is asked for afterwards, so that several start at once.
        supervisor.start([dataclasses.replace(process, ready=None)])
        self._supervisors[process.name] = supervisor
        return time.monotonic()

    def _await(self, process: Process, began: float) -> None:
        supervisor = self._supervisors[process.name]
        while process.ready is not None and not process.ready():
            supervisor.check()
            assert time.monotonic() < began + PATIENCE_S, f"{process.name} not ready\n{self.logs()}"
            time.sleep(0.05)

    def _resume_all(self) -> None:
        for pid in self._paused:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGCONT)
        self._paused.clear()


def _another(worker: Process, number: int) -> Process:
    """Return the same worker under another name."""
    name = f"{worker.name}-{number}"
    log = worker.log.with_name(f"{name}.log")
    argv = tuple(f"{name}@%h" if each == f"{worker.name}@%h" else each for each in worker.argv)
    return dataclasses.replace(
        worker, name=name, argv=argv, log=log, ready=log_says(log, " ready.")
    )


def _rest(processes: list[Process]) -> list[Process]:
    return [each for each in processes if each.name != "valkey"]
