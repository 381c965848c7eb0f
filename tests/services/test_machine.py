"""Anything in any order, on the rehearsal backend: no fault outlives its run.

Time passes and clocks are set; wakes are lost, doubled and overtake each other; processes die at
any statement and on either side of any call; carriers stand still and wake much later; backends
fail, hang and do late what they were asked; people stop, answer, halt and close by hand. After
every step the invariants hold, and once all is well again every run ends by the keeper alone.

Continuous integration runs the profile ``machine``: always the same few hundred steps. For a long
search on one's own machine, with fresh randomness and a database of examples::

    MACHINE_PROFILE=thorough python -m pytest tests/services/test_machine.py --timeout 0
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from drivers.fake import Step
from experiments import tasks
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.states import LIVE, MAY_EXIST, SETTLED, InjectionPhase
from experiments.models import Claim, Halt, Injection, Orphan, Run
from experiments.services import (
    carrying,
    closing,
    conducting,
    halting,
    launching,
    reconciling,
    removing,
    sweeping,
)
from tests import factories
from tests.engine import moves
from tests.services.processes import Aside, Process
from tests.services.rehearsal import LATE_S, Rehearsal, forget_runs
from tests.services.worlds import document, fault, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0)]

_ALWAYS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
PROFILES = {
    "machine": settings(
        max_examples=60, stateful_step_count=30, derandomize=True, database=None, **_ALWAYS
    ),
    "search": settings(
        max_examples=3000,
        stateful_step_count=40,
        phases=[Phase.generate],
        database=None,
        **_ALWAYS,
    ),
    "thorough": settings(
        max_examples=3000, stateful_step_count=60, verbosity=Verbosity.normal, **_ALWAYS
    ),
}
_LIVE = sorted(status.value for status in LIVE)
_keys = count()
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""Fixed: bins end on whole steps, and what fails once must fail again."""

_OTHER_KIND = {"fake.abort": "fake.delay", "fake.delay": "fake.abort"}

TARGETS = st.sampled_from(["one", "two", ""])
STARTS = st.sampled_from(["next", "next", "with", "later", "at once"])
FAULTS = st.fixed_dictionaries(
    {
        "fault": st.sampled_from(["fake.abort", "fake.abort", "fake.delay"]),
        "target": TARGETS,
        "duration": st.sampled_from(["3s", "20s", "90s"]),
        "on_drift": st.sampled_from(["stop", "ignore", "reinject"]),
        "start": STARTS,
    }
)
OTHERS = st.fixed_dictionaries({"other": st.sampled_from(["wait", "checkpoint"]), "start": STARTS})
PARTS = st.builds(
    lambda first, others: [first, *others],
    FAULTS,
    st.lists(st.one_of(FAULTS, FAULTS, OTHERS), max_size=3),
)
CHECKS = st.fixed_dictionaries(
    {
        "start_probe": st.sampled_from(["", "http", "promql"]),
        "guardrail": st.sampled_from(["", "stop", "checkpoint", "ignore"]),
    }
)
TROUBLE = st.one_of(
    st.builds(
        Step,
        method=st.sampled_from(["prepare", "inject", "recover", "observe", "owned"]),
        do=st.just("fail"),
        times=st.integers(1, 4),
        retryable=st.sampled_from([True, True, True, False]),
    ),
    st.builds(
        Step,
        method=st.sampled_from(["inject", "inject", "recover"]),
        do=st.just("lose"),
        times=st.integers(1, 6),
        effect=st.sampled_from(["now", "late", "never"]),
        seconds=st.sampled_from([1.0, 7.0, 40.0, LATE_S, 4 * LATE_S]),
    ),
    st.builds(Step, method=st.just("recover"), do=st.sampled_from(["ignore", "hang"])),
    st.builds(
        Step,
        method=st.sampled_from(["inject", "recover", "observe"]),
        do=st.just("slow"),
        seconds=st.sampled_from([4.0, 9.0]),
    ),
)
DEATHS = st.one_of(
    st.builds(Process, statements=st.integers(0, 40)),
    st.builds(
        Process,
        dies_at=st.sampled_from(
            ["before inject", "after inject", "before recover", "after recover", "after prepare"]
        ),
    ),
)
POINTS = st.sampled_from(
    [f"{when} {call}" for when in ("before", "after") for call in ("inject", "inject", "recover")]
    + ["before prepare", "before observe", "after observe"]
)


