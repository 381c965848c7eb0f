"""Values of faults in Java programs, in pods and on machines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo

from drivers.chaosmesh.values import Milliseconds, Said, refuse

ClassName = Annotated[
    Said,
    Field(title="Class", description="With its package, or without.", examples=["org.shop.Orders"]),
]
MethodName = Annotated[
    Said, Field(title="Method", description="Its name in that class.", examples=["place"])
]
JavaLatency = Annotated[
    Milliseconds,
    Field(title="Delay", description="Whole milliseconds, 1 ms to 1 h.", examples=["90ms"]),
]
JavaException = Annotated[
    Said,
    Field(
        title="Exception",
        description="Java that makes it.",
        examples=['java.io.IOException("out of order")'],
    ),
]
ReturnValue = Annotated[
    Said, Field(title="Value", description="As Java writes it.", examples=['"none"', "0"])
]
CpuCount = Annotated[
    int | None,
    Field(ge=1, le=8192, title="Processors", description="How many are kept busy.", examples=[1]),
]
MemoryType = Annotated[
    Literal["stack", "heap"] | None,
    Field(title="Memory", description="Which memory is filled, instead of processors."),
]
RuleText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=20_000,
        title="Rule",
        description="A whole rule of Byteman. Nothing here checks what it does.",
        examples=[
            "RULE other value\nCLASS Main\nMETHOD get\nAT ENTRY\nIF true\nDO return 9\nENDRULE"
        ],
    ),
]
Connector = Annotated[
    Literal["5", "8"],
    Field(title="Connector", description="Major version of MySQL Connector/J."),
]
SqlType = Annotated[
    Literal["select", "insert", "update", "delete", "replace"] | None,
    Field(title="Statement", description="Only these. Empty: all."),
]
Database = Annotated[
    Said | None, Field(title="Database", description="Only this one.", examples=["shop"])
]
Table = Annotated[
    Said | None, Field(title="Table", description="Only this one.", examples=["orders"])
]


def one_stress(value: Any, info: ValidationInfo) -> Any:
    """Refuse none or both of processors and memory."""
    if (value is None) == (info.data.get("cpu_count") is None):
        raise refuse("stress", "give either processors or memory, and not both")
    return value


def one_sql(value: Any, info: ValidationInfo) -> Any:
    """Refuse none or both of an exception and a delay: one of two would be ignored."""
    if (value is None) == (info.data.get("exception") is None):
        raise refuse("mysql", "give either an exception or a delay, and not both")
    return value


Message = Annotated[
    Said | None,
    Field(
        title="Exception",
        description="Message of the exception that statements end with.",
        examples=["out of order"],
    ),
]


def sql_words(kind: str | None, database: str | None, table: str | None) -> str:
    """Return the statements in words: “select statements of shop.orders”."""
    where = ".".join(filter(None, (database, table)))
    return f"{kind or 'all'} statements{f' of {where}' if where else ''}"
