"""What a field that nobody knows was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from experiments.domain.errors import Path

_LONGEST = 64
_MOST_LISTED = 12


def fields(model: type[BaseModel], path: Path) -> list[str]:
    """Return the fields that a model takes at a path, as pydantic writes it (with its tags)."""
    found: list[Any] = [model]
    for part in path:
        found = [inner for kind in found for inner in _inside(kind, part)]
    return sorted({name for kind in found for each in _models(kind) for name in _names(each)})


def hint(name: str, known: Iterable[str]) -> str:
    """Say which of the known names is nearest, or which there are; empty where there are none."""
    names = {_plain(each): each for each in known}
    if not names:
        return ""
    near = difflib.get_close_matches(_plain(name[:_LONGEST]), names, n=1)
    if near:
        return f"did you mean “{names[near[0]]}”?"
    listed = sorted(names.values())
    more = ", …" if len(listed) > _MOST_LISTED else ""
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(listed[:_MOST_LISTED])}{more}"


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type may be."""
    if get_origin(kind) in (Annotated, Union, UnionType):
        members = get_args(kind)
        for each in members[:1] if get_origin(kind) is Annotated else members:
            yield from _models(each)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    """Yield the types that may stand under one part of a path."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if any(isinstance(each, Tag) and each.tag == part for each in members[1:]):
            yield members[0]
        else:
            yield from _inside(members[0], part)
    elif origin in (Union, UnionType):
        for each in members:
            yield from _inside(each, part)
    elif origin in (tuple, list) and isinstance(part, int):
        yield members[0]
    elif origin is dict:
        yield members[1]
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind.__name__ == part:
            yield kind
        for name, info in kind.model_fields.items():
            if part in (name, info.alias):
                yield info.annotation
