"""What can be injected through Envoy's fault filter, as typed parameters."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from drivers.protocol import FaultParams
from drivers.units import Duration, Percentage

_NEEDS = (
    "An admin layer in layered_runtime, and the fault filter (envoy.filters.http.fault) with {} "
    "block, before the router filter. The block's own percentage may be 0."
)


def _refuse(kind: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("envoy_" + kind, "{reason}", {"reason": message})


def _within_percent(value: Percentage) -> Percentage:
    if not 0 <= value <= 100:
        raise _refuse("percentage", f"{value} is outside 0–100 %; write for example 50%")
    parts = float(value) * 10_000
    # A runtime fraction's finest denominator is a million; anything finer would be rounded off.
    if abs(parts - round(parts)) > 1e-6:
        raise _refuse("percentage", f"{value} is finer than Envoy counts; the finest is 0.0001%")
    return value


def _within_hour(value: Duration) -> Duration:
    if not 0 < value <= 3600:
        raise _refuse("delay", f"{value} is outside 1ms–1h; write for example 90ms")
    millis = float(value) * 1000
    if abs(millis - round(millis)) > 1e-6:
        raise _refuse("delay", f"{value} is no whole number of milliseconds, as Envoy counts them")
    return value


def _bare_name(value: str | None) -> str | None:
    return (value or "").strip() or None


def _unit(unit: str, minimum: float, maximum: float) -> dict[str, Any]:
    return {"unit": unit, "minimum": minimum, "maximum": maximum}


Route = Annotated[
    str | None,
    Field(
        title="Route",
        description=(
            "The name of a route or virtual host with its own fault config, or a listener or HCM "
            "stat_prefix whose filter has its own runtime keys. Empty: every fault filter that "
            "uses the default keys."
        ),
        max_length=200,
        examples=["carts", "ingress"],
        json_schema_extra={"suggest": "routes"},
    ),
    AfterValidator(_bare_name),
]

Share = Annotated[
    Percentage,
    AfterValidator(_within_percent),
    Field(
        title="Percentage",
        description=(
            "The share of matching requests, 0–100 %. Fractions are sent as Envoy's exact "
            "fraction, down to 0.0001 %."
        ),
        examples=["100%", "50%", "0.5%"],
        json_schema_extra=_unit("%", 0, 100),
    ),
]

FixedDelay = Annotated[
    Duration,
    AfterValidator(_within_hour),
    Field(
        title="Delay",
        description="How long each request is held back: whole milliseconds, 1 ms to 1 h.",
        examples=["90ms", "2s"],
        json_schema_extra=_unit("s", 0.001, 3600),
    ),
]

HttpStatus = Annotated[
    int,
    Field(
        title="HTTP status",
        description=(
            "What the caller is answered, 200–599. Envoy itself would put any number on the wire."
        ),
        ge=200,
        le=599,
        examples=[503, 500, 429],
    ),
]


class EnvoyFault(FaultParams):
    """What every fault of the filter shares: where, and for which share of the requests."""

    block: ClassVar[str]
    """The block of HTTPFault that must be configured: ``abort`` or ``delay``."""
    counter: ClassVar[str]
    """The counter below ``http.<stat_prefix>.fault.`` that counts it."""

    route: Route = None
    percentage: Share = Percentage(100)

    def _requests(self) -> str:
        where = f" to {self.route}" if self.route else ""
        if self.percentage >= 100:
            return f"every request{where}"
        return f"{self.percentage} of the requests{where}"


class HttpAbort(EnvoyFault):
    """Answers requests at Envoy with an error status instead of passing them on."""

    kind: ClassVar[str] = "envoy.http_abort"
    title: ClassVar[str] = "HTTP abort"
    summary: ClassVar[str] = (
        "Envoy answers a share of the requests itself with an error status. The service behind it "
        "never sees them."
    )
    needs: ClassVar[str] = _NEEDS.format("an abort")
    metrics: ClassVar[str] = (
        "envoy_http_fault_aborts_injected rises, and envoy_http_downstream_rq_xx of the status. "
        "The caller's envoy_cluster_upstream_rq* shows it only when injected at the callee: to "
        "test retries, inject there."
    )
    family: ClassVar[str] = "abort"
    block: ClassVar[str] = "abort"
    counter: ClassVar[str] = "aborts_injected"

    http_status: HttpStatus = 503

    def sentence(self) -> str:
        """Say what it does: “answers 50% of the requests to carts with HTTP 503”."""
        return f"answers {self._requests()} with HTTP {self.http_status}"


class HttpDelay(EnvoyFault):
    """Holds requests back at Envoy for a fixed time, then passes them on."""

    kind: ClassVar[str] = "envoy.http_delay"
    title: ClassVar[str] = "HTTP delay"
    summary: ClassVar[str] = "Envoy holds a share of the requests back for a fixed time."
    needs: ClassVar[str] = _NEEDS.format("a delay")
    metrics: ClassVar[str] = (
        "envoy_http_fault_delays_injected rises, and envoy_http_downstream_rq_time. The upstream "
        "time of the same Envoy does not. A request held back when the fault ends still waits."
    )
    family: ClassVar[str] = "delay"
    block: ClassVar[str] = "delay"
    counter: ClassVar[str] = "delays_injected"

    fixed_delay: FixedDelay

    def sentence(self) -> str:
        """Say what it does: “holds every request to carts back by 90ms”."""
        return f"holds {self._requests()} back by {self.fixed_delay}"


FAULTS: tuple[type[FaultParams], ...] = (HttpAbort, HttpDelay)
"""What this backend can inject."""
