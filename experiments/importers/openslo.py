"""OpenSLO v1 to services and their SLIs: what can be kept, what changes, and what is lost.

Not a format of experiments: ``services.openslo`` reads with it. Pure, and raises nothing: whatever
a source holds, a Converted comes out. Facts: the OpenSLO specification, version openslo/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.importers import promql_of
from experiments.importers.base import Note, Source, SourceError, Written

VERSION = "openslo/v1"
_LONGEST = 63
_KINDS = ("Service", "SLI", "SLO")
_BUDGET = ("timeWindow", "budgetingMethod", "alertPolicies")
_AT_MOST, _AT_LEAST = ("lte", "lt"), ("gte", "gt")


@dataclass(frozen=True, slots=True)
class Converted:
    """What a source says of services: raw descriptions by name, and what became of the rest."""

    services: Mapping[str, Mapping[str, Any]]
    lines: Mapping[str, int]
    """On which line each service begins."""
    kept: tuple[Note, ...] = ()
    changed: tuple[Note, ...] = ()
    lost: tuple[Note, ...] = ()
    errors: tuple[SourceError, ...] = ()


@dataclass(slots=True)
class _Book:
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    kept: list[Note] = field(default_factory=list)
    changed: list[Note] = field(default_factory=list)
    lost: list[Note] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def service(self, name: str, line: int) -> dict[str, Any]:
        """Return the description of that name, which may be a new one."""
        self.lines.setdefault(name, line)
        return self.services.setdefault(name, {"name": name, "slis": []})


@dataclass(frozen=True, slots=True)
class _Object:
    """One OpenSLO object that is a mapping of the right version."""

    written: Written
    kind: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    line: int

    @property
    def name(self) -> str:
        return _text(self.metadata.get("name"))

    @property
    def title(self) -> str:
        return _text(self.metadata.get("displayName"))


def is_openslo(written: Written) -> bool:
    """Return whether a document says that it is OpenSLO, of whatever version."""
    raw = written.raw
    return isinstance(raw, Mapping) and _text(raw.get("apiVersion")).startswith("openslo")


def convert(source: Source) -> Converted:
    """Return the services of a source."""
    book = _Book(errors=list(source.errors))
    objects = [made for written in source.documents if (made := _object(written, book))]
    if not objects and not book.errors:
        book.errors.append(SourceError(f"holds no OpenSLO document ({VERSION})", line=1, column=1))
    slis = {each.name: each for each in objects if each.kind == "SLI"}
    for each in objects:
        if each.kind == "Service":
            _service(each, book)
    for each in objects:
        if each.kind == "SLO":
            _slo(each, slis, book)
    for name, sli in slis.items():
        if name not in book.used:
            told = f"SLI “{name}”: no SLO of the file says which service it is of"
            book.lost.append(Note(told, sli.line))
    return Converted(
        book.services,
        book.lines,
        tuple(book.kept),
        tuple(book.changed),
        tuple(book.lost),
        tuple(book.errors),
    )


def _object(written: Written, book: _Book) -> _Object | None:
    raw = written.raw
    if raw is None:
        return None
    if not is_openslo(written):
        book.errors.append(SourceError("is no OpenSLO document", (), *written.place(())))
        return None
    line, column = written.place(("apiVersion",))
    version, kind = _text(raw.get("apiVersion")), _text(raw.get("kind"))
    if version != VERSION:
        told = f"is {version}; only {VERSION} is read"
        book.errors.append(SourceError(told, ("apiVersion",), line, column))
        return None
    metadata, spec = _mapping(raw.get("metadata")), _mapping(raw.get("spec"))
    made = _Object(written, kind, metadata, spec, line)
    if kind not in _KINDS:
        called = f"{kind or 'a document without a kind'} “{made.name}”"
        book.lost.append(Note(f"{called}: only {', '.join(_KINDS)} are read", line))
        return None
    if not made.name:
        line, column = written.place(("metadata",))
        book.errors.append(SourceError("is missing: a name", ("metadata", "name"), line, column))
        return None
    return made


def _service(found: _Object, book: _Book) -> None:
    name = _name(found.name, found.line, book)
    service = book.service(name, found.line)
    service |= {"title": found.title[:200], "description": _text(found.spec.get("description"))}
    book.kept.append(Note(f"service “{name}”", found.line))
    _lose_labels(found, book)


def _slo(found: _Object, slis: Mapping[str, _Object], book: _Book) -> None:
    of = _text(found.spec.get("service"))
    if not of:
        line, column = found.written.place(("spec",))
        told = f"SLO “{found.name}” names no service"
        book.errors.append(SourceError(told, ("spec", "service"), line, column))
        return
    name = _name(of, found.line, book)
    if name not in book.services:
        book.changed.append(Note(f"service “{name}”: only its name is known", found.line))
    service = book.service(name, found.line)
    for objective, called, title, spec in _indicators(found, slis, book):
        sli = _sli(called, spec, found.line, book)
        if sli is None:
            continue
        title = title or _text(spec.get("description"))
        _add(service, sli | ({"title": title[:200]} if title else {}), objective, found.line, book)
    _lose_labels(found, book)
    given = [key for key in _BUDGET if found.spec.get(key)]
    if given:
        told = f"SLO “{found.name}”: {', '.join(given)}; a run is judged by minutes, not by budgets"
        book.lost.append(Note(told, found.line))


_Indicator = tuple[Mapping[str, Any], str, str, Mapping[str, Any]]


def _indicators(found: _Object, slis: Mapping[str, _Object], book: _Book) -> Iterator[_Indicator]:
    """Yield each SLI of an SLO: the objective that it answers to, its name, title and spec."""
    given = found.spec.get("objectives")
    objectives = [_mapping(each) for each in (given if isinstance(given, list) else [])] or [{}]
    own = [each for each in objectives if "indicator" in each or "indicatorRef" in each]
    if not own:
        if len(objectives) > 1:
            told = f"SLO “{found.name}”: the first of its {len(objectives)} objectives is the limit"
            book.lost.append(Note(told, found.line))
        own = objectives[:1]
    for number, objective in enumerate(own):
        holder = objective if {"indicator", "indicatorRef"} & set(objective) else found.spec
        reference = _text(holder.get("indicatorRef"))
        if reference:
            sli = slis.get(reference)
            if sli is None:
                told = f"SLO “{found.name}”: its SLI “{reference}” is not in the file"
                book.lost.append(Note(told, found.line))
                continue
            book.used.add(reference)
            yield objective, reference, sli.title, sli.spec
            continue
        inline = _mapping(holder.get("indicator"))
        metadata = _mapping(inline.get("metadata"))
        fallback = found.name if len(own) == 1 else f"{found.name}-{number + 1}"
        called = _text(metadata.get("name")) or fallback
        title = _text(metadata.get("displayName")) or found.title
        if not inline:
            book.lost.append(Note(f"SLO “{found.name}”: it has no indicator", found.line))
            continue
        yield objective, called, title, _mapping(inline.get("spec"))


def _sli(called: str, spec: Mapping[str, Any], line: int, book: _Book) -> dict[str, Any] | None:
    """Return the SLI without its limit; None, told as lost, where it cannot be read."""
    made: promql_of.Made | None = None
    told = "measures neither a ratio nor a threshold"
    ratio, threshold = spec.get("ratioMetric"), spec.get("thresholdMetric")
    if isinstance(ratio, Mapping):
        queries = {}
        for part in ("good", "bad", "total", "raw"):
            if part in ratio:
                queries[part], told = _query(_mapping(ratio.get(part)))
        if queries and all(queries.values()):
            is_good = _text(ratio.get("rawType")) != "failure"
            made, told = promql_of.ratio(queries, is_raw_good=is_good)
    elif isinstance(threshold, Mapping):
        query, told = _query(threshold)
        made = promql_of.threshold(query) if query else None
    if made is None:
        book.lost.append(Note(f"SLI “{called}”: {told}", line))
        return None
    name = _name(called, line, book)
    for note in made.notes:
        book.changed.append(Note(f"SLI “{name}”: {note}", line))
    return {"name": name, **made.sli}


def _query(metric: Mapping[str, Any]) -> tuple[str, str]:
    """Return the PromQL of a metric, or why there is none."""
    source = _mapping(metric.get("metricSource"))
    kind = _text(source.get("type"))
    if kind and kind.lower() != "prometheus":
        return "", f"is read from {kind}, not from Prometheus"
    inner = _mapping(source.get("spec"))
    found = next((_text(each.get("query")) for each in (inner, source) if each.get("query")), "")
    return found.strip(), "has no PromQL query"


def _add(
    service: dict[str, Any],
    sli: dict[str, Any],
    objective: Mapping[str, Any],
    line: int,
    book: _Book,
) -> None:
    """Write the SLI, with the objective as its limit, into its service."""
    limit, direction = _limit(sli, objective)
    if limit:
        sli["limit"] = limit
    if direction:
        sli["direction"] = direction
    slis = service["slis"]
    same = next((each for each in slis if each["name"] == sli["name"]), None)
    if same == sli:
        return
    if same is not None:
        told = f"SLI “{sli['name']}” of “{service['name']}” is there twice; the first is taken"
        book.lost.append(Note(told, line))
        return
    slis.append(sli)
    book.kept.append(Note(f"SLI “{service['name']}.{sli['name']}”", line))


def _limit(sli: Mapping[str, Any], objective: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the limit that an objective means, and the direction where it decides that."""
    op, value = _text(objective.get("op")), objective.get("value")
    is_share = "ratio" in sli or sli.get("unit") == "ratio"
    if not is_share:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return {}, ""
        if op in _AT_LEAST:
            return {"min": value}, "higher_is_better"
        return ({"max": value}, "") if op in _AT_MOST else ({}, "")
    target = _target(objective)
    if target is None:
        return {}, ""
    if sli.get("direction") == "higher_is_better":
        return {"min": _percent(target)}, ""
    return {"max": _percent(1 - target)}, ""


def _target(objective: Mapping[str, Any]) -> float | None:
    for key, scale in (("target", 1.0), ("targetPercent", 100.0)):
        found = objective.get(key)
        if isinstance(found, int | float) and not isinstance(found, bool) and 0 < found < scale:
            return found / scale
    return None


def _percent(share: float) -> str:
    return f"{round(share * 100, 6):g}%"


def _lose_labels(found: _Object, book: _Book) -> None:
    given = [key for key in ("labels", "annotations") if found.metadata.get(key)]
    if given:
        book.lost.append(Note(f"{found.kind} “{found.name}”: {' and '.join(given)}", found.line))


def _name(given: str, line: int, book: _Book) -> str:
    """Return a name as ChaosWeb writes them."""
    made = re.sub(r"[^a-z0-9_-]+", "-", given.lower())[:_LONGEST].strip("-_") or "unnamed"
    if made != given:
        note = Note(f"“{given}” is called “{made}”", line)
        if note not in book.changed:
            book.changed.append(note)
    return made


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
