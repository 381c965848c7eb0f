"""Measure how late ticks and looks are with many runs at once, and what memory the workers take.

    .venv/bin/python -m bench.ticks --runs 1000 --every 5 --json ticks.json

Real: Valkey, beat, the two worker processes, the web server, the database, and a Prometheus that
scrapes an exporter. The faults are rehearsed (``drivers.fake``, a state file for each connection),
of 30 minutes each; every run has one guardrail that is read every ``--every`` seconds, in bins as
long as that, so that each look has a new sample. ``--measures`` says how many different SLIs they
watch: runs that watch the same one share its queries.

One run is requested and started by the engine. The others are copies of its rows, written at once,
just as the engine has left them (``bench.ticks_agent.copies``); their faults are injected by the
driver. Requesting them all would measure starts.

Lateness is exact, not sampled: a trigger in the bench's own database logs every move of a due
moment, and the moment is that of the commit (PostgreSQL's ``track_commit_timestamp``). It counts,
for each look at guardrails that was due in the measured window, from ``Call.due_at`` to the commit
of what it saw, and for each tick from ``Run.next_due`` to the commit of what it decided; waiting
for the sweep, which comes twice a second, is in it. What is still not done in the end counts with
how late it is by then. How late faults are observed is shown beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import machine, reference_rss
from bench.counters import JOB, Counters, guardrail, sli
from bench.latency import percentile
from bench.moves import OBSERVE, TICK, WATCH, Done, Move, done
from bench.usage import Usage
from tests.servers.postgresql import RunningPostgresql
from tests.servers.prometheus import prometheus
from tests.system.stack import Stack
from tests.system.world import eventually

LATE_P99_S = 1.0
FAULT_S = 1800.0
SCRAPE_S = 1.0
_SCRAPES_PER_STEP = 5
_HISTORY_STEPS = 8
_DRAIN_S = 3.0
"""How long after the window what was due in it may still be done and be measured exactly."""
_START_S = 12.0
"""How long before the runs begin the workers are started, once all rows are there."""
_REFERENCE_RUNS = 1000
WORKERS = ("control", "looks")
_NAMES = {
    WATCH: "looks at guardrails",
    TICK: "ticks",
    OBSERVE: "looks at faults",
}


@dataclass(frozen=True)
class Asked:
    """The command line."""

    runs: int
    every_s: float
    warm_up_s: float
    window_s: float
    measures: int
    connections: int
    is_sqlite: bool
    with_statements: bool

    @property
    def step_s(self) -> float:
        """Return how long a bin is: a sample for each look, and five scrapes at least."""
        return max(self.every_s, _SCRAPES_PER_STEP * SCRAPE_S)

    @property
    def targets(self) -> int:
        """Return how many targets each connection has, one for each of its runs."""
        return math.ceil(self.runs / self.connections)


def main() -> int:
    """Run the command line; the figures are printed, met or not."""
    asked, to = _read()
    before = os.getloadavg()
    chaos_run_mb = reference_rss.chaos_run_mb()
    with tempfile.TemporaryDirectory(prefix="cw-ticks-") as folder:
        found = _measure(asked, Path(folder))
    found |= {
        "runs": asked.runs,
        "every_s": asked.every_s,
        "step_s": asked.step_s,
        "measures": asked.measures,
        "connections": asked.connections,
        "window_s": asked.window_s,
        "database": "sqlite" if asked.is_sqlite else "postgresql",
        "chaos_run_rss_mb": round(chaos_run_mb, 1),
        "chaos_run_1000_rss_mb": round(_REFERENCE_RUNS * chaos_run_mb),
        "load_before": before,
        "load_after": os.getloadavg(),
        **machine.describe(),
        "command": " ".join([Path(sys.executable).name, "-m", "bench.ticks", *sys.argv[1:]]),
    }
    _print(found)
    if to is not None:
        to.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _read() -> tuple[Asked, Path | None]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument(
        "--warm-up", type=float, help="seconds before the window (default: 4 looks)"
    )
    parser.add_argument("--window", type=float, help="seconds measured (default: 12 looks, 60 s+)")
    parser.add_argument("--measures", type=int, default=20, help="how many different SLIs")
    parser.add_argument("--connections", type=int, help="of the faults (default: one for 10 runs)")
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    parser.add_argument(
        "--statements", action="store_true", help="say which SQL took the time (PostgreSQL)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    said = parser.parse_args()
    asked = Asked(
        runs=said.runs,
        every_s=said.every,
        warm_up_s=said.warm_up or max(20.0, 1.5 * said.every),
        window_s=said.window or max(60.0, 2 * said.every),
        measures=said.measures,
        connections=said.connections or max(1, math.ceil(said.runs / 10)),
        is_sqlite=said.sqlite,
        with_statements=said.statements,
    )
    return asked, said.json


def _measure(asked: Asked, folder: Path) -> dict[str, Any]:
    with _everything(asked, folder) as stack:
        first, versions = _first_run(asked, stack)
        lease_s = stack.ask("log_moves")
        spread_s = min(120.0, 3 * asked.every_s)
        for worker in WORKERS:
            stack.kill(worker)
        copied = stack.ask(
            "copies",
            run=first,
            total=asked.runs,
            versions=versions,
            every_s=asked.every_s,
            spread_s=spread_s,
            in_s=_START_S,
        )
        assert copied["live"] == asked.runs, f"{copied['live']} live runs"
        stack.heal()
        print(f"{asked.runs} runs; {time.time() - copied['begin']:+.1f} s", file=sys.stderr)
        time.sleep(max(0.0, copied["begin"] - time.time()) + asked.warm_up_s)
        if asked.with_statements:
            stack.ask("forget_statements")
        began = time.time()
        with Usage(stack) as usage:
            time.sleep(asked.window_s)
        ended = time.time()
        statements = stack.ask("statements") if asked.with_statements else []
        census = stack.ask("census", since=began)
        time.sleep(_DRAIN_S)
        logged = stack.ask("moves")
        problems = _problems(stack)
    every = done(
        (Move(*row) for row in logged["moves"]),
        [(kind, row, at) for kind, row, at in logged["undone"]],
        lease_s=lease_s,
    )
    measured = [each for each in every if began <= each.due_at < ended]
    # What was due earlier and is still waiting would otherwise be forgotten.
    measured += [each for each in every if each.due_at < began and _is_open(each, began)]
    return {
        **_figures(measured, asked, logged["now"]),
        "statuses": census["statuses"],
        "reasons": census["reasons"],
        "samples": census["readings"],
        "samples_expected": round(asked.runs * asked.window_s / asked.step_s),
        "worker_rss_mb": round(sum(usage.rss_mb[worker] for worker in WORKERS), 1),
        "rss_mb": {name: round(value, 1) for name, value in usage.rss_mb.items()},
        "cpu_cores": {name: round(value, 2) for name, value in usage.cpu_cores.items()},
        "machine_cores": round(usage.machine_cores, 2),
        "log_lines": problems,
        "statements": statements,
    }


def _is_open(each: Done, moment: float) -> bool:
    return each.at is None or each.at >= moment


@contextmanager
def _everything(asked: Asked, folder: Path) -> Iterator[Stack]:
    """Run an exporter, a Prometheus with a history of it, the database, and the installation."""
    history_s = _HISTORY_STEPS * asked.step_s
    counters = Counters([_service(number) for number in range(asked.measures)], history_s=history_s)
    with ExitStack() as open_:
        open_.enter_context(counters.running())
        url = open_.enter_context(
            prometheus(
                {JOB: [counters.address]},
                scrape_interval_s=SCRAPE_S,
                openmetrics=counters.history(SCRAPE_S),
            )
        )
        database_url = "" if asked.is_sqlite else open_.enter_context(_postgresql(asked))
        stack = open_.enter_context(
            Stack(folder, database_url=database_url, agent="bench.ticks_agent")
        )
        stack.ask(
            "world",
            count=asked.connections,
            targets=asked.targets,
            state=str(folder / "rehearsals"),
            prometheus=url,
            scrape_s=SCRAPE_S,
        )
        yield stack


@contextmanager
def _postgresql(asked: Asked) -> Iterator[str]:
    """Run a PostgreSQL that remembers when each transaction was committed."""
    with RunningPostgresql() as server:
        with psycopg.connect(server.url, autocommit=True) as session:
            session.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            if asked.with_statements:
                session.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
                session.execute("CREATE EXTENSION pg_stat_statements")
        server.stop()
        server.start()
        yield server.url


def _service(number: int) -> str:
    return f"s{number:03d}"


def _document(asked: Asked, number: int) -> dict[str, Any]:
    return {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": f"watched-{number}"},
        "hypothesis": "Nothing fails while the fault is rehearsed.",
        "parameters": {"target": {"type": "text", "default": "t000"}},
        "slis": [sli(_service(number))],
        "timing": {"baseline": "0s", "settle": "0s", "step": f"{asked.step_s:g}s"},
        "method": [
            {
                "name": "abort",
                "fault": "fake.abort",
                "via": "mesh",
                "with": {"target": "${target}"},
                "duration": f"{FAULT_S:g}s",
            }
        ],
        "guardrails": [guardrail(asked.every_s)],
    }


def _first_run(asked: Asked, stack: Stack) -> tuple[int, list[int]]:
    """Have the engine start one run; return it and every version."""
    versions = [
        stack.ask("save", document=_document(asked, number)) for number in range(asked.measures)
    ]
    run: int = stack.ask(
        "start_with", version=versions[0], environment="e0", parameters={"target": "t000"}
    )

    def is_active() -> bool:
        seen = stack.ask("show", run=run)
        assert seen["is_live"], "\n".join(seen["journal"])
        return [each["phase"] for each in seen["injections"]] == ["active"]

    eventually(is_active, "the first run injects", within_s=60)
    return run, versions


def _problems(stack: Stack) -> dict[str, int]:
    """Return how many lines of the workers' logs warn or worse, by their text without numbers."""
    found: dict[str, int] = {}
    for name in ("control", "looks", "beat"):
        for line in (stack.workdir / f"{name}.log").read_text(errors="replace").splitlines():
            for level in ("WARNING", "ERROR", "CRITICAL"):
                if f" {level} " in line:
                    text = "".join("#" if each.isdigit() else each for each in line)
                    text = text.partition(f" {level} ")[2][:100]
                    found[f"{name}: {text}"] = found.get(f"{name}: {text}", 0) + 1
    return dict(sorted(found.items(), key=lambda each: -each[1])[:10])


