"""How a parameter stands in the spec of a Chaos Mesh object, and back. Pure.

A field of a model carries a ``Wire``: the dotted path in the spec, and a codec. ``written`` makes
the spec of a model, ``taken`` the raw parameters that a spec means. Facts: Chaos Mesh 2.8.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from drivers.units import Duration, Percentage, Size

Path = tuple[str, ...]


class UnreadableError(ValueError):
    """A value of a spec that its field does not take; the message says what it should be."""


@dataclass(frozen=True, slots=True)
class Codec:
    """From a validated parameter to JSON, and from JSON to a raw parameter (UnreadableError)."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_GO = re.compile(rf"[-+]?(?:{_GO_PART.pattern})+")
_NANOSECONDS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9,
    "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip


def go_nanoseconds(text: str) -> int | None:
    """Return a Go duration (``-1h30m``) in nanoseconds; None where Go would refuse the text."""
    if text in ("0", "+0", "-0"):
        return 0
    if not _GO.fullmatch(text):
        return None
    total = sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in _GO_PART.findall(text))
    return int(-total if text.startswith("-") else total)


def simple_duration(seconds: float) -> str:
    """Return seconds as one whole number with one unit, as NetworkChaos asks: ``90ms``, ``90s``.

    Exact down to a nanosecond. Never minutes: ``90s`` is ``90s`` in every version.
    """
    left = round(Decimal(repr(float(seconds))) * 10**9)
    if not left:
        return "0ms"
    for unit in ("s", "ms", "us"):
        if left % _NANOSECONDS[unit] == 0:
            return f"{left // _NANOSECONDS[unit]}{unit}"
    return f"{left}ns"


