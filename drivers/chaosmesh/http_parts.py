"""What HTTP faults change, and where they find certificates."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from drivers.chaosmesh.values import HeaderLines, Maybe, ObjectName, Said, refuse
from drivers.chaosmesh.wire import BODY, MAP, NAME_VALUES, Part, Wire

Verb = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"]
_Body = Annotated[str, Field(max_length=200_000)]


def _json(value: str) -> str:
    try:
        json.loads(value)
    except (ValueError, RecursionError) as error:
        raise refuse("json", "is no JSON; write for example {“ok”: false}") from error
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not re.fullmatch(r"[^:\s]+", name):
            raise refuse("header", f"“{name}” cannot be the name of a header")
    return value


Headers = Annotated[dict[str, str], AfterValidator(_headers)]


class Tls(Part):
    """Where the proxy finds the certificate for encrypted traffic."""

    secret: Annotated[
        ObjectName,
        Wire("secretName"),
        Field(title="Secret", description="Its name.", examples=["web-tls"]),
    ]
    namespace: Annotated[
        ObjectName,
        Wire("secretNamespace"),
        Field(title="Namespace", description="Of the secret.", examples=["shop"]),
    ]
    certificate: Annotated[
        Said,
        Wire("certName"),
        Field(title="Certificate", description="Its key in the secret.", examples=["tls.crt"]),
    ]
    key: Annotated[
        Said,
        Wire("keyName"),
        Field(title="Private key", description="Its key in the secret.", examples=["tls.key"]),
    ]
    authority: Annotated[
        Maybe,
        Wire("caName"),
        Field(title="Authority", description="Key of the CA's certificate.", examples=["ca.crt"]),
    ] = None


class Replacement(Part):
    """What stands there instead."""

    example: ClassVar[Mapping[str, Any]] = {"headers": {"x-a": "b"}}
    path: Annotated[
        Maybe,
        Wire("path"),
        Field(title="Path", description="Of requests only.", examples=["/moved"]),
    ] = None
    method: Annotated[
        Verb | None, Wire("method"), Field(title="Method", description="Of requests only.")
    ] = None
    queries: Annotated[
        dict[str, str],
        Wire("queries", MAP),
        Field(title="Query", description="Of requests only: name=value.", examples=[{"q": "x"}]),
    ] = {}
    code: Annotated[
        int | None,
        Wire("code"),
        Field(ge=100, le=599, title="Status", description="Of answers only.", examples=[503]),
    ] = None
    headers: Annotated[
        Headers,
        Wire("headers", MAP),
        Field(title="Headers", description="One a line: name=value.", examples=[{"x-a": "b"}]),
    ] = {}
    body: Annotated[
        _Body | None,
        Wire("body", BODY),
        Field(title="Body", description="The whole of it, as text.", examples=["out of order"]),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise refuse("replace", "changes nothing: give at least one of its fields")
        return self

    def misplaced(self, target: str) -> list[str]:
        """Return the fields that have no meaning for the target."""
        others = ("code",) if target == "Request" else ("path", "method", "queries")
        return [name for name in others if getattr(self, name)]


class Patch(Part):
    """What is added or merged."""

    example: ClassVar[Mapping[str, Any]] = {"headers": ["a: b"]}
    headers: Annotated[
        HeaderLines,
        Wire("headers", NAME_VALUES),
        Field(title="Headers", description="To add, one a line: name: value.", examples=[["a: b"]]),
    ] = ()
    queries: Annotated[
        HeaderLines,
        Wire("queries", NAME_VALUES),
        Field(
            title="Query",
            description="To add, of requests only, one a line: name: value.",
            examples=[["q: x"]],
        ),
    ] = ()
    body: Annotated[
        Annotated[_Body, AfterValidator(_json)] | None,
        Wire("body.value"),
        Field(
            title="Body",
            description="JSON that is merged into the body (RFC 7396).",
            examples=['{"ok": false}'],
        ),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.headers or self.queries or self.body):
            raise refuse("patch", "changes nothing: give at least one of its fields")
        return self

    def sent(self, made: dict[str, Any]) -> dict[str, Any]:
        """Return the patch; its body with the only type that there is."""
        if "body" in made:
            made["body"] = {"type": "JSON", **made["body"]}
        return made

    def misplaced(self, target: str) -> list[str]:
        """Return the fields that have no meaning for the target."""
        return ["queries"] if target == "Response" and self.queries else []
