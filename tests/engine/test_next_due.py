"""When a run is looked at again by itself: always later, never too late."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.domain.states import InjectionPhase, Status
from experiments.engine import blind, watching
from experiments.engine import decide as engine
from experiments.engine.decide import decide
from experiments.engine.snapshot import ActionState, CallState, InjectionState, RunSnapshot
from experiments.engine.steps import Begin, Finish, Move, Open, Recover, Stop, Wake
from tests.engine.worlds import STOP, T0, at, began, fault, injection, pending, run, samples


def next_due(snapshot: RunSnapshot, now: datetime) -> Any:
    return engine.next_due(snapshot, now)


LIVE = ["requested", "checking", "baseline", "injecting", "recovering", "settling", "judging"]
GUARDED = {"guardrails": [{"name": "g", "sli": "load", "above": 50}]}
ASKING = {"guardrails": [{"name": "g", "sli": "load", "above": 50, "no_data": "checkpoint"}]}


@pytest.mark.parametrize("status", ["completed", "stopped", "errored", "refused"])
def test_an_ended_run_is_never_looked_at_again(status):
    assert next_due(run(status), T0) is None


@pytest.mark.parametrize("status", LIVE)
def test_a_live_run_is_looked_at_now_and_then_even_if_nothing_is_due(status):
    document = {"timing": {"baseline": "1h", "settle": "1h", "step": "5s"}}
    assert next_due(run(status, document=document), T0) == at(600)


@pytest.mark.parametrize("status", ["baseline", "injecting"])
def test_it_comes_back_when_a_guardrail_would_be_blind(status):
    document = GUARDED | {"timing": {"baseline": "1h", "settle": "0s", "step": "5s"}}
    guarded = run(status, document=document, watched_since=T0, actions=began(one=0))
    # A step and two scrapes, and three times every five seconds.
    assert watching.blind_at(guarded, T0) == at(22)
    fed = dataclasses.replace(guarded, guardrails={"g": samples(False, first=10)})
    assert watching.blind_at(fed, at(12)) == at(32)
    assert watching.blind_at(fed, at(33)) is None, "a silence that has spoken is over"
    assert watching.blind_at(dataclasses.replace(fed, stop=STOP), at(12)) is None
    loud = {"guardrails": [{**GUARDED["guardrails"][0], "no_data": "ignore"}]}
    deaf = run(status, document=document | loud, watched_since=T0, actions=began(one=0))
    assert watching.blind_at(deaf, T0) is None, "its silence never matters"


def test_looks_are_the_sweeps_and_wake_no_tick():
    looks = pending("watch", due_at=at(1))
    live = injection("active", due_at=at(1), recover_by=at(9))
    watched = run("injecting", calls=looks, injections=live, actions=began(one=0))
    assert next_due(watched, T0) == at(9)
    assert decide(watched, at(2)) == ()
    asked = run("injecting", calls=pending("probe", due_at=at(1)), actions=began(one=0))
    assert next_due(asked, T0) == at(1)
    assert decide(asked, at(1)) == (Wake("probe"),)


def test_it_comes_back_when_nobody_has_answered_a_guardrails_checkpoint():
    waiting = run(
        "injecting",
        document=ASKING,
        watched_since=T0,
        actions={**began(one=0), "no-data-g": ActionState(at(30))},
        injections=injection("active", recover_by=at(9000)),
    )
    assert next_due(waiting, at(600)) == at(630)
    assert next_due(waiting, at(20)) == at(620), "nothing else is due before"


def test_it_comes_back_for_whatever_is_due_next():
    live = injection("active", recover_by=at(0.7), due_at=at(2))
    snapshot = run("injecting", actions=began(one=0), injections=live)
    assert next_due(snapshot, T0) == at(0.7)
    assert next_due(run("recovering", injections=injection("unsettled", due_at=at(2))), T0) == at(2)
    assert next_due(run("checking", calls=pending("check", due_at=at(0.2))), T0) == at(0.2)
    assert next_due(run("baseline"), at(58)) == at(60)
    assert next_due(run("settling"), at(36)) == at(37)
    waiting = run("injecting", {"name": "w", "wait": "3s"}, fault(), actions=began(w=0))
    assert next_due(waiting, T0) == at(3)
    late = run("injecting", fault(start={"delay": "4s"}))
    assert next_due(late, T0) == at(4)


def test_it_comes_back_when_a_carrier_is_given_up():
    claimed = injection("recovering", due_at=at(-20), attempt_deadline=at(3), woken_at=at(-20))
    assert next_due(run("recovering", injections=claimed), T0) == at(3)
    dispatched = injection("recovering", due_at=at(-20), woken_at=at(-1))
    assert next_due(run("recovering", injections=dispatched), T0) == at(1)


moments = st.none() | st.floats(-60, 60).map(at)
METHOD = (
    fault("a"),
    {"name": "b", "wait": "5s", "start": {"with": ["a"]}},
    fault("c", start={"after": ["b"], "delay": "2s"}, on_drift="reinject"),
    {"name": "d", "checkpoint": "Fine?", "timeout": "10s", "start": {}},
)


@st.composite
def snapshots(draw: Any) -> Any:
    injections = {
        name: InjectionState(
            name,
            draw(st.sampled_from(InjectionPhase)),
            due_at=draw(moments),
            woken_at=draw(moments),
            attempt_deadline=draw(moments),
            recover_by=draw(moments),
            recovered_at=draw(moments),
            is_final_failure=draw(st.booleans()),
            observed_phase=draw(st.sampled_from(["", "active", "gone", "partly"])),
        )
        for name in draw(st.sets(st.sampled_from("ac")))
    }
    actions = {
        name: ActionState(at(draw(st.floats(-60, 0))), draw(moments))
        for name in draw(st.sets(st.sampled_from(["a", "b", "c", "d", "no-data-g"])))
    }
    calls = {
        kind: CallState(kind, draw(moments), draw(moments), draw(moments), draw(moments), True)
        for kind in draw(st.sets(st.sampled_from(["check", "gate", "watch", "probe", "judge"])))
    }
    return run(
        draw(st.sampled_from(LIVE)),
        *METHOD,
        stop=draw(st.sampled_from([None, STOP])),
        injections=injections,
        actions=actions,
        calls=calls,
        document=draw(st.sampled_from([{}, GUARDED, ASKING])),
        watched_since=draw(st.none() | st.just(T0)),
        guardrails={"g": samples(*draw(st.lists(st.sampled_from([False, True, None]))))},
    )


@settings(max_examples=300, deadline=None)
@given(snapshots(), st.floats(-60, 60))
def test_whatever_a_run_looks_like_it_is_decided_and_looked_at_again(snapshot, now):
    steps = decide(snapshot, at(now))
    assert decide(snapshot, at(now)) == steps, "a decision is a function"
    assert next_due(snapshot, at(now)) > at(now)
    moves = [step for step in steps if isinstance(step, Move)]
    assert len(moves) <= 1
    assert not moves or steps[-1] is moves[0]
    if snapshot.stop is not None:
        assert not [step for step in steps if isinstance(step, Begin | Open | Stop)]
    for step in steps:
        if isinstance(step, Begin):
            assert step.action not in snapshot.actions
            assert not any(isinstance(other, Open) for other in steps)
        if isinstance(step, Open):
            assert step.name not in snapshot.actions
        if isinstance(step, Finish):
            assert snapshot.actions[step.action].finished_at is None


@pytest.mark.parametrize("status", LIVE)
@pytest.mark.parametrize("phase", InjectionPhase)
def test_a_run_without_its_document_only_ends_with_its_faults(status, phase):
    live = phase in ("intent", "active", "recovering", "unsettled")
    before = status in ("requested", "checking", "baseline")
    if live and before:
        return
    snapshot = blind.BlindSnapshot(Status(status), STOP, injection(phase, due_at=T0), ("one",))
    steps = blind.decide(snapshot, T0)
    assert [step.action for step in steps if isinstance(step, Wake)] == ["one"] * live
    wanted = phase in ("planned", "intent", "active")
    assert [step.action for step in steps if isinstance(step, Recover)] == ["one"] * wanted
    moves = [step.to for step in steps if isinstance(step, Move)]
    ahead = {
        "injecting": Status.RECOVERING,
        "recovering": Status.SETTLING,
        "settling": Status.JUDGING,
        "judging": Status.STOPPED,
    }
    if before:
        assert moves == [Status.STOPPED]
    elif status == "injecting":
        assert moves == [Status.RECOVERING]
    elif live or (status == "recovering" and phase == "planned"):
        assert moves == []
    else:
        assert moves == [ahead[status]]
