"""Anything in any order, on the rehearsal backend: no fault outlives its run.

Time passes and clocks are set; wakes are lost, doubled and overtake each other; processes die at
any statement and on either side of any call; carriers stand still and wake much later; backends
fail, hang and do late what they were asked; people stop, answer, halt and close by hand. After
every step the invariants hold, and once all is well again every run ends by the keeper alone.

The tests run the profile ``machine``: always the same few hundred steps, less than a minute. For a
long search on one's own machine, with fresh randomness, shrinking and a database of examples::

    MACHINE_PROFILE=thorough MACHINE_EXAMPLES=3000 python -m pytest tests/services/test_machine.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from drivers.fake import Step
from experiments import tasks
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.states import LIVE, MAY_EXIST, InjectionPhase
from experiments.models import Claim, Halt, Injection, Orphan, Run
from experiments.services import (
    carrying,
    closing,
    conducting,
    halting,
    launching,
    reconciling,
    sweeping,
)
from tests import factories
from tests.engine import moves
from tests.services.drawn import (
    BEGINNINGS,
    CHECKS,
    DEATHS,
    PARTS,
    POINTS,
    TROUBLE,
    document_of,
)
from tests.services.invariants import Invariants
from tests.services.processes import Aside, Process
from tests.services.rehearsal import LATE_S, Rehearsal, forget_runs
from tests.services.worlds import start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0)]

_ALWAYS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}
PROFILES = {
    # Without shrinking: a failure is printed as it was found, within the time of a test.
    "machine": settings(
        max_examples=25,
        stateful_step_count=25,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        **_ALWAYS,
    ),
    "thorough": settings(
        max_examples=int(os.environ.get("MACHINE_EXAMPLES", "3000")),
        stateful_step_count=60,
        **_ALWAYS,
    ),
}
_LIVE = sorted(status.value for status in LIVE)
_keys = count()
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""Fixed: bins end on whole steps, and what fails once must fail again."""


def is_unconfirmed(row: Injection) -> bool:
    """Tell whether a person may say that they removed it by hand."""
    return row.phase in (InjectionPhase.RECOVERING, InjectionPhase.UNSETTLED) and row.failures > 0


