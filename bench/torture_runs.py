"""The people of the torture: they request runs and stop some, again and again, through the API.

Each keeps asking until the web server answers, as a person or a pipeline with an idempotency key
would. Every experiment holds a slot: one fault of one route of one Envoy, or of all three.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import httpx

from bench.torture_plan import ENVOYS
from tests.servers import envoy as envoys
from tests.system.stack import Stack
from tests.system.web import Web
from tests.system.world import ERRORS

ENVIRONMENT = "torture"
FLEET = "fleet"
ROUTES = 8
_FLEET_ROUTES = 2
_ASK_EVERY_S = 0.5
_ANSWER_S = 5.0
_LEAVE_AFTER_S = 25.0
"""A person who has waited so long for a run's end requests another one beside it."""
KINDS: dict[str, dict[str, Any]] = {
    "http_abort": {"percentage": "100%", "http_status": 503},
    "http_delay": {"percentage": "100%", "fixed_delay": "90ms"},
}
_GUARDRAIL = {
    "name": "too-many-errors",
    "sli": "errors",
    "above": "20%",
    "breaches": "2 of 3",
    "every": "1s",
    "no_data": "stop",
}
PLAIN, STOPPED, TWICE, REINJECT, WATCHED = "plain", "stopped", "twice", "reinject", "watched"
_SHARES = {PLAIN: 35, STOPPED: 20, TWICE: 15, REINJECT: 15, WATCHED: 15}
FLAVOURS = tuple(_SHARES)


@dataclass(frozen=True)
class Slot:
    """What one run holds: a fault of a route, through an alias."""

    alias: str
    route: str
    kind: str

    @property
    def name(self) -> str:
        """Return what its experiments' names begin with."""
        return f"{self.alias}-{self.route}-{self.kind.removeprefix('http_')}"


def slots() -> list[Slot]:
    """Return every slot; no two share a claim."""
    single = [
        Slot(alias, f"r{route}", kind)
        for alias in ENVOYS
        for route in range(ROUTES - _FLEET_ROUTES)
        for kind in KINDS
    ]
    fleet = range(ROUTES - _FLEET_ROUTES, ROUTES)
    return [*single, *(Slot(FLEET, f"r{route}", kind) for route in fleet for kind in KINDS)]


def listener(port: int) -> dict[str, Any]:
    """Return a listener whose routes have fault settings, and runtime keys, of their own."""
    home = {"match": {"prefix": "/home"}, "direct_response": {"status": 200}}
    routes = [
        envoys.route(
            f"/r{number}",
            name=f"r{number}",
            fault=envoys.fault(
                "abort",
                "delay",
                abort_percent_runtime=f"r{number}.abort.percent",
                abort_http_status_runtime=f"r{number}.abort.status",
                delay_percent_runtime=f"r{number}.delay.percent",
                delay_duration_runtime=f"r{number}.delay.ms",
            ),
        )
        for number in range(ROUTES)
    ]
    return envoys.hcm(port, fault=envoys.fault("abort", "delay"), routes=[*routes, home])


def document(slot: Slot, flavour: str, chance: random.Random) -> dict[str, Any]:
    """Return the experiment of a slot in one flavour; its durations are drawn."""

    def action(name: str, seconds: float, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "fault": f"envoy.{slot.kind}",
            "via": slot.alias,
            "with": {"route": slot.route, **KINDS[slot.kind]},
            "duration": f"{seconds:.1f}s",
            **more,
        }

    method = [action("first", chance.uniform(2, 8))]
    measured: dict[str, Any] = {}
    if flavour == STOPPED:
        method = [action("first", 90)]
    elif flavour == TWICE:
        method = [action("first", chance.uniform(1, 4)), action("second", chance.uniform(1, 4))]
    elif flavour == REINJECT:
        method = [action("first", chance.uniform(4, 8), on_drift="reinject")]
    elif flavour == WATCHED:
        measured = {"slis": [ERRORS], "guardrails": [_GUARDRAIL]}
    probe = {
        "name": "answers",
        "at": ["end"],
        "http": {"url": "http://127.0.0.1:1/"},
        "tolerance": {"status": 200},
    }
    return {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": f"{slot.name}-{flavour}"},
        "hypothesis": "Whatever dies, the fault goes.",
        "timing": {"baseline": "0s", "settle": "0s"},
        "method": method,
        **(measured or {"probes": [probe]}),
    }


