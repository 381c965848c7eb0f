"""A real PostgreSQL of this machine's packages, on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

from tests.servers.envoy import wait_until

_PACKAGED = Path("/usr/lib/postgresql")
_UNPRIVILEGED = ("postgres", "nobody")


def programs() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, or None where there is none."""
    found = sorted(_PACKAGED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _as_whom() -> dict[str, Any]:
    """Return how to start it: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in _UNPRIVILEGED:
        try:
            who = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    raise AssertionError("there is no unprivileged user to start PostgreSQL as")


class RunningPostgresql:
    """A server with an empty database. Its folder and its address stay the same over a restart."""

    def __init__(self) -> None:
        found = programs()
        assert found is not None, "no PostgreSQL"
        self._programs = found
        self._folder = Path(tempfile.mkdtemp(prefix="cw-pg-"))
        self._whom = _as_whom()
        self._place: dict[str, Any] = {
            "cwd": self._folder,
            "env": {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            **self._whom,
        }
        self._server: subprocess.Popen[bytes] | None = None
        self.url = f"postgres://chaosweb@/chaosweb?host={self._folder}"

    def __enter__(self) -> Self:
        try:
            if self._whom:
                os.chown(self._folder, self._whom["user"], self._whom["group"])
            data = ("-D", str(self._folder / "data"))
            self._run(
                "initdb", *data, *["-U", "chaosweb", "-A", "trust", "--no-sync", "-E", "UTF8"]
            )
            self.start()
            self._run("createdb", "-h", str(self._folder), "-U", "chaosweb", "chaosweb")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        quiet = ["-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-k", str(self._folder)]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *quiet]
        with self._log() as log:
            self._server = subprocess.Popen(command, stdout=log, stderr=log, **self._place)
        wait_until(self._answers, "PostgreSQL is ready")

    def stop(self, *, immediately: bool = False) -> None:
        """End it and every session: after a checkpoint, or at once, so that it has to recover."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGQUIT if immediately else signal.SIGINT)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._folder / "log").read_text()[-3000:]
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder)]
        with self._log() as log:
            loud: dict[str, Any] = {"stdout": log, "stderr": log, **self._place}
            found = subprocess.run([*ready, "-d", "postgres"], check=False, **loud)
        return found.returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        with self._log() as log:
            loud: dict[str, Any] = {"stdout": log, "stderr": log, **self._place}
            subprocess.run([str(self._programs / program), *arguments], check=True, **loud)

    def _log(self) -> BinaryIO:
        return (self._folder / "log").open("ab")


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server with an empty database and yield its ``postgres://`` URL."""
    with RunningPostgresql() as server:
        yield server.url
