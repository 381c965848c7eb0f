"""JSONPath (RFC 9535) over the answers of probes, bounded in time.

The library evaluates lazily, and a filter within a filter visits every pair of values: the
document is read into containers that look at the clock whenever somebody walks through them.
``match`` and ``search`` stop by themselves too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import regex
from jsonpath import JSONPathEnvironment
from jsonpath.exceptions import JSONPathError, JSONPathRecursionError
from jsonpath.function_extensions import ExpressionType, FilterFunction

WITHIN_S = 1.0
"""How long one path may take over one answer."""

LONGEST = 500
"""Characters of a path."""


class SelectError(ValueError):
    """What stands in the way of the values: the answer is no JSON, or the path takes too long."""


class _Clock:
    """Says when the time of one selection is over."""

    def __init__(self, within_s: float) -> None:
        self._end = time.monotonic() + within_s

    def left_s(self) -> float:
        """Return how much is left. Raises TimeoutError when nothing is."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


_clock: ContextVar[_Clock] = ContextVar("clock")


class _Mapping(dict[str, Any]):
    """An object that cannot be walked through after its time."""

    def items(self) -> Any:
        _clock.get().left_s()
        return super().items()

    def values(self) -> Any:
        _clock.get().left_s()
        return super().values()

    def __iter__(self) -> Iterator[str]:
        _clock.get().left_s()
        return super().__iter__()

    def __getitem__(self, key: str) -> Any:
        _clock.get().left_s()
        return super().__getitem__(key)


class _List(list[Any]):
    """An array that cannot be walked through after its time."""

    def __iter__(self) -> Iterator[Any]:
        _clock.get().left_s()
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        _clock.get().left_s()
        return super().__getitem__(index)


class _Pattern(FilterFunction):
    """``match`` or ``search``: a pattern that is none, or takes too long, matches nothing."""

    def __init__(self, finds: Callable[..., Any]) -> None:
        self._finds = finds

    @property
    def arg_types(self) -> list[ExpressionType]:
        return [ExpressionType.VALUE, ExpressionType.VALUE]

    @property
    def return_type(self) -> ExpressionType:
        return ExpressionType.LOGICAL

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            return False
        try:
            left_s = _clock.get().left_s()
            return bool(self._finds(pattern, value, timeout=left_s, concurrent=True))
        except regex.error:
            return False


class _Environment(JSONPathEnvironment):
    """The language of RFC 9535 and nothing else."""

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        standard = {name: self.function_extensions[name] for name in ("length", "count", "value")}
        patterns = {"match": _Pattern(regex.fullmatch), "search": _Pattern(regex.search)}
        self.function_extensions = {**standard, **patterns}


_ENVIRONMENT = _Environment(strict=True)


@lru_cache(maxsize=256)
def _compile(path: str) -> Any:
    return _ENVIRONMENT.compile(path)


def problem(path: str) -> str | None:
    """Return what is wrong with a JSONPath, or None."""
    if len(path) > LONGEST:
        return f"must be at most {LONGEST} characters long"
    if not path.startswith("$"):
        return f"“{path}” must begin with $, the whole answer, as in $.status"
    try:
        _compile(path)
    except (JSONPathError, RecursionError) as error:
        # The error's own text fails for a path that ends too early.
        said = error.args[0] if error.args else "it is nested too deeply"
        return f"“{path}” is no JSONPath: {said}"
    return None


def select(path: str, text: str, *, within_s: float = WITHIN_S) -> list[Any]:
    """Return every value of the JSON text that the path selects. Raises SelectError."""
    token = _clock.set(_Clock(within_s))
    try:
        document = _timed(_read(text))
        return [_plain(match.obj) for match in _compile(path).finditer(document)]
    except TimeoutError as error:
        raise SelectError(f"{path} takes too long over the answer") from error
    except (RecursionError, JSONPathRecursionError) as error:
        raise SelectError("the answer is nested too deeply") from error
    finally:
        _clock.reset(token)


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise SelectError(f"the answer is no JSON ({error})") from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _timed(value: Any) -> Any:
    if isinstance(value, dict):
        return _Mapping((key, _timed(each)) for key, each in value.items())
    if isinstance(value, list):
        return _List(_timed(each) for each in value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in dict.items(value)}
    if isinstance(value, list):
        return [_plain(each) for each in list.__iter__(value)]
    return value
