"""A Workflow of Chaos Mesh to a timeline: Serial, Parallel, Suspend, faults and status checks.

A template's deadline becomes the length of its action; a deadline around others bounds theirs.
What a timeline cannot say (tasks and their branches) is told as lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.units import Duration, UnitError
from experiments.domain.errors import Path
from experiments.importers.chaosmesh_book import DEFAULT_S, Book, Found, clean_name, payload_of

_MOST_ACTIONS = 100
_MOST_STEPS = 1000
_DEEPEST = 50
_LONGEST_TIMEOUT_S = 30.0


@dataclass(slots=True)
class _Walk:
    """The way through the templates of one Workflow."""

    book: Book
    namespace: str
    templates: dict[str, tuple[int, Mapping[str, Any]]]
    at: Path
    made: list[Found] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    steps: int = 0
    is_cut: bool = False

    def name(self, wanted: str) -> str:
        """Return a name that no other action has."""
        base = clean_name(wanted)
        name, number = base, 1
        while name in self.names:
            number += 1
            name = f"{base[:56]}-{number}"
        self.names.add(name)
        return name

    def place(self, index: int, *rest: str | int) -> Path:
        """Return the path of a template, or of something in it."""
        return (*self.at, "templates", index, *rest)


def timeline(spec: Any, book: Book, *, namespace: str, at: Path) -> list[Found]:
    """Return the actions of a Workflow's spec, in order; with errors in the book maybe none."""
    holder = spec if isinstance(spec, Mapping) else {}
    listed = holder.get("templates")
    templates: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for index, template in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(template, Mapping) and isinstance(template.get("name"), str):
            templates.setdefault(template["name"], (index, template))
    entry = holder.get("entry")
    if not isinstance(entry, str) or entry not in templates:
        book.wrong((*at, "entry"), f"“{entry}” is the name of no template")
        return []
    walk = _Walk(book, namespace, templates, at)
    reached: set[str] = set()
    _step(walk, entry, (), None, (), reached)
    for name, (index, _) in templates.items():
        if name not in reached and not book.errors:
            book.lose(walk.place(index), f"template “{name}”: the entry does not lead to it")
    return walk.made


_Ends = tuple[tuple[str, ...], float]
"""The actions after which what follows begins, and how long it takes until then."""


def _step(
    walk: _Walk,
    name: str,
    after: tuple[str, ...],
    left_s: float | None,
    within: tuple[str, ...],
    reached: set[str],
) -> _Ends:
    """Add the actions of a template, which begin after others, and say after which it ends."""
    walk.steps += 1
    index, template = walk.templates[name]
    kind = str(template.get("templateType", ""))
    reached.add(name)
    is_large = walk.steps > _MOST_STEPS or len(walk.made) >= _MOST_ACTIONS
    if is_large or len(within) > _DEEPEST:
        if not walk.is_cut:
            walk.is_cut = True
            told = f"is nested deeper than {_DEEPEST} templates"
            if is_large:
                told = f"becomes more than {_MOST_ACTIONS} actions, which is the most there can be"
            walk.book.wrong(walk.at, told)
        return after, 0.0
    own_s = _deadline(walk, index, template)
    bound = [each for each in (own_s, left_s) if each is not None]
    bound_s = min(bound) if bound else None
    if kind in ("Serial", "Parallel"):
        return _children(walk, name, after, bound_s, within, reached)
    if kind == "Suspend":
        if own_s is None:
            walk.book.wrong(walk.place(index), f"Suspend “{name}” has no deadline")
            return after, 0.0
        wait_s = bound_s or own_s
        action = {"name": walk.name(name), "wait": str(Duration(wait_s))}
        return _added(walk, Found(action), after), wait_s
    if kind == "Task":
        told = f"Task “{name}”: an experiment runs no containers; its branches are lost with it"
        walk.book.lose(walk.place(index), told)
        reached |= _branches(walk, template)
        return after, 0.0
    if kind == "StatusCheck":
        _check(walk, index, name, template)
        return after, 0.0
    return _fault(walk, index, name, template, kind, after, bound_s)


def _branches(walk: _Walk, template: Mapping[str, Any]) -> set[str]:
    """Return the templates that only a task leads to; each is told as lost."""
    found = set()
    branches = template.get("conditionalBranches")
    for branch in branches if isinstance(branches, list) else []:
        target = branch.get("target") if isinstance(branch, Mapping) else None
        if isinstance(target, str) and target in walk.templates:
            index = walk.templates[target][0]
            walk.book.lose(walk.place(index), f"template “{target}”: only a task leads to it")
            found.add(target)
    return found


