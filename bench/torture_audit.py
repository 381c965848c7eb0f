"""What the torture left behind, and how long faults outlived their moment. Pure.

What counts, exactly:

* A *fault left* is a runtime key or a sentinel that an Envoy shows in the end.
* A *double injection* is (a) two tokens that hold one key of one Envoy at once: in one reading of
  its runtime, or set one after the other's set was answered and before its removal was sent; or
  (b) a set that an Envoy applied after it had applied a removal of the same token, and after the
  journal had called the injection recovered. The same set sent twice before any removal is no
  second fault.
* A *late set* is (b) before the journal called it recovered: the ledger was still waiting for it,
  and its claims were held. It is counted, and is no failure.
* A *journal gap* is a run whose lines of kind ``status`` do not lead from ``requested`` to the
  run's status along the transition table, or an injection without the lines that its phase needs.
* *Time to recovery* runs from the moment a removal was due (the planned end, or the stop, whichever
  came first; the fault's own beginning, where it came later) until the last Envoy had applied the
  last removal. *Reachable* leaves out the seconds in which the database or one of the fault's own
  Envoys could not be reached. *Served* leaves out those in which no control worker ran, as well.

The moment at which an Envoy applied a change is when its answer came by the proxy; a change that
was never answered counts as made only where a reading of the runtime shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.torture_blows import DATABASE, Outage
from bench.torture_plan import CONTROLS
from bench.torture_proxy import Post
from drivers.envoy.payload import SENTINEL
from experiments.domain.states import TRANSITIONS, Status

Held = dict[str, set[str]]
"""Keys by the token whose sentinel stands beside them."""


@dataclass(frozen=True)
class Reading:
    """What one reading of an Envoy's runtime showed."""

    envoy: str
    asked_at: float
    answered_at: float
    held: Held


@dataclass
class Life:
    """One token on one Envoy: when it was set and when it went."""

    sets: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    """Removals, the Envoy's deaths, and readings that show it gone."""
    own_removals: list[float] = field(default_factory=list)
    is_on: bool = False


@dataclass
class Found:
    """What the audit found; every list holds sentences for whoever looks for the cause."""

    double_injections: list[str] = field(default_factory=list)
    late_sets: list[str] = field(default_factory=list)
    journal_gaps: list[str] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)
    reachable_s: list[tuple[float, str]] = field(default_factory=list)
    served_s: list[tuple[float, str]] = field(default_factory=list)
    faults: int = 0
    """Injections that some Envoy applied."""


def sentinels(values: Iterable[tuple[str, str]]) -> tuple[Held, Held]:
    """Return what is set and what is deleted among runtime keys and their values."""
    held: Held = {}
    freed: Held = {}
    for name, value in values:
        if name.startswith(SENTINEL):
            token, _, key = name[len(SENTINEL) :].partition(".")
            (held if value else freed).setdefault(token, set()).add(key)
    return held, freed


def audit(
    ledger: Sequence[dict[str, Any]],
    posts: Sequence[Post],
    readings: Sequence[Reading],
    deaths: Sequence[tuple[str, float]],
    outages: Sequence[Outage],
    now: float,
) -> Found:
    """Compare what the Envoys did with what the ledger says. ``deaths``: (Envoy, moment)."""
    found = Found()
    lives = _lives(posts, readings, deaths)
    found.double_injections += _at_once(posts, readings, deaths)
    for run in ledger:
        found.journal_gaps += journal_gaps(run)
        for row in run["injections"]:
            mine = {envoy: life for (envoy, token), life in lives.items() if token == row["token"]}
            _late(run, row, mine, found)
            if any(life.sets for life in mine.values()):
                found.faults += 1
                _recovery(run, row, mine, outages, now, found)
    known = {row["token"] for run in ledger for row in run["injections"]}
    found.journal_gaps += [
        f"{token} was set on {envoy} and is in no ledger"
        for envoy, token in lives
        if token not in known
    ]
    return found


def _lives(
    posts: Sequence[Post], readings: Sequence[Reading], deaths: Sequence[tuple[str, float]]
) -> dict[tuple[str, str], Life]:
    """Replay all that happened to each Envoy, in the order of the answers."""
    happened: list[tuple[float, int, Any]] = []
    happened += [(post.answered_at, 0, post) for post in posts if post.answered_at is not None]
    happened += [(reading.asked_at, 1, reading) for reading in readings]
    happened += [(at, 2, name) for name, at in deaths]
    lives: dict[tuple[str, str], Life] = {}
    for at, _, what in sorted(happened, key=lambda each: (each[0], each[1])):
        if isinstance(what, Post):
            held, freed = sentinels(what.values.items())
            if what.status != 200:
                continue
            for token in held:
                life = lives.setdefault((what.envoy, token), Life())
                life.sets.append(at)
                life.is_on = True
            for token in freed:
                life = lives.setdefault((what.envoy, token), Life())
                life.own_removals.append(at)
                _end(life, at)
        elif isinstance(what, Reading):
            for (envoy, token), life in lives.items():
                if envoy == what.envoy and token not in what.held:
                    _end(life, what.answered_at)
        else:
            for (envoy, _), life in lives.items():
                if envoy == what:
                    _end(life, at)
    return lives


def _end(life: Life, at: float) -> None:
    if life.is_on:
        life.ends.append(at)
    life.is_on = False


