"""What JSON can hold, and how much of it: checked before anything walks a raw document."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from experiments.domain.errors import Path, SpecError

MAX_DEPTH = 40
MAX_NODES = 100_000
_MAX_BITS = 64
_MOST_TOLD = 200


def problems(raw: Any) -> list[SpecError]:
    """Return what makes the value no JSON document, or one too large to be an experiment.

    Never raises, whatever it is given: a YAML alias may even make a list that holds itself.
    """
    found: list[SpecError] = []
    waiting: list[tuple[Any, Path]] = [(raw, ())]
    seen = 0
    while waiting:
        if len(found) > _MOST_TOLD:
            return [*found[:_MOST_TOLD], SpecError((), f"has more than {_MOST_TOLD} such errors")]
        node, path = waiting.pop()
        seen += 1
        if seen > MAX_NODES:
            return [SpecError((), f"has more than {MAX_NODES} values")]
        if len(path) > MAX_DEPTH:
            return [SpecError(path[:3], f"is nested more than {MAX_DEPTH} deep")]
        if isinstance(node, Mapping):
            for key, value in node.items():
                if isinstance(key, str) and not _text_problem(key):
                    waiting.append((value, (*path, key)))
                else:
                    found.append(
                        SpecError(path, f"the key {_shown(key)} is not a text; put it in quotes")
                    )
        elif isinstance(node, list | tuple):
            waiting += [(value, (*path, index)) for index, value in enumerate(node)]
        elif problem := _scalar_problem(node):
            found.append(SpecError(path, problem))
    return found


def _shown(key: Any) -> str:
    """Return a key as YAML has it."""
    return json.dumps(key) if key is None or isinstance(key, bool) else repr(key)[:60]


def _scalar_problem(value: Any) -> str:
    if isinstance(value, str):
        return _text_problem(value)
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "is too large a number" if value.bit_length() > _MAX_BITS else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is not a finite number"
    return f"is a {type(value).__name__}, which JSON cannot hold; put it in quotes"


def _text_problem(text: str) -> str:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return "holds a character that no text may hold"
    return ""