class Machine(Invariants):
    """Runs of one environment, their backend, and everybody who may be in the way."""

    pump: Any
    alice: Any
    admin: Any
    environment: Any

    def __init__(self) -> None:
        super().__init__()
        self.pump.start, self.pump.offset, self.pump.skew = START, timedelta(), timedelta()
        self.pump.waiting.clear()
        self.rehearsal = Rehearsal(self.pump)
        self.watched = self.rehearsal.watched()
        self.watched.__enter__()
        forget_runs()
        moves.forget()
        self.asides: list[Aside] = []
        self.process = Process()

    def run_as_process(self, act: Callable[[], object]) -> bool:
        """Have a process do it. Return whether it lives; if not, the next is a new one."""
        with self.process.running():
            act()
        is_dead = self.process.is_dead
        if is_dead:
            self.process = Process()
        return not is_dead

    def are_live(self) -> bool:
        return Run.objects.filter(pk__in=[r.pk for r in self.runs], status__in=_LIVE).exists()

    # What people ask for.

    @initialize(parts=PARTS, checks=CHECKS, trouble=st.lists(TROUBLE, max_size=2), **BEGINNINGS)
    def request_the_first(self, **asked: Any) -> None:
        self.request(**asked)

    @precondition(lambda self: len(self.runs) < 3)
    @rule(parts=PARTS, checks=CHECKS, trouble=st.lists(TROUBLE, max_size=2), **BEGINNINGS)
    def request(
        self, parts: Any, checks: dict[str, str], trouble: list[Step], begins_as: str
    ) -> None:
        if begins_as:
            # Most of what can go wrong goes wrong later: begin where something is sent.
            self.rehearsal.heal()
        key = f"m{next(_keys)}"
        run = start(self.alice, self.environment, document_of(parts, checks, key), key=key)
        self.runs.append(run)
        for _ in range(60):
            if run.injections.filter(phase=begins_as).exists() or not begins_as:
                break
            if not self.pump.waiting:
                self.pump.let_pass(1)
                sweeping.sweep()
            if self.pump.waiting:
                self.run_as_process(self.pump.step)
        self.rehearsal.control.script(*trouble)

    @precondition(lambda self: self.runs)
    @rule(
        data=st.data(), trouble=st.none() | TROUBLE, is_halt=st.sampled_from([False] * 4 + [True])
    )
    def stop(self, data: Any, trouble: Step | None, is_halt: bool) -> None:
        if trouble is not None:
            self.rehearsal.control.script(trouble)
        if is_halt:
            self.halt_and_resume()
            return
        run = data.draw(st.sampled_from(self.runs))
        run.refresh_from_db()
        self.run_as_process(lambda: launching.stop_run(run=run, actor="bob"))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def answer(self, data: Any) -> None:
        run = data.draw(st.sampled_from(self.runs))
        for record in run.actions.filter(kind="checkpoint", finished_at__isnull=True):
            name = record.name
            self.run_as_process(
                lambda name=name: launching.answer_checkpoint(run=run, name=name, user=self.alice)
            )

    def halt_and_resume(self) -> None:
        here = self.environment
        self.run_as_process(lambda: halting.halt(environment=here, actor="bob", reason="enough"))
        halted = Halt.objects.filter(lifted_at__isnull=True).first()
        if halted is not None:
            with pytest.raises(InvalidDocumentError):
                start(self.alice, self.environment, key=f"m{next(_keys)}")
            halting.resume(halt=halted, user=self.admin, reason="it is over")

    @precondition(lambda self: any(is_unconfirmed(row) for row in self.ledger))
    @rule(data=st.data(), is_true=st.booleans())
    def close_by_hand(self, data: Any, is_true: bool) -> None:
        row = data.draw(st.sampled_from([row for row in self.ledger if is_unconfirmed(row)]))
        if is_true:
            self.rehearsal.control.restart(*(each["name"] for each in row.plan["targets"]))

        def close() -> None:
            with suppress(closing.NotUnconfirmedError):
                closing.close_by_hand(injection=row, user=self.alice, reason="by hand")

        self.run_as_process(close)

    # Time, the queue, and whoever works on it.

    @rule(seconds=st.sampled_from([0.2, 1, 2, 5, 9, 16, 60, 150]))
    def pass_time(self, seconds: float) -> None:
        self.pump.let_pass(seconds)

    @rule(seconds=st.sampled_from([-5, -2, -0.5, 1, 3, 100]))
    def set_clock(self, seconds: float) -> None:
        self.rehearsal.is_clock_forward |= seconds > 0
        self.pump.step_clock(seconds)

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0]), times=st.integers(1, 12))
    def go_on(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.run_as_process(lambda: self.pump.pass_time(seconds))

    @precondition(lambda self: self.pump.waiting)
    @rule(times=st.integers(1, 6))
    def work(self, times: int) -> None:
        for _ in range(min(times, len(self.pump.waiting))):
            self.run_as_process(self.pump.step)

    @precondition(lambda self: self.pump.waiting)
    @rule(data=st.data(), what=st.sampled_from(["lose", "lose all", "double", "overtake"]))
    def mistreat_the_queue(self, data: Any, what: str) -> None:
        waiting = self.pump.waiting
        index = data.draw(st.integers(0, len(waiting) - 1))
        if what == "lose all":
            waiting.clear()
        elif what == "lose":
            del waiting[index]
        elif what == "double":
            waiting.append(waiting[index])
        else:
            waiting.rotate(-index)

    @rule(seconds=st.sampled_from([0.0, 2.0, 10.0]), times=st.integers(1, 5))
    def keep(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.pump.let_pass(seconds)
            self.run_as_process(self.pump.keep_in_turn)

    @rule(what=st.sampled_from(["sweep", "tick again", "reconcile"]))
    def poke(self, what: str) -> None:
        if what == "sweep":
            self.run_as_process(sweeping.sweep)
        elif what == "reconcile":
            self.compare()
        else:
            for run in self.runs:
                self.run_as_process(lambda pk=run.pk: conducting.tick(run_id=pk))

    def compare(self) -> None:
        self.rehearsal.listed.clear()
        if self.run_as_process(reconciling.reconcile):
            self.rehearsal.loose -= self.rehearsal.listed

    # What goes wrong.

    @rule(process=DEATHS)
    def die_soon(self, process: Process) -> None:
        self.process = process

    @precondition(
        lambda self: len(self.asides) < 2 and any(row.phase in MAY_EXIST for row in self.ledger)
    )
    @rule(data=st.data(), point=POINTS)
    def carry_aside(self, data: Any, point: str) -> None:
        """A carrier begins once it may, and stands still right before or after a call."""
        row = data.draw(st.sampled_from([row for row in self.ledger if row.phase in MAY_EXIST]))
        moments = [moment for moment in (row.due_at, row.attempt_deadline) if moment is not None]
        wait = max(moments, default=self.pump.now()) - self.pump.now()
        self.pump.let_pass(max(0.0, wait.total_seconds()))
        self.begin_aside(lambda: carrying.carry(injection_id=row.pk), point)

    @precondition(lambda self: not self.asides and self.at("intent"))
    @rule(data=st.data(), seconds=st.sampled_from([0, 10, 400]))
    def stop_while_a_carrier_stands_at_its_call(self, data: Any, seconds: float) -> None:
        row = data.draw(st.sampled_from(self.at("intent")))
        self.begin_aside(lambda: carrying.carry(injection_id=row.pk), "before inject")
        self.run_as_process(lambda: launching.stop_run(run=row.run, actor="bob"))
        for _ in range(8 if seconds else 0):
            self.pump.let_pass(seconds / 8)
            self.run_as_process(self.pump.keep_in_turn)

    def at(self, phase: str) -> list[Injection]:
        return [row for row in self.ledger if row.phase == phase]

    @precondition(lambda self: self.pump.waiting and len(self.asides) < 2)
    @rule(point=POINTS)
    def work_aside(self, point: str) -> None:
        waiting = self.pump.waiting
        item = next((each for each in waiting if each[0] in ("carry", "observe")), waiting[0])
        waiting.remove(item)
        task, args = item
        self.begin_aside(lambda: getattr(tasks, task)(*args), point)

    def begin_aside(self, act: Callable[[], object], point: str) -> None:
        aside = Aside(act, point)
        if aside.start():
            self.asides.append(aside)

    @precondition(lambda self: self.asides)
    @rule(data=st.data(), dies=st.sampled_from([False, False, True]))
    def wake(self, data: Any, dies: bool) -> None:
        index = data.draw(st.integers(0, len(self.asides) - 1))
        self.wake_one(self.asides.pop(index), dies=dies)

    def wake_one(self, aside: Aside, *, dies: bool) -> None:
        before = set(self.rehearsal.loose)
        aside.wake(dies=dies)
        if not dies:
            # Whoever injects late removes it, or says that it may still be there.
            self.rehearsal.loose &= before

    @rule(step=TROUBLE)
    def misbehave(self, step: Step) -> None:
        self.rehearsal.control.script(step)

    @rule(
        what=st.sampled_from(["heal", "cut off", "restart", "set foreign", "change health"]),
        places=st.sampled_from([("one",), ("two",), ("one", "two")]),
        kind=st.sampled_from(["fake.abort", "fake.delay"]),
        health=st.sampled_from(["well", "sick", "silent", "absent"]),
        http_status=st.sampled_from([200, 200, 500]),
    )
    def disturb(
        self, what: str, places: tuple[str, ...], kind: str, health: Any, http_status: int
    ) -> None:
        if what == "heal":
            self.rehearsal.heal()
        elif what == "cut off":
            self.rehearsal.control.cut_off(*places)
        elif what == "restart":
            self.rehearsal.control.restart(*places)
        elif what == "set foreign":
            self.rehearsal.set_foreign(places[0], kind)
        else:
            self.rehearsal.sources.health = health
            self.rehearsal.http_status = http_status

    # How it ends.

    def is_over(self) -> bool:
        phases = {row.phase for row in self.ledger}
        unchecked = any(row.unchecked_since is not None for row in self.ledger)
        orphans = Orphan.objects.filter(gone_at__isnull=True).exists()
        return not (self.are_live() or phases & MAY_EXIST or unchecked or orphans)

    def keep_until_over(self) -> None:
        """Let only the keeper go on, without queue and sweep, for up to an hour."""
        for seconds in chain([2.0] * 5, [10.0] * 20, [30.0] * 113):
            self.all_is_as_it_must_be()
            if self.is_over() and not self.rehearsal.loose:
                return
            self.pump.let_pass(seconds)
            self.pump.waiting.clear()
            self.run_as_process(self.pump.keep_in_turn)
            if self.rehearsal.loose:
                self.compare()
        raise AssertionError("every run ends once all is well")

    def teardown(self) -> None:
        try:
            self.process = Process()
            self.rehearsal.heal()
            self.keep_until_over()
            # The carriers that stood still all the time wake last of all.
            while self.asides:
                self.wake_one(self.asides.pop(), dies=False)
                self.all_is_as_it_must_be()
            self.pump.let_pass(5 * LATE_S)  # whatever is on its way arrives
            self.compare()
            self.keep_until_over()
            assert self.rehearsal.control.live() == set()
            assert not Claim.objects.filter(released_at__isnull=True).exists()
            for run in self.runs:
                run.refresh_from_db()
                assert run.reason
                assert run.status == "completed" or run.verdict != "held"
                assert not run.actions.filter(finished_at__isnull=True).exists()
        finally:
            while self.asides:
                self.asides.pop().wake(dies=True)
            self.watched.__exit__(None, None, None)


def test_no_fault_outlives_its_run_whatever_happens(alice, environment, pump):
    Machine.pump, Machine.alice, Machine.environment = pump, alice, environment
    Machine.admin = factories.person("root", "admin")
    profile = PROFILES[os.environ.get("MACHINE_PROFILE", "machine")]
    run_state_machine_as_test(Machine, settings=profile)
