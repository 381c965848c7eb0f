"""StressChaos: containers whose CPU or memory is used up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from drivers.chaosmesh.common import DAEMON, ContainerFault
from drivers.chaosmesh.values import INT64, Lines, Said, rare, refuse
from drivers.chaosmesh.wire import LIST, MEMORY, Part, Wire
from drivers.units import Percentage, Size, UnitError


def _memory(value: Any) -> Size | Percentage | None:
    """Read ``256MB`` or ``50%``. Bare texts of percent are sizes, as everywhere."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, Percentage) or (isinstance(value, str) and value.strip()[-1:] == "%"):
            share = Percentage(value)
            if not 1 <= share <= 100 or share % 1:
                told = f"{share} must be a whole percentage from 1% to 100%, or a size"
                raise refuse("memory", told)
            return share
        size = Size(value)
    except UnitError as error:
        raise refuse("memory", f"“{value}” is no size; write for example 256MB or 50%") from error
    if not 1 <= size <= INT64 or size % 1:
        raise refuse("memory", f"{size} must be a whole number of bytes, at least one")
    return size


Memory = Annotated[
    Any,
    BeforeValidator(_memory),
    PlainSerializer(lambda value: None if value is None else str(value)),
    Field(json_schema_extra={"type": "string"}),
]
Workers = Annotated[
    int,
    Wire("workers"),
    Field(
        ge=1,
        le=8192,
        title="Workers",
        description="Programs at work at the same time. 0 would be no stress at all.",
        examples=[1],
    ),
]
Options = Annotated[
    Lines,
    Wire("options", LIST),
    Field(
        title="Options",
        description="More options of stress-ng, one a line.",
        examples=[["--cpu-method fft"]],
        json_schema_extra=rare(),
    ),
]


class CpuStress(Part):
    """Work for the processors."""

    workers: Workers = 1
    load: Annotated[
        int | None,
        Wire("load"),
        Field(
            ge=1,
            le=100,
            title="Load",
            description="How busy each worker keeps its processor. None: wholly.",
            examples=[50],
            json_schema_extra={"unit": "%"},
        ),
    ] = None
    options: Options = ()

    def words(self) -> str:
        """Return the stress in words: “2 workers at 50% of a processor each”."""
        many = "s" if self.workers > 1 else ""
        return f"{self.workers} worker{many} at {self.load or 100}% of a processor each"


class MemoryStress(Part):
    """Memory that is held."""

    example: ClassVar[Mapping[str, Any]] = {"size": "256MB"}
    workers: Workers = 1
    size: Annotated[
        Memory,
        Wire("size", MEMORY),
        Field(
            title="Memory",
            description="Of each worker: a size such as 256MB, or a share of what is available. "
            "None: all of it. Sent in bytes, as Chaos Mesh takes MiB for MB.",
            examples=["256MB", "50%"],
        ),
    ] = None
    oom_score: Annotated[
        int,
        Wire("oomScoreAdj"),
        Field(
            ge=-1000,
            le=1000,
            title="OOM score",
            description="How soon the kernel ends the workers when memory runs out: 1000 first.",
            examples=[1000],
            json_schema_extra=rare(),
        ),
    ] = 0
    options: Options = ()

    def words(self) -> str:
        """Return the stress in words: “1 worker with 256MB each”."""
        many = "s" if self.workers > 1 else ""
        return f"{self.workers} worker{many} with {self.size or 'all memory'} each"


class StressFault(ContainerFault):
    """A fault of the resources of containers."""

    needs: ClassVar[str] = DAEMON.format("StressChaos")
    metrics: ClassVar[str] = (
        "container_cpu_usage_seconds_total, container_memory_working_set_bytes and throttling "
        "of the container rise; its limits bound them."
    )
    family: ClassVar[str] = "stress"
    resource: ClassVar[str] = "StressChaos"


