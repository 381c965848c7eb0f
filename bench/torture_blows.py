"""Deals the blows of the schedule to real processes, and brings everything back."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from bench.torture_plan import CONTROLS, Blow
from bench.torture_proxy import Proxies
from tests.servers.envoy import RunningEnvoy
from tests.servers.postgresql import RunningPostgresql
from tests.servers.prometheus import RunningPrometheus
from tests.system.stack import Stack

DATABASE = "database"


@dataclass
class Outage:
    """When something could not be reached; ``ended_at`` is None while it cannot."""

    name: str
    began_at: float
    is_death: bool = False
    """Whether an Envoy lost its runtime."""
    ended_at: float | None = None


@dataclass
class Servers:
    """Every process that can be hurt."""

    stack: Stack
    envoys: dict[str, RunningEnvoy]
    proxies: Proxies
    database: RunningPostgresql
    prometheus: RunningPrometheus


@dataclass(frozen=True)
class _Return:
    """When, by ``time.monotonic``, and how a process comes back."""

    at: float
    target: str
    act: Callable[[], None]


@dataclass
class Blows:
    """What was done to whom. Call it from one thread: children die with the thread's end."""

    servers: Servers
    dealt: list[tuple[float, Blow]] = field(default_factory=list)
    """When, in seconds since 1970."""
    outages: list[Outage] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """Processes that had ended by themselves."""
    _starting: dict[str, Outage] = field(default_factory=dict)
    """Control workers that were killed and have not said that they are ready again."""
    _returns: list[_Return] = field(default_factory=list)

    def deal(self, blow: Blow) -> None:
        """Hurt the process, and remember when it is to come back."""
        # On a busy machine it may be due again before it has come back.
        self._return(lambda due: due.target == blow.target)
        self.dealt.append((time.time(), blow))
        back = self._hurt(blow)
        if back is not None:
            at = time.monotonic() + blow.for_s
            self._returns.append(_Return(at, blow.target, back))
            self._returns.sort(key=lambda due: due.at)

    def bring_back(self) -> None:
        """Bring back whatever is due by now."""
        self._return(lambda due: due.at <= time.monotonic())
        self._look_who_is_ready()

    def heal(self) -> None:
        """Bring everything back, now."""
        self._return(lambda due: True)
        self.servers.stack.heal()
        self._look_who_is_ready()

    def _return(self, is_wanted: Callable[[_Return], bool]) -> None:
        for due in [each for each in self._returns if is_wanted(each)]:
            self._returns.remove(due)
            due.act()

    def _look_who_is_ready(self) -> None:
        for name in [each for each in self._starting if self.servers.stack.is_ready(each)]:
            self._starting.pop(name).ended_at = time.time()

    def _hurt(self, blow: Blow) -> Callable[[], None] | None:
        if blow.target == DATABASE:
            return self._hurt_database(immediately=blow.kind == "crash")
        if blow.target in self.servers.envoys:
            return self._hurt_envoy(blow)
        if blow.target == "prometheus":
            return self._hurt_prometheus(blow)
        if blow.kind == "flush":
            self._flush()
            return None
        return self._hurt_own(blow)

    def _hurt_own(self, blow: Blow) -> Callable[[], None]:
        stack, name = self.servers.stack, blow.target
        if not stack.is_alive(name):
            self.surprises.append(f"{name} had ended by itself before {blow}")
            print(f"\n{self.surprises[-1]}", file=sys.stderr)
            stack.launch(name)
        outage = self._gone(name)
        if blow.kind == "pause":
            stack.pause(name)

            def on() -> None:
                stack.resume(name)
                outage.ended_at = time.time()

            return on
        stack.kill(name)
        if name in CONTROLS:
            self._starting[name] = outage
        return lambda: stack.launch(name)

    def _flush(self) -> None:
        client = redis.Redis.from_url(
            self.servers.stack.env["REDIS_URL"], socket_timeout=5, socket_connect_timeout=5
        )
        with client:
            client.flushall()

    def _hurt_database(self, *, immediately: bool) -> Callable[[], None]:
        outage = self._gone(DATABASE)
        self.servers.database.stop(immediately=immediately)

        def back() -> None:
            self.servers.database.start()
            outage.ended_at = time.time()

        return back

    def _hurt_envoy(self, blow: Blow) -> Callable[[], None]:
        name, envoy = blow.target, self.servers.envoys[blow.target]
        outage = self._gone(name, is_death=blow.kind == "kill")
        if blow.kind == "pause":
            envoy.pause()

            def on() -> None:
                envoy.resume()
                outage.ended_at = time.time()

            return on
        self.servers.proxies.refuse(name)
        envoy.stop()

        def back() -> None:
            envoy.start()
            self.servers.proxies.listen(name)
            outage.ended_at = time.time()

        return back

    def _hurt_prometheus(self, blow: Blow) -> Callable[[], None]:
        prometheus = self.servers.prometheus
        if blow.kind == "pause":
            prometheus.pause()
            return prometheus.resume
        prometheus.kill()
        return prometheus.start

    def _gone(self, name: str, *, is_death: bool = False) -> Outage:
        outage = Outage(name, time.time(), is_death)
        self.outages.append(outage)
        return outage
