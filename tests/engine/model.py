"""A run in memory: every step of a decision is taken as the services take it, and checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from experiments.domain.states import (
    BEFORE_FAULTS,
    MAY_EXIST,
    SETTLED,
    TERMINAL,
    TRANSITIONS,
    InjectionPhase,
    Status,
)
from experiments.engine import decide as engine
from experiments.engine import steps, watching
from experiments.engine.snapshot import ActionState, CallState, InjectionState, RunSnapshot

_ROUNDS = 64
_PHASE = InjectionPhase


class Model(RuleBasedStateMachine):
    """One run: its snapshot, the moment, and when it wants to be looked at again."""

    run: RunSnapshot
    now: datetime
    due: datetime | None
    has_begun: set[str]
    woken: set[str]
    """The calls and actions that somebody was woken for, and has not looked after yet."""

    def change(self, **changes: Any) -> None:
        self.run = replace(self.run, **changes)

    def change_injection(self, name: str, **changes: Any) -> None:
        row = replace(self.run.injections[name], **changes)
        self.change(injections={**self.run.injections, name: row})

    def change_call(self, kind: str, **changes: Any) -> None:
        call = replace(self.run.calls[kind], **changes)
        self.change(calls={**self.run.calls, kind: call})

    def take(self, step: steps.Step) -> None:
        match step:
            case steps.Move(to=to):
                self.move(to)
            case steps.Ask(kind=kind):
                if kind not in self.run.calls:
                    call = CallState(kind, due_at=self.now, woken_at=self.now)
                    self.change(calls={**self.run.calls, kind: call})
                    self.woken.add(kind)
            case steps.Wake(kind="carry", action=action):
                assert self.run.injections[action].phase in MAY_EXIST
                self.change_injection(action, woken_at=self.now)
                self.woken.add(action)
            case steps.Wake(kind=kind):
                assert self.run.calls[kind].finished_at is None
                self.change_call(kind, woken_at=self.now)
                self.woken.add(kind)
            case steps.Begin(action=action):
                self.begin_action(action)
            case steps.Open(name=name):
                assert name not in self.run.actions
                self.change(actions={**self.run.actions, name: ActionState(self.now)})
            case steps.Finish(action=action):
                state = self.run.actions[action]
                assert state.finished_at is None, "nothing ends twice"
                ended = replace(state, finished_at=self.now)
                self.change(actions={**self.run.actions, action: ended})
            case steps.Recover(action=action):
                self.recover(action)
            case steps.Stop(order=order):
                assert self.run.stop is None, "the first order counts"
                assert self.run.status not in BEFORE_FAULTS
                self.change(stop=order)

    def move(self, to: Status) -> None:
        old = self.run.status
        assert to in TRANSITIONS[old]
        if to in TERMINAL:
            assert not {row.phase for row in self.run.injections.values()} & MAY_EXIST
            if self.run.stop is not None:
                assert to is not Status.COMPLETED
        if to is Status.BASELINE:
            planned = {
                action.name: InjectionState(action.name, _PHASE.PLANNED)
                for action in self.run.spec.faults
            }
            self.change(injections=planned)
            if "watch" in self.run.calls:
                self.change(watched_since=self.now)
        if to is Status.INJECTING:
            gate = self.run.calls["gate"]
            assert gate.finished_at is not None
            assert gate.is_ok, "we do not inject into a sick system"
            self.change(injecting_at=self.now)
        if to is Status.SETTLING:
            assert {row.phase for row in self.run.injections.values()} <= SETTLED
        self.change(status=to, status_since=self.now)

    def begin_action(self, name: str) -> None:
        assert self.run.status is Status.INJECTING
        assert self.run.stop is None, "nothing begins after a stop"
        assert name not in self.has_begun, "nothing begins twice"
        self.has_begun.add(name)
        self.change(actions={**self.run.actions, name: ActionState(self.now)})
        if name in self.run.injections:
            self.change_injection(name, phase=_PHASE.INTENT, due_at=self.now, woken_at=self.now)
            self.woken.add(name)

    def recover(self, name: str) -> None:
        row = self.run.injections[name]
        assert row.phase in engine.WANTED, "nobody begins to remove what is being removed"
        if row.phase is _PHASE.PLANNED or (row.phase is _PHASE.INTENT and not row.has_plan):
            self.change_injection(name, phase=_PHASE.CANCELLED, recovered_at=self.now, due_at=None)
            return
        self.change_injection(
            name,
            phase=_PHASE.RECOVERING,
            due_at=self.now,
            woken_at=self.now,
            attempt_deadline=None,
        )
        self.woken.add(name)

    def tick(self) -> None:
        for _ in range(_ROUNDS):
            due = engine.decide(self.run, self.now)
            moves = [step for step in due if isinstance(step, steps.Move)]
            assert len(moves) <= 1
            assert not moves or due[-1] is moves[0], "a move comes last"
            if not due:
                break
            for step in due:
                self.take(step)
        else:
            raise AssertionError("a tick comes to rest")
        moments = engine.next_due(self.run, self.now), watching.blind_at(self.run, self.now)
        # The sweep looks for both.
        self.due = min((moment for moment in moments if moment is not None), default=None)
        self.nothing_waits_that_was_ordered()

    def nothing_waits_that_was_ordered(self) -> None:
        if self.run.status in TERMINAL:
            assert self.due is None
            return
        assert self.due is not None
        assert self.due > self.now
        if self.run.stop is not None:
            assert self.run.status not in BEFORE_FAULTS
            assert not {row.phase for row in self.run.injections.values()} & engine.WANTED
