"""Faults of Java programs on machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from drivers.chaosmesh.jvm_parts import (
    ClassName,
    Connector,
    CpuCount,
    Database,
    JavaException,
    JavaLatency,
    MemoryType,
    Message,
    MethodName,
    ReturnValue,
    RuleText,
    SqlType,
    Table,
    one_sql,
    one_stress,
    sql_words,
)
from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.values import INT32, Port, rare
from drivers.chaosmesh.wire import MILLISECONDS, Wire
from drivers.protocol import Undo


class _MachineJvm(MachineFault):
    """A fault inside one Java program."""

    pid: Annotated[
        int,
        Wire("@.pid"),
        Field(ge=1, le=INT32, title="Process", description="Its number.", examples=[1234]),
    ]
    port: Annotated[
        Port,
        Wire("@.port"),
        Field(
            title="Agent's port",
            description="Where the agent listens; a free one.",
            examples=[9288],
            json_schema_extra=rare(),
        ),
    ] = 9288

    def program(self) -> str:
        """Return the program in words."""
        return f"Java process {self.pid} on {self.whom()}"


class _MachineMethod(_MachineJvm):
    """A fault of one method."""

    class_name: Annotated[ClassName, Wire("@.class")]
    method: Annotated[MethodName, Wire("@.method")]

    def place(self) -> str:
        """Return the method in words."""
        return f"{self.class_name}.{self.method} in {self.program()}"


class MachineJvmException(_MachineMethod):
    """Methods that throw."""

    kind: ClassVar[str] = "chaosmesh.machine_jvm_exception"
    title: ClassVar[str] = "Machine, Java: exception"
    summary: ClassVar[str] = "Lets a method of a Java program throw an exception."
    family: ClassVar[str] = "abort"
    action: ClassVar[str] = "jvm-exception"

    exception: Annotated[JavaException, Wire("@.exception")]

    def sentence(self) -> str:
        """Say what it does: “lets Orders.place in … throw …”."""
        return f"lets {self.place()} throw {self.exception}"


class MachineJvmLatency(_MachineMethod):
    """Slow methods."""

    kind: ClassVar[str] = "chaosmesh.machine_jvm_latency"
    title: ClassVar[str] = "Machine, Java: slow method"
    summary: ClassVar[str] = "Holds a method of a Java program back."
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "jvm-latency"

    latency: Annotated[JavaLatency, Wire("@.latency", MILLISECONDS)]

    def sentence(self) -> str:
        """Say what it does: “delays Orders.place in … by 90ms”."""
        return f"delays {self.place()} by {self.latency}"


class MachineJvmReturn(_MachineMethod):
    """Methods that return something else."""

    kind: ClassVar[str] = "chaosmesh.machine_jvm_return"
    title: ClassVar[str] = "Machine, Java: other return value"
    summary: ClassVar[str] = "Lets a method of a Java program return another value."
    family: ClassVar[str] = "alter"
    action: ClassVar[str] = "jvm-return"

    returns: Annotated[ReturnValue, Wire("@.value")]

    def sentence(self) -> str:
        """Say what it does: “lets Orders.place in … return 0”."""
        return f"lets {self.place()} return {self.returns}"


class MachineJvmGc(_MachineJvm):
    """A collection of garbage."""

    kind: ClassVar[str] = "chaosmesh.machine_jvm_gc"
    title: ClassVar[str] = "Machine, Java: garbage collection"
    summary: ClassVar[str] = "Lets a JVM collect its garbage, once, when the fault begins."
    family: ClassVar[str] = "stress"
    undo: ClassVar[Undo] = "self_heals"
    action: ClassVar[str] = "jvm-gc"

    def sentence(self) -> str:
        """Say what it does: “lets Java process 1234 on … collect its garbage”."""
        return f"lets {self.program()} collect its garbage"


class MachineJvmStress(_MachineJvm):
    """Java programs that use processors or memory up."""

    example: ClassVar[Mapping[str, Any]] = {"cpu_count": 1}
    kind: ClassVar[str] = "chaosmesh.machine_jvm_stress"
    title: ClassVar[str] = "Machine, Java: stress"
    summary: ClassVar[str] = "Keeps processors busy inside a JVM, or fills its memory."
    family: ClassVar[str] = "stress"
    action: ClassVar[str] = "jvm-stress"

    cpu_count: Annotated[CpuCount, Wire("@.cpu-count")] = None
    memory_type: Annotated[MemoryType, Wire("@.mem-type")] = None

    _one = field_validator("memory_type")(one_stress)

    def sentence(self) -> str:
        """Say what it does: “keeps 1 processor busy in Java process 1234 on …”."""
        if self.cpu_count:
            many = "s" if self.cpu_count > 1 else ""
            return f"keeps {self.cpu_count} processor{many} busy in {self.program()}"
        return f"fills the {self.memory_type} of {self.program()}"


class MachineJvmRule(_MachineJvm):
    """Whatever Byteman can do."""

    kind: ClassVar[str] = "chaosmesh.machine_jvm_rule_data"
    title: ClassVar[str] = "Machine, Java: Byteman rule"
    summary: ClassVar[str] = "Puts a rule of Byteman of your own into a JVM."
    family: ClassVar[str] = "alter"
    action: ClassVar[str] = "jvm-rule-data"

    rule_data: Annotated[RuleText, Wire("@.rule-data")]

    def sentence(self) -> str:
        """Say what it does: “puts the Byteman rule “RULE …” into …”."""
        first = self.rule_data.strip().split("\n")[0][:60]
        return f"puts the Byteman rule “{first}” into {self.program()}"


class MachineJvmMysql(_MachineJvm):
    """Statements to MySQL that are slow or fail."""

    example: ClassVar[Mapping[str, Any]] = {"latency": "90ms"}
    kind: ClassVar[str] = "chaosmesh.machine_jvm_mysql"
    title: ClassVar[str] = "Machine, Java: MySQL"
    summary: ClassVar[str] = "Lets statements of a Java program to MySQL wait or fail."
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "jvm-mysql"

    connector: Annotated[Connector, Wire("@.mysqlConnectorVersion")]
    database: Annotated[Database, Wire("@.database")] = None
    table: Annotated[Table, Wire("@.table")] = None
    sql_type: Annotated[SqlType, Wire("@.sqlType")] = None
    exception: Annotated[Message, Wire("@.exception")] = None
    latency: Annotated[JavaLatency | None, Wire("@.latency", MILLISECONDS)] = None

    _one = field_validator("latency")(one_sql)

    def sentence(self) -> str:
        """Say what it does: “delays all statements to MySQL from … by 90ms”."""
        which = sql_words(self.sql_type, self.database, self.table)
        if self.latency:
            return f"delays {which} to MySQL from {self.program()} by {self.latency}"
        return f"lets {which} to MySQL from {self.program()} fail with “{self.exception}”"


FAULTS = (
    MachineJvmException,
    MachineJvmGc,
    MachineJvmLatency,
    MachineJvmReturn,
    MachineJvmStress,
    MachineJvmRule,
    MachineJvmMysql,
)
