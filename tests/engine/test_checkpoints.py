"""Guardrails that ask a person while they are without data: what they hold back, when they stop."""

from __future__ import annotations

from experiments.domain.states import EndedBy, Status
from experiments.engine.decide import decide
from experiments.engine.snapshot import ActionState
from experiments.engine.steps import Ask, Begin, Finish, Move, Open, Recover, Stop
from tests.engine.worlds import STOP, T0, at, began, fault, injection, run, samples

RAIL = {"name": "g", "sli": "load", "above": 50, "breaches": "2 of 3", "no_data": "checkpoint"}
ASKING = {"guardrails": [RAIL]}
BLIND_S = 22.0
"""The step and two scrapes, and three times every five seconds."""
TWO = (fault("one", start={}), fault("two", start={"delay": "30s"}))


def only(steps, kind):
    return [step for step in steps if isinstance(step, kind)]


def asking(seen=(), *method, document=None, actions=None, **changes):
    """Return a run in which ``one`` is live, watched by a guardrail that asks a person."""
    actions = {"one": ActionState(T0)} | (actions or {})
    given = {"injections": injection("active", recover_by=at(5000))} | changes
    return run(
        "injecting",
        *(method or TWO),
        document=document or ASKING,
        watched_since=T0,
        guardrails={"g": samples(*seen)},
        actions=actions,
        **given,
    )


def waits(begun, finished=None, name="no-data-g"):
    return {name: ActionState(at(begun), None if finished is None else at(finished))}


class TestCheckpointOfAGuardrailWithoutData:
    def test_blindness_opens_it_and_says_what_is_missing(self):
        assert decide(asking(), at(BLIND_S - 0.1)) == ()
        (step,) = decide(asking(), at(BLIND_S))
        assert step == Open("no-data-g", "g: no new data of load for 22 s")

    def test_nothing_begins_while_it_is_open(self):
        assert decide(asking((False,) * 7), at(40)) == (Begin("two"),)
        assert [type(step) for step in decide(asking((False,) * 2), at(40))] == [Open]
        assert decide(asking((False,) * 2, actions=waits(32)), at(40)) == ()
        answered = asking((False,) * 2, actions=waits(32, 39))
        assert decide(answered, at(40)) == (Begin("two"),)

    def test_live_faults_end_as_planned_meanwhile(self):
        live = injection("active", recover_by=at(35))
        snapshot = asking((False,) * 2, actions=waits(32), injections=live)
        assert only(decide(snapshot, at(35)), Recover) == [Recover("one", "its 10s are over")]
        gone = asking((False,) * 2, actions=waits(32), injections=injection("recovering"))
        assert decide(gone, at(35)) == (Finish("one", "recovering"),)

    def test_unanswered_it_stops_the_run_as_no_data(self):
        waiting = asking((False,) * 2, actions=waits(32))
        assert decide(waiting, at(631)) == ()
        (step,) = decide(waiting, at(632))
        assert isinstance(step, Stop)
        assert step.order.ended_by is EndedBy.GUARDRAIL
        assert step.order.actor == "guardrail g"
        assert not step.order.is_on_data
        assert "no new data of load for 622 s" in step.order.reason
        assert "nobody let the run go on without it within 10 minutes" in step.order.reason

    def test_it_closes_by_itself_when_data_come_back(self):
        back = asking((False,) * 7, actions=waits(32))
        assert decide(back, at(41)) == (Finish("no-data-g", "data came back"),)
        in_time = asking((False,) * 126, actions=waits(32))
        assert decide(in_time, at(640)) == (Finish("no-data-g", "data came back"),)

    def test_breaches_stop_the_run_all_the_same(self):
        worse = asking((False, True, True), actions=waits(32))
        (step,) = decide(worse, at(41))
        assert isinstance(step, Stop)
        assert step.order.is_on_data

    def test_answered_it_is_accepted_until_data_came_back_and_are_lost_again(self):
        accepted = asking((False,) * 2, actions=waits(32, 60) | began(two=61))
        assert decide(accepted, at(5e3 - 1)) == ()
        fed = asking((False,) * 20, actions=waits(32, 60) | began(two=61))
        assert decide(fed, at(102)) == ()
        (step,) = decide(fed, at(100 + BLIND_S))
        assert step == Open("no-data-g-2", "g: no new data of load for 22 s")
        second = waits(32, 60) | waits(122, 130, "no-data-g-2") | began(two=61)
        assert decide(asking((False,) * 20, actions=second), at(4000)) == ()
        (third,) = decide(asking((False,) * 40, actions=second), at(4000))
        assert third.name == "no-data-g-3"

    def test_data_that_were_read_late_count_as_come_back(self):
        # Open at 32, its newest sample of 10 s; the sample of 25 s is only read at 41 s.
        again = asking((False,) * 5, actions=waits(32, 41) | began(two=42))
        assert [type(step) for step in decide(again, at(25 + BLIND_S))] == [Open]

    def test_data_too_old_to_end_the_blindness_do_not(self):
        late = asking((False,) * 2, actions=waits(50, 60) | began(two=61))
        assert decide(late, at(70)) == ()

    def test_before_any_fault_the_gate_decides(self):
        blind = run("baseline", document=ASKING, watched_since=T0)
        assert decide(blind, at(59)) == ()
        assert decide(blind, at(60)) == (Ask("gate"),)

    def test_a_method_that_has_ended_waits_for_nobody(self):
        ended = {"one": ActionState(T0, at(30)), **waits(32)}
        snapshot = asking((False,), fault("one"), actions=ended, injections=injection("unsettled"))
        steps = decide(snapshot, at(40))
        assert only(steps, Finish) == [Finish("no-data-g", "every action has ended")]
        assert only(steps, Move)[0].to is Status.RECOVERING
        assert steps[-1] is only(steps, Move)[0]
        blind = asking(
            (False,), actions=began(one=(0, 30), two=(30, 40)), injections=injection("recovered")
        )
        assert only(decide(blind, at(60)), Open) == []

    def test_a_stop_closes_it(self):
        stopped = asking(actions=waits(32), stop=STOP)
        finished = [step.action for step in only(decide(stopped, at(40)), Finish)]
        assert finished == ["one", "no-data-g"]

    def test_each_guardrail_has_its_own(self):
        more = [RAIL | {"name": name} for name in ("g", "g-2")]
        document = {"guardrails": more}
        first = decide(asking((False,), document=document), at(25))
        assert [step.name for step in only(first, Open)] == ["no-data-g-2"]
        both = decide(asking(document=document), at(30))
        assert [step.name for step in only(both, Open)] == ["no-data-g", "no-data-g-2"]
        again = waits(12, 13) | waits(12, None, "no-data-g-2")
        later = decide(asking((False,) * 2, document=document, actions=again), at(32))
        assert [step.name for step in only(later, Open)] == ["no-data-g-3"]
