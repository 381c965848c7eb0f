"""Says what a draft would do: what is sent, what it hits now, and whether it can be judged.

Everything works on drafts with errors, as far as they can be read. Nothing is stored, and nothing
is asked of a backend or a source unless ``reach`` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from pydantic import ValidationError

from drivers.protocol import Document, DriverError, FaultParams, FaultRequest, Problem, Target
from experiments import backends
from experiments.analysis.gate import LEAST_BINS
from experiments.domain import mandatory, parameters, presets, spec
from experiments.domain.errors import Path, SpecError
from experiments.domain.method import Guardrail
from experiments.domain.presets import PresetError
from experiments.engine.snapshot import Pace
from experiments.models import Claim, Connection, Environment
from experiments.selectors import schedule, watchers, words
from experiments.services import authoring, judging, launching, pacing, snapshots

_TOKEN = "cw-preview"  # noqa: S105  the token of no injection


@dataclass(frozen=True, slots=True)
class Claimed:
    """One physical thing that an action would hold, and the run that holds it now."""

    key: str
    held_by: int | None = None


@dataclass(frozen=True, slots=True)
class ActionPreview:
    """One fault of the method: what is sent and undone, and what it hits."""

    name: str
    kind: str
    title: str
    via: str
    sentence: str = ""
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
    warnings: tuple[Problem, ...]
    lacks: tuple[SpecError, ...]
    guardrails: tuple[GuardrailPreview, ...] = ()
    notes: tuple[str, ...] = ()
    environment: Environment | None = None
    was_asked: bool = False


@dataclass(frozen=True, slots=True)
class Queries:
    """What servers say of the draft's PromQL; ``notes`` name those that did not answer."""

    errors: tuple[SpecError, ...] = ()
    notes: tuple[str, ...] = ()


def catalogue() -> Mapping[str, type[FaultParams]]:
    """Return every fault model by its kind."""
    return backends.faults()


def settled(raw: Mapping[str, Any], environment: Environment | None = None) -> dict[str, Any]:
    """Return the document with its parameters' values written in, as far as there are any."""
    declared, _ = parameters.declared(raw.get("parameters"))
    given = environment.parameters if environment else {}
    values, _ = parameters.settle(
        declared, {name: value for name, value in given.items() if name in declared}
    )
    resolved, _ = parameters.substitute(raw, values, frozenset(declared))
    return dict(resolved)


def preview(
    *, raw: Mapping[str, Any], environment: Environment | None = None, reach: bool = False
) -> Preview:
    """Return what the draft would do in the environment; ``reach`` asks backends and sources."""
    parsed = authoring.validate(raw)
    resolved = settled(raw, environment)
    connections = _connections(environment)
    planned = schedule.plan(resolved)
    document = authoring.validate(resolved).spec if parsed.spec is not None else None
    asked = queries(raw=raw, environment=environment) if reach and environment else Queries()
    return Preview(
        errors=parsed.errors + asked.errors,
        schedule=planned,
        actions=tuple(_actions(resolved, environment, connections, reach=reach)),
        warnings=tuple(_warnings(document, planned, connections, environment)),
        guardrails=tuple(_guardrails(document, environment)),
        lacks=tuple(launching.fits(document, environment)) if document and environment else (),
        notes=asked.notes,
        environment=environment,
        was_asked=reach and environment is not None,
    )


def _connections(environment: Environment | None) -> dict[str, Connection]:
    if environment is None:
        return {}
    aliases = environment.aliases.select_related("connection")
    return {alias.name: alias.connection for alias in aliases}


