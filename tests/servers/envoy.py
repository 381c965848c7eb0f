"""A real Envoy on free loopback ports, with a trivial upstream, for any test that wants one.

with Upstream() as upstream, RunningEnvoy(bootstrap([hcm(...)], upstream.port)) as envoy:
    envoy.get("/")
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

FAULT = "envoy.filters.http.fault"
TYPES = "type.googleapis.com/envoy.extensions.filters."
ADMIN_LAST = [{"name": "base", "static_layer": {}}, {"name": "admin", "admin_layer": {}}]
READY_WITHIN_S = 30.0


def binary() -> str | None:
    """Return the path of the Envoy binary, or None where there is none."""
    beside = Path(sys.executable).parent / "envoy"
    return str(beside) if beside.exists() else shutil.which("envoy")


def wait_until(is_true: Callable[[], bool], what: str, within_s: float = READY_WITHIN_S) -> None:
    """Poll until the condition holds; raises AssertionError when it never does."""
    end = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.01)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Upstream:
    """A server in this process that answers every GET with 200."""

    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"upstream"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def fault(*blocks: str, **fields: Any) -> dict[str, Any]:
    """Return an HTTPFault with the blocks ``abort`` and ``delay`` at 0 %, and other fields."""
    config: dict[str, Any] = {"@type": TYPES + "http.fault.v3.HTTPFault", **fields}
    if "abort" in blocks:
        config["abort"] = {"http_status": 503, "percentage": {"numerator": 0}}
    if "delay" in blocks:
        config["delay"] = {"fixed_delay": "0.001s", "percentage": {"numerator": 0}}
    return config


def route(prefix: str, *, name: str = "", **fields: Any) -> dict[str, Any]:
    """Return a route to the upstream; ``fault=`` gives it a fault config of its own."""
    found: dict[str, Any] = {"match": {"prefix": prefix}, "route": {"cluster": "upstream"}}
    if name:
        found["name"] = name
    if "fault" in fields:
        found["typed_per_filter_config"] = {FAULT: fields.pop("fault")}
    return found | fields


def hcm(
    port: int,
    *,
    stat_prefix: str = "ingress",
    fault: dict[str, Any] | None = None,
    routes: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return a listener (named ``<stat_prefix>_listener``) with one connection manager."""
    filters = [{"name": FAULT, "typed_config": fault}] if fault is not None else []
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": TYPES + "http.router.v3.Router"},
    }
    host = {"name": "all", "domains": ["*"], "routes": routes or [route("/")]}
    manager = {
        "@type": TYPES + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "route_config": {"name": f"{stat_prefix}_routes", "virtual_hosts": [host]},
        "http_filters": [*filters, router],
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    return {
        "name": f"{stat_prefix}_listener",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }


def bootstrap(
    listeners: list[dict[str, Any]],
    upstream_port: int,
    *,
    node_id: str = "front-1",
    layers: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return a bootstrap without its admin address, which RunningEnvoy adds."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": upstream_port}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    config: dict[str, Any] = {
        "node": {"id": node_id, "cluster": "edge"},
        "static_resources": {"listeners": listeners, "clusters": [cluster]},
    }
    chosen = ADMIN_LAST if layers is None else layers
    if chosen:
        config["layered_runtime"] = {"layers": chosen}
    return config


class RunningEnvoy:
    """One Envoy process. Its ports stay the same over ``restart``."""

    def __init__(
        self, config: dict[str, Any], *, unix_admin: bool = False, admin_port: int = 0
    ) -> None:
        path = binary()
        assert path is not None, "no envoy binary"
        self._binary = path
        self._folder = Path(tempfile.mkdtemp(prefix="cw-"))
        listeners = config["static_resources"]["listeners"]
        self.ports = [each["address"]["socket_address"]["port_value"] for each in listeners]
        if unix_admin:
            self.socket: str | None = str(self._folder / "admin.sock")
            self.admin = f"unix:{self.socket}"
            address: dict[str, Any] = {"pipe": {"path": self.socket}}
        else:
            self.socket = None
            port = admin_port or free_ports(1)[0]
            self.admin = f"127.0.0.1:{port}"
            address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        self._config = self._folder / "bootstrap.json"
        self._config.write_text(json.dumps(config | {"admin": {"address": address}}))
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(trust_env=False, timeout=10)
        self._admin_client = httpx.Client(
            base_url="http://envoy" if self.socket else f"http://{self.admin}",
            transport=httpx.HTTPTransport(uds=self.socket) if self.socket else None,
            trust_env=False,
            timeout=10,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._client.close()
        self._admin_client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Return the running process."""
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> None:
        """Start it and wait until it is ready."""
        log = self._folder / "envoy.log"
        with log.open("ab") as out:
            command = f"{self._binary} -c {self._config} --use-dynamic-base-id --concurrency 1"
            self._process = subprocess.Popen(
                [*command.split(), "-l", "error"], stdout=out, stderr=out
            )
        try:
            wait_until(self._is_ready, "Envoy is ready")
        except AssertionError as error:
            self.stop()
            raise AssertionError(log.read_text()[-3000:]) from error

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError("Envoy ended")
        try:
            return self._admin_client.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Kill this process, also when it is paused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it anew: every override is lost."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Make it hang: connections are accepted by the kernel, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, with whatever was sent meanwhile."""
        self.process.send_signal(signal.SIGCONT)

    def get(self, path: str = "/", *, listener: int = 0) -> httpx.Response:
        """Send one request through the listener."""
        return self._client.get(f"http://127.0.0.1:{self.ports[listener]}{path}")

    def statuses(self, count: int, path: str = "/") -> list[int]:
        """Send requests and return their statuses."""
        return [self.get(path).status_code for _ in range(count)]

    def ask(self, path: str) -> httpx.Response:
        """Read from the admin interface."""
        return self._admin_client.get(path)

    def modify(self, **values: str) -> None:
        """Set runtime keys as a stranger would; ``__`` stands for a dot."""
        keys = {key.replace("__", "."): value for key, value in values.items()}
        self._admin_client.post("/runtime_modify", params=keys).raise_for_status()

    def overrides(self) -> dict[str, str]:
        """Return the runtime's values in force."""
        entries = self.ask("/runtime?format=json").json()["entries"]
        return {key: entry["final_value"] for key, entry in entries.items()}
