"""Says what a draft would do: what is sent, what it hits now, and whether it can be judged.

Everything works on drafts with errors, as far as they can be read. Nothing is stored, and nothing
is asked of a backend or a source unless ``reach`` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from drivers.protocol import Document, DriverError, FaultParams, FaultRequest, Problem, Target
from drivers.units import Duration, UnitError
from experiments import backends
from experiments.domain import spec
from experiments.domain.errors import SpecError
from experiments.models import Connection, Environment
from experiments.selectors import beside, halting, schedule, watchers, words
from experiments.services import authoring, checking, drafts, launching, querying, radius, warning
from experiments.services.warning import Warned

_TOKEN = "cw-preview"  # noqa: S105  the token of no injection


@dataclass(frozen=True, slots=True)
class Claimed:
    """One physical thing that an action would hold, and the run that holds it now."""

    key: str
    held_by: int | None = None
    who: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ActionPreview:
    """One fault of the method: what is sent and undone, and what it hits."""

    name: str
    kind: str
    title: str
    via: str
    position: int = 0
    sentence: str = ""
    blast: str = ""
    """What it does, for how long and to whom, in one sentence."""
    ends: str = ""
    undo: str = ""
    dead_man: str = ""
    is_for_good: bool = False
    documents: tuple[Document, ...] = ()
    note: str = ""
    """Why there is no more to show."""
    problems: tuple[Problem, ...] = ()
    targets: tuple[Target, ...] = ()
    hits: str = ""
    claims: tuple[Claimed, ...] = ()
    was_asked: bool = False


@dataclass(frozen=True, slots=True)
class GuardrailPreview:
    """One guardrail that would watch the run, and whose it is."""

    name: str
    rule: str
    no_data: str
    is_of_environment: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """All that is known of a draft."""

    errors: tuple[SpecError, ...]
    schedule: schedule.Schedule | None
    actions: tuple[ActionPreview, ...]
    warnings: tuple[Warned, ...]
    lacks: tuple[SpecError, ...]
    guardrails: tuple[GuardrailPreview, ...] = ()
    notes: tuple[str, ...] = ()
    environment: Environment | None = None
    was_asked: bool = False
    blast: str = ""
    """What the whole breaks, where, for how long, and how that ends."""
    halted: str = ""
    """Why no run may start there now."""
    live: tuple[beside.LiveRun, ...] = ()
    """The runs that are live there now."""
    clashes: tuple[Warned, ...] = ()
    """Actions that would hold the same claim at once; known once the backends were asked."""


def catalogue() -> Mapping[str, type[FaultParams]]:
    """Return every fault model by its kind."""
    return backends.faults()


def preview(
    *, raw: Mapping[str, Any], environment: Environment | None = None, reach: bool = False
) -> Preview:
    """Return what the draft would do in the environment; ``reach`` asks backends and sources."""
    parsed = authoring.validate(raw)
    resolved = drafts.settled(raw, environment)
    connections = drafts.connections_of(environment)
    planned = schedule.plan(resolved)
    document = authoring.validate(resolved).spec if parsed.spec is not None else None
    asked = (
        querying.queries(raw=raw, environment=environment)
        if reach and environment
        else querying.Queries()
    )
    warnings = tuple(warning.found(document, planned, connections, environment)) if document else ()
    lacks = tuple(launching.fits(document, environment)) if document and environment else ()
    if planned is not None:
        told = [(each.path, each.message) for each in lacks]
        told += [(each.path, each.message) for each in warnings]
        planned = schedule.marked(planned, told)
    actions = tuple(_actions(resolved, environment, connections, planned, reach=reach))
    halt = halting.active(environment) if environment else None
    return Preview(
        errors=parsed.errors + asked.errors,
        schedule=planned,
        actions=actions,
        warnings=warnings,
        guardrails=tuple(_guardrails(document, environment)),
        lacks=lacks,
        notes=asked.notes,
        environment=environment,
        was_asked=reach and environment is not None,
        blast=_blast(planned, actions, environment),
        halted=halting.refusal(halt) if halt else "",
        live=tuple(beside.live_runs(environment)) if environment else (),
        clashes=tuple(_clashes(document, actions)) if document else (),
    )


def _blast(
    planned: schedule.Schedule | None,
    actions: Iterable[ActionPreview],
    environment: Environment | None,
) -> str:
    known = backends.faults()
    said = [(each.name, known[each.kind], each.sentence) for each in actions if each.sentence]
    return radius.of_all(planned, said, environment)


def _clashes(document: spec.Experiment, actions: Iterable[ActionPreview]) -> Iterable[Warned]:
    """Yield the actions that would hold one thing at once, as a run's checks refuse it."""
    planned = [
        {"action": document.method[each.position], "claims": [claim.key for claim in each.claims]}
        for each in actions
        if each.claims
    ]
    places = {action.name: index for index, action in enumerate(document.method)}
    for problem in checking.overlaps(document, planned):
        where = ("method", places[problem.where], "start")
        yield Warned(where, problem.message, problem.hint, "error")


