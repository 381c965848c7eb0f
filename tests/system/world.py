"""One test's environment, experiment and runs, as seen by a person with the services at hand."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.servers.envoy import RunningEnvoy
from tests.system.stack import PATIENCE_S, Stack
from tests.system.traffic import Traffic

SCRAPE_S = 0.3
INGRESS = 'envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="ingress"'
ERRORS: dict[str, Any] = {
    "name": "errors",
    "ratio": {"bad": INGRESS + ',envoy_response_code_class="5"}', "total": INGRESS + "}"},
    "expect": "may_degrade",
    "limit": {"max": "90%"},
}


@dataclass(frozen=True)
class Mesh:
    """One Envoy with its way in."""

    envoy: RunningEnvoy

    @property
    def port(self) -> int:
        port: int = self.envoy.ports[0]
        return port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def traffic(self, *, pause_s: float = 0.02) -> Traffic:
        return Traffic(self.port, pause_s=pause_s)

    def is_faulted(self) -> bool:
        return self.envoy.get("/").status_code == 503

    def wait_until_faulted(self) -> None:
        eventually(self.is_faulted, "requests meet the fault")

    def wait_until_clear(self) -> None:
        eventually(lambda: not self.is_faulted(), "requests meet no fault")


def eventually(is_true: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Ask again and again until the answer is true, and return it."""
    deadline = time.monotonic() + within_s
    while not (found := is_true()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)
    return found


class World:
    """An environment of its own, so that tests share a stack and nothing else."""

    def __init__(
        self,
        stack: Stack,
        envoys: list[str],
        *,
        prometheus: str = "",
        hosts: list[str] | None = None,
    ) -> None:
        self.stack = stack
        self.name = f"w{secrets.token_hex(4)}"
        self.hosts = hosts or []
        stack.ask(
            "environment",
            name=self.name,
            envoys=envoys,
            prometheus=prometheus,
            scrape_s=SCRAPE_S,
            hosts=self.hosts,
        )

    def document(self, *, duration: str = "3s", **changes: Any) -> dict[str, Any]:
        """Return an experiment: every request aborted for a while, looked at in the end."""
        url = f"http://{self.hosts[0]}/" if self.hosts else "http://127.0.0.1:1/"
        probe = {
            "name": "answers",
            "at": ["end"],
            "http": {"url": url},
            "tolerance": {"status": 200},
        }
        action = {
            "name": "abort",
            "fault": "envoy.http_abort",
            "via": "mesh",
            "with": {"percentage": "100%", "http_status": 503},
            "duration": duration,
        }
        return {
            "apiVersion": "chaosweb/v1",
            "kind": "Experiment",
            "metadata": {"name": self.name},
            "hypothesis": "It answers again once the fault is gone.",
            "probes": [probe],
            "timing": {"baseline": "0s", "settle": "0s"},
            "method": [action],
            **changes,
        }

    def save(self, document: dict[str, Any]) -> int:
        """Store the experiment; return its version's id."""
        version: int = self.stack.ask("save", document=document)
        return version

    def start(self, **document: Any) -> int:
        """Store the experiment and request a run of it; return the run's id."""
        version = self.save(self.document(**document))
        run: int = self.stack.ask(
            "start", version=version, environment=self.name, key=secrets.token_hex(8)
        )
        return run

    def start_fault(self, mesh: Mesh, **document: Any) -> int:
        """Start a run; return it once requests meet its fault and the ledger says so."""
        run = self.start(**document)
        seen = self.wait(
            run, lambda seen: _is_active(seen) or not seen["is_live"], "the fault is there"
        )
        assert _is_active(seen), "\n".join(seen["journal"])
        mesh.wait_until_faulted()
        return run

    def show(self, run: int) -> dict[str, Any]:
        """Return what the database says of the run."""
        found: dict[str, Any] = self.stack.ask("show", run=run)
        return found

    def finish(self, run: int) -> dict[str, Any]:
        """Wait until the run has ended; return what is known of it."""
        return self.wait(run, lambda seen: not seen["is_live"], "the run ends")

    def wait(self, run: int, is_true: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Wait until what is known of the run is as wanted; return it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = self.show(run)
            if is_true(seen):
                return seen
            journal = "\n".join(seen["journal"])
            assert time.monotonic() < deadline, f"never: {what}\n{seen['status']}\n{journal}"
            time.sleep(0.1)


def _is_active(seen: dict[str, Any]) -> bool:
    return any(each["phase"] == "active" for each in seen["injections"])
