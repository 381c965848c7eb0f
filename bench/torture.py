"""Kill, stop and cut off ChaosWeb's processes during many runs, and look what was left behind.

    .venv/bin/python -m bench.torture --runs 200 --kills 200 --seed 1 --json torture.json

Everything is real: gunicorn, Valkey, two control workers with a keeper each, the look worker, beat,
PostgreSQL, Prometheus and three Envoys. About twenty people request runs through the API, and stop
some, while a schedule drawn from the seed hurts one process after another. In the end everything is
brought back; then no Envoy may hold an override or a sentinel, no run may be stuck, no journal may
have a gap and no fault may have been applied twice (``bench.torture_audit`` says what each means).
The exit code is 1 otherwise, and what is known of each case is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import machine, torture_readings, torture_world
from bench.torture_audit import Found, audit
from bench.torture_blows import Blows, Servers
from bench.torture_plan import BRIEF, LONG, Lengths, schedule
from bench.torture_runs import People, Watch, stop_all

SETTLED_WITHIN_S = 300.0
"""By when every run must have ended: an unanswered inject is read again for two minutes."""
_BRIEFLY_S = 40.0
_WRONG = ("faults_left", "runs_stuck", "double_injections", "journal_gaps")


def main() -> int:
    """Run the command line and return the exit code: 1 when anything was left behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="at least so many")
    parser.add_argument("--kills", type=int, default=200, help="at least so many")
    parser.add_argument("--seconds", type=float, help="stop after so long, whatever was reached")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=20, help="how many request runs at once")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills")
    parser.add_argument(
        "--long", action="store_true", help="the queue's server is away for minutes"
    )
    parser.add_argument("--brief", action="store_true", help="short blows; for the tests")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and ledger there")
    asked = parser.parse_args()
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="cw-torture-") as folder:
        figures, details = _torture(asked, Path(folder))
        figures |= {
            "seed": asked.seed,
            "load_before": before,
            "load_after": os.getloadavg(),
            **machine.describe(),
            "command": " ".join([Path(sys.executable).name, "-m", "bench.torture", *sys.argv[1:]]),
        }
        if asked.keep:
            shutil.copytree(folder, asked.keep, dirs_exist_ok=True)
    _print(figures, details)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if details or any(figures[name] for name in _WRONG) else 0


def _torture(asked: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], list[str]]:
    lengths = LONG if asked.long else BRIEF if asked.brief else Lengths()
    with torture_world.running(folder) as servers:
        watch = Watch(servers.stack)
        people = People(
            servers.stack, watch, count=asked.people, seed=asked.seed, runs=_runs(asked)
        )
        blows = Blows(servers)
        with torture_readings.readings(servers.envoys) as readings, watch:
            people.start()
            began = time.monotonic()
            _hurt(asked, lengths, people, blows)
            hurt_s = time.monotonic() - began
            people.is_enough.set()
            blows.heal()
            healed = time.monotonic()
            gone_home = people.wait(60)
            if asked.brief:
                # Whoever lost a check or a judge waits for its lease of a minute or two otherwise.
                stop_all(servers.stack, [run["id"] for run in watch.fresh()])
            stuck = _settle(watch, _BRIEFLY_S if asked.brief else SETTLED_WITHIN_S, asked.brief)
            settled_s = time.monotonic() - healed
        left = _left(servers)
        ledger = servers.stack.ask("ledger")
        now = time.time()
        (folder / "ledger.json").write_text(json.dumps(ledger, indent=1))
        (folder / "blows.txt").write_text("".join(f"{at:.3f} {blow}\n" for at, blow in blows.dealt))
        found = audit(
            ledger["runs"],
            servers.proxies.posts,
            readings,
            [(outage.name, outage.began_at) for outage in blows.outages if outage.is_death],
            blows.outages,
            now,
        )
    details = [*left, *_stuck(ledger, stuck), *found.double_injections, *found.journal_gaps]
    details += [f"somebody was answered {each}" for each in people.broken]
    details += [] if gone_home else ["somebody still waits for an answer of the web server"]
    details += blows.surprises
    if details:
        details += _logs(folder)
    figures = {
        "kills": len(blows.dealt),
        "faults_left": len(left),
        "runs_stuck": len(stuck),
        "double_injections": len(found.double_injections),
        "journal_gaps": len(found.journal_gaps),
        **_times(found),
        "runs": len(ledger["runs"]),
        "runs_by_status": dict(Counter(run["status"] for run in ledger["runs"])),
        "faults": found.faults,
        "late_sets": len(found.late_sets),
        "kills_by_kind": dict(
            sorted(Counter(f"{blow.target} {blow.kind}" for _, blow in blows.dealt).items())
        ),
        "hurt_s": round(hurt_s, 1),
        "settled_s": round(settled_s, 1),
    }
    return figures, details


def _runs(asked: argparse.Namespace) -> int:
    # People go on until the kills are done as well: nothing would be hurt by a kill without runs.
    return sys.maxsize if asked.seconds or asked.kills else asked.runs


