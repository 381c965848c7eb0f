"""The audit of the torture: what it must see, and what it must not take for a failure."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bench.torture_audit import Found, Reading, audit, journal_gaps
from bench.torture_blows import Outage
from bench.torture_plan import BRIEF, schedule
from bench.torture_proxy import Post

KEY = "r1.abort.percent"


def post(at: float, token: str, *, is_set: bool, envoy: str = "envoy-1", key: str = KEY) -> Post:
    values = {key: "100", f"chaosweb.{token}.{key}": '{"set":"100"}'} if is_set else {}
    values = values or {key: "", f"chaosweb.{token}.{key}": ""}
    return Post(envoy, at, values, at + 0.01, 200)


def line(at: float, kind: str, message: str = "", old: str = "", new: str = "") -> dict[str, Any]:
    action = message.partition(":")[0] if kind != "status" else ""
    return {"at": at, "kind": kind, "message": message, "old": old, "new": new, "action": action}


def a_run(token: str = "t", *, recovered_at: float = 6.0) -> dict[str, Any]:
    """Return a run that injected at 1 s, was to end at 5 s, and is journalled without a gap."""
    path = ["requested", "checking", "baseline", "injecting", "recovering", "settling", "judging"]
    moves = [
        line(0.0, "status", "", old, new) for old, new in itertools.pairwise([*path, "completed"])
    ]
    told = [
        line(0.0, "request", "requested"),
        *moves[:3],
        line(1.0, "action", "first: envoy.http_abort is to be injected"),
        line(1.0, "inject", "first: is in effect"),
        line(5.0, "recover", "first: removal begins"),
        line(recovered_at, "recovered", "first: is gone"),
        *moves[3:],
    ]
    row = {
        "token": token,
        "action": "first",
        "phase": "recovered",
        "intent_at": 0.9,
        "injected_at": 1.0,
        "recover_by": 5.0,
        "recovering_at": 5.0,
        "recovered_at": recovered_at,
    }
    return {
        "id": 1,
        "status": "completed",
        "stop_requested_at": None,
        "injections": [row],
        "journal": told,
    }


def looked(
    posts: list[Post],
    runs: list[dict[str, Any]] | None = None,
    readings: list[Reading] | None = None,
    outages: list[Outage] | None = None,
) -> Found:
    deaths = [(each.name, each.began_at) for each in outages or [] if each.is_death]
    return audit(runs or [a_run()], posts, readings or [], deaths, outages or [], 100.0)


def test_a_fault_that_was_set_once_and_removed_is_no_finding() -> None:
    found = looked([post(1.0, "t", is_set=True), post(5.5, "t", is_set=False)])
    assert (found.double_injections, found.late_sets, found.journal_gaps) == ([], [], [])
    assert found.recovery_s == [pytest.approx(0.51)]
    assert found.faults == 1


def test_the_same_set_sent_twice_before_its_removal_is_one_fault() -> None:
    posts = [post(1.0, "t", is_set=True), post(2.0, "t", is_set=True), post(5.5, "t", is_set=False)]
    found = looked(posts)
    assert (found.double_injections, found.late_sets) == ([], [])


def test_a_set_after_the_injection_was_recovered_is_a_double_injection() -> None:
    posts = [
        post(1.0, "t", is_set=True),
        post(5.5, "t", is_set=False),
        post(7.0, "t", is_set=True),
        post(7.5, "t", is_set=False),
    ]
    found = looked(posts)
    assert len(found.double_injections) == 1
    assert "stood for 0.500 s, 1.010 s after it was recovered" in found.double_injections[0]
    assert found.late_sets == []


def test_a_set_that_the_ledger_still_waited_for_is_late_and_no_double_injection() -> None:
    posts = [
        post(1.0, "t", is_set=True),
        post(5.5, "t", is_set=False),
        post(7.0, "t", is_set=True),
        post(7.5, "t", is_set=False),
    ]
    found = looked(posts, [a_run(recovered_at=9.0)])
    assert found.double_injections == []
    assert len(found.late_sets) == 1
    assert found.recovery_s == [pytest.approx(2.51)], "until the last removal"


def test_two_tokens_on_one_key_are_a_double_injection() -> None:
    runs = [a_run("t"), a_run("u")]
    posts = [post(1.0, "t", is_set=True), post(2.0, "u", is_set=True)]
    assert len(looked(posts, runs).double_injections) == 1
    shown = Reading("envoy-1", 3.0, 3.1, {"t": {KEY}, "u": {KEY}})
    assert len(looked([], runs, [shown]).double_injections) == 1


@pytest.mark.parametrize(
    "between", ["removal", "other key", "other Envoy", "death"], ids=lambda name: name
)
def test_one_token_after_another_is_no_double_injection(between: str) -> None:
    posts = [
        post(1.0, "t", is_set=True),
        post(
            2.0,
            "u",
            is_set=True,
            envoy="envoy-2" if between == "other Envoy" else "envoy-1",
            key="r2.abort.percent" if between == "other key" else KEY,
        ),
    ]
    if between == "removal":
        posts.append(post(1.5, "t", is_set=False))
    outages = [Outage("envoy-1", 1.5, is_death=True, ended_at=1.8)] if between == "death" else []
    found = looked(posts, [a_run("t"), a_run("u")], outages=outages)
    assert found.double_injections == []


def test_a_set_whose_answer_never_came_counts_only_where_it_is_seen() -> None:
    cut = post(1.0, "t", is_set=True)
    cut.answered_at, cut.status = None, 0
    assert looked([cut]).faults == 0


def test_the_time_to_recovery_leaves_out_what_nobody_could_do() -> None:
    posts = [post(1.0, "t", is_set=True), post(15.0, "t", is_set=False)]
    outages = [
        Outage("database", 4.0, ended_at=8.0),
        Outage("envoy-1", 7.0, ended_at=10.0),
        Outage("envoy-2", 5.0, ended_at=15.0),
    ]
    found = looked(posts, outages=outages)
    assert found.recovery_s == [pytest.approx(10.01)]
    assert found.reachable_s[0][0] == pytest.approx(5.01), "5 s to 10 s could not be used"


def test_the_time_to_recovery_can_leave_out_when_every_control_worker_was_down() -> None:
    posts = [post(1.0, "t", is_set=True), post(15.0, "t", is_set=False)]
    outages = [
        Outage("control", 4.0, ended_at=9.0),
        Outage("control-2", 7.0, ended_at=12.0),
        Outage("control", 11.0, ended_at=13.0),
        Outage("database", 8.0, ended_at=10.0),
    ]
    found = looked(posts, outages=outages)
    assert found.reachable_s[0][0] == pytest.approx(8.01)
    assert found.served_s[0][0] == pytest.approx(6.01), "7 to 9, 11 to 12: nobody ran"


def test_a_fault_that_began_after_its_planned_end_is_due_when_it_begins() -> None:
    found = looked([post(7.0, "t", is_set=True), post(8.0, "t", is_set=False)])
    assert found.recovery_s == [pytest.approx(1.0)]


def test_a_reading_tells_that_a_fault_has_gone_although_no_removal_was_answered() -> None:
    shown = [Reading("envoy-1", 6.0, 6.1, {})]
    assert looked([post(1.0, "t", is_set=True)], readings=shown).recovery_s == [pytest.approx(1.1)]


def test_a_fault_of_no_ledger_is_told() -> None:
    found = looked([post(1.0, "x", is_set=True)])
    assert found.journal_gaps == ["x was set on envoy-1 and is in no ledger"]


def test_a_journal_without_a_gap_is_none() -> None:
    assert journal_gaps(a_run()) == []


@pytest.mark.parametrize("kind", ["request", "action", "inject", "recover", "recovered"])
def test_a_line_that_is_missing_is_a_gap(kind: str) -> None:
    run = a_run()
    run["journal"] = [each for each in run["journal"] if each["kind"] != kind]
    assert len(journal_gaps(run)) == 1


@pytest.mark.parametrize("position", range(7))
def test_a_move_that_is_missing_is_a_gap(position: int) -> None:
    run = a_run()
    moves = [each for each in run["journal"] if each["kind"] == "status"]
    run["journal"].remove(moves[position])
    assert journal_gaps(run)


def test_the_schedule_follows_from_the_seed_and_spares_whoever_is_down() -> None:
    def drawn(seed: int) -> list[Any]:
        return list(itertools.islice(schedule(seed, every_s=3.0, lengths=BRIEF), 300))

    assert drawn(1) == drawn(1) != drawn(2)
    until: dict[str, float] = {}
    for blow in drawn(1):
        assert blow.at_s > until.get(blow.target, 0.0), blow
        until[blow.target] = blow.at_s + blow.for_s
    assert drawn(1)[-1].at_s / 300 == pytest.approx(3.0, rel=0.1)
