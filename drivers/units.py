"""Durations, percentages, rates and sizes: typed, as people write them, rendered back the same way.

Each unit is a ``float`` in its base unit (seconds, percent, events per second, bytes), so that
arithmetic stays plain; pydantic reads it from text or numbers and writes it back as text.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"


class UnitError(ValueError):
    """A text that is no value of the unit; the message says what would be right."""


class Unit(float):
    """A number with a unit. Subclasses say how it is read and written."""

    base: ClassVar[str]
    example: ClassVar[str]

    def __new__(cls, value: object) -> Self:
        """Build from a number in the base unit or from text. Raises UnitError."""
        number = cls._number(value)
        if not math.isfinite(number):
            raise UnitError(f"{value!r} is not a finite number")
        return super().__new__(cls, number)

    @classmethod
    def _number(cls, value: object) -> float:
        if isinstance(value, bool):
            raise UnitError(f"{value!r} is not {cls._article()}; write for example {cls.example}")
        if isinstance(value, int | float):
            try:
                return float(value)
            except OverflowError as error:
                raise UnitError("the number is too large") from error
        if isinstance(value, str):
            return cls._read(value.strip())
        raise UnitError(f"{value!r} is not {cls._article()}; write for example {cls.example}")

    @classmethod
    def _article(cls) -> str:
        return f"a {cls.__name__.lower()}"

    @classmethod
    def _refuse(cls, text: str) -> UnitError:
        return UnitError(f"“{text}” is not {cls._article()}; write for example {cls.example}")

    @classmethod
    def _read(cls, text: str) -> float:
        raise cls._refuse(text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def read(value: object) -> Unit:
            try:
                return cls(value)
            except UnitError as error:
                raise PydanticCustomError("unit", "{reason}", {"reason": str(error)}) from error

        return core_schema.no_info_plain_validator_function(
            read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                str, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": ["string", "number"],
            "format": cls.__name__.lower(),
            "examples": [cls.example],
        }


def _trim(number: float) -> str:
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    return text if float(text) == number else repr(float(number))


class Duration(Unit):
    """Seconds. Reads ``90ms``, ``1.5s``, ``3m``, ``1h30m``, or a bare number of seconds."""

    base = "s"
    example = "90ms, 30s or 1h30m"
    _FACTORS: ClassVar[dict[str, float]] = {
        "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
    }  # fmt: skip
    _PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|µs|ms|s|m|h|d)")
    _WHOLE = re.compile(rf"(-?)((?:{_PART.pattern}\s*)+)")

    @classmethod
    def _read(cls, text: str) -> float:
        if re.fullmatch(_NUMBER, text):
            return float(text)
        whole = cls._WHOLE.fullmatch(text)
        if whole is None:
            raise cls._refuse(text)
        total = math.fsum(
            float(part[1]) * cls._FACTORS[part[2]] for part in cls._PART.finditer(whole[2])
        )
        return -total if whole[1] else total

    def __str__(self) -> str:
        if self < 0:
            return f"-{Duration(-float(self))}"
        if not self:
            return "0s"
        if self < 1:
            return f"{_trim(float(self) * 1e3)}ms"
        whole, fraction = divmod(float(self), 1)
        if fraction:
            if self < 60:
                return f"{_trim(float(self))}s"
            minutes, seconds = divmod(float(self), 60)
            return f"{Duration(minutes * 60)}{_trim(round(seconds, 6))}s"
        text, left = "", int(whole)
        for name, factor in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
            count, left = divmod(left, factor)
            text += f"{count}{name}" if count else ""
        return text


class Percentage(Unit):
    """Percent. Reads ``50%``, ``0.5 %``, or a bare number of percent."""

    base = "%"
    example = "50%"

    @classmethod
    def _read(cls, text: str) -> float:
        match = re.fullmatch(rf"({_NUMBER})\s*%?", text)
        if match is None:
            raise cls._refuse(text)
        return float(match[1])

    @property
    def ratio(self) -> float:
        """Return the share of one: 0.5 for 50 %."""
        return float(self) / 100

    def __str__(self) -> str:
        return f"{_trim(float(self))}%"


class Rate(Unit):
    """Events per second. Reads ``25/s``, ``90/m``, ``1000/h``, or a bare number per second."""

    base = "/s"
    example = "25/s"
    _PER: ClassVar[dict[str, float]] = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

    @classmethod
    def _read(cls, text: str) -> float:
        match = re.fullmatch(rf"({_NUMBER})\s*(?:(?:/|per)\s*(s|m|min|h))?", text)
        if match is None:
            raise cls._refuse(text)
        return float(match[1]) / cls._PER[match[2] or "s"]

    def __str__(self) -> str:
        return f"{_trim(float(self))}/s"


class Size(Unit):
    """Bytes. Reads ``64KiB``, ``1.5MB``, ``10b``, or a bare number of bytes."""

    base = "B"
    example = "64KiB"
    _FACTORS: ClassVar[dict[str, float]] = {
        "": 1, "b": 1,
        "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
        "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40,
        "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
        "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
    }  # fmt: skip

    @classmethod
    def _read(cls, text: str) -> float:
        match = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text)
        if match is None or match[2].lower() not in cls._FACTORS:
            raise cls._refuse(text)
        return float(match[1]) * cls._FACTORS[match[2].lower()]

    def __str__(self) -> str:
        for name, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if abs(self) >= factor and float(self) % (factor / 1024) == 0:
                return f"{_trim(float(self) / factor)}{name}"
        return f"{_trim(float(self))}B"
