"""Every status and branch of the decision, as a function of a snapshot and a moment."""

from __future__ import annotations

import dataclasses

import pytest

from experiments.domain.states import SETTLED, EndedBy, InjectionPhase, Status
from experiments.engine.decide import decide
from experiments.engine.snapshot import InjectionState, StopOrder
from experiments.engine.steps import Ask, Begin, Finish, Move, Recover, Stop, Wake
from tests.engine.worlds import (
    STOP,
    T0,
    at,
    began,
    done,
    fault,
    injection,
    pending,
    run,
    samples,
)

ERROR = StopOrder(EndedBy.ERROR, "engine", "it broke")
GUARDED = {"guardrails": [{"name": "g", "sli": "load", "above": 50, "breaches": "2 of 3"}]}


def move_of(steps):
    """Return the only move among the steps; it comes last."""
    moves = [step for step in steps if isinstance(step, Move)]
    assert len(moves) == 1
    assert steps[-1] is moves[0]
    return moves[0]


def only(steps, kind):
    return [step for step in steps if isinstance(step, kind)]


@pytest.mark.parametrize("status", ["completed", "stopped", "errored", "refused"])
def test_nothing_is_due_in_an_ended_run(status):
    assert decide(run(status, stop=STOP, injections=injection("active")), at(999)) == ()


def test_a_requested_run_is_checked():
    steps = decide(run("requested"), T0)
    assert Ask("check") in steps
    assert move_of(steps).to is Status.CHECKING


@pytest.mark.parametrize("status", ["requested", "checking", "baseline"])
@pytest.mark.parametrize(("order", "to"), [(STOP, Status.STOPPED), (ERROR, Status.ERRORED)])
def test_a_stop_before_any_fault_ends_at_once_and_cancels(status, order, to):
    steps = decide(run(status, stop=order, injections=injection("planned")), T0)
    assert only(steps, Recover) == [Recover("one", order.reason, order.actor)]
    move = move_of(steps)
    assert (move.to, move.ended_by, move.actor) == (to, order.ended_by, order.actor)


def test_a_check_is_waited_for():
    assert decide(run("checking"), T0) == ()
    assert decide(run("checking", calls=pending("check", attempt_deadline=at(60))), T0) == ()


def test_a_check_that_refuses_refuses():
    move = move_of(decide(run("checking", calls=done("check", is_ok=False)), T0))
    assert (move.to, move.reason) == (Status.REFUSED, "so it is")


def test_a_check_that_passes_starts_the_baseline_and_its_watch():
    steps = decide(run("checking", calls=done("check")), T0)
    assert Ask("watch") in steps
    assert move_of(steps).to is Status.BASELINE


@pytest.mark.parametrize(("moment", "asks"), [("end", []), ("throughout", [Ask("probe")])])
def test_without_slis_only_probes_are_asked(moment, asks):
    probe = {"name": "p", "at": [moment], "http": {"url": "http://a/"}, "tolerance": {"min": 1}}
    document = {"slis": [], "probes": [{**probe, "name": "q", "at": ["end"]}, probe]}
    assert only(decide(run("checking", calls=done("check"), document=document), T0), Ask) == asks


def test_a_guardrails_own_promql_is_watched_and_gated_without_slis():
    probe = {"name": "p", "at": ["end"], "http": {"url": "http://a/"}, "tolerance": {"min": 1}}
    own = {"name": "g", "promql": "up", "below": 1}
    document = {"slis": [], "probes": [probe], "guardrails": [own]}
    checked = run("checking", calls=done("check"), document=document)
    assert only(decide(checked, T0), Ask) == [Ask("watch")]
    assert decide(run("baseline", document=document), at(180)) == (Ask("gate"),)


def test_the_gate_waits_for_the_baseline():
    assert decide(run("baseline"), at(59)) == ()
    assert decide(run("baseline"), at(60)) == (Ask("gate"),)
    waiting = pending("gate", attempt_deadline=at(120))
    assert decide(run("baseline", calls=waiting), at(60)) == ()


def test_the_gate_decides_whether_anything_is_injected():
    assert move_of(decide(run("baseline", calls=done("gate")), at(60))).to is Status.INJECTING
    sick = run("baseline", calls=done("gate", is_ok=False), injections=injection("planned"))
    steps = decide(sick, at(60))
    assert move_of(steps).to is Status.REFUSED
    assert only(steps, Recover) == [Recover("one", "the run is refused")]


