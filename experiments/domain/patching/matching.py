"""Which value of the new document is which node of the text, and which values mean the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.domain.patching.tree import Node


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values mean the same: 1 is 1.0, but True is not 1."""
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list | tuple):
        return (
            isinstance(other, list | tuple)
            and len(one) == len(other)
            and all(map(same, one, other))
        )
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def is_like(node: Node, value: Any) -> bool:
    """Return whether both are mappings, or lists, with content: one is changed into the other."""
    if not value or not node.entries:
        return False
    if node.kind == "mapping":
        return isinstance(value, Mapping)
    return isinstance(value, list | tuple)


def items(node: Node, values: Sequence[Any]) -> list[int | None]:
    """Return for each new item the number of the old one that it comes from, or None.

    Items are known by their name, others by their value. What is left is a changed item where it
    follows the same item as before and is of the same kind (mappings: and mostly the same).
    """
    old = [entry.value.value for entry in node.entries]
    free: dict[str, list[int]] = {}
    for number in range(len(old) - 1, -1, -1):
        free.setdefault(_known_as(old[number]), []).append(number)
    found: list[int | None] = []
    for value in values:
        left = free.get(_known_as(value))
        found.append(left.pop() if left else None)
    taken = {number for number in found if number is not None}
    for place, value in enumerate(values):
        if found[place] is not None:
            continue
        before = found[place - 1] if place else -1
        candidate = None if before is None else before + 1
        if candidate is None or candidate >= len(old) or candidate in taken:
            continue
        if _is_changed(old[candidate], value):
            found[place] = candidate
            taken.add(candidate)
    return found


def _known_as(value: Any) -> str:
    if isinstance(value, Mapping):
        name = value.get("name")
        if isinstance(name, str) and name:
            return f"name {name}"
    return json.dumps(value, sort_keys=True)


def _is_changed(old: Any, new: Any) -> bool:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        rest = {key: value for key, value in old.items() if key != "name"}
        equal = sum(key in new and same(value, new[key]) for key, value in rest.items())
        return 2 * equal >= len(rest)
    if isinstance(old, list | tuple):
        return isinstance(new, list | tuple)
    return not isinstance(old, Mapping) and not isinstance(new, Mapping | list | tuple)
