"""The pretended backend behind ``drivers.fake``: its state, its misbehaviour, its control.

The state lives in memory, by connection name, or in a folder that several processes share.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from drivers.protocol import (
    ConnectionConfig,
    DriverError,
    Observation,
    Plan,
    Suggestion,
    TargetState,
)

Clock = Callable[[], float]
REQUESTS = 100.0
"""How many requests an observation pretends to have seen."""


class Step(BaseModel):
    """One misbehaviour of the next ``times`` calls of a method.

    ``fail`` raises. ``lose`` raises UnknownOutcomeError and takes effect ``now``, ``late`` (after
    ``seconds``) or ``never``. ``slow`` sleeps ``seconds`` and goes on. ``ignore`` answers as usual
    but changes nothing. ``hang``: as a target that does not answer (recover reports it).
    """

    method: str
    do: Literal["fail", "lose", "slow", "ignore", "hang"]
    times: int = 1
    retryable: bool = True
    message: str = "The rehearsed backend refused."
    effect: Literal["now", "late", "never"] = "never"
    seconds: float = 0.0


class Mark(BaseModel):
    """Beside a value: whose it is, what was set, what was there."""

    token: str
    fault: str
    set: str
    was: str | None


class Late(BaseModel):
    """A call whose answer was lost and that takes effect later."""

    due: float
    method: Literal["inject", "recover"]
    plan: Plan


class FakeState(BaseModel):
    """The pretended backend, by slot (``<target>:<fault>``)."""

    values: dict[str, str] = {}
    marks: dict[str, Mark] = {}
    applied: dict[str, int] = {}
    calls: dict[str, int] = {}
    script: list[Step] = []
    late: list[Late] = []
    unreachable: set[str] = set()
    delivered: float | None = None
    is_idle: bool = False
    offers: dict[str, list[Suggestion]] = {}


class _Memory:
    def __init__(self, script: list[Step]) -> None:
        self._lock = threading.RLock()
        self._state = FakeState(script=script)

    @contextmanager
    def open(self) -> Iterator[FakeState]:
        with self._lock:
            yield self._state


class _Files:
    def __init__(self, folder: Path, name: str, script: list[Step]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.json"
        self._script = script

    @contextmanager
    def open(self) -> Iterator[FakeState]:
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.exists():
                state = FakeState.model_validate_json(self._path.read_bytes())
            else:
                state = FakeState(script=self._script)
            try:
                yield state
            finally:
                # Replaced, not rewritten: a process killed here leaves the old state whole.
                new = self._path.with_suffix(".new")
                new.write_text(state.model_dump_json())
                os.replace(new, self._path)  # noqa: PTH105


@dataclass(slots=True)
class _Times:
    clock: Clock = time.time
    sleep: Callable[[float], None] = time.sleep


_memory: dict[str, _Memory] = {}
_times: dict[str, _Times] = {}
_registry_lock = threading.Lock()


def forget() -> None:
    """Drop every backend held in memory, and every clock."""
    with _registry_lock:
        _memory.clear()
        _times.clear()


def open_store(connection: ConnectionConfig) -> _Memory | _Files:
    """Return where the state is kept. Raises DriverError when the script cannot be read."""
    raw = connection.options.get("script", [])
    try:
        script = [Step.model_validate(step) for step in raw]
    except ValueError as error:
        raise DriverError(f"The script of {connection.name} cannot be read: {error}") from error
    if folder := connection.options.get("state"):
        return _Files(Path(str(folder)), connection.name, script)
    with _registry_lock:
        return _memory.setdefault(connection.name, _Memory(script))


def times_of(connection: ConnectionConfig) -> _Times:
    """Return the clock and the sleep of this backend, which its control may replace."""
    with _registry_lock:
        return _times.setdefault(connection.name, _Times())


def slot_of(target: str, fault: str) -> str:
    """Return the name of the place that a fault sets on a target."""
    return f"{target}:{fault}"


class FakeControl:
    """Makes a pretended backend misbehave, and tells what was done to it."""

    def __init__(
        self,
        connection: ConnectionConfig,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._store = open_store(connection)
        self._times = times_of(connection)
        self._times.clock = clock or self._times.clock
        self._times.sleep = sleep or self._times.sleep

    @contextmanager
    def _open(self) -> Iterator[FakeState]:
        with self._store.open() as state:
            land(state, self._times.clock())
            yield state

    def script(self, *steps: Step) -> None:
        """Add misbehaviour: each step takes the next calls of its method."""
        with self._open() as state:
            state.script.extend(steps)

    def cut_off(self, *targets: str) -> None:
        """Make exactly these targets unreachable."""
        with self._open() as state:
            state.unreachable = set(targets)

    def set_value(self, target: str, fault: str, value: str | None) -> None:
        """Set or delete a value as a stranger would, leaving our mark."""
        with self._open() as state:
            if value is None:
                state.values.pop(slot_of(target, fault), None)
            else:
                state.values[slot_of(target, fault)] = value

    def restart(self, *targets: str) -> None:
        """Lose every value and mark of the targets, as a restart does."""
        with self._open() as state:
            for slot in [*state.values, *state.marks]:
                if slot.partition(":")[0] in targets:
                    state.values.pop(slot, None)
                    state.marks.pop(slot, None)

    def deliver(self, share: float | None, *, is_idle: bool = False) -> None:
        """Report this share instead of the requested one; idle: nothing could have met it."""
        with self._open() as state:
            state.delivered, state.is_idle = share, is_idle

    def offer(self, what: str, *suggestions: Suggestion) -> None:
        """Suggest exactly these for the word."""
        with self._open() as state:
            state.offers[what] = list(suggestions)

    def value(self, target: str, fault: str) -> str | None:
        """Return what is set on the target now."""
        with self._open() as state:
            return state.values.get(slot_of(target, fault))

    def applied(self, token: str, target: str = "one") -> int:
        """Return how often the injection changed the target: more than 1 is once too often."""
        with self._open() as state:
            return state.applied.get(f"{token}|{target}", 0)

    def calls(self, method: str) -> int:
        """Return how often the method was called."""
        with self._open() as state:
            return state.calls.get(method, 0)

    def live(self) -> set[str]:
        """Return the tokens of the faults that exist now, or will when a late answer lands."""
        with self._open() as state:
            late = {each.plan.token for each in state.late if each.method == "inject"}
            return {mark.token for mark in state.marks.values()} | late


def take(state: FakeState, method: str) -> list[Step]:
    """Use up the slow steps and the first other step of this method."""
    taken: list[Step] = []
    for index, step in enumerate(state.script):
        if step.method == method and step.times > 0:
            state.script[index] = step.model_copy(update={"times": step.times - 1})
            taken.append(step)
            if step.do != "slow":
                break
    state.script = [step for step in state.script if step.times > 0]
    return taken


def lose(state: FakeState, step: Step, method: str, plan: Plan | None, now: float) -> None:
    """Let a call whose answer is lost take effect now, later or never."""
    if plan is None or method not in ("inject", "recover") or step.effect == "never":
        return
    due = now + step.seconds if step.effect == "late" else now
    what: Literal["inject", "recover"] = "inject" if method == "inject" else "recover"
    state.late.append(Late(due=due, method=what, plan=plan))
    land(state, now)


def land(state: FakeState, now: float) -> None:
    """Let the late answers whose time has come take effect, in their order."""
    due = [each for each in state.late if each.due <= now]
    state.late = [each for each in state.late if each.due > now]
    for each in sorted(due, key=lambda late: late.due):
        (apply if each.method == "inject" else remove)(state, each.plan)


def apply(state: FakeState, plan: Plan) -> None:
    """Set the value on every target, unless it is there already; count what was changed."""
    for each in plan.targets:
        slot, value = slot_of(each.name, plan.fault), plan.details[each.name]
        mark = state.marks.get(slot)
        if mark is not None and mark.token == plan.token and state.values.get(slot) == value:
            continue
        was = plan.undo.get(each.name)
        state.values[slot] = value
        state.marks[slot] = Mark(token=plan.token, fault=plan.fault, set=value, was=was)
        count = f"{plan.token}|{each.name}"
        state.applied[count] = state.applied.get(count, 0) + 1


def remove(state: FakeState, plan: Plan) -> None:
    """Put back what the plan saw on every reachable target where the value is still ours."""
    for each in plan.targets:
        slot = slot_of(each.name, plan.fault)
        mark = state.marks.get(slot)
        if each.name in state.unreachable or mark is None or mark.token != plan.token:
            continue
        del state.marks[slot]
        if state.values.get(slot) == mark.set:
            del state.values[slot]
            if (was := plan.undo.get(each.name)) is not None:
                state.values[slot] = was


def _state_of(state: FakeState, plan: Plan, target: str, is_injected: bool) -> TargetState:
    slot = slot_of(target, plan.fault)
    mark, now = state.marks.get(slot), state.values.get(slot)
    if target in state.unreachable:
        return TargetState(name=target, phase="unreachable", detail="It does not answer.")
    if mark is not None and mark.token == plan.token and now == mark.set:
        return TargetState(name=target, phase="active")
    if now is not None and now != plan.undo.get(target):
        return TargetState(name=target, phase="foreign", detail=f"It is {now}.")
    return TargetState(name=target, phase="gone" if is_injected else "pending")


def observation(state: FakeState, plan: Plan, *, is_injected: bool, is_hung: bool) -> Observation:
    """Return how far the plan is in force."""
    names = [each.name for each in plan.targets]
    states = tuple(
        TargetState(name=each, phase="unreachable", detail="It does not answer.")
        if is_hung
        else _state_of(state, plan, each, is_injected)
        for each in names
    )
    phases = {each.phase for each in states}
    is_marked = any(
        mark.token == plan.token
        for slot, mark in state.marks.items()
        if slot in {slot_of(each, plan.fault) for each in names}
    )
    phase: Literal["pending", "active", "partly", "gone"]
    if phases == {"active"}:
        phase = "active"
    elif "active" in phases or (is_marked and not is_hung):
        phase = "partly"
    elif "unreachable" in phases:
        phase = "partly" if is_injected else "pending"
    else:
        phase = "gone" if is_injected else "pending"
    is_met = phase in ("active", "partly") and "active" in phases and not state.is_idle
    requested = plan.requested_share
    share = (requested if state.delivered is None else state.delivered) if is_met else None
    return Observation(
        phase=phase,
        targets=states,
        requested_share=requested,
        delivered_share=share,
        exposed=REQUESTS if is_met else None,
        affected=None if share is None else share * REQUESTS,
        message=" ".join(f"{each.name}: {each.detail}" for each in states if each.detail),
    )