class Watch:
    """Reads which runs are live, twice a second, while the database answers."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._changed = threading.Condition()
        self._read_at = 0.0
        self._live: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=30)

    def live(self) -> list[dict[str, Any]]:
        """Return the live runs as last read."""
        return self._live

    def fresh(self) -> list[dict[str, Any]]:
        """Return the live runs as a look that begins now reads them."""
        since = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._read_at > since)
            return self._live

    def has_ended(self, run: int, since: float) -> bool:
        """Return whether the run was seen ended by a look that began after ``since``."""
        with self._changed:
            self._changed.wait(_ASK_EVERY_S)
            return self._read_at > since and all(each["id"] != run for each in self._live)

    def _look(self) -> None:
        while not self._over.wait(_ASK_EVERY_S):
            began = time.monotonic()
            try:
                found = self._stack.ask("live")
            except AssertionError:
                continue  # the database is away
            with self._changed:
                self._live, self._read_at = found, began
                self._changed.notify_all()


_Drawn = tuple[Slot, str, str]


class People:
    """So many people, each a thread, until they are told that it is enough."""

    def __init__(self, stack: Stack, watch: Watch, *, count: int, seed: int, runs: int) -> None:
        self._stack = stack
        self._watch = watch
        self._wanted = runs
        self._lock = threading.Lock()
        self._chance = random.Random(seed)
        self._taken: set[Slot] = set()
        self._left: dict[int, Slot] = {}
        """Runs that nobody waits for any more, and what they hold."""
        self._slots = slots()
        self.requested = 0
        self.is_enough = threading.Event()
        self.broken: list[str] = []
        """What no person should ever be answered."""
        self._threads = [
            threading.Thread(
                target=self._act,
                args=(Web(stack, timeout_s=_ANSWER_S), random.Random(f"{seed}-{number}")),
                daemon=True,
            )
            for number in range(count)
        ]

    def start(self) -> None:
        """Let them begin."""
        for thread in self._threads:
            thread.start()

    def wait(self, within_s: float) -> bool:
        """Wait until all have gone home. Return whether they have."""
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _act(self, web: Web, chance: random.Random) -> None:
        time.sleep(chance.uniform(0, 3))
        with web:
            while not self.is_enough.is_set() and (drawn := self._next()) is not None:
                try:
                    self._one(web, drawn, chance)
                except Exception as error:  # noqa: BLE001 (told in the end, and a failure)
                    self.broken.append(f"{type(error).__name__}: {error}")
                    return
                self.is_enough.wait(chance.uniform(0, 1.5))

    def _next(self) -> _Drawn | None:
        """Draw a slot, mostly one that nobody has, with a flavour and an idempotency key."""
        with self._lock:
            if self.requested >= self._wanted:
                return None
            self.requested += 1
            live = {each["id"] for each in self._watch.live()}
            for run in [each for each in self._left if each not in live]:
                self._taken.discard(self._left.pop(run))
            free = [slot for slot in self._slots if slot not in self._taken]
            is_rude = not free or self._chance.random() < 0.05
            slot = self._chance.choice(self._slots if is_rude else free)
            flavour = self._chance.choices(list(_SHARES), list(_SHARES.values()))[0]
            return slot, flavour, f"torture-{self.requested}"

    def _one(self, web: Web, drawn: _Drawn, chance: random.Random) -> None:
        slot, flavour, key = drawn
        with self._lock:
            is_ours = slot not in self._taken
            self._taken.add(slot)
        try:
            name = f"{slot.name}-{flavour}"
            answer = insist(partial(web.start, name, ENVIRONMENT, key))
            run = int(answer["id"])
            began = time.monotonic()
            if flavour == STOPPED:
                self.is_enough.wait(chance.uniform(0, 8))
                insist(partial(web.stop, run))
            while not (self.is_enough.is_set() or self._watch.has_ended(run, began)):
                if time.monotonic() > began + _LEAVE_AFTER_S:
                    if is_ours:
                        self._left[run] = slot
                        is_ours = False
                    return
        finally:
            if is_ours:
                with self._lock:
                    self._taken.discard(slot)


def insist(ask: Callable[[], httpx.Response]) -> dict[str, Any]:
    """Ask until there is an answer. Raises AssertionError for one that blames the asker."""
    while True:
        try:
            answer = ask()
        except httpx.TransportError:
            time.sleep(0.5)
            continue
        if answer.status_code < 300:
            found: dict[str, Any] = answer.json()
            return found
        assert answer.status_code >= 500, f"{answer.status_code}: {answer.text}"
        time.sleep(0.5)


def stop_all(stack: Stack, runs: list[int]) -> None:
    """Stop the runs, as a person would."""
    with Web(stack) as web:
        for run in runs:
            insist(partial(web.stop, run))
