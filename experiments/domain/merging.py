"""Merges what two people made of one document: what does not touch stays, the rest is asked. Pure.

Documents are raw (JSON types) and bare (without copies of services' SLIs). Items of lists are the
same where their names are; one that only has another name was renamed. Fields that mean something
only together (a fault and its parameters, a margin) are merged as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from experiments.domain.differences import ABSENT, NOUNS, said, unnamed
from experiments.domain.patching.matching import same

Side = Literal["base", "theirs", "mine"]
SIDES: tuple[Side, ...] = ("base", "theirs", "mine")
_UNITS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "slis": (("ratio", "quantile", "value", "preset", "with", "use"),),
    "method": (("fault", "with", "via", "wait", "checkpoint", "duration", "timeout"),),
    "guardrails": (("sli", "promql", "source", "unit"), ("above", "below")),
    "probes": (("http", "promql"),),
}
"""Fields of an item that are one thing where the sides no longer have the same kind of it."""
_KINDS = ("fault", "preset", "use")
"""Fields whose value decides what the others of their unit mean."""
_WHOLE = frozenset({"margin", "baseline", "start", "tolerance"})
"""Fields with parts of which one side's make no sense beside the other's."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that both sides changed, each in a way of its own.

    The three values are JSON types, or ``ABSENT`` where a side has nothing there.
    """

    key: str
    """What a choice is named by: the same for the same three documents."""
    where: str
    """What it belongs to: ``SLI orders_p95``, ``timing``."""
    field: str
    base: Any
    theirs: Any
    mine: Any
    chosen: Side

    @property
    def values(self) -> list[tuple[Side, str]]:
        """Return each side's value as people would write it; empty where it has nothing."""
        found: tuple[tuple[Side, Any], ...] = (
            ("base", self.base),
            ("theirs", self.theirs),
            ("mine", self.mine),
        )
        return [(side, "" if value is ABSENT else said(value)) for side, value in found]


@dataclass(frozen=True, slots=True)
class Merged:
    """One document made of three, and where the two sides could not both be had."""

    document: dict[str, Any]
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...] = ()
    """What fits together and may still not be what either meant."""


def merge(
    base: Mapping[str, Any],
    theirs: Mapping[str, Any],
    mine: Mapping[str, Any],
    choices: Mapping[str, Side] | None = None,
    *,
    otherwise: Side = "theirs",
) -> Merged:
    """Merge both sides' changes since ``base``; ``choices`` say by key whose value a conflict gets.

    A conflict without a choice gets the side ``otherwise``. Nothing else of either side is left
    out: whatever one side alone changed, added or removed is changed, added or removed.
    """
    made = _Merge(dict(choices or {}), otherwise)
    document = made.top(base, theirs, mine)
    return Merged(document, tuple(made.conflicts), tuple(made.notes))


