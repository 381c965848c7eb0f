"""TimeChaos: clocks of containers that are wrong."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from drivers.chaosmesh.common import DAEMON, ContainerFault
from drivers.chaosmesh.values import distinct, rare, refuse
from drivers.chaosmesh.wire import LIST, SPAN, Wire
from drivers.units import Duration

_YEARS = 100 * 365 * 86_400
ClockId = Literal[
    "CLOCK_REALTIME",
    "CLOCK_MONOTONIC",
    "CLOCK_PROCESS_CPUTIME_ID",
    "CLOCK_THREAD_CPUTIME_ID",
    "CLOCK_MONOTONIC_RAW",
    "CLOCK_REALTIME_COARSE",
    "CLOCK_MONOTONIC_COARSE",
    "CLOCK_BOOTTIME",
    "CLOCK_REALTIME_ALARM",
    "CLOCK_BOOTTIME_ALARM",
]


def _offset(value: Duration) -> Duration:
    if not value:
        raise refuse("offset", "must not be 0: the clock would be right")
    if abs(value) > _YEARS:
        raise refuse("offset", f"{value} is more than a hundred years; write for example -10m")
    nanoseconds = float(value) * 1e9
    if abs(nanoseconds) < 1:
        raise refuse("offset", f"{value} is less than a nanosecond")
    return value


Offset = Annotated[Duration, AfterValidator(_offset), Field(json_schema_extra={"unit": "s"})]


class TimeSkew(ContainerFault):
    """Clocks that are ahead or behind."""

    kind: ClassVar[str] = "chaosmesh.time_skew"
    title: ClassVar[str] = "Clock skew"
    summary: ClassVar[str] = (
        "Lets the clock of containers be ahead or behind. Certificates, sessions, locks and "
        "schedules show whether they can stand it."
    )
    needs: ClassVar[str] = DAEMON.format("TimeChaos")
    metrics: ClassVar[str] = "Errors of what compares times; the program's own time stamps jump."
    family: ClassVar[str] = "time"
    resource: ClassVar[str] = "TimeChaos"

    offset: Annotated[
        Offset,
        Wire("timeOffset", SPAN),
        Field(
            title="Offset",
            description="How far ahead the clock is; with a minus, behind.",
            examples=["-10m", "1h"],
        ),
    ]
    clocks: Annotated[
        tuple[ClockId, ...],
        AfterValidator(distinct),
        Wire("clockIds", LIST),
        Field(
            min_length=1,
            title="Clocks",
            description="Which clocks of the kernel, one a line.",
            examples=[["CLOCK_REALTIME"]],
            json_schema_extra=rare(),
        ),
    ] = ("CLOCK_REALTIME",)

    def sentence(self) -> str:
        """Say what it does: “sets the clock of … back by 10m”."""
        way = "ahead" if self.offset > 0 else "back"
        return f"sets the clock of {self.whom()} {way} by {Duration(abs(self.offset))}"


FAULTS = (TimeSkew,)
