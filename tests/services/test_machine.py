"""Anything in any order, on the rehearsal driver: no fault outlives its run.

Time passes, wakes are lost or doubled, backends fail, carriers are killed, people stop runs. After
every step the invariants hold; once the backend is well again every run ends by itself.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from drivers import fake
from drivers.fake import FakeControl, FakeDriver, Step
from drivers.protocol import ConnectionConfig
from experiments import backends
from experiments.domain.states import LIVE, MAY_EXIST, SETTLED, TRANSITIONS, Status
from experiments.models import Claim, Injection, Run
from experiments.services import conducting, launching, reconciling
from tests.services.worlds import document, fault, start

pytestmark = pytest.mark.django_db(transaction=True)

LATE_S = 90.0
"""A lost answer takes effect within this: the last read-back is two minutes after the first."""
_keys = count()


TROUBLE = st.one_of(
    st.builds(
        Step,
        method=st.sampled_from(["inject", "recover", "observe"]),
        do=st.just("fail"),
        times=st.integers(1, 4),
        retryable=st.sampled_from([True, True, True, False]),
    ),
    st.builds(
        Step,
        method=st.sampled_from(["inject", "inject", "recover"]),
        do=st.just("lose"),
        times=st.integers(1, 5),
        effect=st.sampled_from(["now", "late", "never"]),
        seconds=st.floats(1, LATE_S),
    ),
    st.builds(Step, method=st.just("recover"), do=st.sampled_from(["ignore", "hang"])),
)


class Killed(BaseException):
    """As SIGKILL: nothing of ours catches it."""


class Machine(RuleBasedStateMachine):
    pump: Any
    alice: Any
    environment: Any
    kill: str = ""

    def __init__(self) -> None:
        super().__init__()
        fake.forget()
        backends.forget()
        Machine.kill = ""
        self.pump.waiting.clear()
        self.control = FakeControl(ConnectionConfig("fake", "fake"), clock=self.pump.seconds)
        self.runs: list[Run] = []

    def guarded(self, act: Any) -> None:
        with suppress(Killed):
            act()

    def live_runs(self) -> list[Run]:
        ids = [run.pk for run in self.runs]
        return list(Run.objects.filter(pk__in=ids, status__in=[each.value for each in LIVE]))

    @precondition(lambda self: len(self.runs) < 2)
    @rule(
        places=st.lists(st.sampled_from(["one", "two", ""]), min_size=1, max_size=2),
        on_drift=st.sampled_from(["stop", "ignore", "reinject"]),
        duration=st.sampled_from(["3s", "20s"]),
        trouble=st.lists(TROUBLE, max_size=2),
        kill=st.sampled_from(["", "", "before", "after"]),
    )
    def request(
        self, places: list[str], on_drift: str, duration: str, trouble: list[Step], kill: str
    ) -> None:
        Machine.kill = kill
        self.control.script(*trouble)
        method = [
            fault(f"f{index}", on_drift=on_drift, duration=duration) | {"with": {"target": target}}
            for index, target in enumerate(places)
        ]
        run = start(self.alice, self.environment, document(*method), key=f"m{next(_keys)}")
        self.runs.append(run)
        # Most of what can go wrong goes wrong later: begin where something is about to be sent.
        for _ in range(20):
            if run.injections.filter(phase="intent").exists() or not self.pump.waiting:
                break
            self.guarded(self.pump.step)

    @rule(seconds=st.sampled_from([0.2, 1, 2, 5, 16, 60]))
    def pass_time(self, seconds: float) -> None:
        self.pump.let_pass(seconds)

    @rule(seconds=st.sampled_from([0.5, 2.0]), times=st.integers(1, 6))
    def go_on(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.guarded(lambda: self.pump.pass_time(seconds))

    @precondition(lambda self: self.pump.waiting)
    @rule(is_doubled=st.booleans())
    def work(self, is_doubled: bool) -> None:
        if is_doubled:
            self.pump.waiting.append(self.pump.waiting[0])
        self.guarded(self.pump.step)

    @precondition(lambda self: self.pump.waiting)
    @rule()
    def lose_every_wake(self) -> None:
        self.pump.waiting.clear()

    @precondition(lambda self: self.runs)
    @rule()
    def keep(self) -> None:
        self.guarded(lambda: self.pump.keep(2))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def tick_again(self, data: Any) -> None:
        conducting.tick(run_id=data.draw(st.sampled_from(self.runs)).pk)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def stop(self, data: Any) -> None:
        launching.stop_run(run=data.draw(st.sampled_from(self.runs)), actor="bob")

    @precondition(lambda self: self.runs)
    @rule(seconds=st.sampled_from([0.1, 0.5, 3]), times=st.integers(1, 40))
    def go_on_for_long(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.guarded(lambda: self.pump.pass_time(seconds))

    @rule(step=TROUBLE)
    def misbehave(self, step: Step) -> None:
        self.control.script(step)

    @rule(places=st.sets(st.sampled_from(["one", "two"])))
    def cut_off(self, places: set[str]) -> None:
        self.control.cut_off(*places)

    @rule(place=st.sampled_from(["one", "two"]))
    def restart(self, place: str) -> None:
        self.control.restart(place)

    @rule()
    def reconcile(self) -> None:
        reconciling.reconcile()

    @invariant()
    def no_fault_is_unknown_to_the_ledger(self) -> None:
        rows = Injection.objects.filter(run__in=self.runs)
        known = {row.token for row in rows if row.phase in MAY_EXIST}
        assert self.control.live() <= known

    @invariant()
    def no_ended_run_holds_or_leaves_anything(self) -> None:
        ended = [run.pk for run in self.runs if run.pk not in {r.pk for r in self.live_runs()}]
        rows = Injection.objects.filter(run_id__in=ended)
        assert {row.phase for row in rows} <= SETTLED
        assert not Claim.objects.filter(run_id__in=ended, released_at__isnull=True).exists()

    @invariant()
    def whatever_may_exist_keeps_its_claims(self) -> None:
        for row in Injection.objects.filter(run__in=self.runs):
            if row.phase in MAY_EXIST:
                held = Claim.objects.filter(run_id=row.run_id, released_at__isnull=True)
                assert set(row.claims) <= set(held.values_list("key", flat=True))

    def teardown(self) -> None:
        Machine.kill = ""
        self.control.cut_off()
        with self.control._open() as state:
            state.script.clear()
        for _ in range(120):
            if not self.live_runs():
                break
            self.pump.pass_time(5)
        assert not self.live_runs(), "every run ends once its backend is well"
        assert self.control.live() == set()
        self.no_ended_run_holds_or_leaves_anything()
        for run in self.runs:
            run.refresh_from_db()
            assert run.status == "completed" or run.verdict != "held"
            moves = list(run.events.exclude(old="").values_list("old", "new"))
            assert all(new in TRANSITIONS[Status(old)] for old, new in moves)
            assert [old for old, _ in moves[1:]] == [new for _, new in moves[:-1]]


def test_no_fault_outlives_its_run_whatever_happens(alice, environment, pump, monkeypatch):
    inject = FakeDriver.inject

    def watched(self: FakeDriver, plan: Any) -> Any:
        row = Injection.objects.select_related("run").get(token=plan.token)
        assert row.run.stop_requested_at is None, "nothing is injected after a stop"
        when, Machine.kill = Machine.kill, ""
        if when == "before":
            raise Killed
        handle = inject(self, plan)
        if when == "after":
            raise Killed
        return handle

    monkeypatch.setattr(FakeDriver, "inject", watched)
    Machine.pump, Machine.alice, Machine.environment = pump, alice, environment
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
