"""Rules across the document, over whatever could be read of it; they run always.

Pydantic skips a model's own validators once a field has failed, so a rule that looks at more than
one field lives here, reads the raw document defensively and never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from drivers.units import Duration, Percentage, UnitError
from experiments.domain import nearest, presets
from experiments.domain.errors import Path, SpecError, show
from experiments.domain.slis import to_unit

Raw = Mapping[str, Any]

NO_DATA = "no-data-"
"""How the names of the checkpoints begin that guardrails without data open."""


def check(raw: Raw) -> list[SpecError]:
    """Return what every rule finds."""
    return [error for rule in _RULES for error in rule(raw)]


def check_measures(raw: Raw) -> list[SpecError]:
    """Return what the rules find that are about measures alone, whatever is expected of them."""
    return [error for rule in _MEASURES for error in rule(raw)]


def _items(raw: Raw, key: str) -> Iterator[tuple[int, Raw]]:
    items = raw.get(key)
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, Mapping):
                yield index, item


def _names(raw: Raw, key: str) -> list[str]:
    return [item["name"] for _, item in _items(raw, key) if isinstance(item.get("name"), str)]


def _something_to_judge(raw: Raw) -> Iterator[SpecError]:
    if not raw.get("slis") and not raw.get("probes"):
        yield SpecError(
            ("slis",), "an experiment needs at least one SLI or probe: nothing could be judged"
        )
    elif not raw.get("slis") and all(_is_start_only(probe) for _, probe in _items(raw, "probes")):
        yield SpecError(
            ("probes",), "look only before the fault; add an SLI, or a probe at end or throughout"
        )


def _is_start_only(probe: Raw) -> bool:
    moments = probe.get("at")
    return isinstance(moments, list) and set(map(str, moments)) == {"start"}


def _a_fault(raw: Raw) -> Iterator[SpecError]:
    method = raw.get("method")
    if (
        isinstance(method, list)
        and method
        and not any("fault" in a for _, a in _items(raw, "method"))
    ):
        yield SpecError(("method",), "needs at least one fault")


def _unique_names(raw: Raw) -> Iterator[SpecError]:
    for key in ("slis", "probes", "method", "guardrails"):
        seen: dict[str, int] = {}
        for index, item in _items(raw, key):
            name = item.get("name")
            if not isinstance(name, str):
                continue
            if name in seen:
                yield SpecError(
                    (key, index, "name"),
                    f"“{name}” is already the name of number {seen[name] + 1}; give each its own",
                )
            seen.setdefault(name, index)


def _one_measure(raw: Raw) -> Iterator[SpecError]:
    kinds = ("ratio", "quantile", "value", "preset")
    for index, sli in _items(raw, "slis"):
        found = [kind for kind in kinds if sli.get(kind) is not None]
        # A reference that leads nowhere has been told of where it was followed.
        if len(found) != 1 and sli.get("use") is None:
            yield SpecError(
                ("slis", index),
                "needs exactly one of ratio, quantile, value and preset"
                + (f", not {' and '.join(found)}" if found else ""),
            )
        if "with" in sli and sli.get("preset") is None:
            yield SpecError(("slis", index, "with"), "belongs to a preset, and there is none")
        if isinstance(sli.get("preset"), str):
            given = sli.get("with") or {}
            if isinstance(given, Mapping):
                for path, message in presets.problems(sli["preset"], given):
                    yield SpecError(("slis", index, *path), message)


def _unit(sli: Raw) -> str | None:
    """Return the unit that the SLI's quantities are in; None while that cannot be known."""
    if sli.get("ratio") is not None:
        return "ratio"
    if isinstance(sli.get("preset"), str):
        given = sli.get("with") or {}
        if not isinstance(given, Mapping) or presets.problems(sli["preset"], given):
            return None
        made = presets.expand(sli["preset"], given)
        unit = sli.get("unit") or made["unit"]
        return "ratio" if "ratio" in made else _text(unit)
    if sli.get("quantile") is not None:
        return _text(sli.get("unit") or "s")
    return _text(sli.get("unit") or "") if sli.get("value") is not None else None


