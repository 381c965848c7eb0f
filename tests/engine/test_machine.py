"""Decisions alone, against an adversary: a run in memory whose calls are answered badly.

No database and no clock: every step that ``decide`` asks for is taken in a model, and whatever a
carrier, a caller, a person or a source may do meanwhile is done in between, in any order and at any
moment. What the model holds is the snapshot itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from experiments.domain.states import (
    BEFORE_FAULTS,
    MAY_EXIST,
    SETTLED,
    TERMINAL,
    EndedBy,
    InjectionPhase,
    Status,
)
from experiments.engine import decide as engine
from experiments.engine.snapshot import (
    Sample,
    StopOrder,
)
from tests.engine.model import Model
from tests.engine.worlds import STOP, T0, fault, run

_LEASE = timedelta(seconds=8)
_PHASE = InjectionPhase

SEQUENCE = (fault("a"), fault("b", on_drift="reinject"), fault("c", start={"after": ["a"]}))
PARALLEL = (
    fault("a", start={}),
    fault("b", start={"with": ["a"], "delay": "2s"}, on_drift="ignore", duration="45s"),
    {"name": "w", "wait": "5s", "start": {"with": ["a"]}},
)
ASKING = (
    {"name": "w", "wait": "5s"},
    {"name": "ask", "checkpoint": "Fine?", "timeout": "20s"},
    fault("a", start={"after": ["ask"], "delay": "3s"}),
    fault("b", start={"with": ["ask"]}),
)
METHODS = st.sampled_from([SEQUENCE, PARALLEL, ASKING])
GUARDRAILS = st.sampled_from(["", "stop", "checkpoint", "ignore"])


def document_of(no_data: str) -> dict[str, Any]:
    if not no_data:
        return {"slis": [], "probes": [_PROBE]}
    rule = {"name": "g", "sli": "load", "above": 50, "breaches": "2 of 3", "no_data": no_data}
    return {"guardrails": [rule], "probes": [{**_PROBE, "at": ["throughout"], "every": "5s"}]}


_PROBE = {
    "name": "answers",
    "at": ["start", "end"],
    "http": {"url": "http://front/"},
    "tolerance": {"status": 200},
}


class Decisions(Model):
    """Whatever others may do between two ticks."""

    @initialize(method=METHODS, no_data=GUARDRAILS, rounds=st.integers(0, 14))
    def begin(self, method: Any, no_data: str, rounds: int) -> None:
        self.run = run("requested", *method, document=document_of(no_data))
        self.run = replace(self.run, injecting_at=None)
        self.now = T0
        self.due = T0
        self.has_begun = set()
        self.woken = set()
        self.go_on(rounds)

    # What others do.

    @rule()
    def look(self) -> None:
        self.tick()

    @rule()
    def come_back_when_due(self) -> None:
        """Nothing is due before the moment that the run asked for, unless somebody acts."""
        self.tick()
        if self.due is None:
            return
        span = self.due - self.now
        for part in (0.01, 0.37, 0.99):
            assert engine.decide(self.run, self.now + span * part) == (), f"due at {part} of {span}"
        self.now = self.due

    @rule(rounds=st.integers(1, 6))
    def go_on(self, rounds: int) -> None:
        """Whoever is woken answers, and answers well; time goes to when the run asked for."""
        for _ in range(rounds):
            self.tick()
            if self.due is None:
                return
            for kind in self.open_calls():
                self.change_call(kind, finished_at=self.now, is_ok=True, reason="so it is")
            for name in self.in_phase(_PHASE.INTENT):
                if not self.run.injections[name].is_final_failure:
                    self.activate(name)
            for name in self.in_phase(_PHASE.RECOVERING, _PHASE.UNSETTLED):
                self.read_back(name, "recovered")
            if self.run.spec.guardrails and "watch" in self.run.calls:
                self.feed([False])
            self.come_back_when_due()

    @precondition(lambda self: self.woken)
    @rule()
    def lose_every_wake(self) -> None:
        self.woken.clear()

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 5.0, 11.0, 70.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([0.5, 3.0, 60.0]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.now -= timedelta(seconds=seconds)

    @precondition(lambda self: self.open_calls())
    @rule(data=st.data(), is_ok=st.sampled_from([True, True, True, False]))
    def answer_call(self, data: Any, is_ok: bool) -> None:
        kind = data.draw(st.sampled_from(self.open_calls()))
        self.change_call(kind, finished_at=self.now, is_ok=is_ok, reason="so it is")

    @precondition(lambda self: self.open_calls())
    @rule(data=st.data(), how=st.sampled_from(["claimed", "failed"]))
    def disturb_call(self, data: Any, how: str) -> None:
        kind = data.draw(st.sampled_from(self.open_calls()))
        self.woken.discard(kind)
        if how == "claimed":
            self.change_call(kind, attempt_deadline=self.now + 5 * _LEASE)
        else:
            again = self.now + timedelta(seconds=5)
            self.change_call(kind, due_at=again, woken_at=None, attempt_deadline=None)

    @precondition(lambda self: self.in_phase(*MAY_EXIST))
    @rule(data=st.data())
    def claim(self, data: Any) -> None:
        """A carrier takes it, and may never come back."""
        name = data.draw(st.sampled_from(self.in_phase(*MAY_EXIST)))
        is_intent = self.run.injections[name].phase is _PHASE.INTENT
        has_plan = self.run.injections[name].has_plan or (is_intent and data.draw(st.booleans()))
        self.change_injection(name, attempt_deadline=self.now + _LEASE, has_plan=has_plan)
        self.woken.discard(name)

    @precondition(lambda self: self.in_phase(_PHASE.INTENT))
    @rule(data=st.data(), how=st.sampled_from(["active", "active", "again", "final"]))
    def answer_inject(self, data: Any, how: str) -> None:
        name = data.draw(st.sampled_from(self.in_phase(_PHASE.INTENT)))
        if how == "active":
            self.activate(name)
        else:
            self.woken.discard(name)
            self.change_injection(
                name,
                has_plan=True,
                is_final_failure=how == "final",
                due_at=None if how == "final" else self.now + timedelta(seconds=1),
                woken_at=None,
                attempt_deadline=None,
                last_error="refused",
            )

    def activate(self, name: str) -> None:
        self.woken.discard(name)
        action = next(each for each in self.run.spec.faults if each.name == name)
        self.change_injection(
            name,
            phase=_PHASE.ACTIVE,
            has_plan=True,
            recover_by=self.now + timedelta(seconds=float(action.duration)),
            due_at=self.now + timedelta(seconds=2),
            woken_at=None,
            attempt_deadline=None,
        )

    @precondition(lambda self: self.in_phase(_PHASE.ACTIVE))
    @rule(data=st.data(), seen=st.sampled_from(["active", "gone", "partly", "failed", "pending"]))
    def observe(self, data: Any, seen: str) -> None:
        name = data.draw(st.sampled_from(self.in_phase(_PHASE.ACTIVE)))
        again = self.now + timedelta(seconds=2)
        row = self.run.injections[name]
        is_lost = row.is_lost or seen in ("gone", "partly", "failed")
        self.change_injection(
            name, observed_phase=seen, is_lost=is_lost, due_at=again, attempt_deadline=None
        )

    @precondition(lambda self: self.in_phase(_PHASE.RECOVERING, _PHASE.UNSETTLED))
    @rule(data=st.data(), how=st.sampled_from(["recovered", "unsettled", "recovering"]))
    def answer_recover(self, data: Any, how: str) -> None:
        name = data.draw(st.sampled_from(self.in_phase(_PHASE.RECOVERING, _PHASE.UNSETTLED)))
        self.read_back(name, how)

    def read_back(self, name: str, how: str) -> None:
        self.woken.discard(name)
        is_gone = how == "recovered"
        self.change_injection(
            name,
            phase=_PHASE(how),
            recovered_at=self.now if is_gone else self.run.injections[name].recovered_at,
            due_at=None if is_gone else self.now + timedelta(seconds=2),
            woken_at=None,
            attempt_deadline=None,
        )

    @precondition(lambda self: self.is_live() and self.in_phase(_PHASE.RECOVERED))
    @rule(data=st.data())
    def come_back(self, data: Any) -> None:
        """A fault that was called recovered is found on its backend."""
        name = data.draw(st.sampled_from(self.in_phase(_PHASE.RECOVERED)))
        self.change_injection(name, phase=_PHASE.RECOVERING, due_at=self.now, woken_at=None)

    @precondition(lambda self: self.is_live() and self.run.stop is None)
    @rule(
        ended_by=st.sampled_from(
            [EndedBy.PERSON, EndedBy.HALT, EndedBy.BACKEND, EndedBy.ERROR, EndedBy.GUARDRAIL]
        )
    )
    def stop(self, ended_by: EndedBy) -> None:
        if self.run.status is not Status.JUDGING or ended_by is EndedBy.ERROR:
            self.change(stop=StopOrder(ended_by, STOP.actor, STOP.reason))

    @precondition(lambda self: any(self.asked()))
    @rule()
    def answer_checkpoints(self) -> None:
        for name in self.asked():
            ended = replace(self.run.actions[name], finished_at=self.now)
            self.change(actions={**self.run.actions, name: ended})

    @precondition(lambda self: self.run.spec.guardrails and "watch" in self.run.calls)
    @rule(breaches=st.lists(st.sampled_from([False, False, False, True, None]), max_size=3))
    def feed(self, breaches: list[bool | None]) -> None:
        """The newest samples come; those without data do not count."""
        old = self.run.guardrails.get("g", ())
        new = tuple(
            Sample(
                self.now - timedelta(milliseconds=len(breaches) - index),
                None if breach is None else 80.0 if breach else 1.0,
                breach,
            )
            for index, breach in enumerate(breaches)
        )
        self.change(guardrails={"g": (*old, *new)[-4:]})

    # What the rules ask.

    def is_live(self) -> bool:
        return self.run.status not in TERMINAL

    def open_calls(self) -> list[str]:
        calls = self.run.calls.values()
        asked = [call.kind for call in calls if call.finished_at is None]
        return [kind for kind in asked if kind in self.woken] if self.is_live() else []

    def in_phase(self, *phases: InjectionPhase) -> list[str]:
        """Return the faults in one of the phases that somebody looks at or was woken for."""
        rows = self.run.injections.items()
        return [
            name
            for name, row in rows
            if row.phase in phases and (name in self.woken or not engine.is_paced(row))
        ]

    def asked(self) -> list[str]:
        ours = {action.name for action in self.run.spec.method} - {"ask"}
        actions = self.run.actions.items()
        return [name for name, at in actions if name not in ours and at.finished_at is None]

    # What must hold.

    @invariant()
    def nothing_was_sent_before_the_gate(self) -> None:
        phases = {row.phase for row in self.run.injections.values()}
        if phases & (MAY_EXIST | {_PHASE.RECOVERED}):
            assert self.run.injecting_at is not None
            assert self.run.status not in BEFORE_FAULTS

    @invariant()
    def an_ended_run_leaves_nothing(self) -> None:
        if not self.is_live():
            assert {row.phase for row in self.run.injections.values()} <= SETTLED
            assert engine.decide(self.run, self.now) == ()

    def teardown(self) -> None:
        """Once every call is answered and data come, the run ends by coming back when it asks."""
        if not hasattr(self, "run"):
            return
        for _ in range(400):
            if not self.is_live():
                break
            self.go_on(1)
        assert not self.is_live()
        # Every fault that may have been sent came through its removal.
        assert {row.phase for row in self.run.injections.values()} <= SETTLED


TestDecisions = Decisions.TestCase
TestDecisions.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
)
