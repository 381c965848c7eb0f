"""The method: faults, waits and checkpoints in one timeline; probes; guardrails; timing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import regex
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from drivers.protocol import FaultParams
from drivers.units import Duration
from experiments.domain import jsonpath
from experiments.domain.slis import Name, Part, Quantity

LONGEST = Duration("7d")
_LONGEST_PROBE = Duration("30s")
_SHORTEST_STEP = Duration("100ms")
OnDrift = Literal["reinject", "stop", "ignore"]


def positive(value: Duration) -> Duration:
    """Refuse a duration that is not longer than nothing, or longer than a week."""
    if value <= 0:
        raise ValueError(f"must be longer than 0s, not {value}")
    return _within_a_week(value)


def not_negative(value: Duration) -> Duration:
    """Refuse a negative duration, or one longer than a week."""
    if value < 0:
        raise ValueError(f"must not be negative, as {value} is")
    return _within_a_week(value)


def _within_a_week(value: Duration) -> Duration:
    if value > LONGEST:
        raise ValueError(f"must be at most {LONGEST}, not {value}")
    return value


class Start(Part):
    """When an action begins: with or after others, a while later; by default after the last one."""

    with_: tuple[Name, ...] = Field(default=(), alias="with")
    after: tuple[Name, ...] = ()
    delay: Duration = Duration(0)

    _not_negative = field_validator("delay")(not_negative)


class _Action(Part):
    name: Name
    start: Start | None = None


class FaultAction(_Action):
    """One fault, for a while. ``with`` is validated by the fault's own model."""

    fault: str = Field(title="Fault", examples=["envoy.http_delay"])
    via: str = Field(title="Via", description="Alias of a connection of the environment.")
    with_: Any = Field(default_factory=dict, alias="with", validate_default=True)
    duration: Duration = Field(title="Lasts")
    on_drift: OnDrift = "stop"

    _positive = field_validator("duration")(positive)

    @field_validator("fault")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        faults = _catalogue(info)
        if value not in faults:
            if not value.strip():
                raise ValueError(f"is empty; there are {', '.join(sorted(faults))}")
            near = [kind for kind in faults if kind.split(".")[-1] == value.split(".")[-1]]
            raise ValueError(
                f"“{value}” is not a fault that ChaosWeb knows; "
                f"{'did you mean' if near else 'there are'} {', '.join(near or sorted(faults))}"
            )
        return value

    @field_validator("with_")
    @classmethod
    def _by_its_own_model(cls, value: Any, info: ValidationInfo) -> FaultParams | Any:
        model = _catalogue(info).get(info.data.get("fault", ""))
        return value if model is None else model.model_validate(value)

    @property
    def params(self) -> FaultParams:
        """Return the fault's parameters, typed."""
        assert isinstance(self.with_, FaultParams)  # noqa: S101 — validated above
        return self.with_


def _catalogue(info: ValidationInfo) -> Mapping[str, type[FaultParams]]:
    if not info.context or "faults" not in info.context:
        raise RuntimeError("a document is validated with the catalogue of faults as its context")
    faults: Mapping[str, type[FaultParams]] = info.context["faults"]
    return faults


class Checkpoint(_Action):
    """The run waits for a person; a time-out stops it."""

    checkpoint: str = Field(title="Question", min_length=1)
    timeout: Duration = Duration("10m")

    _positive = field_validator("timeout")(positive)


class Wait(_Action):
    """Nothing, for a while."""

    wait: Duration

    _positive = field_validator("wait")(positive)


def _which(value: Any) -> str | None:
    if isinstance(value, _Action):
        return {FaultAction: "fault", Checkpoint: "checkpoint", Wait: "wait"}[type(value)]
    if isinstance(value, Mapping):
        found = [key for key in ("fault", "checkpoint", "wait") if key in value]
        if len(found) == 1:
            return found[0]
    return None


Action = Annotated[
    Annotated[FaultAction, Tag("fault")]
    | Annotated[Checkpoint, Tag("checkpoint")]
    | Annotated[Wait, Tag("wait")],
    Discriminator(
        _which,
        custom_error_type="action",
        custom_error_message="needs exactly one of fault, checkpoint and wait",
    ),
]