def _text(unit: Any) -> str | None:
    return unit if isinstance(unit, str) else None


def _quantity(value: Any, unit: str | None, path: Path) -> Iterator[SpecError]:
    if unit is None or not isinstance(value, str | int | float) or isinstance(value, bool):
        return
    if value == "":
        yield SpecError(path, "is empty: write a number, with its unit if it has one")
        return
    try:
        to_unit(value, unit)
    except UnitError as error:
        yield SpecError(path, str(error))


def _limits_and_margins(raw: Raw) -> Iterator[SpecError]:
    for index, sli in _items(raw, "slis"):
        unit = _unit(sli)
        limit, margin = sli.get("limit"), sli.get("margin")
        if isinstance(limit, Mapping):
            for key in ("min", "max"):
                yield from _quantity(limit.get(key), unit, ("slis", index, "limit", key))
            if limit.get("min") is None and limit.get("max") is None:
                yield SpecError(("slis", index, "limit"), "needs min, max or both")
        if isinstance(margin, str | int | float) and not isinstance(margin, bool):
            both = "{relative: 20%} (of the baseline) or {absolute: 0.5%} (percentage points)"
            told = "is empty" if margin == "" else f"{show(str(margin))} is ambiguous"
            yield SpecError(("slis", index, "margin"), f"{told}: write {both}")
        if isinstance(margin, Mapping):
            yield from _quantity(
                margin.get("absolute"), unit, ("slis", index, "margin", "absolute")
            )
            given = [key for key in ("absolute", "relative") if margin.get(key) is not None]
            if len(given) != 1:
                yield SpecError(("slis", index, "margin"), "needs either absolute or relative")
            for key in given:
                if _is_negative(margin[key]):
                    yield SpecError(("slis", index, "margin", key), "must not be negative")


def _expectations(raw: Raw) -> Iterator[SpecError]:
    for index, sli in _items(raw, "slis"):
        if sli.get("use") is not None and not sli.get("copied"):
            # What it stands for may bring its own.
            continue
        limit, margin = sli.get("limit"), sli.get("margin")
        expect = sli.get("expect", "holds")
        if expect == "holds" and not limit and not margin:
            yield SpecError(
                ("slis", index, "margin"),
                "is expected to hold, so it needs a margin, a limit or both: what counts as worse?",
            )
        if expect == "may_degrade" and not limit:
            yield SpecError(("slis", index, "limit"), "is missing: how far may it degrade?")
        if expect == "degrades" and not limit:
            yield SpecError(("slis", index, "limit"), "is missing: how far may it degrade?")


def _is_negative(value: Any) -> bool:
    for read in (Percentage, Duration):
        try:
            return read(value) < 0
        except UnitError:
            continue
    return False


def _probes(raw: Raw) -> Iterator[SpecError]:
    for index, probe in _items(raw, "probes"):
        kinds = [kind for kind in ("http", "promql") if probe.get(kind) is not None]
        if len(kinds) != 1:
            yield SpecError(("probes", index), "needs exactly one of http and promql")
        tolerance = probe.get("tolerance")
        if kinds == ["promql"] and isinstance(tolerance, Mapping) and "status" in tolerance:
            yield SpecError(
                ("probes", index, "tolerance", "status"), "belongs to an http probe; use min or max"
            )
        if isinstance(tolerance, Mapping) and tolerance.get("jsonpath") is not None:
            http = probe.get("http")
            is_empty = isinstance(http, Mapping) and http.get("method") == "HEAD"
            if kinds == ["promql"] or is_empty:
                yield SpecError(
                    ("probes", index, "tolerance", "jsonpath"),
                    "selects from the answer of an http probe; HEAD has none"
                    if is_empty
                    else "belongs to an http probe; PromQL gives one number already",
                )


