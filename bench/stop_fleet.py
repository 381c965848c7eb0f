"""A hundred runs at once on real Envoys: what they hold, what they watch, who asks for them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from bench import counters
from tests.servers import envoy as servers_envoy
from tests.servers.envoy import RunningEnvoy
from tests.system.stack import Stack
from tests.system.web import Web

ENVIRONMENT = "many"
EVERY_S = 5.0
PATIENT, ANXIOUS = "patient", "anxious"
"""What a run does when its guardrail is without data: it goes on, or it stops."""
_PATIENCE_S = 90.0


@dataclass(frozen=True)
class Slot:
    """What one run holds: the abort fault of one route of one Envoy."""

    envoy: str
    route: str


def slots(envoys: Sequence[str], count: int) -> list[Slot]:
    """Return so many, dealt out evenly."""
    return [
        Slot(envoys[number % len(envoys)], f"r{number // len(envoys)}") for number in range(count)
    ]


def listener(port: int, routes: int) -> dict[str, Any]:
    """Return a listener whose routes have fault settings, and runtime keys, of their own."""
    made = [
        servers_envoy.route(
            f"/r{number}/",
            name=f"r{number}",
            fault=servers_envoy.fault(
                "abort",
                abort_percent_runtime=f"r{number}.abort.percent",
                abort_http_status_runtime=f"r{number}.abort.status",
            ),
        )
        for number in range(routes)
    ]
    return servers_envoy.hcm(port, fault=servers_envoy.fault("abort"), routes=made)


def document(envoy: str, flavour: str) -> dict[str, Any]:
    """Return the experiment on one Envoy; route, watched service and length are parameters."""
    rule = counters.guardrail(EVERY_S)
    return {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": f"{envoy}-{flavour}"},
        "hypothesis": "However it ends, the fault goes at once.",
        "parameters": {
            "route": {"type": "text", "default": "r0"},
            "service": {"type": "text", "default": "s000"},
            "lasts": {"type": "duration", "default": "30m"},
        },
        "slis": [counters.sli("${service}")],
        "timing": {"baseline": "0s", "settle": "0s", "step": f"{EVERY_S:g}s"},
        "method": [
            {
                "name": "abort",
                "fault": "envoy.http_abort",
                "via": envoy,
                "with": {"route": "${route}", "percentage": "100%", "http_status": 503},
                "duration": "${lasts}",
            }
        ],
        "guardrails": [rule | {"no_data": "stop" if flavour == ANXIOUS else "ignore"}],
    }


class Person(Web):
    """Somebody who starts runs with parameters."""

    def start_one(self, slot: Slot, flavour: str, service: str, lasts_s: float) -> int:
        """Request a run; return its id."""
        answer = self._client.post(
            "/api/v1/runs",
            json={
                "experiment": f"{slot.envoy}-{flavour}",
                "environment": ENVIRONMENT,
                "parameters": {"route": slot.route, "service": service, "lasts": f"{lasts_s:g}s"},
            },
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        assert answer.status_code == 201, answer.text
        run: int = answer.json()["id"]
        return run


class Ledger:
    """What the database says of runs."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def facts(self, runs: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return what is known of each run."""
        found = self._stack.ask("facts", runs=list(runs))
        return {int(run): fact for run, fact in found.items()}

    def wait(
        self, runs: Iterable[int], phases: Sequence[str], within_s: float = _PATIENCE_S
    ) -> dict[int, dict[str, Any]]:
        """Wait until the faults of all the runs are in one of the phases. Return what is known."""
        wanted = list(runs)
        deadline = time.monotonic() + within_s
        while True:
            facts = self.facts(wanted)
            left = {run: fact for run, fact in facts.items() if fact["phase"] not in phases}
            if not left:
                return facts
            said = "\n".join(f"{run}: {fact}" for run, fact in list(left.items())[:3])
            assert time.monotonic() < deadline, f"{len(left)} runs are not {phases}:\n{said}"
            time.sleep(0.2)


class Reader:
    """Reads whether an Envoy holds a fault, without asking ChaosWeb."""

    def __init__(self, envoys: dict[str, RunningEnvoy]) -> None:
        self._clients = {
            name: httpx.Client(base_url=f"http://{envoy.admin}", timeout=10, trust_env=False)
            for name, envoy in envoys.items()
        }

    def is_there(self, slot: Slot) -> bool:
        """Return whether the route's fault is set now."""
        answer = self._clients[slot.envoy].get("/runtime?format=json")
        entry = answer.json()["entries"].get(f"{slot.route}.abort.percent")
        return entry is not None and entry["final_value"] not in ("", "0")

    def wait_gone(self, slot: Slot, within_s: float = _PATIENCE_S) -> float:
        """Wait until the fault is gone; return the moment, in seconds since 1970."""
        deadline = time.monotonic() + within_s
        while self.is_there(slot):
            assert time.monotonic() < deadline, f"{slot} is still there"
            time.sleep(0.002)
        return time.time()

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