class StressCpu(StressFault):
    """Uses processors up."""

    kind: ClassVar[str] = "chaosmesh.stress_cpu"
    title: ClassVar[str] = "CPU stress"
    summary: ClassVar[str] = "Keeps processors busy inside containers."

    workers: Annotated[Workers, Wire("stressors.cpu.workers")] = 1
    load: Annotated[
        int | None,
        Wire("stressors.cpu.load"),
        Field(
            ge=1,
            le=100,
            title="Load",
            description="How busy each worker keeps its processor. None: wholly.",
            examples=[50],
            json_schema_extra={"unit": "%"},
        ),
    ] = None
    options: Annotated[Options, Wire("stressors.cpu.options", LIST)] = ()

    def sentence(self) -> str:
        """Say what it does: “keeps … busy: 1 worker at 100% of a processor each”."""
        stress = CpuStress(workers=self.workers, load=self.load)
        return f"keeps {self.whom()} busy: {stress.words()}"


class StressMemory(StressFault):
    """Uses memory up."""

    example: ClassVar[Mapping[str, Any]] = {"size": "256MB"}
    kind: ClassVar[str] = "chaosmesh.stress_memory"
    title: ClassVar[str] = "Memory stress"
    summary: ClassVar[str] = (
        "Holds memory inside containers. Beyond their limit the kernel ends a process there."
    )

    workers: Annotated[Workers, Wire("stressors.memory.workers")] = 1
    size: Annotated[
        Memory,
        Wire("stressors.memory.size", MEMORY),
        Field(
            title="Memory",
            description="Of each worker: a size such as 256MB, or a share of what is available. "
            "None: all of it. Sent in bytes, as Chaos Mesh takes MiB for MB.",
            examples=["256MB", "50%"],
        ),
    ] = None
    oom_score: Annotated[
        int,
        Wire("stressors.memory.oomScoreAdj"),
        Field(
            ge=-1000,
            le=1000,
            title="OOM score",
            description="How soon the kernel ends the workers when memory runs out: 1000 first.",
            examples=[1000],
            json_schema_extra=rare(),
        ),
    ] = 0
    options: Annotated[Options, Wire("stressors.memory.options", LIST)] = ()

    def sentence(self) -> str:
        """Say what it does: “fills memory of …: 1 worker with 256MB each”."""
        stress = MemoryStress(workers=self.workers, size=self.size)
        return f"fills memory of {self.whom()}: {stress.words()}"


class StressBoth(StressFault):
    """Uses processors and memory up."""

    kind: ClassVar[str] = "chaosmesh.stress_cpu_memory"
    title: ClassVar[str] = "CPU and memory stress"
    summary: ClassVar[str] = "Keeps processors busy and holds memory inside the same containers."

    cpu: Annotated[
        CpuStress,
        Wire("stressors.cpu"),
        Field(title="CPU", description="Work.", json_schema_extra={"titled": True}),
    ]
    memory: Annotated[
        MemoryStress,
        Wire("stressors.memory"),
        Field(title="Memory", description="What is held.", json_schema_extra={"titled": True}),
    ]

    def sentence(self) -> str:
        """Say what it does, for processors and memory."""
        return (
            f"keeps {self.whom()} busy ({self.cpu.words()}) and fills its memory "
            f"({self.memory.words()})"
        )


class StressNg(StressFault):
    """Whatever stress-ng can do."""

    kind: ClassVar[str] = "chaosmesh.stress_ng"
    title: ClassVar[str] = "stress-ng"
    summary: ClassVar[str] = "Runs stress-ng with arguments of your own inside containers."

    arguments: Annotated[
        Said,
        Wire("stressngStressors"),
        Field(
            title="Arguments",
            description="As stress-ng takes them. Nothing here checks what they do.",
            examples=["--hdd 1 --hdd-bytes 64m"],
        ),
    ]

    @model_validator(mode="after")
    def _has_options(self) -> Self:
        if not self.arguments.startswith("-"):
            told = "must be options of stress-ng, for example --cpu 2"
            raise refuse("arguments", told)
        return self

    def sentence(self) -> str:
        """Say what it does: “runs stress-ng --cpu 2 in …”."""
        return f"runs stress-ng {self.arguments} in {self.whom()}"


FAULTS = (StressCpu, StressMemory, StressBoth, StressNg)
