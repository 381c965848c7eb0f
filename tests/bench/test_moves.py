"""How late things were, from the log of their due moments."""

from __future__ import annotations

from bench.moves import OBSERVE, TICK, WATCH, Done, Move, done

LEASE_S = 5.0


def test_a_look_is_done_when_its_due_moment_moves() -> None:
    assert done([Move(WATCH, 7, 10.0, 16.0, 11.0)], [], lease_s=LEASE_S) == [
        Done(WATCH, 7, 10.0, 11.0)
    ]


def test_a_tick_is_late_from_its_due_moment_not_from_the_sweeps_claim() -> None:
    claim = Move(TICK, 7, 10.0, 15.4, 10.5)
    tick = Move(TICK, 7, 15.4, 100.0, 11.0)
    assert done([tick, claim], [], lease_s=LEASE_S) == [Done(TICK, 7, 10.0, 11.0)]


def test_a_claim_that_nobody_followed_is_no_tick() -> None:
    first = Move(TICK, 7, 10.0, 15.4, 10.5)
    second = Move(TICK, 7, 15.4, 21.0, 16.1)
    tick = Move(TICK, 7, 21.0, 100.0, 16.5)
    assert done([first, second, tick], [], lease_s=LEASE_S) == [Done(TICK, 7, 10.0, 16.5)]


def test_a_run_that_was_made_due_is_late_from_then() -> None:
    made_due = Move(TICK, 7, 100.0, 20.0, 20.01)
    claim = Move(TICK, 7, 20.0, 25.3, 20.4)
    tick = Move(TICK, 7, 25.3, 100.0, 20.6)
    assert done([made_due, claim, tick], [], lease_s=LEASE_S) == [Done(TICK, 7, 20.0, 20.6)]


def test_a_tick_without_a_claim_counts_as_the_keepers() -> None:
    assert done([Move(TICK, 7, 10.0, 100.0, 13.0)], [], lease_s=LEASE_S) == [
        Done(TICK, 7, 10.0, 13.0)
    ]


def test_a_tick_before_its_time_is_not_late() -> None:
    assert done([Move(TICK, 7, 50.0, 100.0, 13.0)], [], lease_s=LEASE_S) == []


def test_what_is_not_done_is_as_late_as_it_is_by_now() -> None:
    claim = Move(TICK, 7, 10.0, 15.4, 10.5)
    found = done([claim], [(TICK, 7, 15.4), (OBSERVE, 3, 12.0)], lease_s=LEASE_S)
    assert [each.late_s(30.0) for each in found] == [20.0, 18.0]
    assert [each.at for each in found] == [None, None]


def test_what_was_claimed_a_moment_ago_is_not_done_either() -> None:
    claim = Move(TICK, 7, 10.0, 15.4, 10.5)
    assert done([claim], [], lease_s=LEASE_S) == [Done(TICK, 7, 10.0, None)]