def method_of(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the actions that the drawn parts describe."""
    found: list[dict[str, Any]] = []
    for index, part in enumerate(parts):
        begins: dict[str, Any] = {}
        last = f"a{index - 1}"
        if part["start"] == "at once":
            begins = {"start": {}}
        elif index and part["start"] == "with":
            begins = {"start": {"with": [last], "delay": "1s"}}
        elif index and part["start"] == "later":
            begins = {"start": {"after": [last], "delay": "2s"}}
        if part.get("other") == "wait":
            action = {"name": f"a{index}", "wait": "5s"}
        elif part.get("other") == "checkpoint":
            action = {"name": f"a{index}", "checkpoint": "Go on?", "timeout": "40s"}
        else:
            kept = {name: part[name] for name in ("fault", "duration", "on_drift")}
            before = found[-1].get("fault") if found else None
            if part["start"] in ("with", "at once") and before is not None:
                # Two of one kind at once would be refused for what they both hold.
                kept["fault"] = _OTHER_KIND[before]
            action = fault(f"a{index}", **kept, **{"with": {"target": part["target"]}})
        found.append(action | begins)
    return found


def document_of(parts: list[dict[str, Any]], checks: dict[str, str], key: str) -> dict[str, Any]:
    """Return a document of these actions, with probes and a guardrail of its own."""
    raw = document(*method_of(parts))
    if checks["start_probe"] == "http":
        probe = {"http": {"url": f"http://front/start-{key}"}, "tolerance": {"status": 200}}
        raw["probes"].append({"name": "before", "at": ["start"]} | probe)
    elif checks["start_probe"] == "promql":
        query = {"promql": {"query": f"start_{key}"}, "tolerance": {"max": 50}}
        raw["probes"].append({"name": "before", "at": ["start"]} | query)
    if checks["guardrail"]:
        watched = {"name": "load", "source": "metrics", "value": "load", "limit": {"max": 70}}
        rule = {"name": "g", "sli": "load", "above": 50, "breaches": "2 of 3"}
        raw["slis"] = [watched]
        raw["guardrails"] = [rule | {"no_data": checks["guardrail"]}]
        raw["timing"] = {"baseline": "10s", "settle": "5s", "step": "5s"}
    return raw


def is_unconfirmed(row: Injection) -> bool:
    """Tell whether a person may say that they removed it by hand."""
    return row.phase in (InjectionPhase.RECOVERING, InjectionPhase.UNSETTLED) and row.failures > 0


class Machine(RuleBasedStateMachine):
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
        self.runs: list[Run] = []
        self.asides: list[Aside] = []
        self.process = Process()
        self.ledger: list[Injection] = []
        self.noted = 0
        self.statuses: dict[int, list[tuple[str, str]]] = {}

    def run_as_process(self, act: Callable[[], object]) -> bool:
        """Have a process do it. Return whether it lives; if not, the next is a new one."""
        with self.process.running():
            act()
        is_dead = self.process.is_dead
        if is_dead:
            self.process = Process()
        return not is_dead

    def read_ledger(self) -> None:
        rows = Injection.objects.filter(run__in=[run.pk for run in self.runs])
        unread = ("params", "handle", "observation", "evidence", "run__judgement", "run__problems")
        self.ledger = list(rows.select_related("run").defer(*unread))

    def are_live(self) -> bool:
        return Run.objects.filter(pk__in=[r.pk for r in self.runs], status__in=_LIVE).exists()

    # What people ask for.

    @precondition(lambda self: len(self.runs) < 3)
    @rule(
        parts=PARTS,
        checks=CHECKS,
        trouble=st.lists(TROUBLE, max_size=2),
        begins_as=st.sampled_from(["", "planned", "intent", "intent", "active", "active"]),
    )
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

    @rule()
    def sweep(self) -> None:
        self.run_as_process(sweeping.sweep)

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

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def tick_again(self, data: Any) -> None:
        run = data.draw(st.sampled_from(self.runs))
        self.run_as_process(lambda: conducting.tick(run_id=run.pk))

    @rule()
    def reconcile(self) -> None:
        self.compare()

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

    @rule()
    def heal(self) -> None:
        self.rehearsal.heal()

    @rule(places=st.sets(st.sampled_from(["one", "two"])))
    def cut_off(self, places: set[str]) -> None:
        self.rehearsal.control.cut_off(*places)

    @rule(place=st.sampled_from(["one", "two"]))
    def restart(self, place: str) -> None:
        self.rehearsal.control.restart(place)

    @rule(place=st.sampled_from(["one", "two"]), kind=st.sampled_from(["fake.abort", "fake.delay"]))
    def set_foreign(self, place: str, kind: str) -> None:
        self.rehearsal.set_foreign(place, kind)

    @rule(
        health=st.sampled_from(["well", "sick", "silent", "absent"]),
        http_status=st.sampled_from([200, 200, 500]),
    )
    def change_health(self, health: Any, http_status: int) -> None:
        self.rehearsal.sources.health = health
        self.rehearsal.http_status = http_status

    # What must hold whatever happens.

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        self.read_ledger()
        self.nothing_that_must_never_happen_has_happened()
        self.every_move_is_one_of_the_tables_and_is_in_the_journal()
        self.every_fault_on_the_backend_is_looked_after()
        self.an_unanswered_fault_is_read_back_again_and_again()
        self.whatever_may_exist_keeps_its_claims()
        self.no_ended_run_holds_or_leaves_anything()
        self.a_removal_that_fails_is_loud()

    def nothing_that_must_never_happen_has_happened(self) -> None:
        assert self.rehearsal.broken == []
        assert self.rehearsal.loud.exceptions == [], "no exception that nobody expected"

    def every_move_is_one_of_the_tables_and_is_in_the_journal(self) -> None:
        for number, found in moves.seen(self.noted).items():
            self.noted = number
            assert moves.wrong(found) == ""
            if found.kind == "status":
                self.statuses.setdefault(found.row, []).append((found.old, found.new))
        for run in self.runs:
            lines = list(run.events.filter(kind="status"))
            assert [(line.old, line.new) for line in lines] == self.statuses.get(run.pk, [])
            assert all(line.message and line.actor for line in lines)

    def every_fault_on_the_backend_is_looked_after(self) -> None:
        rows = {row.token: row for row in self.ledger}
        orphans = Orphan.objects.filter(gone_at__isnull=True).values_list("token", flat=True)
        known = {token for token, row in rows.items() if row.phase in MAY_EXIST} | set(orphans)
        known |= {token for token, row in rows.items() if row.unchecked_since is not None}
        there = set(self.rehearsal.marks().values())
        assert there - self.rehearsal.loose <= known
        assert self.rehearsal.coming() <= known, "a call that may yet take effect is waited for"

    def an_unanswered_fault_is_read_back_again_and_again(self) -> None:
        for row in self.ledger:
            is_read_back = row.phase == InjectionPhase.RECOVERED and row.by_hand_at is None
            if is_read_back and row.is_unanswered and row.token not in self.rehearsal.loose:
                assert row.settle_reads == len(removing.SETTLE_READS_S)

    def whatever_may_exist_keeps_its_claims(self) -> None:
        held = set(Claim.objects.filter(released_at__isnull=True).values_list("run_id", "key"))
        rows = [row for row in self.ledger if row.phase in MAY_EXIST]
        for row in rows:
            missing = {key for key in row.claims if (row.run_id, key) not in held}
            assert not missing or self.is_told(row, "is held by run"), f"{row} without {missing}"
        for one, two in combinations(rows, 2):
            if set(one.claims) & set(two.claims):
                assert any(self.has_come_back(row) for row in (one, two)), f"{one} and {two}"

    def no_ended_run_holds_or_leaves_anything(self) -> None:
        rows = self.ledger
        for row in rows:
            if row.run.status not in _LIVE:
                assert row.phase in SETTLED or self.has_come_back(row)
        kept = {
            (row.run_id, key)
            for row in rows
            for key in row.claims
            if row.phase in MAY_EXIST or row.unchecked_since is not None
        }
        ended = Claim.objects.filter(released_at__isnull=True).exclude(run__status__in=_LIVE)
        assert set(ended.values_list("run_id", "key")) <= kept

    def a_removal_that_fails_is_loud(self) -> None:
        for row in self.ledger:
            if row.phase == InjectionPhase.RECOVERING and row.failures >= 3:
                told = [text for text in self.rehearsal.loud.critical if row.action in text]
                assert any(f"run {row.run_id}:" in text for text in told)

    @staticmethod
    def has_come_back(row: Injection) -> bool:
        """Tell whether the fault was found again after it had been called recovered."""
        return row.recovered_at is not None and row.phase in MAY_EXIST

    @staticmethod
    def is_told(row: Injection, what: str) -> bool:
        lines = row.run.events.filter(kind="error", message__startswith=f"{row.action}:")
        return lines.filter(message__contains=what).exists()

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
    moves.install()
    try:
        Machine.pump, Machine.alice, Machine.environment = pump, alice, environment
        Machine.admin = factories.person("root", "admin")
        profile = PROFILES[os.environ.get("MACHINE_PROFILE", "machine")]
        run_state_machine_as_test(Machine, settings=profile)
    finally:
        moves.remove()