def number_text(value: float) -> str:
    """Return a number in plain decimals, exactly: never ``1e-05``."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _span(value: Any) -> str:
    nanoseconds = go_nanoseconds(value) if isinstance(value, str) else None
    if nanoseconds is None:
        raise UnreadableError(f"“{value}” is no duration of Go; write for example 90ms")
    is_ours = re.fullmatch(r"-?[^+]*", value) and "ns" not in value and "μ" not in value
    return value if is_ours else str(Duration(nanoseconds / 1e9))


def _percent_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnreadableError(f"{value!r} is no percentage; write for example 25")
    try:
        return str(Percentage(float(value)))
    except ValueError as error:
        raise UnreadableError(f"“{value}” is no percentage; write for example 25") from error


def _count(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\+?\d{1,18}", value):
        return int(value)
    raise UnreadableError(f"{value!r} must be a whole number written as a text")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableError(f"{value!r} must be a whole number")
    return value


def _memory(value: Size | Percentage) -> str:
    # Chaos Mesh reads MiB and MB alike, as millions: only bytes say the same to everybody.
    return f"{value:.0f}%" if isinstance(value, Percentage) else f"{int(value)}B"


def _memory_read(value: Any) -> str:
    if not isinstance(value, str):
        raise UnreadableError(f"{value!r} is no size; write for example 256MB or 50%")
    return value


_CHAOSD = {"c": 1, "w": 2, "b": 512} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for base, ending in ((1024, ""), (1024, "iB"), (1000, "B"))
} | {"kB": 1000}  # fmt: skip


def _chaosd_size(value: Size) -> str:
    for unit in ("G", "M", "K", "GB", "MB", "kB"):
        if value % _CHAOSD[unit] == 0:
            return f"{int(value // _CHAOSD[unit])}{unit}"
    raise ValueError(f"{value} is no whole number of kB or KiB")


def _chaosd_size_read(value: Any) -> str:
    found = (
        re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", value) if isinstance(value, str) else None
    )
    if found is None or found[2] not in _CHAOSD:
        # A bare number is megabytes in one place of chaosd and bytes in another.
        raise UnreadableError(f"{value!r} needs a unit; write for example 100M")
    return str(Size(float(found[1]) * _CHAOSD[found[2]]))


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, TypeError, ValueError) as error:
        raise UnreadableError("is not the base64 of a UTF-8 text") from error


def _pairs(lines: tuple[str, ...]) -> list[list[str]]:
    return [[part.strip() for part in line.split(":", 1)] for line in lines]


def _pairs_read(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise UnreadableError("must be a list of [name, value]")
    found = []
    for each in value:
        if not isinstance(each, list) or [type(part) for part in each] != [str, str]:
            raise UnreadableError(f"{each!r} must be [name, value]")
        found.append(f"{each[0]}: {each[1]}")
    return found


def _pods(names: tuple[str, ...]) -> dict[str, list[str]]:
    by_namespace: dict[str, list[str]] = {}
    for name in names:
        namespace, _, pod = name.partition("/")
        by_namespace.setdefault(namespace, []).append(pod)
    return by_namespace


def _pods_read(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        raise UnreadableError("must be a mapping of namespaces to lists of names")
    found: list[str] = []
    for namespace, pods in value.items():
        if not isinstance(pods, list) or not pods:
            raise UnreadableError(f"“{namespace}” must have a list of names that is not empty")
        found += [f"{namespace}/{pod}" for pod in pods]
    return found


EXPRESSION = re.compile(
    r"(?P<key>[^\s!,()]+)\s+(?P<word>in|notin)\s*\(\s*(?P<values>[^()]*?)\s*\)"
    r"|(?P<not>!\s*)?(?P<bare>[^\s!,()]+)"
)
_WORDS = {"in": "In", "notin": "NotIn"}


def _expressions(lines: tuple[str, ...]) -> list[dict[str, Any]]:
    made = []
    for line in lines:
        found = EXPRESSION.fullmatch(line)
        if found is None:
            raise ValueError(f"“{line}” is no label expression")
        if found["bare"]:
            operator = "DoesNotExist" if found["not"] else "Exists"
            made.append({"key": found["bare"], "operator": operator})
            continue
        values = [value.strip() for value in found["values"].split(",")]
        made.append({"key": found["key"], "operator": _WORDS[found["word"]], "values": values})
    return made


def _expressions_read(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise UnreadableError("must be a list of {key, operator, values}")
    found = []
    for each in value:
        key, operator = (
            (each.get("key"), each.get("operator")) if isinstance(each, Mapping) else ("", "")
        )
        values = (each.get("values") or []) if isinstance(each, Mapping) else []
        is_set = operator in ("In", "NotIn")
        if (
            not key
            or operator not in ("In", "NotIn", "Exists", "DoesNotExist")
            or bool(values) != is_set
        ):
            raise UnreadableError(f"{each!r} is no label expression")
        if is_set:
            found.append(f"{key} {operator.lower()} ({', '.join(map(str, values))})")
        else:
            found.append(str(key) if operator == "Exists" else f"!{key}")
    return found


def _address(value: str) -> str:
    return value if re.match(r"https?://", value) else f"http://{value}"


PLAIN = Codec(lambda value: value, lambda value: value)
LIST = Codec(list, lambda value: value)
MAP = Codec(dict, lambda value: value)
SPAN = Codec(simple_duration, _span)
MILLISECONDS = Codec(lambda value: round(value * 1000), lambda value: f"{_whole(value)}ms")
PERCENT = Codec(number_text, _percent_text)
WHOLE_PERCENT = Codec(int, _percent_text)
COUNT = Codec(str, _count)
MEMORY = Codec(_memory, _memory_read)
CHAOSD_SIZE = Codec(_chaosd_size, _chaosd_size_read)
BODY = Codec(_encoded, _decoded)
NAME_VALUES = Codec(_pairs, _pairs_read)
PODS = Codec(_pods, _pods_read)
EXPRESSIONS = Codec(_expressions, _expressions_read)
ADDRESSES = Codec(lambda value: [_address(each) for each in value], lambda value: value)
COMMAS = Codec(",".join, lambda value: [part for part in str(value).split(",") if part])
FAILTYPES = ("slab", "alloc_page", "bio")
FAILTYPE = Codec(
    FAILTYPES.index,
    lambda value: FAILTYPES[value] if value in (0, 1, 2) and not isinstance(value, bool) else value,
)


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a field stands in the object that holds it: a dotted path, ``@`` the action's own key.

    An empty path stands for that object itself: the fields of a nested model beside its own.
    """

    path: str
    codec: Codec = PLAIN


