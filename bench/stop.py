"""Measure how fast faults go with many runs at once: by Stop, by guardrail, after a dead worker.

    .venv/bin/python -m bench.stop --runs 100 --json stop.json

Real: gunicorn, Valkey, beat, two control workers and the look worker, PostgreSQL, a Prometheus that
scrapes an exporter every second, and four Envoys. Every run is requested through the API; each one
aborts a route of its own on one of the Envoys, and has a guardrail that is read every 5 s. Nothing
is faked.

1. *Stop*: one run after the other is stopped by ``POST /api/v1/runs/N/stop``, and replaced, while
   all the others go on. From before the request is sent until ``Injection.recovered_at`` (the fault
   was read back as gone), by the database's clock; beside it until Envoy's own ``/runtime`` shows
   the key no more, polled by this script.
2. *Breach*: services break down at known times. From the moment at which the data can be seen until
   ``Injection.recovering_at``. The data can be seen one scrape after the end of the bin that
   completes the guardrail's rule (2 of 3 bins of 5 s); from the end of that bin is shown as well.
3. *Both again while Prometheus hangs* (SIGSTOP). Runs whose guardrail ignores missing data are
   stopped one after the other; nobody replaces them, as a check would wait for Prometheus. The
   others stop by themselves: from the end of their guardrail's patience until ``recovering_at``.
4. *kill -9 of a control worker* while faults are due to end within seconds: from the later of the
   planned end and the kill until ``recovered_at``; of an inject that the kill
   cut off, until it was first read back as gone.

The figures are printed whether they are met or not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from bench import machine, stop_fleet
from bench.counters import JOB, Counters
from bench.latency import percentile
from bench.stop_fleet import ANXIOUS, ENVIRONMENT, EVERY_S, PATIENT, Ledger, Person, Reader, Slot
from tests.servers import envoy as servers_envoy
from tests.servers.envoy import RunningEnvoy, Upstream
from tests.servers.postgresql import postgresql
from tests.servers.prometheus import RunningPrometheus, wait_until
from tests.system.stack import Stack

ENVOYS = ("front", "shop", "cart", "mail")
SCRAPE_S = 1.0
STOP_P50_MS, STOP_P99_MS = 50.0, 500.0
GUARDRAIL_S = EVERY_S + 1.0
KILL_S = 15.0
LASTS_S = 1800.0
_SERVICES = 20
_BROKEN = 8
_HISTORY_S = 60.0
_KILL_LASTS_S = 20.0
_HUNG_FOR_S = 3.0


@dataclass
class Times:
    """Seconds of every repetition, by what was timed."""

    stop: list[float] = field(default_factory=list)
    stop_envoy: list[float] = field(default_factory=list)
    stop_answer: list[float] = field(default_factory=list)
    guardrail: list[float] = field(default_factory=list)
    guardrail_bin: list[float] = field(default_factory=list)
    hung_stop: list[float] = field(default_factory=list)
    hung_stop_envoy: list[float] = field(default_factory=list)
    hung_stop_answer: list[float] = field(default_factory=list)
    hung_guardrail: list[float] = field(default_factory=list)
    kill: list[float] = field(default_factory=list)
    unsettled: int = 0
    """Faults whose inject was cut off by a kill: gone, and read again for a while."""


@dataclass
class Bench:
    """Everything that runs, and the runs that are live: what each holds, by its id."""

    stack: Stack
    prometheus: RunningPrometheus
    source: Counters
    person: Person
    ledger: Ledger
    reader: Reader
    chance: random.Random
    live: dict[int, tuple[Slot, str]] = field(default_factory=dict)

    def start(self, slot: Slot, flavour: str, service: int, lasts_s: float = LASTS_S) -> int:
        """Request a run."""
        run = self.person.start_one(slot, flavour, _service(service), lasts_s)
        self.live[run] = (slot, flavour)
        return run


_WARM_S = 30


def main() -> int:
    """Run the command line; the figures are printed, met or not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--stops", type=int, default=60, help="runs that are stopped, twice over")
    parser.add_argument("--kills", type=int, default=3, help="how often a worker is killed")
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    before = os.getloadavg()
    times = Times()
    with _everything(asked.runs, is_sqlite=asked.sqlite) as bench:
        _start(bench, asked.runs, asked.stops)
        _say(f"{len(bench.live)} runs inject; stopping {asked.stops}")
        _stops(bench, asked.stops, times)
        _say("services break down")
        _breaches(bench, times)
        _say("Prometheus hangs")
        _hung(bench, asked.stops, times)
        for number in range(asked.kills):
            _say(f"kill {number + 1}")
            _kill(bench, asked.runs, number, times)
    found = {
        "runs": asked.runs,
        "stops": asked.stops,
        "database": "sqlite" if asked.sqlite else "postgresql",
        "guardrail_every_s": EVERY_S,
        "scrape_s": SCRAPE_S,
        **_figures(times),
        "load_before": before,
        "load_after": os.getloadavg(),
        **machine.describe(),
        "command": " ".join([Path(sys.executable).name, "-m", "bench.stop", *sys.argv[1:]]),
    }
    _print(found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _service(number: int) -> str:
    return f"s{number:03d}"


@contextmanager
def _everything(runs: int, *, is_sqlite: bool) -> Iterator[Bench]:
    names = [_service(number) for number in range(_SERVICES + _BROKEN)]
    source = Counters(names, history_s=_HISTORY_S)
    routes = -(-runs // len(ENVOYS))
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="cw-stop-")))
        open_.enter_context(source.running())
        scraped = {"job_name": JOB, "static_configs": [{"targets": [source.address]}]}
        port = servers_envoy.free_ports(1)[0]
        prometheus = open_.enter_context(RunningPrometheus(port, [scraped], SCRAPE_S))
        upstream = open_.enter_context(Upstream())
        envoys: dict[str, RunningEnvoy] = {}
        for name in ENVOYS:
            listener = stop_fleet.listener(servers_envoy.free_ports(1)[0], routes)
            config = servers_envoy.bootstrap([listener], upstream.port, node_id=name)
            envoys[name] = open_.enter_context(RunningEnvoy(config))
        url = "" if is_sqlite else open_.enter_context(postgresql())
        stack = open_.enter_context(
            Stack(folder, database_url=url, controls=2, agent="bench.stop_agent")
        )
        stack.ask(
            "world",
            name=ENVIRONMENT,
            meshes={name: [envoy.admin] for name, envoy in envoys.items()},
            prometheus=prometheus.url,
            scrape_s=SCRAPE_S,
        )
        for name in ENVOYS:
            for flavour in (PATIENT, ANXIOUS):
                stack.ask("save", document=stop_fleet.document(name, flavour))
        reader = Reader(envoys)
        open_.callback(reader.close)
        person = open_.enter_context(Person(stack))
        yield Bench(
            stack, prometheus, source, person, Ledger(stack), reader, chance=random.Random(1)
        )