def _at_once(
    posts: Sequence[Post], readings: Sequence[Reading], deaths: Sequence[tuple[str, float]]
) -> list[str]:
    """Return where two tokens held one key at once."""
    found: list[str] = []
    for reading in readings:
        by_key: dict[str, list[str]] = {}
        for token, keys in reading.held.items():
            for key in keys:
                by_key.setdefault(key, []).append(token)
        found += [
            f"{reading.envoy} showed {key} held by {' and '.join(sorted(tokens))}"
            for key, tokens in by_key.items()
            if len(tokens) > 1
        ]
    holders: dict[tuple[str, str], dict[str, float]] = {}
    ends: list[tuple[float, str, Held | None]] = [(at, name, None) for name, at in deaths]
    ends += [(post.sent_at, post.envoy, sentinels(post.values.items())[1]) for post in posts]
    answered = [post for post in posts if post.answered_at is not None and post.status == 200]
    for post in sorted(answered, key=lambda each: each.answered_at or 0.0):
        at = post.answered_at or 0.0
        for token, keys in sentinels(post.values.items())[0].items():
            for key in keys:
                here = holders.setdefault((post.envoy, key), {})
                for other, since in list(here.items()):
                    is_over = any(
                        envoy == post.envoy
                        and since <= moment <= at
                        and (freed is None or key in freed.get(other, ()))
                        for moment, envoy, freed in ends
                    )
                    if is_over:
                        del here[other]
                    elif other != token and since < post.sent_at:
                        found.append(f"{post.envoy}: {token} set {key} while {other} held it")
                here[token] = at
    return found


def _late(run: dict[str, Any], row: dict[str, Any], lives: dict[str, Life], found: Found) -> None:
    recovered = [
        line["at"]
        for line in run["journal"]
        if line["kind"] == "recovered" and line["action"] == row["action"]
    ]
    for envoy, life in lives.items():
        for at in life.sets:
            if not any(removal < at for removal in life.own_removals):
                continue
            gone = min((end for end in life.ends if end >= at), default=None)
            stood = "and still stands" if gone is None else f"and stood for {gone - at:.3f} s"
            said = f"run {run['id']}: {row['token']} was set again on {envoy} at {at:.3f} {stood}"
            if recovered and min(recovered) < at:
                late = at - min(recovered)
                found.double_injections.append(f"{said}, {late:.3f} s after it was recovered")
            else:
                found.late_sets.append(said)


def _recovery(
    run: dict[str, Any],
    row: dict[str, Any],
    lives: dict[str, Life],
    outages: Sequence[Outage],
    now: float,
    found: Found,
) -> None:
    due = min(
        (at for at in (row["recover_by"], run["stop_requested_at"]) if at is not None),
        default=row["recovering_at"],
    )
    if due is None:
        return  # live, and to be there
    due = max(due, min(at for life in lives.values() for at in life.sets))
    gone = max((now if life.is_on else max(life.ends)) for life in lives.values() if life.sets)
    taken = max(0.0, gone - due)
    found.recovery_s.append(taken)
    names = {DATABASE, *(envoy for envoy, life in lives.items() if life.sets)}
    away = [
        (max(each.began_at, due), min(each.ended_at or now, gone))
        for each in outages
        if each.name in names
    ]
    said = f"run {run['id']}: {row['token']}"
    found.reachable_s.append((max(0.0, taken - _covered(away)), said))
    idle = _nobody(outages, due, gone)
    found.served_s.append((max(0.0, taken - _covered([*away, *idle])), said))


def _nobody(outages: Sequence[Outage], start: float, end: float) -> list[tuple[float, float]]:
    """Return the times between two moments in which no control worker ran."""
    first, *others = (
        [
            (max(each.began_at, start), min(each.ended_at or end, end))
            for each in outages
            if each.name == name
        ]
        for name in CONTROLS
    )
    for other in others:
        first = [
            (max(begin, since), min(over, until)) for begin, over in first for since, until in other
        ]
    return first


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long the union of the spans is; those that end before they begin are empty."""
    covered, reached = 0.0, 0.0
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return covered


def journal_gaps(run: dict[str, Any]) -> list[str]:
    """Return what is missing in the journal of a run, ended or not."""
    found: list[str] = []
    here = Status.REQUESTED
    for line in run["journal"]:
        if line["kind"] != "status":
            continue
        if line["old"] != here.value:
            found.append(f"run {run['id']}: a line leaves {line['old']}, the last led to {here}")
        if Status(line["new"]) not in TRANSITIONS[Status(line["old"])]:
            found.append(f"run {run['id']}: no move leads from {line['old']} to {line['new']}")
        here = Status(line["new"])
    if here.value != run["status"]:
        found.append(f"run {run['id']}: is {run['status']}, its journal ends with {here}")
    if not any(line["kind"] == "request" for line in run["journal"]):
        found.append(f"run {run['id']}: no line says that it was requested")
    for row in run["injections"]:
        for kind in _needed(row):
            if not _is_told(run["journal"], row["action"], kind):
                found.append(f"run {run['id']}: {row['action']} ({row['phase']}) has no “{kind}”")
    return found


def _needed(row: dict[str, Any]) -> list[str]:
    needed = []
    if row["intent_at"] is not None:
        needed.append("action")
        if row["phase"] == "cancelled":
            needed.append("injection")
    if row["injected_at"] is not None:
        needed.append("inject")
    if row["recovering_at"] is not None:
        needed.append("recover")
    if row["phase"] == "recovered":
        needed.append("recovered")
    return needed


def _is_told(journal: Sequence[dict[str, Any]], action: str, kind: str) -> bool:
    return any(
        line["kind"] == kind and line["message"].startswith(f"{action}:") for line in journal
    )
