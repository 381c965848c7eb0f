"""A real Prometheus on a free port of 127.0.0.1, and an exporter whose counters a test controls."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

SCRAPE_INTERVAL_S = 0.3

T = TypeVar("T")


def wait_until(find: Callable[[], T], what: str, within_s: float = 30.0) -> T:
    """Ask again and again until the answer is true, and return it. Raises AssertionError."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = find()
        if found:
            return found
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what}: not within {within_s} s")
        time.sleep(0.05)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a small HTTP server in a thread and yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    # Handlers that a test left hanging must not hold the test up.
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Exporter:
    """Counters that a test sets, served as a Prometheus target; use with ``running()``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.is_failing = False
        self.address = ""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set one series' value."""
        with self._lock:
            self._values[name, tuple(labels.items())] = value

    def remove(self, name: str, **labels: str) -> None:
        """Stop showing one series."""
        with self._lock:
            del self._values[name, tuple(labels.items())]

    def page(self) -> str:
        """Return the exposition text."""
        with self._lock:
            lines = [
                f"{name}{{{','.join(f'{key}={json.dumps(text)}' for key, text in labels)}}} {value}"
                for (name, labels), value in self._values.items()
            ]
        return "\n".join([*lines, ""])

    @contextmanager
    def running(self) -> Iterator[Exporter]:
        """Serve until the block ends."""
        exporter = self

        class Metrics(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter.page().encode()
                self.send_response(500 if exporter.is_failing else 200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        with serving(Metrics) as url:
            self.address = url.removeprefix("http://")
            yield self


@contextmanager
def prometheus(
    targets: Mapping[str, Sequence[str]] | None = None,
    *,
    scrape_configs: Sequence[Mapping[str, Any]] = (),
    scrape_interval_s: float = SCRAPE_INTERVAL_S,
    openmetrics: str = "",
) -> Iterator[str]:
    """Run Prometheus from PATH and yield its URL once it is ready.

    ``targets`` maps a job to ``host:port`` addresses; ``scrape_configs`` are whole entries beside
    them. ``openmetrics`` is text with times, ending in ``# EOF``: history to begin with, exact to
    the sample.
    """
    jobs = [
        {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
        for job, addresses in (targets or {}).items()
    ]
    interval = f"{round(scrape_interval_s * 1000)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [*jobs, *scrape_configs],
    }
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        home = Path(folder)
        # JSON is YAML.
        (home / "prometheus.yml").write_text(json.dumps(config))
        (home / "tsdb").mkdir()
        if openmetrics:
            (home / "history.om").write_text(openmetrics)
            command = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
            subprocess.run(
                [*command, str(home / "history.om"), str(home / "tsdb")],
                check=True,
                capture_output=True,
            )
        for attempt in range(3):
            url, process = _start(home)
            try:
                if _is_ready(url, process):
                    yield url
                    return
            finally:
                _stop(process)
            # Another process may have taken the port between our look and its start.
            if attempt == 2:
                raise AssertionError((home / "log").read_text()[-2000:])


class RunningPrometheus:
    """A Prometheus that may be killed and stopped: its port and its data stay the same."""

    def __init__(
        self, port: int, scrape_configs: Sequence[Mapping[str, Any]], scrape_interval_s: float
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._folder = tempfile.TemporaryDirectory(prefix="prometheus-")
        self._home = Path(self._folder.name)
        interval = f"{round(scrape_interval_s * 1000)}ms"
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": list(scrape_configs),
        }
        (self._home / "prometheus.yml").write_text(json.dumps(config))
        (self._home / "tsdb").mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        assert _is_ready(self.url, self.process), (self._home / "log").read_text()[-2000:]
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Return the running process."""
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> None:
        """Start it; it answers a moment later."""
        self._process = _launch(self._home, self._port)

    def kill(self) -> None:
        """Kill it without a word, also when it is paused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Make it hang."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


def _start(home: Path) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}", _launch(home, port)


def _launch(home: Path, port: int) -> subprocess.Popen[bytes]:
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            [
                "prometheus",
                f"--config.file={home}/prometheus.yml",
                f"--storage.tsdb.path={home}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _is_ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    def settled() -> bool:
        if process.poll() is not None:
            return True
        try:
            return httpx.get(f"{url}/-/ready", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(settled, "Prometheus is ready", within_s=60)
    return process.poll() is None


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
