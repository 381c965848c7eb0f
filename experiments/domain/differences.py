"""What changed between two documents, in words: which SLI, which fault, from what to what. Pure.

Items of lists are the same where their names are; one that only has another name was renamed. Raw
documents (JSON types) enter, valid or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

NOUNS = {
    "slis": "SLI",
    "method": "action",
    "guardrails": "guardrail",
    "probes": "probe",
    "parameters": "parameter",
}
_LONGEST = 160
ABSENT: Any = object()
"""Stands for the value of a field that is not there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One change. ``old`` and ``new`` are empty where there was, or is, nothing."""

    kind: Literal["added", "removed", "changed", "renamed", "moved"]
    where: str
    """What it belongs to: ``SLI orders_p95``, ``timing``, ``document``."""
    field: str = ""
    """The dotted path below it: ``with.percentage``."""
    old: str = ""
    new: str = ""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return every change from one document to the other, in the order of the new one."""
    keys = [*new, *(key for key in old if key not in new)]
    return [found for key in keys for found in _of(key, old.get(key, ABSENT), new.get(key, ABSENT))]


def _of(key: str, old: Any, new: Any) -> Iterator[Difference]:
    if key in NOUNS:
        olds, news = _items(old), _items(new)
        if olds is not None and news is not None:
            yield from _listed(NOUNS[key], olds, news, is_ordered=isinstance(new, list))
            return
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        yield from _fields(key, "", old, new)
    else:
        yield from _fields("document", key, old, new)


def _items(found: Any) -> dict[str, Any] | None:
    """Return the items by name (a number stands for one without); None for what is no list."""
    if found is ABSENT:
        return {}
    if isinstance(found, Mapping):
        return dict(found)
    if not isinstance(found, list):
        return None
    named: dict[str, Any] = {}
    for number, item in enumerate(found, start=1):
        name = item.get("name") if isinstance(item, Mapping) else None
        key = name if isinstance(name, str) and name and name not in named else f"number {number}"
        named[key] = item
    return named


def _listed(
    noun: str, olds: dict[str, Any], news: dict[str, Any], *, is_ordered: bool
) -> Iterator[Difference]:
    gone = [name for name in olds if name not in news]
    renamed: dict[str, str] = {}
    for name, item in news.items():
        if name not in olds:
            was = next((each for each in gone if unnamed(olds[each]) == unnamed(item)), None)
            if was is not None:
                gone.remove(was)
                renamed[name] = was
    for name, item in news.items():
        where = f"{noun} {name}"
        if name in olds:
            yield from _fields(where, "", olds[name], item)
        elif name in renamed:
            yield Difference("renamed", where, "name", renamed[name], name)
        else:
            yield Difference("added", where, new=said(item))
    for name in gone:
        yield Difference("removed", f"{noun} {name}", old=said(olds[name]))
    if is_ordered:
        before = [name for name in olds if name in news]
        after = [name for name in news if name in olds]
        if before != after:
            yield Difference("moved", f"order of {noun}s", "", ", ".join(before), ", ".join(after))


def unnamed(item: Any) -> str:
    """Return everything but the name, told apart by type: true is not 1."""
    if isinstance(item, Mapping):
        item = {key: value for key, value in item.items() if key != "name"}
    return json.dumps(item, sort_keys=True)


def _fields(where: str, field: str, old: Any, new: Any) -> Iterator[Difference]:
    """Yield the changes of the leaves below a field."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*new, *(key for key in old if key not in new)]:
            below = f"{field}.{key}" if field else str(key)
            yield from _fields(where, below, old.get(key, ABSENT), new.get(key, ABSENT))
    elif old is ABSENT:
        yield Difference("added", where, field, new=said(new))
    elif new is ABSENT:
        yield Difference("removed", where, field, old=said(old))
    elif json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True):
        yield Difference("changed", where, field, said(old), said(new))


def said(value: Any) -> str:
    """Return a value as people would write it, cut where it is long."""
    text = value if isinstance(value, str) else _flow(value)
    if isinstance(value, str) and not value.strip():
        text = f"“{value}”"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_nested(each)}" for key, each in value.items()) or "{}"
    if isinstance(value, list):
        return ", ".join(_nested(each) for each in value) or "[]"
    return json.dumps(value, ensure_ascii=False)


def _nested(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + _flow(value) + "}" if value else "{}"
    if isinstance(value, list):
        return "[" + _flow(value) + "]" if value else "[]"
    return value if isinstance(value, str) else _flow(value)