def _actions(
    resolved: Mapping[str, Any],
    environment: Environment | None,
    connections: Mapping[str, Connection],
    *,
    reach: bool,
) -> Iterable[ActionPreview]:
    method = resolved.get("method")
    for index, action in enumerate(method if isinstance(method, list) else ()):
        if not isinstance(action, Mapping) or "fault" not in action:
            continue
        kind, via = str(action.get("fault")), str(action.get("via") or "")
        model = backends.faults().get(kind)
        name = str(action.get("name") or f"action {index + 1}")
        found = ActionPreview(name, kind, model.title if model else kind, via)
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
        )
        connection = connections.get(via)
        if environment is None:
            found = replace(found, note="Pick an environment to see what will be sent.")
        elif connection is None:
            found = replace(found, note=f"{environment} has no connection “{via}”.")
        elif connection.kind != kind.split(".")[0]:
            found = replace(found, note=f"“{via}” is a {connection.kind} connection.")
        else:
            request = FaultRequest(params, _TOKEN)
            found = _sent(found, request, connection)
            if reach:
                found = _asked(found, request, connection)
        yield found


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
            found = replace(found, claims=tuple(_claims(driver.prepare(request).claims)))
    except DriverError as error:
        said = {problem.message for problem in found.problems}
        if any(message in error.message for message in said):
            return replace(found, was_asked=True)
        problems = (*found.problems, _problem(error, connection))
        return replace(found, problems=problems, was_asked=True)
    return found


def _claims(keys: Iterable[str]) -> Iterable[Claimed]:
    wanted = list(keys)
    held = Claim.objects.filter(key__in=wanted, released_at__isnull=True)
    holders = {claim.key: claim.run_id for claim in held}
    return [Claimed(key, holders.get(key)) for key in wanted]


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
    if model.dead_man_s is None:
        return "None: without ChaosWeb it stays until somebody removes it."
    return f"The backend removes it by itself after {words.length(model.dead_man_s)}."


def _guardrails(
    document: spec.Experiment | None, environment: Environment | None
) -> Iterable[GuardrailPreview]:
    """Yield the guardrails that would watch: the document's, then those of the environment."""
    if document is None:
        return
    watched = _watched(document, environment)
    for index, each in enumerate(watched.guardrails):
        yield GuardrailPreview(
            each.name,
            watchers.rule_of(each),
            watchers.NO_DATA[each.no_data],
            index >= len(document.guardrails),
        )


def _watched(document: spec.Experiment, environment: Environment | None) -> spec.Experiment:
    """Return the document as a run of it would have it, as far as the environment can be read."""
    own, _ = mandatory.read(environment.guardrails if environment else [])
    return mandatory.added(document, own)


def _warnings(
    document: spec.Experiment | None,
    planned: schedule.Schedule | None,
    connections: dict[str, Connection],
    environment: Environment | None,
) -> Iterable[Problem]:
    """Yield why the run could not be judged, and which guardrails would be slower than they say."""
    if document is None or (environment is None and document.timing.step is None):
        return
    watched = _watched(document, environment)
    pace = snapshots.pace_of(watched, connections)
    yield from _too_short(document, planned, pace)
    yield from pacing.unfed(watched, pace)


def _too_short(
    document: spec.Experiment, planned: schedule.Schedule | None, pace: Pace
) -> Iterable[Problem]:
    """Warn where baseline or fault phase are too short for the data gate at this step."""
    if planned is None or not document.slis:
        return
    for what, where, seconds, needed, dropped in (
        ("baseline", "timing.baseline", planned.watched_s, LEAST_BINS["baseline"], 0),
        ("fault phase", "method", planned.fault_s, LEAST_BINS["fault"], judging.SETTLE_STEPS),
    ):
        bins = max(int(seconds / pace.step_s + 1e-9) - dropped, 0)
        if bins >= needed:
            continue
        lasts = words.length(ceil((needed + dropped) * pace.step_s))
        step = seconds / (needed + dropped)
        hint = f"It can with at least {lasts}"
        if step >= pace.scrape_s:
            hint += f", or with a step of {step:.3g} s"
        dropping = f" (the first {dropped} do not count)" if dropped else ""
        yield Problem(
            message=f"The {what} of {words.length(seconds)} has {bins} bins of {pace.step_s:g} s"
            f"{dropping}; the verdict needs {needed}, so the run would be inconclusive.",
            hint=f"{hint}.",
            severity="warning",
            where=where,
        )


