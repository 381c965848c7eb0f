"""Parameters of a document: typed values that ``${name}`` stands for, frozen in each run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from drivers.units import Duration, Percentage, Rate, Size, UnitError
from experiments.domain import nearest, secrets
from experiments.domain.errors import Path, SpecError, from_pydantic, show

Kind = Literal["duration", "percentage", "rate", "size", "number", "integer", "text", "boolean"]
_UNITS = {"duration": Duration, "percentage": Percentage, "rate": Rate, "size": Size}
SAMPLES: Mapping[Kind, Any] = {
    "duration": "1s",
    "percentage": "1%",
    "rate": "1/s",
    "size": "1KiB",
    "number": 1.0,
    "integer": 1,
    "text": "text",
    "boolean": True,
}
"""What stands for a parameter while it has no value: a document is checked with it, never run."""
_NOUNS = {
    "number": "a number",
    "integer": "a whole number",
    "text": "a text",
    "boolean": "true or false",
}
REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_]*)\}")
_SCALARS = (str, int, float, bool)


class Parameter(BaseModel):
    """One parameter: its type, its default and what it is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Kind
    default: Any = None
    description: str = ""

    @field_validator("default")
    @classmethod
    def _fits(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and "type" in info.data:
            coerce(info.data["type"], value)
        return value


def coerce(kind: Kind, value: Any) -> Any:
    """Return the value as a document may hold it (units as text). Raises ValueError."""
    if kind in _UNITS:
        return str(_UNITS[kind](value))
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "text" and isinstance(value, _SCALARS):
        return str(value)
    if kind in ("number", "integer") and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if kind == "number" and math.isfinite(number):
            return number
        if kind == "integer" and number.is_integer():
            return int(number)
    raise ValueError(f"{show(value)} is not {_NOUNS[kind]}")


def _hint(path: Path) -> str:
    return nearest.hint(str(path[-1]), nearest.fields(Parameter, path[:-1]))


def declared(raw: Any) -> tuple[dict[str, Parameter], list[SpecError]]:
    """Read the ``parameters`` of a raw document: those that are well-formed, and the errors."""
    found: dict[str, Parameter] = {}
    errors: list[SpecError] = []
    if not isinstance(raw, Mapping):
        return found, errors
    for name, value in raw.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            errors.append(
                SpecError(
                    ("parameters", str(name)),
                    f"“{name}” is no name of a parameter: small letters, digits and _",
                )
            )
            continue
        try:
            found[name] = Parameter.model_validate(value)
        except ValidationError as error:
            errors += from_pydantic(error, ("parameters", name), _hint)
    return found, errors


def settle(
    parameters: Mapping[str, Parameter], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[SpecError]]:
    """Return each parameter's value (given, else default) and what is wrong with the given ones."""
    values: dict[str, Any] = {}
    errors = [
        SpecError(("parameters", name), "is not a parameter of this experiment")
        for name in given
        if name not in parameters
    ]
    for name, parameter in parameters.items():
        value = given.get(name, parameter.default)
        if value is None:
            errors.append(SpecError(("parameters", name), "needs a value: it has no default"))
            continue
        if name in given and secrets.is_meant(value):
            message = "must not be a secret: only a header of an HTTP probe may name one"
            errors.append(SpecError(("parameters", name), message))
            continue
        try:
            values[name] = coerce(parameter.type, value)
        except (UnitError, ValueError) as error:
            errors.append(SpecError(("parameters", name), str(error)))
    return values, errors


def substitute(
    raw: Any, values: Mapping[str, Any], known: frozenset[str]
) -> tuple[Any, list[SpecError]]:
    """Replace ``${name}`` everywhere but under ``parameters``; report names that nobody declared.

    A text that is one reference takes the value with its type; within a longer text the value is
    written in. Names in ``known`` without a value stay as they are: their error is told elsewhere.
    """
    errors: list[SpecError] = []

    def walk(node: Any, path: Path) -> Any:
        if isinstance(node, Mapping):
            return {
                key: value if path == () and key == "parameters" else walk(value, (*path, key))
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [walk(value, (*path, index)) for index, value in enumerate(node)]
        if not isinstance(node, str) or "${" not in node:
            return node
        for name in REFERENCE.findall(node):
            if name not in known:
                errors.append(SpecError(path, f"${{{name}}} is not among the parameters"))
        whole = REFERENCE.fullmatch(node)
        if whole and whole[1] in values:
            return values[whole[1]]
        return REFERENCE.sub(lambda match: str(values.get(match[1], match[0])), node)

    return walk(raw, ()), errors
