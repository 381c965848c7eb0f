"""What the catalogue says of faults, for pages: their sentences, families and how they end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from drivers.protocol import FaultParams
from experiments import backends

Catalogue = Mapping[str, type[FaultParams]]


@dataclass(frozen=True, slots=True)
class Filters:
    """What the catalogue is narrowed to; an empty field narrows nothing."""

    text: str = ""
    backend: str = ""
    family: str = ""

    @property
    def is_any(self) -> bool:
        """Return whether anything is narrowed."""
        return bool(self.text or self.backend or self.family)


def known() -> Catalogue:
    """Return every fault model by its kind. Loads no driver."""
    return backends.faults()


def families() -> tuple[str, ...]:
    """Return the families of the faults that touch something real, in the catalogue's order."""
    found = (model.family for kind, model in known().items() if not kind.startswith("fake."))
    return tuple(dict.fromkeys(found))


def all_families() -> tuple[str, ...]:
    """Return the families of every fault, by name."""
    return tuple(sorted({model.family for model in known().values()}))


def kinds() -> tuple[str, ...]:
    """Return the first word of the faults' kinds, one for each backend, in their order."""
    return tuple(dict.fromkeys(kind.split(".")[0] for kind in known()))


def backend_title(kind: str) -> str:
    """Return what pages call a backend, by the first word of its faults' kinds."""
    return backends.titles().get(kind, kind)


@cache
def labelled(models: tuple[type[FaultParams], ...]) -> tuple[tuple[str, str], ...]:
    """Return each fault's kind, and what lists of faults call it."""
    return tuple((model.kind, f"{model.title} · {model.kind}") for model in models)


@cache
def by_backend(
    listed: tuple[tuple[str, str], ...],
) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return faults, each its kind and a label, under the titles of their backends, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for kind, label in listed:
        title = backend_title(kind.partition(".")[0])
        found.setdefault(title, []).append((kind, label))
    return tuple((title, tuple(part)) for title, part in found.items())


def search(filters: Filters) -> list[type[FaultParams]]:
    """Return the faults that have every word of the text, and fit the other filters."""
    wanted = filters.text.lower().split()
    return [
        model
        for kind, model in known().items()
        if all(word in _words(model) for word in wanted)
        and filters.backend in ("", kind.split(".")[0])
        and filters.family in ("", model.family)
    ]


@cache
def _words(model: type[FaultParams]) -> str:
    """Return everything that a search looks at: the fault's sentences, and its fields'."""
    own = (model.kind, model.title, model.summary, model.family, model.needs, model.metrics)
    return " ".join((*own, *_said(model.model_json_schema()))).lower()


def _said(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name, title and description of every field, those of nested models included."""
    for name, field in schema.get("properties", {}).items():
        yield name
        yield from (str(field[key]) for key in ("title", "description") if key in field)
    for nested in schema.get("$defs", {}).values():
        yield from _said(nested)
