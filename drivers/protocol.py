"""What the engine and a driver say to each other.

A driver is opened on one connection and is thread-safe: ``open(connection)`` returns it, and the
engine may call it from several threads. Everything a driver returns is plain and serialisable, as
the engine keeps it in its ledger between calls and hands it to another process.

The errors::

    DriverError            something went wrong; ``retryable`` says whether asking again may help
    └── UnknownOutcomeError  the call may or may not have taken effect (a time-out, a broken answer)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Json = Any
"""A value that JSON can hold."""

Undo = Literal["restores", "self_heals", "none"]
"""How a fault ends: we restore what was; the targets heal by themselves; it cannot be undone."""


class DriverError(Exception):
    """A backend refused or failed. Native errors never leave a driver: they are the cause."""

    def __init__(self, message: str, *, retryable: bool = False, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UnknownOutcomeError(DriverError):
    """The call may have taken effect, now or later: read back and recover, never assume.

    Not ``retryable`` where a part of the call was refused for good: the rest is unknown still.
    """

    def __init__(self, message: str, *, retryable: bool = True, hint: str = "") -> None:
        super().__init__(message, retryable=retryable, hint=hint)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """How to reach one backend.

    ``options`` are the fields of the connection's kind (Envoy: ``{"addresses": [...]}``);
    ``secrets`` are kept apart so that they are never printed with the rest.
    """

    kind: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Problem(_Message):
    """What a check found wrong, with a hint how to mend it."""

    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    where: str = ""
    """The target (an Envoy's address) or the field of the fault that it concerns."""


class FaultParams(BaseModel):
    """The parameters of one fault: the form, the catalogue, the schema and the validation.

    Every field carries title, description and, where they apply, bounds and examples. A field's
    ``json_schema_extra`` may hold ``{"unit": "%"}``, and ``{"suggest": "routes"}``: what its driver
    is asked for (``Driver.suggest``) while somebody writes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    kind: ClassVar[str]
    """``envoy.http_abort``: the connection's kind, a dot, the fault."""
    title: ClassVar[str]
    summary: ClassVar[str]
    """What it does, in one or two sentences for the catalogue."""
    needs: ClassVar[str]
    """What the target must have for it to work."""
    metrics: ClassVar[str]
    """What it looks like in metrics."""
    family: ClassVar[str]
    """delay, abort, kill, partition, stress, …: the columns of the coverage table."""
    undo: ClassVar[Undo] = "restores"
    dead_man_s: ClassVar[float | None] = None
    """Seconds until the backend removes the fault by itself once we are gone; None if never."""
    dead_man_after_duration: ClassVar[bool] = False
    """Whether these seconds count from the end of the fault's own duration."""

    def sentence(self) -> str:
        """Say in plain words what the fault does: “holds every request to carts back by 90ms”."""
        raise NotImplementedError  # abstract: a model without a sentence is no fault


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """One fault that somebody wants: the parameters, the token of its injection, its length."""

    params: FaultParams
    token: str
    """1–63 characters of ``[a-z0-9-]``, unique per injection; each backend carries it."""
    duration_s: float | None = None


class Document(_Message):
    """One thing that will be sent: to whom, in the backend's own format."""

    target: str
    body: str
    """As a person would write it: an HTTP request, a manifest, a template."""
    language: Literal["http", "yaml", "json", "text"] = "text"


class Preview(_Message):
    """What a fault would send and do, known without any call."""

    documents: tuple[Document, ...]
    sentence: str
    undo: str
    """How and when it is undone, in a sentence."""


class Target(_Message):
    """One concrete thing that the fault would hit now."""

    name: str
    detail: str = ""


class Suggestion(_Message):
    """One value that a field could have, as found on the backend, and what it is."""

    value: str
    detail: str = ""


class Targets(_Message):
    """What matches now."""

    targets: tuple[Target, ...]
    sentence: str = ""


class Plan(_Message):
    """All that inject, observe and recover need, made once and kept before the first call.

    ``undo`` is what was there before, ``counters`` the backend's counters at the start; both are
    the driver's own and keyed by target. ``claims`` name physical things. ``by_hand`` is, per
    target, the exact command that removes the fault without us.
    """

    token: str
    fault: str
    documents: tuple[Document, ...]
    targets: tuple[Target, ...]
    claims: tuple[str, ...]
    requested_share: float | None = Field(default=None, ge=0, le=1)
    undo: dict[str, Json] = {}
    counters: dict[str, dict[str, float]] = {}
    details: dict[str, Json] = {}
    by_hand: tuple[str, ...] = ()


class Handle(_Message):
    """What a successful injection returns; ``details`` are the driver's own."""

    token: str
    details: dict[str, Json] = {}


TargetPhase = Literal["pending", "active", "gone", "foreign", "failed", "unreachable"]


class TargetState(_Message):
    """One target as just read; ``foreign``: what is there is neither ours nor what was before."""

    name: str
    phase: TargetPhase
    detail: str = ""


class Observation(_Message):
    """What was just read from the backend.

    ``pending``: not there yet. ``active``: on every target. ``partly``: on some. ``gone``: on none,
    as read back. ``failed``: it will not come. ``delivered_share`` is the share of the requests (or
    targets) that met the fault since it began, None while nothing could have met it;
    ``exposed`` is how many could have, ``affected`` how many did.

    A target that was not read is neither gone nor there. Of a fault that was injected, therefore:
    ``is_lost`` when what was read shows that it is not in force as injected, ``is_unknown`` when
    nothing was read, and neither when some targets were not read and all others are active.
    """

    phase: Literal["pending", "active", "partly", "gone", "failed"]
    targets: tuple[TargetState, ...] = ()
    requested_share: float | None = None
    delivered_share: float | None = None
    exposed: float | None = None
    affected: float | None = None
    evidence: dict[str, Json] = {}
    message: str = ""

    @property
    def is_lost(self) -> bool:
        """Tell whether an injected fault was read to be missing, replaced or without effect."""
        phases = {each.phase for each in self.targets}
        if self.phase == "failed" or phases & {"gone", "foreign", "failed"}:
            return True
        return self.phase in ("gone", "partly") and "unreachable" not in phases

    @property
    def is_unknown(self) -> bool:
        """Tell whether no target could be read."""
        return bool(self.targets) and all(each.phase == "unreachable" for each in self.targets)


class Owned(_Message):
    """One of our faults that exists on the backend now, found by its sentinel, label or tag.

    ``plan`` is rebuilt from the backend as well as it can be, so that recover works without the
    ledger; None where the backend does not hold enough.
    """

    token: str
    targets: tuple[Target, ...] = ()
    plan: Plan | None = None


class Member(_Message):
    """One part of what a connection reaches (an Envoy, a cluster), as it was just found.

    ``flush_s`` is how often its own metrics advance, None where it does not say. ``targets`` are
    what a fault may name there, ``snippets`` what to add so that more is possible.
    """

    name: str
    version: str = ""
    problems: tuple[Problem, ...] = ()
    targets: tuple[Suggestion, ...] = ()
    snippets: tuple[Document, ...] = ()
    flush_s: float | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether faults can be injected here now."""
        return not any(problem.severity == "error" for problem in self.problems)


class Surveyor(Protocol):
    """What a driver may offer beside ``Driver``: a look at everything that it reaches."""

    def survey(self) -> list[Member]:
        """Return every member, those that do not answer with the problem; only reads."""


class Driver(Protocol):
    """One backend, opened on one connection. Every method may raise DriverError.

    ``check``, ``suggest``, ``resolve``, ``prepare`` and ``observe`` only read. ``inject`` is
    idempotent by ``plan.token``. ``recover`` asks for removal and reads back once, bounded at 5 s
    in all; it restores what the plan saw, only where the value is still ours, and reports a foreign
    one. The engine repeats it until the observation says ``gone``. ``prepare`` never takes the
    value of an injection for what was there before: under a token that is injected already it
    returns the same ``undo`` as the first time, or raises.
    """

    def check(self, request: FaultRequest) -> list[Problem]:
        """Return what stands in the way: unreachable, not permitted, filter or role missing."""

    def suggest(self, what: str, given: Mapping[str, Any]) -> list[Suggestion]:
        """Return what exists there now for a field that suggests ``what``; only reads.

        ``given`` are the fault's parameters as far as they are written, unchecked. Nothing for a
        word that the driver does not know.
        """

    def preview(self, request: FaultRequest) -> Preview:
        """Return the documents that would be sent. Pure: makes no call."""

    def resolve(self, request: FaultRequest) -> Targets:
        """Return the concrete targets that match now."""

    def prepare(self, request: FaultRequest) -> Plan:
        """Read what is there now and return the plan; changes nothing."""

    def inject(self, plan: Plan) -> Handle:
        """Apply the plan. Raises UnknownOutcomeError when the answer was lost."""

    def observe(self, plan: Plan, handle: Handle | None) -> Observation:
        """Read how far the fault is in effect, with evidence."""

    def recover(self, plan: Plan, handle: Handle | None) -> Observation:
        """Ask for removal and read back once; an unreachable target is reported, not raised."""

    def owned(self) -> list[Owned]:
        """Return our faults that exist there now."""
