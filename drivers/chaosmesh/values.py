"""Types of values that several faults share: bounded, with the words of their bounds."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from drivers.chaosmesh.wire import CHAOSD_SIZE
from drivers.units import Duration, Percentage, Size

INT32: Final = 2**31 - 1
INT64: Final = 2**63 - 1
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LONGEST_NAME: Final = 253
_HOUR: Final = 3600


def refuse(kind: str, message: str) -> PydanticCustomError:
    """Return the error of a field, in our words."""
    return PydanticCustomError("chaosmesh_" + kind, "{reason}", {"reason": message})


def rare(**more: Any) -> dict[str, Any]:
    """Return what marks a field as rarely needed: forms show it behind “More”."""
    return {"rare": True, **more}


def shown_when(field: str, *values: str, **more: Any) -> dict[str, Any]:
    """Return what shows a field only while a field beside it has one of these values."""
    return {"shown_when": {field: list(values)}, **more}


def is_dns_label(text: str) -> bool:
    """Tell whether it can be the name of a namespace or a container."""
    return _DNS_LABEL.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    """Tell whether it can be the name of most objects of Kubernetes."""
    return len(text) <= _LONGEST_NAME and _DNS_NAME.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """Tell whether it can be the value of a label."""
    return text == "" or _LABEL_NAME.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Tell whether it can be the key of a label, ``app`` or ``app.kubernetes.io/name``."""
    prefix, slash, name = text.rpartition("/")
    return (is_dns_name(prefix) if slash else True) and _LABEL_NAME.fullmatch(name) is not None


def _namespace(value: str) -> str:
    if not is_dns_label(value):
        raise refuse("namespace", f"“{value}” cannot be the name of a namespace")
    return value


def _object_name(value: str) -> str:
    if not is_dns_name(value):
        raise refuse("name", f"“{value}” cannot be the name of an object in Kubernetes")
    return value


def _container(value: str) -> str:
    if not is_dns_label(value):
        raise refuse("container", f"“{value}” cannot be the name of a container")
    return value