def _start(bench: Bench, runs: int, stops: int) -> None:
    """Start all the runs; as many as are stopped go on without data, the others do not."""
    asked = {"query": f"count(increase(requests_total[{_WARM_S}s]) > 0)"}
    wait_until(
        lambda: httpx.get(f"{bench.prometheus.url}/api/v1/query", params=asked).json()["data"][
            "result"
        ],
        "Prometheus has data",
    )
    # The look before the first fault wants several steps of it.
    time.sleep(_WARM_S)
    for number, slot in enumerate(stop_fleet.slots(ENVOYS, runs)):
        flavour = PATIENT if number < stops else ANXIOUS
        bench.start(slot, flavour, number % _SERVICES)
    bench.ledger.wait(bench.live, ["active"])


def _stop_one(bench: Bench, run: int) -> tuple[float, float, float]:
    """Stop a run; return the moments of the request, of its answer and of Envoy's empty runtime."""
    slot, _ = bench.live.pop(run)
    assert bench.reader.is_there(slot), f"{slot} has no fault"
    # Not in step with any clock of the engine's: its sweep, its looks, its keeper.
    time.sleep(bench.chance.uniform(0.2, 0.8))
    asked_at = time.time()
    answer = bench.person.stop(run)
    answered_at = time.time()
    assert answer.status_code == 200, answer.text
    return asked_at, answered_at, bench.reader.wait_gone(slot)


