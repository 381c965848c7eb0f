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
from typing import Any

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


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server with an empty database and yield its ``postgres://`` URL."""
    found = programs()
    assert found is not None, "no PostgreSQL"
    whom = _as_whom()
    folder = Path(tempfile.mkdtemp(prefix="cw-pg-"))
    try:
        if whom:
            os.chown(folder, whom["user"], whom["group"])
        place: dict[str, Any] = {
            "cwd": folder,
            "env": {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        }
        with (folder / "log").open("wb") as log:
            loud: dict[str, Any] = {"stdout": log, "stderr": log, **place, **whom}
            command = [
                str(found / "initdb"),
                "-D",
                str(folder / "data"),
                "-U",
                "chaosweb",
                "-A",
                "trust",
            ]
            subprocess.run([*command, "--no-sync", "-E", "UTF8"], check=True, **loud)
            quiet = ["-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-k", str(folder)]
            server = subprocess.Popen(
                [str(found / "postgres"), "-D", str(folder / "data"), *quiet], **loud
            )
            try:
                ready = [str(found / "pg_isready"), "-q", "-h", str(folder), "-d", "postgres"]

                def answers() -> bool:
                    assert server.poll() is None, (folder / "log").read_text()[-3000:]
                    return subprocess.run(ready, check=False, **loud).returncode == 0

                wait_until(answers, "PostgreSQL is ready")
                made = [str(found / "createdb"), "-h", str(folder), "-U", "chaosweb", "chaosweb"]
                subprocess.run(made, check=True, **loud)
                yield f"postgres://chaosweb@/chaosweb?host={folder}"
            finally:
                server.send_signal(signal.SIGINT)
                try:
                    server.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
