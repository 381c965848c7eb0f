"""Faults of a machine's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.values import INT32, Maybe, Said, refuse
from drivers.chaosmesh.wire import Wire


class _FileOrDirectory(MachineFault):
    """A fault of a file or a directory."""

    example: ClassVar[Mapping[str, Any]] = {"file": "/srv/a"}
    family: ClassVar[str] = "disk"

    file: Annotated[
        Maybe,
        Wire("@.file-name"),
        Field(title="File", description="Its path.", examples=["/srv/a"]),
    ] = None
    directory: Annotated[
        Maybe,
        Wire("@.dir-name"),
        Field(title="Directory", description="Its path.", examples=["/srv/b"]),
    ] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.directory is None):
            raise refuse("file", "needs either a file or a directory, and not both")
        return self


class MachineFileCreate(_FileOrDirectory):
    """Makes a file or directory."""

    kind: ClassVar[str] = "chaosmesh.machine_file_create"
    title: ClassVar[str] = "Machine: create a file"
    summary: ClassVar[str] = "Makes a file or directory, and removes it afterwards."
    action: ClassVar[str] = "file-create"

    def sentence(self) -> str:
        """Say what it does: “makes /srv/a on one machine of …”."""
        return f"makes {self.file or self.directory} on {self.whom()}"


class MachineFileDelete(_FileOrDirectory):
    """Takes a file or directory away."""

    kind: ClassVar[str] = "chaosmesh.machine_file_delete"
    title: ClassVar[str] = "Machine: delete a file"
    summary: ClassVar[str] = "Takes a file or directory away, and puts it back afterwards."
    action: ClassVar[str] = "file-delete"

    def sentence(self) -> str:
        """Say what it does: “takes /srv/a away on one machine of …”."""
        return f"takes {self.file or self.directory} away on {self.whom()}"


class _FileFault(MachineFault):
    """A fault of one file."""

    family: ClassVar[str] = "disk"

    file: Annotated[
        Said,
        Wire("@.file-name"),
        Field(title="File", description="Its path.", examples=["/srv/a"]),
    ]


class MachineFileModify(_FileFault):
    """Changes who may use a file."""

    kind: ClassVar[str] = "chaosmesh.machine_file_modify"
    title: ClassVar[str] = "Machine: permissions of a file"
    summary: ClassVar[str] = "Changes the permissions of a file, and changes them back."
    action: ClassVar[str] = "file-modify"

    privilege: Annotated[
        int,
        Wire("@.privilege"),
        Field(
            ge=1,
            le=7777,
            title="Permissions",
            description="The octal digits as one writes them for chmod: 444 is r--r--r--.",
            examples=[444],
        ),
    ]

    @field_validator("privilege")
    @classmethod
    def _octal(cls, value: int) -> int:
        if set(str(value)) & {"8", "9"}:
            raise refuse("privilege", f"{value} has digits that permissions do not have (0 to 7)")
        return value

    def sentence(self) -> str:
        """Say what it does: “sets the permissions of /srv/a on … to 444”."""
        return f"sets the permissions of {self.file} on {self.whom()} to {self.privilege:03d}"


class MachineFileRename(MachineFault):
    """Moves a file."""

    kind: ClassVar[str] = "chaosmesh.machine_file_rename"
    title: ClassVar[str] = "Machine: rename a file"
    summary: ClassVar[str] = "Renames a file, and gives it its name back."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "file-rename"

    source: Annotated[
        Said,
        Wire("@.source-file"),
        Field(title="File", description="Its path now.", examples=["/srv/a"]),
    ]
    destination: Annotated[
        Said,
        Wire("@.dest-file"),
        Field(title="New path", description="Its path meanwhile.", examples=["/srv/b"]),
    ]

    def sentence(self) -> str:
        """Say what it does: “renames /srv/a to /srv/b on one machine of …”."""
        return f"renames {self.source} to {self.destination} on {self.whom()}"


class MachineFileAppend(_FileFault):
    """Adds to a file."""

    kind: ClassVar[str] = "chaosmesh.machine_file_append"
    title: ClassVar[str] = "Machine: append to a file"
    summary: ClassVar[str] = "Adds text to the end of a file, and takes it away again."
    action: ClassVar[str] = "file-append"

    text: Annotated[
        str,
        Wire("@.data"),
        Field(min_length=1, title="Text", description="What is added.", examples=["garbage"]),
    ]
    count: Annotated[
        int,
        Wire("@.count"),
        Field(ge=1, le=INT32, title="Times", description="How often it is added.", examples=[1]),
    ] = 1

    def sentence(self) -> str:
        """Say what it does: “appends to /srv/a on one machine of …”."""
        return f"appends {self.count} × “{self.text[:40]}” to {self.file} on {self.whom()}"


class MachineFileReplace(_FileFault):
    """Changes text in a file."""

    kind: ClassVar[str] = "chaosmesh.machine_file_replace"
    title: ClassVar[str] = "Machine: replace in a file"
    summary: ClassVar[str] = "Replaces text in a file, and puts the old text back."
    action: ClassVar[str] = "file-replace"

    old: Annotated[
        str,
        Wire("@.origin-string"),
        Field(min_length=1, title="Text", description="What is there.", examples=["port=80"]),
    ]
    new: Annotated[
        str,
        Wire("@.dest-string"),
        Field(min_length=1, title="New text", description="In its place.", examples=["port=81"]),
    ]
    line: Annotated[
        int | None,
        Wire("@.line"),
        Field(ge=1, le=INT32, title="Line", description="Only this one.", examples=[3]),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “replaces “port=80” in /srv/a on one machine of …”."""
        return f"replaces “{self.old[:40]}” in {self.file} on {self.whom()}"


FAULTS = (
    MachineFileCreate,
    MachineFileModify,
    MachineFileDelete,
    MachineFileRename,
    MachineFileAppend,
    MachineFileReplace,
)