def _hurt(asked: argparse.Namespace, lengths: Lengths, people: People, blows: Blows) -> None:
    """Deal blows until there were enough of them and of runs, or the time is up."""
    began = time.monotonic()
    coming = schedule(asked.seed, every_s=asked.every, lengths=lengths)
    blow = next(coming)
    behind_s = 0.0
    while not people.broken:
        now = time.monotonic() - began
        if asked.seconds is not None and now >= asked.seconds:
            return
        is_enough = len(blows.dealt) >= asked.kills and people.requested >= asked.runs
        if asked.seconds is None and is_enough:
            return
        blows.bring_back()
        if blow.at_s + behind_s <= now:
            # A machine that cannot keep up is hurt more slowly, not all at once.
            behind_s = now - blow.at_s
            print(f"\r{blow}  {people.requested} runs ", end="", file=sys.stderr, flush=True)
            blows.deal(blow)
            blow = next(coming)
        time.sleep(0.02)


def _settle(watch: Watch, within_s: float, is_brief: bool) -> list[int]:
    """Wait until every run has ended; return those that have not.

    Briefly: a run whose faults are gone, and which only waits for the moment of a further reading
    that lies ahead, is not stuck.
    """
    deadline = time.monotonic() + within_s
    while True:
        stuck = [run["id"] for run in watch.fresh() if not (is_brief and _only_waits(run))]
        if not stuck or time.monotonic() > deadline:
            print(file=sys.stderr)
            return stuck
        print(f"\r{len(stuck)} runs have not ended ", end="", file=sys.stderr, flush=True)
        time.sleep(0.5)


def _only_waits(run: dict[str, Any]) -> bool:
    open_ = [row for row in run["injections"] if row["phase"] not in ("recovered", "cancelled")]
    return (
        run["status"] in ("injecting", "recovering")
        and bool(open_)
        and any(row["phase"] == "unsettled" for row in open_)
        and all(
            row["phase"] == "planned"
            or (row["phase"] == "unsettled" and (row["due_at"] or 0) > time.time() - 3)
            for row in open_
        )
    )


def _left(servers: Servers) -> list[str]:
    return [
        f"{name} holds {key} = {value}"
        for name, envoy in servers.envoys.items()
        for key, value in envoy.overrides().items()
        if value
    ]


def _stuck(ledger: dict[str, Any], stuck: list[int]) -> Iterator[str]:
    for run in ledger["runs"]:
        if run["id"] in stuck:
            journal = "\n".join(
                f"    {line['at']:.3f} {line['kind']} {line['old']}→{line['new']} {line['message']}"
                for line in run["journal"]
            )
            yield f"run {run['id']} is {run['status']}: {run['injections']}\n{journal}"


def _logs(folder: Path) -> list[str]:
    """Return what went wrong in the logs, the newest of each."""
    found = []
    for path in sorted(folder.glob("*.log*")):
        lines = path.read_text(errors="replace").splitlines()
        loud = [line for line in lines if " ERROR " in line or " CRITICAL " in line]
        if loud:
            found.append("\n".join([f"--- {path.name}", *loud[-12:]]))
    return found


def _times(found: Found) -> dict[str, Any]:
    reachable = [taken for taken, _ in found.reachable_s]
    return {
        "recovery_p50_s": round(statistics.median(found.recovery_s or [0.0]), 3),
        "recovery_max_s": round(max(found.recovery_s, default=0.0), 3),
        "recovery_reachable_p50_s": round(statistics.median(reachable or [0.0]), 3),
        "recovery_reachable_max_s": round(max(reachable, default=0.0), 3),
        "recovery_served_max_s": round(max(found.served_s, default=(0.0, ""))[0], 3),
        "slowest": [said for _, said in sorted(found.served_s, reverse=True)[:3]],
    }


_ROWS = {
    "kills": "processes killed, stopped or cut off",
    "runs": "runs",
    "faults": "faults that an Envoy applied",
    "faults_left": "faults of ours that survived",
    "runs_stuck": "runs stuck",
    "double_injections": "faults applied twice",
    "late_sets": "late sets, removed before their claims were released",
    "journal_gaps": "gaps in journals",
    "recovery_p50_s": "time to recovery, median (s)",
    "recovery_max_s": "time to recovery, worst (s)",
    "recovery_reachable_p50_s": "… while database and Envoy could be reached, median (s)",
    "recovery_reachable_max_s": "… while database and Envoy could be reached, worst (s)",
    "recovery_served_max_s": "… and a control worker ran, worst (s)",
    "hurt_s": "the torture took (s)",
    "settled_s": "until every run had ended (s)",
}


def _print(figures: dict[str, Any], details: list[str]) -> None:
    print(f"{figures['machine']}\n{figures['versions']}\n$ {figures['command']}")
    load = "load average {:.2f} before, {:.2f} after".format(
        figures["load_before"][0], figures["load_after"][0]
    )
    print(f"seed {figures['seed']}, {load}\n")
    for name, label in _ROWS.items():
        print(f"{label:58} {figures[name]:>10}")
    statuses = ", ".join(f"{n} {status}" for status, n in figures["runs_by_status"].items())
    kinds = ", ".join(f"{n} {kind}" for kind, n in figures["kills_by_kind"].items())
    print(f"\nruns: {statuses}\nkills: {kinds}")
    for each in details:
        print(f"\n✗ {each}")


if __name__ == "__main__":
    sys.exit(main())