def _figures(measured: Sequence[Done], asked: Asked, now: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    by_kind = {
        kind: [each for each in measured if each.kind == kind] for kind in (WATCH, TICK, OBSERVE)
    }
    by_kind[""] = by_kind[WATCH] + by_kind[TICK]
    for kind, events in by_kind.items():
        prefix = f"{kind}_" if kind else ""
        late = [each.late_s(now) for each in events]
        found[f"{prefix}events"] = len(late)
        found[f"{prefix}undone"] = sum(each.at is None for each in events)
        if late:
            found[f"{prefix}lateness_p50_s"] = round(statistics.median(late), 3)
            found[f"{prefix}lateness_p99_s"] = round(percentile(late, 0.99), 3)
            found[f"{prefix}lateness_max_s"] = round(max(late), 3)
    found["watch_expected"] = round(asked.runs * asked.window_s / asked.every_s)
    return found


def _print(found: dict[str, Any]) -> None:
    print(f"{found['machine']}\n{found['versions']}\n$ {found['command']}")
    load = "load average {:.2f} before, {:.2f} after".format(
        found["load_before"][0], found["load_after"][0]
    )
    print(
        f"{found['runs']} runs on {found['database']}, a guardrail every {found['every_s']:g} s on "
        f"{found['measures']} SLIs, {found['connections']} rehearsed connections; {load}\n"
    )
    head = ("events", "undone", "p50", "p99", "max")
    print(f"{'lateness in seconds':34} " + " ".join(f"{name:>8}" for name in head))
    for kind in ("", WATCH, TICK, OBSERVE):
        prefix = f"{kind}_" if kind else ""
        label = _NAMES.get(kind, "ticks and looks at guardrails")
        times = [found.get(f"{prefix}lateness_{which}_s") for which in ("p50", "p99", "max")]
        shown = " ".join("       -" if each is None else f"{each:8.3f}" for each in times)
        target = f"  target: p99 ≤ {LATE_P99_S:g} s" if not kind else ""
        counts = f"{found[f'{prefix}events']:8} {found[f'{prefix}undone']:8}"
        print(f"{label:34} {counts} {shown}{target}")
    print(
        f"\nlooks at guardrails expected at most: {found['watch_expected']}; samples committed: "
        f"{found['samples']} of {found['samples_expected']}; runs: {found['statuses']}"
    )
    print(f"\n{'most resident memory, MB':34} {'':8}  cores taken")
    for name in sorted({*found["rss_mb"], *found["cpu_cores"]}):
        rss = found["rss_mb"].get(name)
        cores = found["cpu_cores"].get(name)
        print(
            f"  {name:32} {'' if rss is None else f'{rss:8.1f}':8} "
            f"{'' if cores is None else f'{cores:8.2f}':>8}"
        )
    print(f"  {'the two workers':32} {found['worker_rss_mb']:8.1f}")
    print(f"  {'anything on this machine':32} {'':8} {found['machine_cores']:8.2f}")
    print(
        f"  beside it: one `chaos run` {found['chaos_run_rss_mb']:.1f}, "
        f"{_REFERENCE_RUNS} of them {found['chaos_run_1000_rss_mb']}"
    )
    for calls, total_ms, rows, text in found["statements"]:
        print(f"  {calls:7} × {total_ms / calls:8.3f} ms, {rows:7} rows: {text}")
    for text, count in found["log_lines"].items():
        print(f"  log: {count} × {text}")


if __name__ == "__main__":
    sys.exit(main())
