"""Faults of a machine's processors, memory, disks, processes and clock."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.time_ import ClockId, Offset
from drivers.chaosmesh.values import INT32, ChaosdSize, Lines, Maybe, Said, rare
from drivers.chaosmesh.wire import CHAOSD_SIZE, COMMAS, LIST, SPAN, Wire
from drivers.protocol import Undo
from drivers.units import Duration

_Options = Annotated[
    Lines,
    Wire("@.options", LIST),
    Field(
        title="Options",
        description="More options of stress-ng, one a line.",
        examples=[["--cpu-method fft"]],
        json_schema_extra=rare(),
    ),
]
_Size = Annotated[
    ChaosdSize,
    Wire("@.size", CHAOSD_SIZE),
    Field(
        title="Size",
        description="A size in whole kB or KiB. Sent with its unit: chaosd takes K for KiB.",
        examples=["512MiB", "1GB"],
    ),
]
_PathOnDisk = Annotated[
    Maybe,
    Wire("@.path"),
    Field(title="File", description="Which file. Empty: one of its own.", examples=["/data/fill"]),
]
_Processes = Annotated[
    int,
    Wire("@.payload-process-num"),
    Field(ge=1, le=255, title="Processes", description="How many at once.", examples=[1]),
]


class MachineStressCpu(MachineFault):
    """Uses processors up."""

    kind: ClassVar[str] = "chaosmesh.machine_stress_cpu"
    title: ClassVar[str] = "Machine: CPU stress"
    summary: ClassVar[str] = "Keeps processors of machines busy."
    family: ClassVar[str] = "stress"
    action: ClassVar[str] = "stress-cpu"

    load: Annotated[
        int,
        Wire("@.load"),
        Field(
            ge=1,
            le=100,
            title="Load",
            description="How busy each worker keeps its processor.",
            examples=[80],
            json_schema_extra={"unit": "%"},
        ),
    ] = 100
    workers: Annotated[
        int,
        Wire("@.workers"),
        Field(ge=1, le=8192, title="Workers", description="Programs at work.", examples=[1]),
    ] = 1
    options: _Options = ()

    def sentence(self) -> str:
        """Say what it does: “keeps one machine of … busy with 1 worker at 80%”."""
        many = "s" if self.workers > 1 else ""
        return f"keeps {self.whom()} busy with {self.workers} worker{many} at {self.load}%"


class MachineStressMemory(MachineFault):
    """Uses memory up."""

    kind: ClassVar[str] = "chaosmesh.machine_stress_mem"
    title: ClassVar[str] = "Machine: memory stress"
    summary: ClassVar[str] = "Holds memory of machines."
    family: ClassVar[str] = "stress"
    action: ClassVar[str] = "stress-mem"

    size: _Size
    options: _Options = ()

    def sentence(self) -> str:
        """Say what it does: “holds 512MiB of memory of one machine of …”."""
        return f"holds {self.size} of memory of {self.whom()}"


class MachineDiskRead(MachineFault):
    """Reads from disks."""

    kind: ClassVar[str] = "chaosmesh.machine_disk_read_payload"
    title: ClassVar[str] = "Machine: read load"
    summary: ClassVar[str] = "Reads from disks of machines, so that others wait."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "disk-read-payload"

    size: _Size
    processes: _Processes = 1
    path: _PathOnDisk = None

    def sentence(self) -> str:
        """Say what it does: “reads 1GB from the disk of one machine of …”."""
        return f"reads {self.size} from the disk of {self.whom()}"


class MachineDiskWrite(MachineFault):
    """Writes to disks."""

    kind: ClassVar[str] = "chaosmesh.machine_disk_write_payload"
    title: ClassVar[str] = "Machine: write load"
    summary: ClassVar[str] = "Writes to disks of machines, so that others wait."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "disk-write-payload"

    size: _Size
    processes: _Processes = 1
    path: _PathOnDisk = None

    def sentence(self) -> str:
        """Say what it does: “writes 1GB to the disk of one machine of …”."""
        return f"writes {self.size} to the disk of {self.whom()}"


class MachineDiskFill(MachineFault):
    """Fills disks."""

    kind: ClassVar[str] = "chaosmesh.machine_disk_fill"
    title: ClassVar[str] = "Machine: full disk"
    summary: ClassVar[str] = "Fills disks of machines, and frees the space afterwards."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "disk-fill"

    size: _Size
    path: _PathOnDisk = None
    by_fallocate: Annotated[
        bool | None,
        Wire("@.fill-by-fallocate"),
        Field(
            title="Reserve only",
            description="Reserves the space at once, where the file system can.",
            json_schema_extra=rare(),
        ),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “fills the disk of one machine of … with 1GB”."""
        return f"fills the disk of {self.whom()} with {self.size}"


