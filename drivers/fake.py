"""A scriptable driver with the real interface, for tests and rehearsals.

It behaves as a real one: overrides with sentinels, idempotence by token, foreign values left alone.
``FakeControl`` makes it misbehave, and tells how often each injection was applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from drivers.fake_backend import (
    FakeControl,
    Mark,
    Step,
    apply,
    forget,
    land,
    lose,
    observation,
    open_store,
    remove,
    slot_of,
    take,
    times_of,
)
from drivers.protocol import (
    ConnectionConfig,
    Document,
    DriverError,
    FaultParams,
    FaultRequest,
    Handle,
    Observation,
    Owned,
    Plan,
    Preview,
    Problem,
    Suggestion,
    Target,
    Targets,
    Undo,
    UnknownOutcomeError,
)
from drivers.units import Duration, Percentage

__all__ = [
    "FAULTS",
    "FakeAbort",
    "FakeControl",
    "FakeDelay",
    "FakeDriver",
    "FakeWipe",
    "Step",
    "forget",
]


def _within_percent(value: Percentage) -> Percentage:
    if not 0 <= value <= 100:
        raise ValueError(f"{value} is outside 0–100 %; write for example 50%")
    return value


class FakeFault(FaultParams):
    """What every rehearsed fault shares."""

    needs: ClassVar[str] = "Nothing: nothing real is touched."
    metrics: ClassVar[str] = "Nothing: it shows in no metric."

    target: str = Field(
        default="",
        title="Target",
        description="One of the connection's targets; empty means all of them.",
        examples=["one"],
        json_schema_extra={"suggest": "targets"},
    )
    percentage: Annotated[Percentage, AfterValidator(_within_percent)] = Field(
        default=Percentage(100),
        title="Percentage",
        description="The share of requests that would meet the fault, 0–100 %.",
        examples=["50%"],
        json_schema_extra={"unit": "%", "minimum": 0, "maximum": 100},
    )

    def value(self) -> str:
        """Return what the fault sets on a target."""
        return f"{self.percentage}"

    def _where(self) -> str:
        return self.target or "every target"


class FakeAbort(FakeFault):
    """Pretends to answer with an error."""

    kind: ClassVar[str] = "fake.abort"
    title: ClassVar[str] = "Rehearsed abort"
    summary: ClassVar[str] = "Pretends to answer a share of the requests with an error status."
    family: ClassVar[str] = "abort"

    http_status: int = Field(
        default=503, title="HTTP status", description="What callers are answered.", ge=200, le=599
    )

    def value(self) -> str:
        """Return what the fault sets on a target."""
        return f"{self.percentage} {self.http_status}"

    def sentence(self) -> str:
        """Say what it does."""
        return f"answers {self.percentage} of {self._where()}'s requests with {self.http_status}"


class FakeDelay(FakeFault):
    """Pretends to hold requests back."""

    kind: ClassVar[str] = "fake.delay"
    title: ClassVar[str] = "Rehearsed delay"
    summary: ClassVar[str] = "Pretends to hold a share of the requests back."
    family: ClassVar[str] = "delay"

    fixed_delay: Duration = Field(
        default=Duration(0.1),
        title="Delay",
        description="How long each is held back.",
        json_schema_extra={"unit": "s"},
    )

    def value(self) -> str:
        """Return what the fault sets on a target."""
        return f"{self.percentage} {self.fixed_delay}"

    def sentence(self) -> str:
        """Say what it does."""
        return f"holds {self.percentage} of {self._where()}'s requests back by {self.fixed_delay}"


class FakeWipe(FakeFault):
    """Pretends to destroy something for good."""

    kind: ClassVar[str] = "fake.wipe"
    title: ClassVar[str] = "Rehearsed loss"
    summary: ClassVar[str] = "Pretends to wipe a target: this cannot be undone."
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "none"

    def sentence(self) -> str:
        """Say what it does."""
        return f"wipes {self._where()}"


FAULTS: tuple[type[FaultParams], ...] = (FakeAbort, FakeDelay, FakeWipe)
"""What this backend pretends to inject."""


_REPORT = ("observe", "recover")
"""These report a target that does not answer; the other methods raise."""


class FakeDriver:
    """The driver of one pretended backend.

    Options: ``targets`` (names), ``state`` (a folder to share), ``script`` (steps to start with).
    """

    def __init__(self, connection: ConnectionConfig) -> None:
        self.name = connection.name
        self.targets = tuple(str(each) for each in connection.options.get("targets", ("one",)))
        self._store = open_store(connection)
        self._times = times_of(connection)

    def check(self, request: FaultRequest) -> list[Problem]:
        """Return what stands in the way: an unknown or unreachable target, a foreign value."""
        self._enter("check", None)
        params = _params(request)
        if params.target and params.target not in self.targets:
            known = ", ".join(self.targets)
            return [Problem(message=f"There is no {params.target}.", hint=f"There are: {known}.")]
        found = []
        with self._store.open() as state:
            for target in self._matching(params):
                mark = state.marks.get(slot_of(target, params.kind))
                if target in state.unreachable:
                    found.append(Problem(message="It cannot be reached.", where=target))
                elif mark is not None and mark.token != request.token:
                    found.append(Problem(message=f"Injection {mark.token} holds it.", where=target))
                elif mark is None and slot_of(target, params.kind) in state.values:
                    found.append(
                        Problem(message="Somebody set it.", severity="warning", where=target)
                    )
        return found

    def suggest(self, what: str, given: Mapping[str, Any]) -> list[Suggestion]:
        """Return the targets (``targets``), or what the control has it offer for the word.

        Raises when no target can be reached.
        """
        self._enter("suggest", None)
        with self._store.open() as state:
            reached = [each for each in self.targets if each not in state.unreachable]
            if not reached:
                raise DriverError(f"{', '.join(self.targets)} cannot be reached.", retryable=True)
            if what in state.offers:
                return list(state.offers[what])
            held = {slot.partition(":")[0] for slot in state.marks}
        if what != "targets":
            return []
        return [
            Suggestion(value=each, detail="a fault is there now" if each in held else "target")
            for each in reached
        ]

    def preview(self, request: FaultRequest) -> Preview:
        """Return what would be set on each target."""
        params = _params(request)
        return Preview(
            documents=_documents(params, self._matching(params)),
            sentence=params.sentence(),
            undo="It cannot be undone." if params.undo == "none" else "The old value is put back.",
        )

    def resolve(self, request: FaultRequest) -> Targets:
        """Return the targets that match."""
        self._enter("resolve", None)
        params = _params(request)
        found = tuple(Target(name=each) for each in self._matching(params))
        return Targets(targets=found, sentence=f"{len(found)} targets: {params.sentence()}")

    def prepare(self, request: FaultRequest) -> Plan:
        """Return the plan. Raises where ``check`` finds an error.

        Where the token is injected already, its mark says what was there before.
        """
        self._enter("prepare", None)
        params = _params(request)
        targets = self._matching(params)
        if not targets:
            raise DriverError(f"There is no {params.target}.")
        with self._store.open() as state:
            if lost := sorted(state.unreachable.intersection(targets)):
                raise DriverError(f"{lost[0]} cannot be reached.", retryable=True)
            was = {each: state.values.get(slot_of(each, params.kind)) for each in targets}
            for each in targets:
                mark = state.marks.get(slot_of(each, params.kind))
                if mark is not None and mark.token != request.token:
                    raise DriverError(f"Injection {mark.token} holds {each}.")
                if mark is not None:
                    was[each] = mark.was
        return Plan(
            token=request.token,
            fault=params.kind,
            documents=_documents(params, targets),
            targets=tuple(Target(name=each) for each in targets),
            claims=tuple(f"fake:{self.name}:{slot_of(each, params.kind)}" for each in targets),
            requested_share=params.percentage.ratio,
            undo=dict(was),
            details={each: params.value() for each in targets},
            by_hand=tuple(f"fake restore {each}" for each in targets),
        )

    def inject(self, plan: Plan) -> Handle:
        """Set the value on every target, once per token."""
        if self._enter("inject", plan) == "ignore":
            return Handle(token=plan.token)
        with self._store.open() as state:
            if lost := sorted(state.unreachable.intersection(each.name for each in plan.targets)):
                raise DriverError(f"{lost[0]} cannot be reached.", retryable=True)
            for each in plan.targets:
                slot = slot_of(each.name, plan.fault)
                mark, now = state.marks.get(slot), state.values.get(slot)
                if mark is not None and mark.token != plan.token:
                    raise DriverError(f"Injection {mark.token} holds {each.name}.")
                allowed = {None, plan.undo.get(each.name)} | ({mark.set} if mark else set())
                if now not in allowed:
                    raise DriverError(f"{each.name} was changed since the plan: {now}.")
            apply(state, plan)
        return Handle(token=plan.token)

    def observe(self, plan: Plan, handle: Handle | None) -> Observation:
        """Read every target of the plan. Without a handle, nothing there reads ``pending``."""
        is_hung = self._enter("observe", plan) == "hang"
        with self._store.open() as state:
            return observation(state, plan, is_injected=handle is not None, is_hung=is_hung)

    def recover(self, plan: Plan, handle: Handle | None) -> Observation:
        """Put back what the plan saw where the value is still ours, and read it back."""
        how = self._enter("recover", plan)
        with self._store.open() as state:
            if how == "go":
                remove(state, plan)
            return observation(state, plan, is_injected=True, is_hung=how == "hang")

    def owned(self) -> list[Owned]:
        """Return our faults that exist there now, with plans rebuilt from their marks."""
        self._enter("owned", None)
        found: dict[str, list[tuple[str, Mark]]] = {}
        with self._store.open() as state:
            for slot, mark in state.marks.items():
                found.setdefault(mark.token, []).append((slot.partition(":")[0], mark))
        rebuilt = []
        for token, marks in sorted(found.items()):
            targets = tuple(Target(name=name) for name, _ in marks)
            plan = Plan(
                token=token,
                fault=marks[0][1].fault,
                documents=(),
                targets=targets,
                claims=tuple(f"fake:{self.name}:{slot_of(name, m.fault)}" for name, m in marks),
                undo={name: mark.was for name, mark in marks},
                details={name: mark.set for name, mark in marks},
            )
            rebuilt.append(Owned(token=token, targets=targets, plan=plan))
        return rebuilt

    def _matching(self, params: FakeFault) -> list[str]:
        return [each for each in self.targets if params.target in ("", each)]

    def _enter(self, method: str, plan: Plan | None) -> Literal["go", "ignore", "hang"]:
        """Count the call and misbehave as scripted; say how to go on."""
        with self._store.open() as state:
            land(state, self._times.clock())
            state.calls[method] = state.calls.get(method, 0) + 1
            steps = take(state, method)
        for step in steps:
            if step.do == "slow":
                self._times.sleep(step.seconds)
            elif step.do == "fail":
                raise DriverError(step.message, retryable=step.retryable)
            elif step.do == "lose" or (step.do == "hang" and method not in _REPORT):
                with self._store.open() as state:
                    lose(state, step, method, plan, self._times.clock())
                raise UnknownOutcomeError(f"No answer came to {method}.")
            else:
                return "hang" if step.do == "hang" else "ignore"
        return "go"


def _params(request: FaultRequest) -> FakeFault:
    if not isinstance(request.params, FakeFault):
        raise DriverError(f"The rehearsed backend cannot inject {request.params.kind}.")
    return request.params


def _documents(params: FakeFault, targets: list[str]) -> tuple[Document, ...]:
    return tuple(
        Document(target=each, body=f"set {slot_of(each, params.kind)} = {params.value()}")
        for each in targets
    )