def _children(
    walk: _Walk,
    name: str,
    after: tuple[str, ...],
    left_s: float | None,
    within: tuple[str, ...],
    reached: set[str],
) -> _Ends:
    index, template = walk.templates[name]
    listed = template.get("children")
    ends: tuple[str, ...] = ()
    took_s, begins = 0.0, after
    is_serial = template.get("templateType") == "Serial"
    for position, child in enumerate(listed if isinstance(listed, list) else []):
        here = walk.place(index, "children", position)
        if not isinstance(child, str) or child not in walk.templates:
            walk.book.wrong(here, f"“{child}” is the name of no template")
            continue
        if child == name or child in within:
            walk.book.wrong(here, f"“{child}” leads back to itself")
            continue
        if left_s is not None and is_serial and took_s >= left_s:
            reached.add(child)
            walk.book.lose(here, f"“{child}”: the deadline of “{name}” ends before it begins")
            continue
        rest = left_s - took_s if left_s is not None and is_serial else left_s
        made, lasted_s = _step(walk, child, begins, rest, (*within, name), reached)
        if is_serial:
            begins, took_s = made, took_s + lasted_s
        else:
            # What adds no action (a check, a task) ends where it began.
            ends = (*ends, *made) if made != begins else ends
            took_s = max(took_s, lasted_s)
    if is_serial or not ends:
        return begins, took_s
    return tuple(dict.fromkeys(ends)), took_s


def _deadline(walk: _Walk, index: int, template: Mapping[str, Any]) -> float | None:
    written = template.get("deadline")
    if written in (None, ""):
        return None
    try:
        seconds = float(Duration(written)) if isinstance(written, str) else 0.0
    except UnitError:
        seconds = 0.0
    if seconds <= 0:
        told = f"“{written}” is no length of time; write for example 30s"
        walk.book.wrong(walk.place(index, "deadline"), told)
        return None
    return seconds


def _fault(
    walk: _Walk,
    index: int,
    name: str,
    template: Mapping[str, Any],
    kind: str,
    after: tuple[str, ...],
    bound_s: float | None,
) -> _Ends:
    holder, at = template, walk.place(index)
    if kind == "Schedule":
        inner = template.get("schedule")
        holder, at = inner if isinstance(inner, Mapping) else {}, (*at, "schedule")
        kind = str(holder.get("type", ""))
        walk.book.lose_cron(holder, at)
    key, spec = payload_of(holder, kind)
    if spec is None:
        walk.book.wrong(at, f"template “{name}” has no {key}, which its type asks for")
        return after, 0.0
    read = walk.book.reader.read_spec(
        kind, spec, name=name, namespace=walk.namespace, at=(*at, key)
    )
    lasts_s = bound_s
    if lasts_s is None:
        lasts_s = read.duration_s or DEFAULT_S
        told = f"“{name}” has no deadline and would never end: it lasts {Duration(lasts_s)}"
        walk.book.change(at, told)
    found = walk.book.fault(read, walk.name(name), kind, lasts_s)
    if not found:
        return after, 0.0
    return _added(walk, found[0], after), lasts_s


def _added(walk: _Walk, found: Found, after: tuple[str, ...]) -> tuple[str, ...]:
    """Place the action: after others, or with the first of all."""
    if after:
        previous = walk.made[-1].action["name"]
        if after != (previous,):
            found.action["start"] = {"after": list(after)}
    elif walk.made:
        found.action["start"] = {"with": [walk.made[0].action["name"]]}
    walk.made.append(found)
    return (found.action["name"],)


def _check(walk: _Walk, index: int, name: str, template: Mapping[str, Any]) -> None:
    """Make a probe of a status check."""
    given = template.get("statusCheck")
    check = given if isinstance(given, Mapping) else {}
    http = check.get("http")
    http = http if isinstance(http, Mapping) else {}
    criteria = http.get("criteria")
    code = str(criteria.get("statusCode", "")) if isinstance(criteria, Mapping) else ""
    bounds = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", code)
    statuses = range(int(bounds[1]), int(bounds[2] or bounds[1]) + 1) if bounds else range(0)
    here = walk.place(index)
    if not isinstance(http.get("url"), str) or not statuses:
        walk.book.lose(here, f"status check “{name}”: has no address or status code to ask for")
        return
    probe: dict[str, Any] = {
        "name": walk.name(name),
        "at": ["start", "end", "throughout"],
        "every": f"{_whole(check.get('intervalSeconds'), 10)}s",
        "http": {"url": http["url"], "method": str(http.get("method") or "GET")},
        "tolerance": {"status": statuses[0] if len(statuses) == 1 else list(statuses)},
    }
    timeout_s = min(_whole(check.get("timeoutSeconds"), 1), _LONGEST_TIMEOUT_S)
    probe["http"]["timeout"] = f"{timeout_s:g}s"
    headers = http.get("headers")
    if isinstance(headers, Mapping) and headers:
        probe["http"]["headers"] = {
            str(key): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for key, value in headers.items()
        }
    walk.book.probes.append(probe)
    told = f"status check “{name}”: a probe for the whole run, which one failure fails"
    walk.book.change(here, told)
    lost = [
        key
        for key in ("failureThreshold", "successThreshold", "duration", "mode")
        if check.get(key) not in (None, "")
    ]
    lost += ["http.body"] if http.get("body") else []
    lost += ["abortWithStatusCheck"] if template.get("abortWithStatusCheck") else []
    if lost:
        walk.book.lose(here, f"status check “{name}”: {', '.join(lost)}")


def _whole(value: Any, default: int) -> int:
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
    )
