"""SLIs of services that a document uses by name: ``use: orders.p95`` and the copy beside it.

An author writes only ``use``. A version keeps, beside it, a copy of what it stood for (``copied``):
the engine reads the copy, so that a version never changes when its service does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from experiments.domain import nearest
from experiments.domain.errors import Path, SpecError

Named = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""The SLIs of every service: by the service's name, then by their own."""
NOTHING: Named = MappingProxyType({})
COPY = "copied"
MEASURES = ("ratio", "quantile", "value", "preset", "with")
FIXED = (*MEASURES, "unit", "direction")
"""What an SLI is: its service alone says it."""
GIVEN = ("title", "source", "limit", "margin")
"""What the service says unless the document does, each as a whole."""


def references(raw: Any) -> list[str]:
    """Return what the document's SLIs use, in order."""
    return [sli["use"] for _, sli in _slis(raw) if isinstance(sli.get("use"), str)]


def bare(raw: Any) -> Any:
    """Return the document as its author writes it: without copies."""
    return _with_slis(raw, lambda sli: {key: sli[key] for key in sli if key != COPY})


def written_in(raw: Any) -> Any:
    """Return the document with every copy where a measure of its own would stand."""
    return _with_slis(raw, _written_in)


def resolve(raw: Any, named: Named) -> tuple[Any, list[SpecError]]:
    """Put a copy beside every ``use`` that has none.

    Return the document and what is wrong with its references; what leads nowhere stays as it is.
    """
    errors = [error for index, sli in _slis(raw) for error in _misplaced(sli, ("slis", index))]
    for index, sli in _slis(raw):
        if _is_open(sli) and _found(sli["use"], named) is None:
            errors.append(SpecError(("slis", index, "use"), _unknown(sli["use"], named)))
    return _with_slis(raw, lambda sli: _copied(sli, named)), errors


def is_changed(reference: str, copied: Mapping[str, Any], named: Named) -> bool:
    """Return whether the reference stands for something else than its copy by now, or nothing."""
    return dict(copied) != _found(reference, named)


def _slis(raw: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    items = raw.get("slis") if isinstance(raw, Mapping) else None
    for index, item in enumerate(items if isinstance(items, list | tuple) else ()):
        if isinstance(item, Mapping):
            yield index, item


def _with_slis(raw: Any, act: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Any:
    """Return the document with what ``act`` makes of each SLI; itself where there is none."""
    made = {index: act(sli) for index, sli in _slis(raw)}
    if not made:
        return raw
    return {**raw, "slis": [made.get(index, item) for index, item in enumerate(raw["slis"])]}


def _is_open(sli: Mapping[str, Any]) -> bool:
    return sli.get("use") is not None and not isinstance(sli.get(COPY), Mapping)


def _found(reference: Any, named: Named) -> dict[str, Any] | None:
    """Return what a reference stands for, as a copy; None where it leads nowhere."""
    service, dot, name = reference.partition(".") if isinstance(reference, str) else ("", "", "")
    found = named.get(service, {}).get(name) if dot else None
    return None if found is None else {key: found[key] for key in found if key != "name"}


def _copied(sli: Mapping[str, Any], named: Named) -> Mapping[str, Any]:
    found = _found(sli["use"], named) if _is_open(sli) else None
    return sli if found is None else {**sli, COPY: found}


def _written_in(sli: Mapping[str, Any]) -> Mapping[str, Any]:
    if sli.get("use") is None:
        return sli
    copy = sli.get(COPY)
    theirs = copy if isinstance(copy, Mapping) else {}
    own = {key: value for key, value in sli.items() if key not in FIXED}
    fixed = {key: theirs[key] for key in FIXED if key in theirs}
    given = {key: theirs[key] for key in GIVEN if key in theirs and own.get(key) is None}
    return {**own, **fixed, **given}


def _misplaced(sli: Mapping[str, Any], path: Path) -> Iterator[SpecError]:
    """Yield what the SLI says that only the service may, and a copy of nothing."""
    if sli.get("use") is None:
        if sli.get(COPY) is not None:
            yield SpecError((*path, COPY), "belongs to use, and there is none")
        return
    for key in FIXED:
        if sli.get(key) is not None:
            message = f"is what {sli['use']} says: leave it out, or leave out use"
            yield SpecError((*path, key), message)


def _unknown(reference: Any, named: Named) -> str:
    if not isinstance(reference, str):
        return f"must be a text such as carts.p95, not {reference!r}"[:200]
    if not reference.strip():
        return "is missing: choose an SLI of a service"
    service, dot, name = reference.partition(".")
    known = [f"{each}.{sli}" for each in named for sli in named[each]]
    if dot and service in named:
        told = f"{service} has no SLI “{name}”"
        own = [f"{service}.{sli}" for sli in named[service]]
        known = own or known
    else:
        told = f"there is no service “{service}”" if dot else f"“{reference}” names no SLI"
        told += "" if dot else ": write service.name, as in carts.p95"
    hint = nearest.hint(reference, known) if known else "no service has an SLI yet"
    return f"{told}; {hint}"