class HttpCheck(Part):
    """One HTTP request."""

    url: str = Field(pattern=r"^https?://[^\s/]+\S*$")
    method: Literal["GET", "HEAD", "POST"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration = Duration("5s")

    @field_validator("timeout")
    @classmethod
    def _timeout(cls, value: Duration) -> Duration:
        if value > _LONGEST_PROBE:
            raise ValueError(f"must be at most {_LONGEST_PROBE}, not {value}")
        return positive(value)


class PromqlCheck(Part):
    """One instant query; its first value is what the tolerance sees."""

    source: str = "metrics"
    query: str = Field(min_length=1)


class Tolerance(Part):
    """What the answer must be; every given field must be met.

    With ``jsonpath`` the fields beside ``status`` are about the values that it selects: every one
    of them must meet them, and there must be at least one.
    """

    status: int | tuple[int, ...] | None = None
    jsonpath: str | None = Field(
        default=None,
        min_length=1,
        title="JSONPath",
        description="RFC 9535: which values of a JSON answer the other fields are about.",
        examples=["$.status", "$.checks[*].state"],
    )
    equals: bool | str | float | None = None
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    regex: str | None = None

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                regex.compile(value)
            except regex.error as error:
                raise ValueError(f"“{value}” is not a regular expression: {error}") from error
        return value

    @field_validator("jsonpath")
    @classmethod
    def _selects(cls, value: str | None) -> str | None:
        problem = jsonpath.problem(value) if value is not None else None
        if problem:
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(value is None for value in self.__dict__.values()):
            raise ValueError("needs at least one of status, jsonpath, equals, min, max and regex")
        return self


Moment = Literal["start", "end", "throughout"]


class Probe(Part):
    """A check at a moment or throughout the run."""

    name: Name
    at: tuple[Moment, ...] = Field(default=("start", "end"), min_length=1)
    every: Duration = Duration("10s")
    http: HttpCheck | None = None
    promql: PromqlCheck | None = None
    tolerance: Tolerance

    _positive = field_validator("every")(positive)


class Breaches(Part):
    """``3 of 5``: so many of the newest samples."""

    count: int = Field(ge=1, le=100)
    of: int = Field(ge=1, le=100)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            match = re.fullmatch(r"\s*(\d+)\s*of\s*(\d+)\s*", value)
            if match is None:
                raise ValueError(f"“{value}” is not like “3 of 5”")
            return {"count": int(match[1]), "of": int(match[2])}
        if isinstance(value, int) and not isinstance(value, bool):
            return {"count": value, "of": value}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.count > self.of:
            raise ValueError(f"{self.count} of {self.of} can never happen")
        return self

    def __str__(self) -> str:
        return f"{self.count} of {self.of}"


class Guardrail(Part):
    """A live rule that stops the run: on one of the document's SLIs, or on PromQL of its own."""

    name: Name
    sli: Name | None = None
    promql: str | None = Field(default=None, min_length=1, title="PromQL", examples=["sum(queue)"])
    source: str = Field(default="metrics", description="Alias of a Prometheus, for PromQL.")
    unit: str = Field(
        default="",
        max_length=32,
        description="Unit of the PromQL's value: s, ms, us, ratio (0 to 1), or any word.",
    )
    above: Quantity | None = None
    below: Quantity | None = None
    breaches: Breaches = Breaches(count=3, of=5)
    every: Duration = Duration("5s")
    no_data: Literal["stop", "ignore", "checkpoint"] = Field(
        default="stop",
        description="When its data stay away: stop the run, go on, or wait for a person.",
    )

    _positive = field_validator("every")(positive)

    @field_validator("promql")
    @classmethod
    def _query(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("is missing")
        return value

    @property
    def watches(self) -> str:
        """Return what it watches, as people name it."""
        return self.sli or self.promql or ""


class Baseline(Part):
    """How the state before the fault is learnt: by watching for a while, or from history."""

    length: Duration | None = None
    last: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | Baseline) else {"length": value}

    @field_validator("length", "last")
    @classmethod
    def _bounds(cls, value: Duration | None, info: ValidationInfo) -> Duration | None:
        if value is None:
            return None
        return positive(value) if info.field_name == "last" else not_negative(value)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.length is None) == (self.last is None):
            raise ValueError("needs either a duration or {last: duration}")
        return self

    @property
    def wait_s(self) -> float:
        """Return how long the run watches before the first fault."""
        return float(self.length or 0)


def _auto(value: Any) -> Any:
    return None if value == "auto" else value


class Timing(Part):
    """How long to watch before and after, and in which steps (None: from the scrape interval)."""

    baseline: Baseline = Baseline(length=Duration("3m"))
    settle: Duration = Duration("1m")
    step: Annotated[Duration | None, BeforeValidator(_auto)] = None

    _settle = field_validator("settle")(not_negative)

    @field_validator("step")
    @classmethod
    def _step(cls, value: Duration | None) -> Duration | None:
        if value is not None and value < _SHORTEST_STEP:
            raise ValueError(f"must be at least {_SHORTEST_STEP}, not {value}")
        return None if value is None else positive(value)