def _guardrails(raw: Raw) -> Iterator[SpecError]:
    slis = {sli["name"]: sli for _, sli in _items(raw, "slis") if isinstance(sli.get("name"), str)}
    for index, guardrail in _items(raw, "guardrails"):
        path: Path = ("guardrails", index)
        name = guardrail.get("sli")
        if isinstance(name, str) and name and name not in slis:
            yield SpecError((*path, "sli"), _no_such("SLI", name, list(slis)))
        watched = [key for key in ("sli", "promql") if guardrail.get(key) is not None]
        if len(watched) != 1:
            found = ", not both" if watched else ""
            yield SpecError(path, f"needs either sli or promql{found}: what does it watch?")
        own = guardrail.get("name")
        if watched == ["promql"] and isinstance(own, str) and own in slis:
            message = f"“{own}” is already the name of an SLI; give the guardrail its own"
            yield SpecError((*path, "name"), message)
        if watched == ["sli"]:
            for key in ("source", "unit"):
                if guardrail.get(key) is not None:
                    message = f"belongs to promql; the {key} here is that of the SLI"
                    yield SpecError((*path, key), message)
        unit = None
        if watched == ["promql"]:
            unit = own_unit(guardrail)
        elif isinstance(name, str) and name in slis:
            unit = _unit(slis[name])
        yield from bounds(guardrail, unit, path)


def own_unit(guardrail: Raw) -> str | None:
    """Return the unit of a guardrail's own PromQL; None while that cannot be known."""
    unit = guardrail.get("unit")
    return unit or "" if isinstance(unit, str | None) else None


def bounds(guardrail: Raw, unit: str | None, path: Path) -> Iterator[SpecError]:
    """Return what is wrong with the sides of a guardrail: exactly one, in its unit."""
    given = [key for key in ("above", "below") if guardrail.get(key) is not None]
    if len(given) != 1:
        yield SpecError(path, "needs either above or below")
    for key in given:
        yield from _quantity(guardrail[key], unit, (*path, key))


def _reserved(raw: Raw) -> Iterator[SpecError]:
    for index, action in _items(raw, "method"):
        name = action.get("name")
        if isinstance(name, str) and name.startswith(NO_DATA):
            message = f"begins with {NO_DATA}, as the checkpoints that guardrails open"
            yield SpecError(("method", index, "name"), f"“{name}” {message}; choose another")


def _no_such(noun: str, name: str, names: list[str]) -> str:
    hint = nearest.hint(name, filter(None, names))
    return f"there is no {noun} {show(name)}" + (f"; {hint}" if hint else "")


def _references(action: Raw) -> Iterator[tuple[str, int, str]]:
    start = action.get("start")
    if isinstance(start, Mapping):
        for key in ("with", "after"):
            names = start.get(key)
            if isinstance(names, list):
                for position, name in enumerate(names):
                    if isinstance(name, str):
                        yield key, position, name


def _starts(raw: Raw) -> Iterator[SpecError]:
    names = _names(raw, "method")
    waits: dict[str, set[str]] = {name: set() for name in names}
    previous: str | None = None
    where: dict[str, int] = {}
    for index, action in _items(raw, "method"):
        name = action.get("name")
        start = action.get("start")
        if isinstance(start, Mapping) and start.get("with") and start.get("after"):
            yield SpecError(("method", index, "start"), "takes either with or after, not both")
        for key, position, other in _references(action):
            path = ("method", index, "start", key, position)
            if other == name:
                yield SpecError(path, f"“{other}” cannot wait for itself")
            elif other not in names:
                yield SpecError(path, _no_such("action", other, names))
            elif isinstance(name, str):
                waits[name].add(other)
        if isinstance(name, str):
            where.setdefault(name, index)
            # Where a name stands twice, the order of the list says nothing about who waits.
            is_after = start is None and names.count(name) == names.count(previous or name) == 1
            if is_after and previous is not None:
                waits[name].add(previous)
            previous = name
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        yield SpecError(
            ("method", where[circle[0]], "start"),
            f"goes round in a circle: {' → '.join(circle)}",
        )


_Rule = Callable[[Raw], Iterator[SpecError]]
_MEASURES: tuple[_Rule, ...] = (_unique_names, _one_measure, _limits_and_margins)
_RULES: tuple[_Rule, ...] = (
    _something_to_judge,
    _a_fault,
    *_MEASURES,
    _expectations,
    _probes,
    _guardrails,
    _reserved,
    _starts,
)