def _stops(bench: Bench, stops: int, times: Times) -> None:
    stopped: dict[int, tuple[float, float, float]] = {}
    for number, run in enumerate(list(bench.live)[:stops]):
        slot, flavour = bench.live[run]
        stopped[run] = _stop_one(bench, run)
        bench.ledger.wait([run], ["recovered"])
        again = bench.start(slot, flavour, number % _SERVICES)
        bench.ledger.wait([again], ["active"])
    _note(bench, stopped, times.stop, times.stop_answer, times.stop_envoy)


def _note(
    bench: Bench,
    stopped: dict[int, tuple[float, float, float]],
    gone: list[float],
    answer: list[float],
    envoy: list[float],
) -> None:
    facts = bench.ledger.wait(stopped, ["recovered"])
    for run, (asked_at, answered_at, empty_at) in stopped.items():
        assert facts[run]["ended_by"] == "person", facts[run]
        gone.append(facts[run]["recovered_at"] - asked_at)
        answer.append(answered_at - asked_at)
        envoy.append(empty_at - asked_at)


def _breaches(bench: Bench, times: Times) -> None:
    """Let some services break down, one after the other; then replace the runs that stopped."""
    for number in range(_BROKEN):
        bench.source.break_down([_service(number)])
        time.sleep(bench.chance.uniform(0.5, 3.0))
    broken = _watching(bench)
    for run, fact in bench.ledger.wait(broken, ["recovered"]).items():
        assert fact["ended_by"] == "guardrail", fact
        times.guardrail_bin.append(fact["recovering_at"] - fact["breached_at"])
        times.guardrail.append(fact["recovering_at"] - fact["breached_at"] - SCRAPE_S)
        slot, flavour = bench.live.pop(run)
        bench.start(slot, flavour, _SERVICES + run % _BROKEN)
    bench.ledger.wait(bench.live, ["active"])


def _watching(bench: Bench) -> list[int]:
    """Return the live runs whose service broke down."""
    services = bench.stack.ask("services", runs=list(bench.live))
    broken = {_service(number) for number in range(_BROKEN)}
    return [int(run) for run, service in services.items() if service in broken]


def _hung(bench: Bench, stops: int, times: Times) -> None:
    patient = [run for run, (_, flavour) in bench.live.items() if flavour == PATIENT][:stops]
    anxious = [run for run, (_, flavour) in bench.live.items() if flavour == ANXIOUS]
    bench.prometheus.pause()
    try:
        time.sleep(_HUNG_FOR_S)
        stopped = {run: _stop_one(bench, run) for run in patient}
        _note(bench, stopped, times.hung_stop, times.hung_stop_answer, times.hung_stop_envoy)
        for run, fact in bench.ledger.wait(anxious, ["recovered"]).items():
            assert fact["ended_by"] == "guardrail", fact
            times.hung_guardrail.append(fact["recovering_at"] - fact["blind_at"])
            del bench.live[run]
    finally:
        bench.prometheus.resume()
    # The next starts need data as new as their bins.
    time.sleep(3 * EVERY_S)