def test_no_gate_is_needed_where_nothing_is_measured_before():
    probe = {"name": "p", "at": ["end"], "http": {"url": "http://a/"}, "tolerance": {"min": 1}}
    document = {"slis": [], "probes": [probe]}
    assert move_of(decide(run("baseline", document=document), at(180))).to is Status.INJECTING


def test_a_breach_in_the_baseline_refuses():
    sick = run(
        "baseline", document=GUARDED, watched_since=T0, guardrails={"g": samples(True, True)}
    )
    move = move_of(decide(sick, at(11)))
    assert move.to is Status.REFUSED
    assert "before any fault" in move.reason
    assert move.ended_by is None


def test_the_first_action_begins_at_once():
    assert decide(run("injecting"), T0) == (Begin("one"),)


FOLLOWING = (fault("a"), {"name": "b", "wait": "5s"}, fault("c"))


@pytest.mark.parametrize(
    ("actions", "injections", "now", "begins"),
    [
        ({}, {}, 0, ["a"]),
        ({"a": 0.0}, injection("active", "a"), 5, []),
        ({"a": (0.0, 10.0)}, injection("recovering", "a"), 11, []),
        ({"a": (0.0, 10.0)}, injection("unsettled", "a"), 99, []),
        ({"a": (0.0, 10.0)}, injection("recovered", "a", recovered_at=at(12)), 11, []),
        ({"a": (0.0, 10.0)}, injection("recovered", "a", recovered_at=at(12)), 12, ["b"]),
        (
            {"a": (0.0, 10.0), "b": (12.0, 17.0)},
            injection("recovered", "a", recovered_at=at(12)),
            17,
            ["c"],
        ),
    ],
)
def test_an_action_waits_until_the_fault_before_is_read_back(actions, injections, now, begins):
    steps = decide(
        run("injecting", *FOLLOWING, actions=began(**actions), injections=injections), at(now)
    )
    assert [step.action for step in only(steps, Begin)] == begins


def test_actions_start_with_others_after_a_delay():
    method = (fault("a"), fault("b", start={"with": ["a"], "delay": "5s"}), fault("c", start={}))
    assert decide(run("injecting", *method), T0) == (Begin("a"), Begin("c"))
    both = began(a=0, c=0)
    assert decide(run("injecting", *method, actions=both), at(4.9)) == ()
    assert decide(run("injecting", *method, actions=both), at(5)) == (Begin("b"),)


def test_an_action_after_several_waits_for_the_last():
    method = (
        {"name": "a", "wait": "1s", "start": {}},
        {"name": "b", "wait": "9s", "start": {}},
        fault("c", start={"after": ["a", "b"], "delay": "2s"}),
    )
    assert decide(run("injecting", *method, actions=began(a=(0, 1), b=0)), at(5)) == ()
    both = began(a=(0, 1), b=(0, 9))
    assert decide(run("injecting", *method, actions=both), at(10.9)) == ()
    assert decide(run("injecting", *method, actions=both), at(11)) == (Begin("c"),)


def test_a_wait_ends_when_it_is_over():
    snapshot = run("injecting", {"name": "w", "wait": "5s"}, fault(), actions=began(w=0))
    assert decide(snapshot, at(4.9)) == ()
    assert decide(snapshot, at(5)) == (Finish("w", "waited"),)


def test_a_checkpoint_waits_and_then_stops_the_run():
    look = {"name": "look", "checkpoint": "Fine?", "timeout": "60s"}
    snapshot = run("injecting", look, fault(), actions=began(look=0))
    assert decide(snapshot, at(59)) == ()
    (step,) = decide(snapshot, at(60))
    assert isinstance(step, Stop)
    assert step.order.ended_by is EndedBy.PERSON
    answered = dataclasses.replace(snapshot, actions=began(look=(0, 30)))
    assert decide(answered, at(60)) == (Begin("one"),)


def test_a_fault_is_removed_when_its_time_is_over():
    live = injection("active", recover_by=at(10), due_at=at(99))
    snapshot = run("injecting", actions=began(one=0), injections=live)
    assert decide(snapshot, at(9.9)) == ()
    assert only(decide(snapshot, at(10)), Recover) == [Recover("one", "its 10s are over")]


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        ("recovering", "recovering"),
        ("unsettled", "recovering"),
        ("recovered", "recovered"),
        ("cancelled", "recovered"),
    ],
)
def test_the_action_of_a_fault_ends_when_its_removal_begins(phase, outcome):
    snapshot = run("injecting", actions=began(one=0), injections=injection(phase))
    assert only(decide(snapshot, at(1)), Finish) == [Finish("one", outcome)]