def _said(value: str) -> str:
    if value != value.strip() or not value:
        raise refuse("text", "is missing" if not value.strip() else "has blanks at its ends")
    return value


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that says something twice."""
    twice = next((each for each in values if values.count(each) > 1), None)
    if twice is not None:
        raise refuse("twice", f"“{twice}” is there twice")
    return values


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not is_label_key(key):
            raise refuse("label", f"“{key}” cannot be the key of a label")
        if not is_label_value(text):
            told = f"“{text}” cannot be the value of a label, and selectors compare only such"
            raise refuse("label", told)
    return value


def _time(value: Duration) -> Duration:
    # The kernel's queue counts 32 bits of microseconds: 72 minutes would begin at 0 again.
    if not 0 < value <= _HOUR:
        raise refuse("time", f"{value} is outside 1us–1h; write for example 90ms")
    return _microseconds(value)


def _time_or_none(value: Duration) -> Duration:
    if not 0 <= value <= _HOUR:
        raise refuse("time", f"{value} is outside 0s–1h; write for example 10ms")
    return _microseconds(value)


def _microseconds(value: Duration) -> Duration:
    micros = float(value) * 1e6
    if abs(micros - round(micros)) > 1e-3:
        raise refuse("time", f"{value} is finer than a microsecond, which is as fine as it goes")
    return value


def _milliseconds(value: Duration) -> Duration:
    millis = float(value) * 1000
    if not 0 < value <= _HOUR or abs(millis - round(millis)) > 1e-6:
        raise refuse("time", f"{value} must be whole milliseconds, from 1ms to 1h")
    return value


def _share(value: Percentage) -> Percentage:
    if not 0 < value <= 100:
        raise refuse("percentage", f"{value} is outside 0–100 %, 0 excluded; write for example 50%")
    return _fine(value)


def _likeness(value: Percentage) -> Percentage:
    if not 0 <= value <= 100:
        raise refuse("percentage", f"{value} is outside 0–100 %; write for example 25%")
    return _fine(value)


def _fine(value: Percentage) -> Percentage:
    parts = float(value) * 1e4
    if abs(parts - round(parts)) > 1e-6:
        raise refuse("percentage", f"{value} is too fine; the finest is 0.0001%")
    return value


def _whole_share(value: Percentage) -> Percentage:
    # 0 is dropped on its way to the cluster and becomes 100 there.
    if not 1 <= value <= 100 or float(value) % 1:
        raise refuse("percentage", f"{value} must be a whole percentage from 1% to 100%")
    return value


def _chaosd_size(value: Size) -> Size:
    if value <= 0:
        raise refuse("size", f"{value} must be more than nothing; write for example 100MB")
    try:
        CHAOSD_SIZE.write(value)
    except ValueError as error:
        raise refuse("size", f"{value} must be a whole number of kB or KiB") from error
    return value


_RATE = re.compile(r"(?P<number>\d+)\s*(?P<unit>[kmgt]?(?:bit|bps))", re.IGNORECASE)
_PREFIX = {"": "", "k": "kilo", "m": "mega", "g": "giga", "t": "tera"}
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _bandwidth(value: str) -> str:
    found = _RATE.fullmatch(value.strip())
    if found is None:
        told = f"“{value}” is no rate; write for example 1mbit (bits) or 100kbps (bytes a second)"
        raise refuse("rate", told)
    if int(found["number"]) == 0:
        raise refuse("rate", f"“{value}” lets nothing through; a partition says so")
    prefix = found["unit"][:-3].lower()
    bits = (
        int(found["number"]) * _FACTORS[prefix] * (8 if found["unit"].lower().endswith("s") else 1)
    )
    if bits >= INT64:
        raise refuse("rate", f"“{value}” is more than can be counted")
    return value.strip()


def rate_words(rate: str) -> str:
    """Return a rate as nobody mistakes it: ``100kbps`` is 100 kilobytes per second."""
    found = _RATE.fullmatch(rate)
    if found is None:
        return rate
    prefix = _PREFIX[found["unit"][:-3].lower()]
    what = "bytes" if found["unit"].lower().endswith("s") else "bits"
    return f"{found['number']} {prefix}{what} per second"


def _no_blank(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


Said = Annotated[str, AfterValidator(_said), Field(max_length=2000)]
"""A text that is not empty and has no blanks at its ends."""
Maybe = Annotated[Said | None, BeforeValidator(_no_blank)]
Lines = tuple[Said, ...]
Namespace = Annotated[str, AfterValidator(_namespace)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
Container = Annotated[str, AfterValidator(_container)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Latency = Annotated[
    Duration, AfterValidator(_time), Field(json_schema_extra={"unit": "s", "maximum": _HOUR})
]
Jitter = Annotated[
    Duration,
    AfterValidator(_time_or_none),
    Field(json_schema_extra={"unit": "s", "minimum": 0, "maximum": _HOUR}),
]
Milliseconds = Annotated[
    Duration,
    AfterValidator(_milliseconds),
    Field(json_schema_extra={"unit": "s", "minimum": 0.001, "maximum": _HOUR}),
]
Share = Annotated[
    Percentage, AfterValidator(_share), Field(json_schema_extra={"unit": "%", "maximum": 100})
]
WholeShare = Annotated[
    Percentage,
    AfterValidator(_whole_share),
    Field(json_schema_extra={"unit": "%", "minimum": 1, "maximum": 100}),
]
Likeness = Annotated[
    Percentage,
    AfterValidator(_likeness),
    Field(json_schema_extra={"unit": "%", "minimum": 0, "maximum": 100}),
]
Bandwidth = Annotated[str, AfterValidator(_bandwidth)]
ChaosdSize = Annotated[Size, AfterValidator(_chaosd_size)]
Port = Annotated[int, Field(ge=1, le=65535)]
HeaderLines = tuple[Annotated[str, Field(pattern=r"^[^:\s][^:]*:.*$")], ...]