def queries(*, raw: Mapping[str, Any], environment: Environment | None) -> Queries:
    """Have the environment's Prometheus read every query of the draft, each error at its field.

    A server that does not answer is named in a note; its queries count as right.
    """
    connections = {
        alias: connection
        for alias, connection in _connections(environment).items()
        if connection.kind == "prometheus"
    }
    errors: list[SpecError] = []
    silent = {alias: _silence(connection) for alias, connection in connections.items()}
    for path, source, query in _queries(settled(raw, environment)):
        connection = connections.get(source)
        if connection is None or silent[source] or "${" in query:
            continue
        try:
            backends.prometheus(connection).parse(query)
        except DriverError as error:
            if error.retryable:
                silent[source] = f"PromQL was not checked: {error.message}"
            else:
                errors.append(SpecError(path, f"Prometheus cannot read it: {error.message}"))
    return Queries(tuple(errors), tuple(note for note in silent.values() if note))


def unreadable(
    guardrails: Iterable[Guardrail], connections: Mapping[str, Connection]
) -> list[SpecError]:
    """Have Prometheus read the guardrails' PromQL. A server that does not answer says nothing."""
    found = []
    for index, guardrail in enumerate(guardrails):
        try:
            backends.prometheus(connections[guardrail.source]).parse(guardrail.promql or "")
        except DriverError as error:
            if not error.retryable:
                found.append(
                    SpecError((index, "promql"), f"Prometheus cannot read it: {error.message}")
                )
    return found


def _silence(source: Connection) -> str:
    """Return why the server answers nothing at all; empty when it can be asked."""
    try:
        backends.prometheus(source).parse("vector(1)")
    except DriverError as error:
        return f"PromQL was not checked: {error.message}"
    return ""


def _queries(resolved: Mapping[str, Any]) -> Iterable[tuple[Path, str, str]]:
    """Yield where each query of a document is, its source, and the text that must parse."""
    for index, sli in _mappings(resolved.get("slis")):
        source = str(sli.get("source") or "metrics")
        for path, query in _measured(sli):
            if isinstance(query, str) and query.strip():
                yield ("slis", index, *path), source, query
    for index, probe in _mappings(resolved.get("probes")):
        check = probe.get("promql")
        if isinstance(check, Mapping) and isinstance(check.get("query"), str):
            source = str(check.get("source") or "metrics")
            yield ("probes", index, "promql", "query"), source, check["query"]
    for index, guardrail in _mappings(resolved.get("guardrails")):
        query = guardrail.get("promql")
        if isinstance(query, str) and query.strip():
            yield ("guardrails", index, "promql"), str(guardrail.get("source") or "metrics"), query


def _mappings(found: Any) -> Iterable[tuple[int, Mapping[str, Any]]]:
    items = found if isinstance(found, list) else []
    return [(index, item) for index, item in enumerate(items) if isinstance(item, Mapping)]


def _measured(sli: Mapping[str, Any]) -> Iterable[tuple[Path, Any]]:
    ratio, quantile, with_ = sli.get("ratio"), sli.get("quantile"), sli.get("with") or {}
    if isinstance(ratio, Mapping):
        yield from ((("ratio", key), ratio.get(key)) for key in ("bad", "total"))
    if isinstance(quantile, Mapping):
        yield ("quantile", "histogram"), quantile.get("histogram")
    yield ("value",), sli.get("value")
    if isinstance(sli.get("preset"), str) and isinstance(with_, Mapping):
        try:
            made = presets.expand(sli["preset"], with_)
        except PresetError:
            return
        path: Path = ("with", "matchers") if with_.get("matchers") else ("preset",)
        selectors = made.get("ratio") or made.get("quantile") or {}
        texts = [text for key, text in selectors.items() if key != "q"]
        yield from ((path, text) for text in texts[:1])