def test_the_run_recovers_when_every_action_has_ended():
    snapshot = run("injecting", actions=began(one=(0, 10)), injections=injection("unsettled"))
    assert move_of(decide(snapshot, at(10))).to is Status.RECOVERING


def test_a_stop_removes_everything_and_begins_nothing():
    method = [fault(name, start={}) for name in "abcdef"]
    phases = ["planned", "intent", "active", "recovering", "unsettled", "recovered"]
    injections: dict[str, InjectionState] = {}
    for name, phase in zip("abcdef", phases, strict=True):
        injections |= injection(phase, name)
    snapshot = run(
        "injecting", *method, stop=STOP, injections=injections, actions=began(b=0, f=(0, 1))
    )
    steps = decide(snapshot, at(5))
    assert [step.action for step in only(steps, Recover)] == ["a", "b", "c"]
    assert only(steps, Begin) == []
    assert only(steps, Finish) == [Finish("b", "stopped")]
    assert move_of(steps).to is Status.RECOVERING


@pytest.mark.parametrize("ruling", ["breached", "no_data"])
def test_a_guardrail_orders_the_stop_and_says_whether_it_saw_data(ruling):
    seen = samples(True, True) if ruling == "breached" else ()
    snapshot = run(
        "injecting",
        document=GUARDED,
        watched_since=T0,
        guardrails={"g": seen},
        actions=began(one=0),
        injections=injection("active"),
    )
    (step,) = decide(snapshot, at(11 if seen else 60))
    assert isinstance(step, Stop)
    assert step.order.ended_by is EndedBy.GUARDRAIL
    assert step.order.is_on_data is (ruling == "breached")


def test_a_guardrail_may_ignore_silence():
    document = {"guardrails": [GUARDED["guardrails"][0] | {"no_data": "ignore"}]}
    snapshot = run("injecting", document=document, watched_since=T0, actions=began(one=0))
    assert decide(snapshot, at(9999)) == ()


def test_guardrails_are_silent_once_every_fault_is_being_removed():
    snapshot = run(
        "recovering",
        document=GUARDED,
        watched_since=T0,
        guardrails={"g": samples(True, True)},
        injections=injection("recovering"),
    )
    assert only(decide(snapshot, at(11)), Stop) == []


def test_the_first_order_stands_whatever_else_happens():
    snapshot = run(
        "injecting",
        stop=STOP,
        document=GUARDED,
        watched_since=T0,
        guardrails={"g": samples(True, True)},
        injections=injection("active"),
    )
    assert only(decide(snapshot, at(11)), Stop) == []


def test_an_inject_that_failed_for_good_stops_the_run():
    failed = injection("intent", is_final_failure=True, last_error="No.")
    (step,) = decide(run("injecting", actions=began(one=0), injections=failed), at(1))
    assert step == Stop(StopOrder(EndedBy.BACKEND, "engine", "one could not be injected: No."))


@pytest.mark.parametrize("is_lost", [True, False])
@pytest.mark.parametrize("on_drift", ["stop", "ignore", "reinject"])
def test_a_lost_fault_stops_the_run_only_where_drift_stops(is_lost, on_drift):
    lost = injection("active", is_lost=is_lost, observed_phase="gone", recover_by=at(10))
    steps = decide(
        run("injecting", fault(on_drift=on_drift), actions=began(one=0), injections=lost), at(1)
    )
    stops = only(steps, Stop)
    assert bool(stops) is (on_drift == "stop" and is_lost)
    assert all(step.order.ended_by is EndedBy.BACKEND for step in stops)


@pytest.mark.parametrize("phase", InjectionPhase)
def test_a_recovering_run_waits_until_every_fault_is_read_back(phase):
    steps = decide(run("recovering", injections=injection(phase)), T0)
    if phase in SETTLED:
        assert move_of(steps).to is Status.SETTLING
    else:
        assert only(steps, Move) == []
        assert bool(only(steps, Recover)) is (phase in ("planned", "intent", "active"))


