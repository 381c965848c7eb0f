"""Where a new field belongs: the order of the document's models, place by place."""

from __future__ import annotations

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


def position(path: Path, present: Sequence[str], name: str, wanted: Sequence[str]) -> int:
    """Return before which of the fields ``present`` the new field of the mapping at ``path`` goes.

    ``wanted`` are all fields in the order of the new document: it decides where no model does.
    """
    pattern = tuple(_ANY if isinstance(part, int) else part for part in path)
    if len(pattern) == 2 and pattern[0] == "parameters":
        pattern = ("parameters", _ANY)
    order = _table().get(pattern, ())
    if name not in order:
        order = tuple(wanted)
    rank = {each: number for number, each in enumerate(order)}
    before = [place for place, each in enumerate(present) if rank.get(each, len(rank)) < rank[name]]
    return (
        before[-1] + 1 if before else (0 if any(each in rank for each in present) else len(present))
    )