def _actions(
    resolved: Mapping[str, Any],
    environment: Environment | None,
    connections: Mapping[str, Connection],
    planned: schedule.Schedule | None,
    *,
    reach: bool,
) -> Iterable[ActionPreview]:
    method = resolved.get("method")
    times = {each.index: each for each in planned.faults} if planned else {}
    for index, action in enumerate(method if isinstance(method, list) else ()):
        if not isinstance(action, Mapping) or "fault" not in action:
            continue
        kind, via = str(action.get("fault")), str(action.get("via") or "")
        model = backends.faults().get(kind)
        name = str(action.get("name") or f"action {index + 1}")
        found = ActionPreview(name, kind, model.title if model else kind, via, index)
        if model is None:
            yield replace(found, note="There is no such fault.")
            continue
        try:
            params = model.model_validate(action.get("with") or {})
        except ValidationError:
            yield replace(found, note="Shown once its fields are right.")
            continue
        found = replace(
            found,
            sentence=params.sentence(),
            dead_man=dead_man(model),
            undo=undo(model),
            is_for_good=model.undo == "none",
            ends=radius.end_of(model, times.get(index), planned),
        )
        connection = connections.get(via)
        if environment is None:
            found = replace(found, note="Pick an environment to see what will be sent.")
        elif connection is None:
            found = replace(found, note=f"{environment} has no connection “{via}”.")
        elif connection.kind != backends.connection_kind(kind):
            found = replace(found, note=f"“{via}” is a connection of kind {connection.kind}.")
        else:
            request = FaultRequest(params, _TOKEN, _lasts_s(times.get(index), action))
            found = _sent(found, request, connection)
            if reach:
                found = _asked(found, request, connection)
        targets = found.targets if found.was_asked else None
        blast = radius.of_action(found.sentence, times.get(index), found.documents, targets)
        yield replace(found, blast=blast)


def _lasts_s(planned: schedule.Planned | None, action: Mapping[str, Any]) -> float | None:
    """Return how long the action is to last; None where nobody has said it rightly yet."""
    try:
        return float(Duration(action.get("duration", "")))
    except UnitError:
        return planned.stop_s - planned.start_s if planned else None


def _sent(found: ActionPreview, request: FaultRequest, connection: Connection) -> ActionPreview:
    try:
        shown = backends.driver(connection).preview(request)
    except DriverError as error:
        return replace(found, problems=(_problem(error, connection),))
    return replace(found, documents=shown.documents, sentence=shown.sentence, undo=shown.undo)


def _asked(found: ActionPreview, request: FaultRequest, connection: Connection) -> ActionPreview:
    """Ask the backend what stands in the way, what matches now and what would be held."""
    try:
        driver = backends.driver(connection)
        problems = tuple(driver.check(request))
        found = replace(found, problems=problems, was_asked=True)
        targets = driver.resolve(request)
        found = replace(found, targets=targets.targets, hits=targets.sentence)
        if not any(problem.severity == "error" for problem in problems):
            plan = driver.prepare(request)
            # What the backend's own state fills in (a route's keys) is known only now.
            found = replace(found, claims=tuple(_claims(plan.claims)), documents=plan.documents)
    except DriverError as error:
        said = {problem.message for problem in found.problems}
        if any(message in error.message for message in said):
            return replace(found, was_asked=True)
        problems = (*found.problems, _problem(error, connection))
        return replace(found, problems=problems, was_asked=True)
    return found


def _claims(keys: Iterable[str]) -> Iterable[Claimed]:
    wanted = list(keys)
    held = beside.holders(wanted)
    for key in wanted:
        run = held.get(key)
        yield Claimed(key, run.pk, run.who, run.until) if run else Claimed(key)


def _problem(error: DriverError, connection: Connection) -> Problem:
    return Problem(message=error.message, hint=error.hint, where=connection.name)


def undo(model: type[FaultParams]) -> str:
    """Say how a fault ends."""
    return {
        "restores": "ChaosWeb puts back what was there before.",
        "self_heals": "The targets heal by themselves; recovered means that they are healthy.",
        "none": "It cannot be undone.",
    }[model.undo]


def dead_man(model: type[FaultParams]) -> str:
    """Say what happens to a fault when ChaosWeb is gone."""
    if model.undo == "none":
        return "Nothing would bring it back."
    if model.undo == "self_heals":
        return "None is needed: it ends without ChaosWeb as well."
    if model.dead_man_s is None:
        return "None: without ChaosWeb it stays until somebody removes it."
    length = words.length(model.dead_man_s)
    if model.dead_man_after_duration:
        return f"The backend removes it by itself {length} after it should have ended."
    return f"The backend removes it by itself after {length}."


def _guardrails(
    document: spec.Experiment | None, environment: Environment | None
) -> Iterable[GuardrailPreview]:
    """Yield the guardrails that would watch: the document's, then those of the environment."""
    if document is None:
        return
    watched = warning.watched_in(document, environment)
    for index, each in enumerate(watched.guardrails):
        yield GuardrailPreview(
            each.name,
            watchers.rule_of(each),
            watchers.NO_DATA[each.no_data],
            index >= len(document.guardrails),
        )