@dataclass(slots=True)
class _Merge:
    choices: dict[str, Side]
    otherwise: Side
    conflicts: list[Conflict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def top(
        self, base: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any]
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key in _keys(theirs, mine, base):
            values = tuple(side.get(key, ABSENT) for side in (base, theirs, mine))
            if key in NOUNS and key != "parameters":
                found = self._list(key, *values)
            elif key in NOUNS:
                found = self._parameters(*values)
            else:
                is_fields = any(isinstance(value, Mapping) for value in values)
                where, name = (key, "") if is_fields else ("document", key)
                found = self._value(where, name, *values)
            if found is not ABSENT:
                made[key] = found
        return made

    def _parameters(self, base: Any, theirs: Any, mine: Any) -> Any:
        sides = [{} if side is ABSENT else side for side in (base, theirs, mine)]
        if not all(isinstance(side, Mapping) for side in sides):
            return self._value("parameters", "", base, theirs, mine)
        made = {}
        for name in _keys(sides[1], sides[2], sides[0]):
            values = (side.get(name, ABSENT) for side in sides)
            found = self._value(f"{NOUNS['parameters']} {name}", "", *values)
            if found is not ABSENT:
                made[name] = found
        is_gone = not made and ABSENT in (theirs, mine)
        return ABSENT if is_gone else made

    def _value(self, where: str, path: str, base: Any, theirs: Any, mine: Any) -> Any:
        """Merge one value, field by field where all three have fields."""
        settled = _settled(base, theirs, mine)
        if settled is not None:
            return settled[0]
        name = path.rpartition(".")[2]
        sides = (base, theirs, mine)
        if name not in _WHOLE and all(isinstance(side, Mapping) for side in sides):
            return self._fields(where, path, *sides)
        if name == "tags" and all(_are_texts(side) for side in sides):
            kept = [tag for tag in theirs if tag in mine or tag not in base]
            return kept + [tag for tag in mine if tag not in base and tag not in theirs]
        return self._asked(where, path, base, theirs, mine)

    def _fields(
        self,
        where: str,
        path: str,
        base: Mapping[str, Any],
        theirs: Mapping[str, Any],
        mine: Mapping[str, Any],
    ) -> dict[str, Any]:
        made = {}
        for key in _keys(theirs, mine, base):
            below = f"{path}.{key}" if path else str(key)
            values = (side.get(key, ABSENT) for side in (base, theirs, mine))
            found = self._value(where, below, *values)
            if found is not ABSENT:
                made[key] = found
        return made

    def _asked(self, where: str, path: str, base: Any, theirs: Any, mine: Any) -> Any:
        key = f"{where}/{path}"
        chosen = self.choices.get(key, self.otherwise)
        self.conflicts.append(Conflict(key, where, path, base, theirs, mine, chosen))
        return {"base": base, "theirs": theirs, "mine": mine}[chosen]

    def _list(self, key: str, base: Any, theirs: Any, mine: Any) -> Any:
        settled = _settled(base, theirs, mine)
        if settled is not None:
            return settled[0]
        named = [_named(side) for side in (base, theirs, mine)]
        if any(side is None for side in named):
            return self._asked("document", key, base, theirs, mine)
        old, left, right = (side or {} for side in named)
        left, right = _as_before(old, left), _as_before(old, right)
        made: dict[str, Any] = {}
        for name in _keys(left, right, old):
            sides = (side.get(name, ABSENT) for side in (old, left, right))
            found = self._item(key, name, *sides)
            if found is not ABSENT:
                made[name] = found
        return [made[name] for name in self._order(key, made, [*old], [*left], [*right])]

    def _item(self, key: str, name: str, base: Any, theirs: Any, mine: Any) -> Any:
        where = f"{NOUNS[key]} {name}"
        settled = _settled(base, theirs, mine)
        if settled is not None:
            return settled[0]
        sides = (base, theirs, mine)
        if not all(isinstance(side, Mapping) for side in sides):
            return self._asked(where, "", *sides)
        units = [unit for unit in _UNITS[key] if not _are_one_kind(sides, unit)]
        if not units:
            return self._fields(where, "", *sides)
        inside = {name for unit in units for name in unit}
        rest = [{k: v for k, v in side.items() if k not in inside} for side in sides]
        made = self._fields(where, "", *rest)
        for unit in units:
            apart = [name for name in unit if not _agree([s.get(name, ABSENT) for s in sides])]
            parts = [{k: v for k, v in side.items() if k in apart} for side in sides]
            made |= {k: v for k, v in mine.items() if k in unit and k not in apart}
            settled = _settled(*parts)
            field_name = ", ".join(_keys(*parts))
            made |= settled[0] if settled else self._asked(where, field_name, *parts)
        return {name: made[name] for name in _keys(mine, theirs, base) if name in made}

    def _order(
        self, key: str, made: Iterable[str], old: list[str], left: list[str], right: list[str]
    ) -> list[str]:
        """Return the order of what is left: a side that moved something is followed."""
        there = set(made)
        orders = [[name for name in side if name in there] for side in (old, left, right)]
        common = [name for name in orders[0] if name in orders[1] and name in orders[2]]
        ours = [[name for name in side if name in common] for side in orders]
        first = orders[1]
        if ours[1] in (ours[0], ours[2]):
            first = orders[2]
        elif ours[2] != ours[0]:
            asked = self._asked(f"order of {NOUNS[key]}s", "", *ours)
            first = next(order for order, our in zip(orders, ours, strict=True) if our == asked)
        found = list(first)
        for order in (orders[1], orders[2], orders[0]):
            found = _woven(found, order, left)
        if key == "method":
            self._note_neighbours(found, set(old), set(left), set(right))
        return found

    def _note_neighbours(
        self, order: list[str], old: set[str], left: set[str], right: set[str]
    ) -> None:
        """Note where an action of one side now follows a new one of the other."""
        for before, after in pairwise(order):
            new = {before, after} - old
            if len(new) == 2 and (before in left) != (after in left):
                self.notes.append(
                    f"Both of you added an action at the same place: {after} now comes after"
                    f" {before}. Give one of them a start if they are to begin together."
                )


def _settled(base: Any, theirs: Any, mine: Any) -> tuple[Any] | None:
    """Return what both agree on, or what the only side that changed it says; None for neither."""
    if _same(theirs, mine) or _same(base, mine):
        return (theirs,)
    return (mine,) if _same(base, theirs) else None


def _same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return same(one, other)


def _agree(values: Sequence[Any]) -> bool:
    return all(_same(value, values[0]) for value in values)


def _keys(*sides: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key for side in sides for key in side))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_one_kind(sides: Sequence[Mapping[str, Any]], unit: tuple[str, ...]) -> bool:
    """Return whether all sides have the same fields of the unit, and the same kind of thing."""

    def kind(side: Mapping[str, Any]) -> Any:
        optional = ("duration", "timeout", "unit", "source", "with")
        fields = {name for name in unit if name in side and name not in optional}
        return fields, [side.get(name) for name in _KINDS if name in unit]

    return all(kind(side) == kind(sides[0]) for side in sides)


def _named(items: Any) -> dict[str, Any] | None:
    """Return the items by their names; None where one has none, or two have the same."""
    if items is ABSENT:
        return {}
    if not isinstance(items, list):
        return None
    named: dict[str, Any] = {}
    for item in items:
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not name or name in named:
            return None
        named[name] = item
    return named


def _as_before(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items by the names they had: one that only has another name was renamed."""
    gone = [name for name in old if name not in new]
    found: dict[str, Any] = {}
    for name, item in new.items():
        content = unnamed(item)
        like = [] if name in old else [each for each in gone if unnamed(old[each]) == content]
        if like:
            gone.remove(like[0])
        found[like[0] if like else name] = item
    return found


def _woven(first: Sequence[str], second: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Return the first order, with what only the second has behind what it follows there.

    Of two that follow the same, those of ``theirs`` come first.
    """
    order = list(first)
    for place, name in enumerate(second):
        if name in order:
            continue
        before = next((each for each in reversed(second[:place]) if each in order), None)
        at = order.index(before) + 1 if before is not None else 0
        if name not in theirs:
            while at < len(order) and order[at] not in second:
                at += 1
        order.insert(at, name)
    return order