def test_settling_takes_its_time_and_the_last_bin():
    snapshot = run("settling", injections=injection("recovered"))
    assert decide(snapshot, at(30 + 6.9)) == ()
    steps = decide(snapshot, at(30 + 7))
    assert only(steps, Ask) == [Ask("judge")]
    assert move_of(steps).to is Status.JUDGING


def test_a_run_without_settling_is_judged_at_once():
    document = {"timing": {"baseline": "60s", "settle": "0s", "step": "5s"}}
    assert move_of(decide(run("settling", document=document), T0)).to is Status.JUDGING


def test_a_stop_does_not_cut_the_settling_short():
    assert decide(run("settling", stop=STOP), at(1)) == ()


@pytest.mark.parametrize("status", ["settling", "judging"])
@pytest.mark.parametrize("phase", ["intent", "active", "recovering", "unsettled"])
def test_nothing_ends_while_a_fault_may_be_live(status, phase):
    snapshot = run(status, calls=done("judge"), injections=injection(phase, due_at=at(9e6)))
    assert only(decide(snapshot, at(9e5)), Move) == []


def test_a_judgement_is_asked_for_and_waited_for():
    assert decide(run("judging"), T0) == (Ask("judge"),)
    assert decide(run("judging", calls=pending("judge", attempt_deadline=at(9))), T0) == ()


@pytest.mark.parametrize(
    ("order", "to", "ended_by"),
    [
        (None, Status.COMPLETED, EndedBy.PLAN),
        (STOP, Status.STOPPED, EndedBy.PERSON),
        (StopOrder(EndedBy.HALT, "carol", "all"), Status.STOPPED, EndedBy.HALT),
        (StopOrder(EndedBy.GUARDRAIL, "g", "no"), Status.STOPPED, EndedBy.GUARDRAIL),
        (StopOrder(EndedBy.BACKEND, "engine", "no"), Status.STOPPED, EndedBy.BACKEND),
        (ERROR, Status.ERRORED, EndedBy.ERROR),
    ],
)
def test_a_judged_run_ends_as_its_stop_says(order, to, ended_by):
    move = move_of(decide(run("judging", stop=order, calls=done("judge")), T0))
    assert (move.to, move.ended_by) == (to, ended_by)


def test_a_run_that_cannot_be_judged_errs():
    move = move_of(decide(run("judging", calls=done("judge", is_ok=False)), T0))
    assert (move.to, move.ended_by) == (Status.ERRORED, EndedBy.ERROR)


@pytest.mark.parametrize(
    ("changes", "is_woken"),
    [
        ({"due_at": T0}, True),
        ({"due_at": at(1)}, False),
        ({"due_at": None}, False),
        ({"due_at": at(-9), "attempt_deadline": at(1)}, False),
        ({"due_at": at(-9), "attempt_deadline": T0}, True),
        ({"due_at": at(-9), "woken_at": at(-1)}, False),
        ({"due_at": at(-9), "woken_at": at(-2)}, True),
        ({"due_at": at(-1), "woken_at": at(-1.5)}, True),
    ],
)
def test_what_is_due_and_unclaimed_is_dispatched_again_after_a_while(changes, is_woken):
    steps = decide(run("recovering", injections=injection("recovering", **changes)), T0)
    assert steps == ((Wake("carry", "one"),) if is_woken else ())
    steps = decide(run("checking", calls=pending("check", **changes)), T0)
    assert steps == ((Wake("check"),) if is_woken else ())


@pytest.mark.parametrize("phase", ["planned", "recovered", "cancelled"])
def test_what_cannot_exist_is_never_carried(phase):
    snapshot = run("settling", injections=injection(phase, due_at=at(-9)))
    assert only(decide(snapshot, T0), Wake) == []


@pytest.mark.parametrize("status", ["checking", "baseline", "injecting"])
def test_a_halt_that_missed_the_run_ends_it(status):
    halt = StopOrder(EndedBy.HALT, "carol", "everything was halted")
    steps = decide(run(status, halt=halt, actions=began(one=0)), at(1))
    if status == "injecting":
        assert steps == (Stop(halt),), "it is ordered first, and then obeyed"
    else:
        assert [step.to for step in only(steps, Move)] == [Status.STOPPED]


def test_a_look_that_is_too_old_does_not_let_a_fault_in():
    gate = done("gate")
    late = decide(run("baseline", calls=gate), at(3600))
    (move,) = only(late, Move)
    assert move.to is Status.REFUSED
    assert "3600 s old" in move.reason
