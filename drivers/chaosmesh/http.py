"""HTTPChaos: requests to pods, or their answers, that are cut off, held back or changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from drivers.chaosmesh.common import DAEMON, PodFault
from drivers.chaosmesh.http_parts import Headers, Patch, Replacement, Tls, Verb
from drivers.chaosmesh.values import Latency, Maybe, Port, rare, refuse
from drivers.chaosmesh.wire import MAP, SPAN, Wire


class HttpFault(PodFault):
    """A fault of HTTP on one port of pods."""

    needs: ClassVar[str] = (
        DAEMON.format("HTTPChaos") + " No pod on its host's own network; new connections only."
    )
    metrics: ClassVar[str] = "Latency, status codes and broken connections of those who call."
    resource: ClassVar[str] = "HTTPChaos"

    target: Annotated[
        Literal["Request", "Response"],
        Wire("target"),
        Field(
            title="What is hit",
            description="Requests on their way in, or the answers to them.",
            json_schema_extra={"enum_labels": {"Request": "requests", "Response": "answers"}},
        ),
    ] = "Request"
    port: Annotated[
        Port,
        Wire("port"),
        Field(
            title="Port",
            description="On which the pods listen.",
            examples=[8080],
            json_schema_extra={"suggest": "ports"},
        ),
    ]
    path: Annotated[
        Maybe,
        Wire("path"),
        Field(
            title="Path",
            description="Only these, with * for anything. Empty: all.",
            examples=["/api/*"],
        ),
    ] = None
    method: Annotated[
        Verb | None,
        Wire("method"),
        Field(title="Method", description="Only these. Empty: all."),
    ] = None
    code: Annotated[
        int | None,
        Wire("code"),
        Field(
            ge=100,
            le=599,
            title="Status",
            description="Only answers with this status.",
            examples=[200],
            json_schema_extra={"rare": True, "shown_when": {"target": ["Response"]}},
        ),
    ] = None
    request_headers: Annotated[
        Headers,
        Wire("request_headers", MAP),
        Field(
            title="Request headers",
            description="Only requests with these, one a line: name=value.",
            examples=[{"x-user": "test"}],
            json_schema_extra=rare(),
        ),
    ] = {}
    response_headers: Annotated[
        Headers,
        Wire("response_headers", MAP),
        Field(
            title="Response headers",
            description="Only answers with these, one a line: name=value.",
            examples=[{"server": "nginx"}],
            json_schema_extra={"rare": True, "shown_when": {"target": ["Response"]}},
        ),
    ] = {}
    tls: Annotated[
        Tls | None,
        Wire("tls"),
        Field(
            title="TLS",
            description="For encrypted traffic. The last one set counts for the whole pod.",
            json_schema_extra=rare(),
        ),
    ] = None

    @field_validator("code", "response_headers")
    @classmethod
    def _of_answers(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("target") == "Request":
            raise refuse("http", "is only of answers, and requests are hit")
        return value

    def requests(self) -> str:
        """Return what is hit in words: “requests to port 8080 of one pod of app=web in shop”."""
        what = "requests to" if self.target == "Request" else "answers from"
        method = f"{self.method} " if self.method else ""
        path = f" with path {self.path}" if self.path else ""
        return f"{method}{what} port {self.port} of {self.whom()}{path}"


def _placed(value: Any, info: ValidationInfo) -> Any:
    target = str(info.data.get("target"))
    wrong = value.misplaced(target) if value is not None else []
    if wrong:
        told = f"{target}s have no {', '.join(wrong)} to change"
        raise refuse("http", told)
    return value


Replaced = Annotated[
    Replacement,
    Wire("replace"),
    Field(
        title="Instead",
        description="What stands there instead.",
        json_schema_extra={"titled": True},
    ),
]
Patched = Annotated[
    Patch,
    Wire("patch"),
    Field(
        title="Change",
        description="What is added or merged.",
        json_schema_extra={"titled": True},
    ),
]
Held = Annotated[
    Latency,
    Wire("delay", SPAN),
    Field(title="Delay", description="How long each is held back: 1us to 1h.", examples=["90ms"]),
]


class HttpAbort(HttpFault):
    """Cuts connections off."""

    kind: ClassVar[str] = "chaosmesh.http_abort"
    title: ClassVar[str] = "HTTP abort"
    summary: ClassVar[str] = "Cuts the connection off when a request comes, or before its answer."
    family: ClassVar[str] = "abort"
    constants: ClassVar[Mapping[str, Any]] = {"abort": True}

    def sentence(self) -> str:
        """Say what it does: “cuts off requests to port 80 of one pod of app=web in shop”."""
        return f"cuts off {self.requests()}"


class HttpDelay(HttpFault):
    """Holds requests or answers back."""

    kind: ClassVar[str] = "chaosmesh.http_delay"
    title: ClassVar[str] = "HTTP delay"
    summary: ClassVar[str] = "Holds requests to pods, or their answers, back for a time."
    family: ClassVar[str] = "delay"

    delay: Held

    def sentence(self) -> str:
        """Say what it does: “delays requests to port 80 of … by 90ms”."""
        return f"delays {self.requests()} by {self.delay}"


class HttpReplace(HttpFault):
    """Puts something else in the place of parts of requests or answers."""

    kind: ClassVar[str] = "chaosmesh.http_replace"
    title: ClassVar[str] = "HTTP replace"
    summary: ClassVar[str] = "Replaces path, method, status, headers or body of HTTP messages."
    family: ClassVar[str] = "alter"

    replace: Replaced

    _fits = field_validator("replace")(_placed)

    def sentence(self) -> str:
        """Say what it does: “replaces code, body of answers from …”."""
        given = [name for name in Replacement.model_fields if getattr(self.replace, name)]
        return f"replaces {', '.join(given)} of {self.requests()}"


class HttpPatch(HttpFault):
    """Adds to requests or answers."""

    kind: ClassVar[str] = "chaosmesh.http_patch"
    title: ClassVar[str] = "HTTP patch"
    summary: ClassVar[str] = "Adds headers or a query to HTTP messages, or merges into their body."
    family: ClassVar[str] = "alter"

    patch: Patched

    _fits = field_validator("patch")(_placed)

    def sentence(self) -> str:
        """Say what it does: “changes headers of answers from …”."""
        given = [name for name in Patch.model_fields if getattr(self.patch, name)]
        return f"changes {', '.join(given)} of {self.requests()}"


class HttpSeveral(HttpFault):
    """Several of them, on the same messages."""

    example: ClassVar[Mapping[str, Any]] = {"abort": True, "delay": "90ms"}
    kind: ClassVar[str] = "chaosmesh.http_several"
    title: ClassVar[str] = "HTTP: several at once"
    summary: ClassVar[str] = (
        "Delays, replaces, patches or cuts off the same messages, in one fault."
    )
    family: ClassVar[str] = "alter"

    abort: Annotated[
        Literal[True] | None,
        Wire("abort"),
        Field(title="Cut off", description="Cuts the connection off as well."),
    ] = None
    delay: Annotated[
        Latency | None,
        Wire("delay", SPAN),
        Field(title="Delay", description="How long each is held back.", examples=["90ms"]),
    ] = None
    replace: Annotated[
        Replacement | None,
        Wire("replace"),
        Field(title="Instead", description="What stands there instead."),
    ] = None
    patch: Annotated[
        Patch | None,
        Wire("patch"),
        Field(title="Change", description="What is added or merged."),
    ] = None

    _fits = field_validator("replace", "patch")(_placed)

    @model_validator(mode="after")
    def _are_several(self) -> Self:
        if len(self._given()) < 2:
            told = "needs two of abort, delay, replace and patch: one alone is a fault of its own"
            raise refuse("several", told)
        return self

    def _given(self) -> list[str]:
        return [name for name in ("abort", "delay", "replace", "patch") if getattr(self, name)]

    def sentence(self) -> str:
        """Say what it does, each part of it."""
        return f"does {', '.join(self._given())} to {self.requests()}"


FAULTS = (HttpAbort, HttpDelay, HttpReplace, HttpPatch, HttpSeveral)
