"""SLIs: what is watched, in which unit, and what the hypothesis expects of it."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from drivers.units import Duration, Percentage, UnitError
from experiments.domain import presets, promql

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$", max_length=63),
]
Expect = Literal["holds", "may_degrade", "degrades"]
Direction = Literal["lower_is_better", "higher_is_better"]
Quantity = str | float
"""A number in the SLI's unit, or a text with a unit that is converted: ``1%``, ``500ms``."""

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}


class Part(BaseModel):
    """A frozen part of the document; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _selector(value: str) -> str:
    problem = promql.check_selector(value)
    if problem:
        raise ValueError(problem)
    return value.strip()


class Ratio(Part):
    """Bad events over all events, both as counter selectors."""

    bad: str = Field(title="Bad events", examples=['requests_total{code=~"5.."}'])
    total: str = Field(title="All events", examples=["requests_total"])

    _shape = field_validator("bad", "total")(_selector)


class Quantile(Part):
    """A quantile of a classic histogram (the selector of its ``_bucket`` series)."""

    histogram: str = Field(title="Histogram", examples=["http_request_duration_seconds_bucket"])
    q: float = Field(default=0.95, gt=0, lt=1, title="Quantile")

    @field_validator("histogram")
    @classmethod
    def _shape(cls, value: str) -> str:
        problem = promql.check_histogram(value)
        if problem:
            raise ValueError(problem)
        return value.strip()


class Limit(Part):
    """Absolute bounds that the value must keep."""

    min: Quantity | None = None
    max: Quantity | None = None


class Margin(Part):
    """How much worse than the baseline is still the same."""

    absolute: Quantity | None = None
    relative: Percentage | None = None


class Measure(Part):
    """What a kind of SLI comes down to once a preset is written out."""

    kind: Literal["ratio", "quantile", "value"]
    unit: str
    ratio: Ratio | None = None
    quantile: Quantile | None = None
    value: str | None = None


class Measured(Part):
    """A named measure: where it is read, as what, and in which direction it becomes worse."""

    name: Name = Field(title="Name", examples=["orders_p95"])
    title: str = Field(default="", title="Title")
    source: str = Field(default="metrics", title="Source", description="Alias of a Prometheus.")
    ratio: Ratio | None = None
    quantile: Quantile | None = None
    value: str | None = Field(default=None, title="PromQL")
    preset: str | None = None
    with_: dict[str, Any] = Field(default_factory=dict, alias="with")
    unit: str | None = Field(default=None, title="Unit", description="s, ms, %, or any word.")
    direction: Direction = "lower_is_better"

    @property
    def measure(self) -> Measure:
        """Return the measure, a preset written out. Raises ValueError when there is none."""
        if self.preset is not None:
            made = presets.expand(self.preset, self.with_)
            kind: Literal["ratio", "quantile"] = "ratio" if "ratio" in made else "quantile"
            return Measure.model_validate(
                {"kind": kind, "unit": self.unit or made["unit"], kind: made[kind]}
            )
        if self.ratio is not None:
            return Measure(kind="ratio", unit="ratio", ratio=self.ratio)
        if self.quantile is not None:
            return Measure(kind="quantile", unit=self.unit or "s", quantile=self.quantile)
        if self.value is not None:
            return Measure(kind="value", unit=self.unit or "", value=self.value)
        raise ValueError(f"{self.name} measures nothing")

    @property
    def label(self) -> str:
        """Return what pages call it."""
        return self.title or self.name


class ServiceSli(Measured):
    """An SLI that a service has a name for: experiments use it as ``service.name``."""

    limit: Limit | None = None
    margin: Margin | None = None


class Sli(Measured):
    """A named measure, with what is expected of it while the fault is there."""

    use: str | None = Field(
        default=None,
        title="SLI of a service",
        description="Instead of a measure: service.name, copied when the version is saved.",
        examples=["orders.p95"],
    )
    copied: dict[str, Any] | None = Field(
        default=None, description="What ``use`` stood for when the version was saved; not written."
    )
    expect: Expect = "holds"
    limit: Limit | None = None
    margin: Margin | None = None
    critical: bool = False

    def in_unit(self, quantity: Quantity) -> float:
        """Convert a quantity to this SLI's unit (a ratio counts from 0 to 1). Raises UnitError."""
        return to_unit(quantity, self.measure.unit)


def to_unit(quantity: Quantity, unit: str) -> float:
    """Return the quantity as a number of the unit: ``1%`` of a ratio is 0.01. Raises UnitError."""
    if unit == "ratio":
        if isinstance(quantity, str) and quantity.strip().endswith("%"):
            return Percentage(quantity).ratio
        raise UnitError(f"“{quantity}” of a ratio must be a percentage; write for example 1%")
    number = _number(quantity, unit)
    if not math.isfinite(number):
        raise UnitError(f"“{quantity}” is not a finite number")
    return number


def _number(quantity: Quantity, unit: str) -> float:
    if unit in _PER_SECOND and isinstance(quantity, str):
        try:
            return float(quantity)
        except ValueError:
            return float(Duration(quantity)) * _PER_SECOND[unit]
    if isinstance(quantity, str):
        try:
            return float(quantity.removesuffix(unit).strip())
        except ValueError as error:
            raise UnitError(f"“{quantity}” is not a number of {unit or 'its unit'}") from error
    return float(quantity)


def key_of(measure: Measure, *, connection_id: int, edited_at: datetime, step_s: float) -> str:
    """Return under which key the newest bins of a measure are shared by all who watch it.

    ``edited_at`` is when the connection was last changed: bins read from the server that it named
    before belong to another key.
    """
    said = f"{connection_id}:{edited_at.isoformat()}:{step_s:g}:{measure.model_dump_json()}"
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
