"""IOChaos: file systems of containers that are slow, fail, lie about files or garble data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from drivers.chaosmesh.common import DAEMON, ContainerFault
from drivers.chaosmesh.values import (
    INT32,
    INT64,
    Latency,
    Maybe,
    Said,
    WholeShare,
    distinct,
    rare,
    refuse,
)
from drivers.chaosmesh.wire import LIST, SPAN, WHOLE_PERCENT, Part, Wire
from drivers.units import Percentage

_Method = Literal[
    "lookup", "forget", "getattr", "setattr", "readlink", "mknod", "mkdir", "unlink", "rmdir",
    "symlink", "rename", "link", "open", "read", "write", "flush", "release", "fsync", "opendir",
    "readdir", "releasedir", "fsyncdir", "statfs", "setxattr", "getxattr", "listxattr",
    "removexattr", "access", "create", "getlk", "setlk", "bmap",
]  # fmt: skip


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise refuse("path", f"“{value}” must be an absolute path, for example /var/lib/data")
    return value


class IoFault(ContainerFault):
    """A fault of one volume of containers."""

    needs: ClassVar[str] = (
        DAEMON.format("IOChaos")
        + " The volume's path must be a mount point; one volume and container per pod at a time."
    )
    metrics: ClassVar[str] = (
        "Times and errors of what the program reads and writes; container_fs_* of the pod."
    )
    resource: ClassVar[str] = "IOChaos"

    volume_path: Annotated[
        Said,
        AfterValidator(_absolute),
        Wire("volumePath"),
        Field(
            title="Volume",
            description="Where the volume is mounted in the container: the mount point itself.",
            examples=["/var/lib/data"],
        ),
    ]
    path: Annotated[
        Maybe,
        Wire("path"),
        Field(
            title="Files",
            description="Which files of the volume, as a pattern. Empty: all of them.",
            examples=["/var/lib/data/**/*.log"],
        ),
    ] = None
    percent: Annotated[
        WholeShare,
        Wire("percent", WHOLE_PERCENT),
        Field(
            title="Share of calls",
            description="Share of the calls that are hit, whole percents from 1 %.",
            examples=["50%"],
        ),
    ] = Percentage(100)
    methods: Annotated[
        tuple[_Method, ...],
        AfterValidator(distinct),
        Wire("methods", LIST),
        Field(
            title="Calls",
            description="Which calls of the file system, one a line. None: all of them.",
            examples=[["read", "write"]],
            json_schema_extra=rare(),
        ),
    ] = ()

    def calls(self) -> str:
        """Return the calls in words: “50% of the calls to files in /data of …”."""
        share = "all" if self.percent == Percentage(100) else f"{self.percent} of the"
        names = f"{', '.join(self.methods)} " if self.methods else ""
        return f"{share} {names}calls to {self.path or self.volume_path} in {self.whom()}"


class IoLatency(IoFault):
    """Slow file systems."""

    kind: ClassVar[str] = "chaosmesh.io_latency"
    title: ClassVar[str] = "Slow files"
    summary: ClassVar[str] = "Holds calls to the file system back."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "latency"

    delay: Annotated[
        Latency,
        Wire("delay", SPAN),
        Field(title="Delay", description="How long each call waits: 1us to 1h.", examples=["10ms"]),
    ]

    def sentence(self) -> str:
        """Say what it does: “delays all calls to /data in … by 10ms”."""
        return f"delays {self.calls()} by {self.delay}"


class IoFail(IoFault):
    """File systems that return errors."""

    kind: ClassVar[str] = "chaosmesh.io_fault"
    title: ClassVar[str] = "Failing files"
    summary: ClassVar[str] = "Lets calls to the file system fail with an error number."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "fault"

    errno: Annotated[
        int,
        Wire("errno"),
        Field(
            ge=1,
            le=4095,
            title="Error number",
            description="As Linux counts: 5 is an I/O error, 13 no permission, 28 no space left.",
            examples=[5, 28],
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “lets all calls to /data in … fail with errno 5”."""
        return f"lets {self.calls()} fail with errno {self.errno}"


class Moment(Part):
    """A time as files have it."""

    sec: Annotated[
        int,
        Wire("sec"),
        Field(
            ge=-INT64,
            le=INT64,
            title="Seconds",
            description="Since 1970.",
            examples=[0],
            json_schema_extra={"unit": "s"},
        ),
    ]
    nsec: Annotated[
        int,
        Wire("nsec"),
        Field(
            ge=0,
            le=999_999_999,
            title="Nanoseconds",
            description="On top of the seconds.",
            examples=[0],
            json_schema_extra={"unit": "ns"},
        ),
    ] = 0


