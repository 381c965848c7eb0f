"""JVMChaos: methods of Java programs in pods that are slow, fail, or answer something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from drivers.chaosmesh.common import DAEMON, ContainerFault
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
from drivers.chaosmesh.values import Maybe, Port, rare
from drivers.chaosmesh.wire import MILLISECONDS, Wire
from drivers.protocol import Undo


class JvmFault(ContainerFault):
    """A fault inside a Java program."""

    needs: ClassVar[str] = DAEMON.format("JVMChaos") + " A Java program whose JVM takes agents."
    metrics: ClassVar[str] = "Latency and errors of the program; jvm_* of its own metrics."
    resource: ClassVar[str] = "JVMChaos"

    port: Annotated[
        Port,
        Wire("port"),
        Field(
            title="Agent's port",
            description="Where the agent listens inside the pod; a free one.",
            examples=[9277],
            json_schema_extra=rare(),
        ),
    ] = 9277
    rule: Annotated[
        Maybe,
        Wire("name"),
        Field(
            title="Rule's name",
            description="Unique among the rules of the agent. Empty: the name of the fault.",
            examples=["slow-orders"],
            json_schema_extra=rare(),
        ),
    ] = None


class _MethodFault(JvmFault):
    """A fault of one method."""

    class_name: Annotated[ClassName, Wire("class")]
    method: Annotated[MethodName, Wire("method")]


class JvmLatency(_MethodFault):
    """Slow methods."""

    kind: ClassVar[str] = "chaosmesh.jvm_latency"
    title: ClassVar[str] = "Java: slow method"
    summary: ClassVar[str] = "Holds a method of a Java program back."
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "latency"

    latency: Annotated[JavaLatency, Wire("latency", MILLISECONDS)]

    def sentence(self) -> str:
        """Say what it does: “delays Orders.place in … by 90ms”."""
        return f"delays {self.class_name}.{self.method} in {self.whom()} by {self.latency}"


class JvmReturn(_MethodFault):
    """Methods that return something else."""

    kind: ClassVar[str] = "chaosmesh.jvm_return"
    title: ClassVar[str] = "Java: other return value"
    summary: ClassVar[str] = "Lets a method of a Java program return another value."
    family: ClassVar[str] = "alter"
    action: ClassVar[str] = "return"

    returns: Annotated[ReturnValue, Wire("returnValue")]

    def sentence(self) -> str:
        """Say what it does: “lets Orders.place in … return 0”."""
        return f"lets {self.class_name}.{self.method} in {self.whom()} return {self.returns}"


class JvmException(_MethodFault):
    """Methods that throw."""

    kind: ClassVar[str] = "chaosmesh.jvm_exception"
    title: ClassVar[str] = "Java: exception"
    summary: ClassVar[str] = "Lets a method of a Java program throw an exception."
    family: ClassVar[str] = "abort"
    action: ClassVar[str] = "exception"

    exception: Annotated[JavaException, Wire("exception")]

    def sentence(self) -> str:
        """Say what it does: “lets Orders.place in … throw java.io.IOException(…)”."""
        return f"lets {self.class_name}.{self.method} in {self.whom()} throw {self.exception}"


class JvmStress(JvmFault):
    """Java programs that use processors or memory up."""

    example: ClassVar[Mapping[str, Any]] = {"cpu_count": 1}
    kind: ClassVar[str] = "chaosmesh.jvm_stress"
    title: ClassVar[str] = "Java: stress"
    summary: ClassVar[str] = "Keeps processors busy inside a JVM, or fills its memory."
    family: ClassVar[str] = "stress"
    action: ClassVar[str] = "stress"

    cpu_count: Annotated[CpuCount, Wire("cpuCount")] = None
    memory_type: Annotated[MemoryType, Wire("memType")] = None

    _one = field_validator("memory_type")(one_stress)

    def sentence(self) -> str:
        """Say what it does: “keeps 1 processor busy in the JVM of …”."""
        if self.cpu_count:
            many = "s" if self.cpu_count > 1 else ""
            return f"keeps {self.cpu_count} processor{many} busy in the JVM of {self.whom()}"
        return f"fills the {self.memory_type} of the JVM of {self.whom()}"


class JvmGc(JvmFault):
    """A collection of garbage."""

    kind: ClassVar[str] = "chaosmesh.jvm_gc"
    title: ClassVar[str] = "Java: garbage collection"
    summary: ClassVar[str] = "Lets a JVM collect its garbage, once, when the fault begins."
    family: ClassVar[str] = "stress"
    undo: ClassVar[Undo] = "self_heals"
    action: ClassVar[str] = "gc"

    def sentence(self) -> str:
        """Say what it does: “lets the JVM of … collect its garbage”."""
        return f"lets the JVM of {self.whom()} collect its garbage"


class JvmRule(JvmFault):
    """Whatever Byteman can do."""

    kind: ClassVar[str] = "chaosmesh.jvm_rule_data"
    title: ClassVar[str] = "Java: Byteman rule"
    summary: ClassVar[str] = "Puts a rule of Byteman of your own into a JVM."
    family: ClassVar[str] = "alter"
    action: ClassVar[str] = "ruleData"

    rule_data: Annotated[RuleText, Wire("ruleData")]

    def sentence(self) -> str:
        """Say what it does: “puts the rule “RULE …” into the JVM of …”."""
        first = self.rule_data.strip().split("\n")[0][:60]
        return f"puts the Byteman rule “{first}” into the JVM of {self.whom()}"


class JvmMysql(JvmFault):
    """Statements to MySQL that are slow or fail."""

    example: ClassVar[Mapping[str, Any]] = {"latency": "90ms"}
    kind: ClassVar[str] = "chaosmesh.jvm_mysql"
    title: ClassVar[str] = "Java: MySQL"
    summary: ClassVar[str] = "Lets statements of a Java program to MySQL wait or fail."
    family: ClassVar[str] = "delay"
    action: ClassVar[str] = "mysql"

    connector: Annotated[Connector, Wire("mysqlConnectorVersion")]
    database: Annotated[Database, Wire("database")] = None
    table: Annotated[Table, Wire("table")] = None
    sql_type: Annotated[SqlType, Wire("sqlType")] = None
    exception: Annotated[Message, Wire("exception")] = None
    latency: Annotated[JavaLatency | None, Wire("latency", MILLISECONDS)] = None

    _one = field_validator("latency")(one_sql)

    def sentence(self) -> str:
        """Say what it does: “delays all statements of … to MySQL by 90ms”."""
        which = sql_words(self.sql_type, self.database, self.table)
        if self.latency:
            return f"delays {which} to MySQL from {self.whom()} by {self.latency}"
        return f"lets {which} to MySQL from {self.whom()} fail with “{self.exception}”"


FAULTS = (JvmLatency, JvmReturn, JvmException, JvmStress, JvmGc, JvmRule, JvmMysql)