class Part(BaseModel):
    """A group of fields of a fault, which stands in an object of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    example: ClassVar[Mapping[str, Any]] = {}
    """What to start from, beside the examples of the fields that must be there."""

    def sent(self, made: dict[str, Any]) -> dict[str, Any]:
        """Return the object that is sent; ``made`` is what the fields' wires give."""
        return made

    @classmethod
    def understood(cls, found: dict[str, Any]) -> dict[str, Any]:
        """Return the raw fields that an object means; ``found`` is what the wires give."""
        return found


def wires(model: type[BaseModel], action: str) -> Iterator[tuple[str, Path, Codec]]:
    """Yield each field that is sent: its name, its path, its codec."""
    for name, info in model.model_fields.items():
        found = [each for each in info.metadata if isinstance(each, Wire)]
        if found:
            # The outermost: a field may stand elsewhere than its type says.
            path = tuple(part.replace("@", action) for part in found[-1].path.split(".") if part)
            yield name, path, found[-1].codec


def nested(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, also an optional one; None for a plain value."""
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        found = [nested(each) for each in get_args(annotation)]
        return next((each for each in found if each is not None), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def starting_point(model: type[BaseModel]) -> dict[str, Any]:
    """Return raw fields that the model takes: the example of each that must be there."""
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        inner = nested(info.annotation)
        if not info.is_required():
            continue
        if inner is not None:
            found[name] = starting_point(inner)
        elif info.examples:
            found[name] = info.examples[0]
        elif get_origin(info.annotation) is Literal:
            found[name] = get_args(info.annotation)[0]
    for base in reversed(model.__mro__):
        found |= base.__dict__.get("example", {})
    return found


def written(model: BaseModel, action: str = "") -> dict[str, Any]:
    """Return what the model says, as a spec has it; what is not set is left out."""
    spec: dict[str, Any] = {}
    for name, path, codec in wires(type(model), action):
        value = getattr(model, name)
        if value is None or value == () or value == {}:
            continue
        if isinstance(value, BaseModel):
            made = written(value, action)
            put(spec, path, value.sent(made) if isinstance(value, Part) else made)
        else:
            put(spec, path, codec.write(value))
    return spec


def put(spec: dict[str, Any], path: Path, value: Any) -> None:
    """Set the value at the path; mappings are joined."""
    node = spec
    for part in path[:-1]:
        node = node.setdefault(part, {})
    if not path:
        node.update(value)
    elif isinstance(value, dict) and isinstance(node.get(path[-1]), dict):
        node[path[-1]].update(value)
    else:
        node[path[-1]] = value


def get(spec: Any, path: Path) -> Any:
    """Return what stands at the path; None where nothing does."""
    for part in path:
        if not isinstance(spec, Mapping):
            return None
        spec = spec.get(part)
    return spec


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing of a spec that cannot be taken: where, and why."""

    path: Path
    message: str


def taken(
    model: type[BaseModel], spec: Any, action: str = "", at: Path = ()
) -> tuple[dict[str, Any], list[Wrong], dict[Path, Path]]:
    """Return raw parameters, what is wrong, and for each field its place in the spec."""
    found: dict[str, Any] = {}
    wrong: list[Wrong] = []
    places: dict[Path, Path] = {}
    for name, path, codec in wires(model, action):
        value = get(spec, path)
        here = (*at, *path)
        places[(name,)] = here
        inner = nested(model.model_fields[name].annotation)
        if value is None or (value == "" and inner is None):
            continue
        if inner is not None:
            made, bad, below = taken(inner, value, action, here)
            wrong += bad
            places |= {(name, *deep): place for deep, place in below.items()}
            if made or path:
                found[name] = inner.understood(made) if issubclass(inner, Part) else made
            continue
        try:
            found[name] = codec.read(value)
        except UnreadableError as error:
            wrong.append(Wrong(here, str(error)))
    return found, wrong, places