def _kill(bench: Bench, runs: int, number: int, times: Times) -> None:
    """Start runs whose faults end soon, and kill a control worker as the first of them ends."""
    victim = ("control", "control-2")[number % 2]
    started = [
        bench.start(slot, PATIENT, _SERVICES + place % _BROKEN, _KILL_LASTS_S)
        for place, slot in enumerate(stop_fleet.slots(ENVOYS, runs))
        if slot not in [held for held, _ in bench.live.values()]
    ]
    facts = bench.ledger.wait(started[:1], ["active"])
    time.sleep(max(0.0, facts[started[0]]["recover_by"] + 1.0 - time.time()))
    killed_at = time.time()
    bench.stack.kill(victim)
    for run, fact in bench.ledger.wait(started, ["recovered", "unsettled"]).items():
        assert not bench.reader.is_there(bench.live[run][0]), f"run {run} left its fault"
        # Killed within an inject: read back as gone, and read again for two minutes more.
        is_settled = fact["phase"] == "recovered"
        times.unsettled += not is_settled
        gone_at = fact["recovered_at"] if is_settled else fact["gone_at"]
        if gone_at >= killed_at:
            times.kill.append(gone_at - max(fact["recover_by"], killed_at))
        if is_settled:
            del bench.live[run]
    bench.stack.heal()


def _figures(times: Times) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in vars(times).items():
        if name == "unsettled":
            found["kill_unsettled"] = values
            continue
        unit, scale = ("ms", 1000.0) if "stop" in name else ("s", 1.0)
        label = name if "stop" in name else f"{name}_to_{_TO[name]}"
        found[f"{label}_count"] = len(values)
        if values:
            found[f"{label}_p50_{unit}"] = round(scale * statistics.median(values), 3)
            found[f"{label}_p99_{unit}"] = round(scale * percentile(values, 0.99), 3)
            found[f"{label}_max_{unit}"] = round(scale * max(values), 3)
    return found


_TO = {
    "guardrail": "recovery",
    "guardrail_bin": "recovery",
    "hung_guardrail": "recovery",
    "kill": "recovered",
}
_STOP_TARGET = f"p50 ≤ {STOP_P50_MS:g} ms, p99 ≤ {STOP_P99_MS:g} ms"
_GUARDRAIL_TARGET = f"≤ {GUARDRAIL_S:g} s"
_ROWS = (
    ("stop", "ms", "stop: request sent → confirmed gone", _STOP_TARGET),
    ("stop_envoy", "ms", "  request sent → gone in Envoy's runtime", ""),
    ("stop_answer", "ms", "  the request itself", ""),
    ("guardrail_to_recovery", "s", "breach: data can be seen → recovery begun", _GUARDRAIL_TARGET),
    ("guardrail_bin_to_recovery", "s", "  end of the completing bin → recovery begun", ""),
    ("hung_stop", "ms", "hung: stop request sent → confirmed gone", _STOP_TARGET),
    ("hung_stop_envoy", "ms", "  request sent → gone in Envoy's runtime", ""),
    ("hung_stop_answer", "ms", "  the request itself", ""),
    ("hung_guardrail_to_recovery", "s", "hung: patience ends → recovery begun", _GUARDRAIL_TARGET),
    ("kill_to_recovered", "s", "kill -9: due → confirmed gone", f"≤ {KILL_S:g} s"),
)


def _print(found: dict[str, Any]) -> None:
    print(f"{found['machine']}\n{found['versions']}\n$ {found['command']}")
    load = "load average {:.2f} before, {:.2f} after".format(
        found["load_before"][0], found["load_after"][0]
    )
    print(f"{found['runs']} runs on {found['database']}, guardrails every {EVERY_S:g} s; {load}\n")
    print(f"{'':48} {'count':>6} {'p50':>9} {'p99':>9} {'max':>9}     target")
    for name, unit, label, target in _ROWS:
        if f"{name}_p50_{unit}" in found:
            shown = " ".join(
                f"{found[f'{name}_{which}_{unit}']:9.{1 if unit == 'ms' else 2}f}"
                for which in ("p50", "p99", "max")
            )
            print(f"{label:48} {found[f'{name}_count']:6} {shown} {unit:3} {target}")


if __name__ == "__main__":
    sys.exit(main())
