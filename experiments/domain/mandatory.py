"""Guardrails of an environment: they watch every run there, beside the author's own.

They know nothing of a document's SLIs, so each watches PromQL of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from experiments.domain import json_types, nearest, rules
from experiments.domain.errors import Path, SpecError, from_pydantic
from experiments.domain.method import Guardrail
from experiments.domain.spec import Experiment

MOST = 20
LONGEST_NAME = 48
PREFIX = "environment-"
"""What a name gets before it where the document has it already."""


def read(
    raw: Any, *, sources: Collection[str] | None = None
) -> tuple[tuple[Guardrail, ...], tuple[SpecError, ...]]:
    """Read a list of guardrails (JSON types) and report every error at once, each with its path.

    ``sources`` are the aliases of the environment's Prometheus servers; None leaves them unchecked.
    The guardrails are all of the list, or none when there is an error.
    """
    if not isinstance(raw, list):
        return (), (SpecError((), "must be a list of guardrails"),)
    found = list(json_types.problems(raw))
    if found:
        return (), tuple(found)
    if len(raw) > MOST:
        found.append(SpecError((), f"must be at most {MOST} guardrails, not {len(raw)}"))
    guardrails: list[Guardrail] = []
    for index, item in enumerate(raw):
        told = list(_told(index, item, sources)) if isinstance(item, Mapping) else []
        places = {error.path for error in told}
        try:
            guardrails.append(Guardrail.model_validate(item))
        except ValidationError as error:
            # A rule knows more than a type does: where both speak of one place, it is heard.
            typed = from_pydantic(error, (index,), _hint)
            found += [each for each in typed if each.path not in places]
        found += told
    found += _twice(raw)
    unique = sorted(set(found), key=lambda error: [str(part) for part in error.path])
    return (() if unique else tuple(guardrails)), tuple(unique)


def _hint(path: Path) -> str:
    return nearest.hint(str(path[-1]), nearest.fields(Guardrail, path[:-1]))


def _told(
    index: int, item: Mapping[str, Any], sources: Collection[str] | None
) -> Iterator[SpecError]:
    if item.get("sli") is not None:
        message = "belongs to a document: a guardrail of an environment watches PromQL of its own"
        yield SpecError((index, "sli"), message)
    if item.get("promql") is None:
        yield SpecError((index, "promql"), "is missing")
    name = item.get("name")
    if isinstance(name, str) and len(name) > LONGEST_NAME:
        yield SpecError((index, "name"), f"must be at most {LONGEST_NAME} characters long")
    source = item.get("source", "metrics")
    if sources is not None and isinstance(source, str) and source not in sources:
        known = f"it has {', '.join(sorted(sources))}" if sources else "it has none"
        message = f"“{source}” is no Prometheus of the environment ({known})"
        yield SpecError((index, "source"), message)
    yield from rules.bounds(item, rules.own_unit(item), (index,))


def _twice(raw: list[Any]) -> Iterator[SpecError]:
    seen: dict[str, int] = {}
    for index, item in enumerate(raw):
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not name:
            continue
        if name in seen:
            message = f"“{name}” is already the name of number {seen[name] + 1}; give each its own"
            yield SpecError((index, "name"), message)
        seen.setdefault(name, index)


def placed(errors: Iterable[SpecError]) -> list[SpecError]:
    """Return the errors as they are told beside those of a document."""
    return [
        SpecError(("environment", "guardrails", *error.path), error.message) for error in errors
    ]


def to_json(guardrail: Guardrail) -> dict[str, Any]:
    """Return the guardrail as an environment keeps it and people read it."""
    kept = guardrail.model_dump(mode="json", exclude_none=True, exclude={"breaches"})
    return {**kept, "breaches": str(guardrail.breaches)}


def added(document: Experiment, guardrails: Sequence[Guardrail]) -> Experiment:
    """Return the document with the environment's guardrails behind its own.

    A name that the document has given already, to a guardrail or an SLI, gets a prefix.
    """
    if not guardrails:
        return document
    taken = {each.name for each in document.guardrails} | {sli.name for sli in document.slis}
    own: list[Guardrail] = []
    for guardrail in guardrails:
        name, number = guardrail.name, 1
        while name in taken:
            count = f"{number}-" if number > 1 else ""
            name, number = f"{PREFIX}{count}{guardrail.name}", number + 1
        taken.add(name)
        own.append(guardrail.model_copy(update={"name": name}))
    return document.model_copy(update={"guardrails": (*document.guardrails, *own)})