class Attributes(Part):
    """What a file says of itself."""

    example: ClassVar[Mapping[str, Any]] = {"perm": 292}
    ino: Annotated[
        int | None,
        Wire("ino"),
        Field(ge=0, le=INT64, title="Inode", description="Its number.", examples=[1]),
    ] = None
    size: Annotated[
        int | None,
        Wire("size"),
        Field(
            ge=0,
            le=INT64,
            title="Size",
            description="Its length in bytes.",
            examples=[0],
            json_schema_extra={"unit": "B"},
        ),
    ] = None
    blocks: Annotated[
        int | None,
        Wire("blocks"),
        Field(ge=0, le=INT64, title="Blocks", description="How many of 512 bytes.", examples=[8]),
    ] = None
    atime: Annotated[
        Moment | None,
        Wire("atime"),
        Field(title="Last read", description="When.", json_schema_extra=rare()),
    ] = None
    mtime: Annotated[
        Moment | None,
        Wire("mtime"),
        Field(title="Last written", description="When.", json_schema_extra=rare()),
    ] = None
    ctime: Annotated[
        Moment | None,
        Wire("ctime"),
        Field(title="Last changed", description="When.", json_schema_extra=rare()),
    ] = None
    kind: Annotated[
        Literal[
            "namedPipe", "charDevice", "blockDevice", "directory", "regularFile", "symlink",
            "socket",
        ]
        | None,
        Wire("kind"),
        Field(title="Kind", description="What it says that it is."),
    ] = None  # fmt: skip
    perm: Annotated[
        int | None,
        Wire("perm"),
        Field(
            ge=0,
            le=4095,
            title="Permissions",
            description="As a decimal number: 292 is r--r--r-- (octal 444).",
            examples=[292],
        ),
    ] = None
    nlink: Annotated[
        int | None,
        Wire("nlink"),
        Field(ge=0, le=INT32, title="Links", description="How many names.", examples=[1]),
    ] = None
    uid: Annotated[
        int | None,
        Wire("uid"),
        Field(ge=0, le=INT32, title="Owner", description="Number of the user.", examples=[0]),
    ] = None
    gid: Annotated[
        int | None,
        Wire("gid"),
        Field(ge=0, le=INT32, title="Group", description="Number of the group.", examples=[0]),
    ] = None
    rdev: Annotated[
        int | None,
        Wire("rdev"),
        Field(
            ge=0,
            le=INT32,
            title="Device",
            description="Number of the device that it stands for.",
            examples=[0],
            json_schema_extra=rare(),
        ),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_given():
            raise refuse("attr", "overrides nothing: give at least one attribute")
        return self

    def model_fields_given(self) -> list[str]:
        """Return the names of the attributes that are overridden."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


class IoAttributes(IoFault):
    """Files that lie about themselves."""

    kind: ClassVar[str] = "chaosmesh.io_attr_override"
    title: ClassVar[str] = "False attributes of files"
    summary: ClassVar[str] = "Answers questions about files with other attributes than they have."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "attrOverride"

    attr: Annotated[
        Attributes,
        Wire("attr"),
        Field(title="Attributes", description="What files are said to be."),
    ]

    def sentence(self) -> str:
        """Say what it does: “gives files a false perm in all calls …”."""
        return f"gives files a false {', '.join(self.attr.model_fields_given())}: {self.calls()}"


class IoMistake(IoFault):
    """Data that is garbled."""

    kind: ClassVar[str] = "chaosmesh.io_mistake"
    title: ClassVar[str] = "Garbled data in files"
    summary: ClassVar[str] = (
        "Writes and reads wrong bytes. What was written wrong stays wrong: use only data that may "
        "be lost."
    )
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "mistake"

    filling: Annotated[
        Literal["zero", "random"],
        Wire("mistake.filling"),
        Field(title="Wrong bytes", description="Zeros, or random ones."),
    ]
    max_occurrences: Annotated[
        int,
        Wire("mistake.maxOccurrences"),
        Field(
            ge=1,
            le=INT64,
            title="Most places",
            description="In how many places of one call at most.",
            examples=[1],
        ),
    ] = 1
    max_length: Annotated[
        int,
        Wire("mistake.maxLength"),
        Field(
            ge=1,
            le=INT64,
            title="Longest",
            description="How many bytes in one place at most.",
            examples=[1],
            json_schema_extra={"unit": "B"},
        ),
    ] = 1

    def sentence(self) -> str:
        """Say what it does: “garbles data with zero bytes in all calls …”."""
        return f"garbles data with {self.filling} bytes: {self.calls()}"


FAULTS = (IoLatency, IoFail, IoAttributes, IoMistake)