class MachineProcess(MachineFault):
    """Sends a signal to processes."""

    kind: ClassVar[str] = "chaosmesh.machine_process"
    title: ClassVar[str] = "Machine: signal a process"
    summary: ClassVar[str] = (
        "Sends a signal to a process, as kill does. A process that is dead comes back only by the "
        "command that is given for it; a stopped one goes on."
    )
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "none"
    dead_man_s: ClassVar[float | None] = None
    action: ClassVar[str] = "process"

    process: Annotated[
        Said,
        Wire("@.process"),
        Field(title="Process", description="Its name or number.", examples=["nginx"]),
    ]
    signal: Annotated[
        int,
        Wire("@.signal"),
        Field(
            ge=1,
            le=64,
            title="Signal",
            description="Its number: 9 kills, 15 asks to end, 19 stops.",
            examples=[9, 15, 19],
        ),
    ]
    recover_command: Annotated[
        Maybe,
        Wire("@.recoverCmd"),
        Field(
            title="Command to recover",
            description="What chaosd runs at the end.",
            examples=["systemctl start nginx"],
        ),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “sends signal 9 to nginx on one machine of …”."""
        return f"sends signal {self.signal} to {self.process} on {self.whom()}"


class MachineClock(MachineFault):
    """A wrong clock of one process."""

    kind: ClassVar[str] = "chaosmesh.machine_clock"
    title: ClassVar[str] = "Machine: clock skew"
    summary: ClassVar[str] = "Lets the clock of one process be ahead or behind."
    family: ClassVar[str] = "time"
    action: ClassVar[str] = "clock"

    pid: Annotated[
        int,
        Wire("@.pid"),
        Field(ge=1, le=INT32, title="Process", description="Its number.", examples=[1234]),
    ]
    offset: Annotated[
        Offset,
        Wire("@.time-offset", SPAN),
        Field(
            title="Offset",
            description="How far ahead the clock is; with a minus, behind.",
            examples=["-10m"],
        ),
    ]
    clocks: Annotated[
        tuple[ClockId, ...],
        Wire("@.clock-ids-slice", COMMAS),
        Field(
            min_length=1,
            title="Clocks",
            description="Which clocks of the kernel, one a line.",
            examples=[["CLOCK_REALTIME"]],
            json_schema_extra=rare(),
        ),
    ] = ("CLOCK_REALTIME",)

    def sentence(self) -> str:
        """Say what it does: “sets the clock of process 1234 on … back by 10m”."""
        way = "ahead" if self.offset > 0 else "back"
        far = Duration(abs(self.offset))
        return f"sets the clock of process {self.pid} on {self.whom()} {way} by {far}"


class MachineVm(MachineFault):
    """Ends a virtual machine."""

    kind: ClassVar[str] = "chaosmesh.machine_vm"
    title: ClassVar[str] = "Machine: stop a virtual machine"
    summary: ClassVar[str] = "Ends a virtual machine of libvirt, and starts it again."
    family: ClassVar[str] = "stop"
    action: ClassVar[str] = "vm"

    vm_name: Annotated[
        Said,
        Wire("@.vm-name"),
        Field(title="Virtual machine", description="Its name.", examples=["web-1"]),
    ]

    def sentence(self) -> str:
        """Say what it does: “ends virtual machine web-1 on one machine of …”."""
        return f"ends virtual machine {self.vm_name} on {self.whom()}"


class MachineUserDefined(MachineFault):
    """Commands of one's own."""

    kind: ClassVar[str] = "chaosmesh.machine_user_defined"
    title: ClassVar[str] = "Machine: own commands"
    summary: ClassVar[str] = (
        "Runs a command when the fault begins and another when it ends. Nothing here checks that "
        "the second undoes the first."
    )
    family: ClassVar[str] = "alter"
    action: ClassVar[str] = "user_defined"

    attack: Annotated[
        Said,
        Wire("@.attackCmd"),
        Field(title="Command", description="When it begins.", examples=["systemctl stop cron"]),
    ]
    recover: Annotated[
        Said,
        Wire("@.recoverCmd"),
        Field(
            title="Command to recover",
            description="When it ends.",
            examples=["systemctl start cron"],
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “runs “systemctl stop cron” on one machine of …”."""
        return f"runs “{self.attack[:60]}” on {self.whom()}"


FAULTS = (
    MachineStressCpu,
    MachineStressMemory,
    MachineDiskRead,
    MachineDiskWrite,
    MachineDiskFill,
    MachineProcess,
    MachineClock,
    MachineVm,
    MachineUserDefined,
)
