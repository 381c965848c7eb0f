"""Where a new field belongs: the order of the document's models, place by place."""

from __future__ import annotations

import bisect
import functools
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from experiments.domain import parameters, spec
from experiments.domain.errors import Path

Pattern = tuple[str, ...]
_ANY = "*"
_LAST = ("start",)
"""Fields of every action that people write behind what the action is."""


@functools.cache
def _table() -> dict[Pattern, tuple[str, ...]]:
    found: dict[Pattern, list[str]] = {}
    _add(found, (), spec.Experiment)
    _add(found, ("parameters", _ANY), parameters.Parameter)
    return {
        pattern: (*(name for name in names if name not in _LAST), *_LAST)
        for pattern, names in found.items()
    }


def _add(found: dict[Pattern, list[str]], pattern: Pattern, model: type[BaseModel]) -> None:
    names = found.setdefault(pattern, [])
    for name, info in model.model_fields.items():
        alias = info.alias or name
        if alias not in names:
            names.append(alias)
        for inner, is_listed in _models(info.annotation):
            below = (*pattern, alias, _ANY) if is_listed else (*pattern, alias)
            _add(found, below, inner)


def _models(annotation: Any, *, is_listed: bool = False) -> Iterable[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, is_listed
        return
    within = is_listed or typing.get_origin(annotation) in (tuple, list)
    for part in typing.get_args(annotation):
        yield from _models(part, is_listed=within)


def placed(
    path: Path, present: Sequence[str], added: Sequence[str], wanted: Iterable[str]
) -> dict[int, list[str]]:
    """Return the new fields of the mapping at ``path`` by the number of the one that they follow.

    A field follows the nearest of those ``present`` that the models have before it; -1 stands for
    none. What no model knows comes last, in the order of ``wanted``, the new document's.
    """
    pattern = tuple(_ANY if isinstance(part, int) else part for part in path)
    if len(pattern) == 2 and pattern[0] == "parameters":
        pattern = ("parameters", _ANY)
    known = _table().get(pattern, ())
    rank = {name: number for number, name in enumerate(dict.fromkeys((*known, *wanted)))}
    # What has no rank (a merge key) stands before everything.
    there = sorted((rank.get(name, -1), number) for number, name in enumerate(present))
    found: dict[int, list[str]] = {}
    for name in sorted(added, key=rank.__getitem__):
        nearest = bisect.bisect_left(there, (rank[name],)) - 1
        found.setdefault(there[nearest][1] if nearest >= 0 else -1, []).append(name)
    return found
