"""Requests runs, stops them, and lets a waiting one go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from drivers.units import Duration
from experiments import backends, queue
from experiments.domain import mandatory, spec
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.domain.states import EndedBy, Status
from experiments.models import Connection, Environment, Experiment, ExperimentVersion, Run, User
from experiments.selectors import halting
from experiments.services import clock, conducting, people, secrets, snapshots, transitions


def bound_in(environment: Environment) -> dict[str, Connection]:
    """Return the environment's connections by alias; one query."""
    rows = environment.aliases.select_related("connection")
    return {alias.name: alias.connection for alias in rows}


def fits(
    document: spec.Experiment,
    environment: Environment,
    bound: Mapping[str, Connection] | None = None,
) -> list[SpecError]:
    """Return what the environment lacks for the document and for its own guardrails.

    That is aliases, and what they are bound to; secrets; and time for a fault that lasts longer
    than the environment allows. ``bound`` is what ``bound_in`` says, if the caller knows it.
    """
    bound = bound_in(environment) if bound is None else bound
    found: list[SpecError] = []

    def need(alias: str, kind: str, path: tuple[str | int, ...]) -> None:
        connection = bound.get(alias)
        if connection is None:
            known = ", ".join(sorted(bound)) or "none"
            found.append(
                SpecError(
                    path,
                    f"“{alias}” is no connection of {environment} (it has {known})",
                )
            )
        elif connection.kind != kind:
            found.append(
                SpecError(path, f"“{alias}” is a connection of kind {connection.kind}, not {kind}")
            )

    for index, action in enumerate(document.method):
        if isinstance(action, spec.FaultAction):
            need(action.via, backends.connection_kind(action.fault), ("method", index, "via"))
            found += _too_long(action, index, environment)
    for index, sli in enumerate(document.slis):
        need(sli.source, "prometheus", ("slis", index, "source"))
    for index, probe in enumerate(document.probes):
        if probe.promql is not None:
            need(probe.promql.source, "prometheus", ("probes", index, "promql", "source"))
    for index, guardrail in enumerate(document.guardrails):
        if guardrail.promql is not None:
            need(guardrail.source, "prometheus", ("guardrails", index, "source"))
    sources = [name for name, each in bound.items() if each.kind == "prometheus"]
    _, errors = mandatory.read(environment.guardrails, sources=sources)
    return [*found, *secrets.lacking(document, environment), *mandatory.placed(errors)]


def _too_long(action: spec.FaultAction, index: int, environment: Environment) -> list[SpecError]:
    longest = environment.longest_fault_s
    if longest is None or float(action.duration) <= longest:
        return []
    allowed = Duration(longest)
    message = (
        f"{action.name} lasts {action.duration}, and {environment} lets no fault last longer than"
        f" {allowed}: make it {allowed} or shorter"
    )
    return [SpecError(("method", index, "duration"), message)]


def request_run(
    *,
    version: ExperimentVersion,
    environment: Environment,
    user: User,
    idempotency_key: str,
    parameters: dict[str, Any] | None = None,
    is_loss_accepted: bool = False,
) -> Run:
    """Request a run and wake the engine; the same key of the same person gives the same run.

    ``is_loss_accepted``: the person knows that a fault of the document cannot be undone. Raises
    InvalidDocumentError when the document and the environment do not fit, or when a loss was not
    accepted, or while runs are halted, or of an archived experiment, and PermissionDenied.
    """
    people.require(user, "launch_run", "launch runs")
    known = Run.objects.filter(requested_by=user, idempotency_key=idempotency_key).first()
    if known is not None:
        return known
    _refuse_archived(version.experiment)
    halted = halting.active(environment)
    if halted is not None:
        raise InvalidDocumentError([SpecError(("environment",), halting.refusal(halted))])
    declared = version.document.get("parameters") or {}
    values = {
        **{name: value for name, value in environment.parameters.items() if name in declared},
        **(parameters or {}),
    }
    document = spec.parse(version.document, faults=backends.faults(), values=values).or_raise()
    missing = fits(document, environment)
    missing += [] if is_loss_accepted else _losses(document)
    if missing:
        raise InvalidDocumentError(missing)
    frozen = {
        name: values.get(name, parameter.default) for name, parameter in document.parameters.items()
    }
    now = clock.now()
    try:
        with transaction.atomic():
            # It may have been archived since it was read; from here on, that waits for the run.
            _refuse_archived(Experiment.objects.select_for_update().get(pk=version.experiment_id))
            run = Run.objects.create(
                version=version,
                environment=environment,
                parameters=frozen,
                aliases=snapshots.aliases_of(environment),
                guardrails=environment.guardrails,
                requested_by=user,
                requested_at=now,
                status_since=now,
                idempotency_key=idempotency_key,
                next_due=now,
            )
            transitions.journal(
                run=run,
                kind="request",
                new=Status.REQUESTED.value,
                message=f"{version} requested in {environment}",
                actor=user.username,
                now=now,
            )
            queue.wake("tick", run.pk)
    except IntegrityError:
        return Run.objects.get(requested_by=user, idempotency_key=idempotency_key)
    return run


def _refuse_archived(experiment: Experiment) -> None:
    if experiment.archived_at is not None:
        told = (
            f"{experiment} was archived at {experiment.archived_at:%Y-%m-%d %H:%M} UTC:"
            " unarchive it to run it"
        )
        raise InvalidDocumentError([SpecError(("experiment",), told)])


def _losses(document: spec.Experiment) -> list[SpecError]:
    return [
        SpecError(
            ("method", index, "fault"),
            f"{action.fault} cannot be undone; confirm that you know it (confirm_irreversible)",
        )
        for index, action in enumerate(document.method)
        if isinstance(action, spec.FaultAction) and action.params.undo == "none"
    ]


def stop_run(*, run: Run, actor: str, reason: str = "", ended_by: EndedBy = EndedBy.PERSON) -> bool:
    """End the run early and begin to remove its faults at once; idempotent, in every live state.

    The intent to recover is committed here, before any queue is asked: whatever dies afterwards,
    the keeper finds it. Return whether this call was the one that stopped it.
    """
    reason = reason or f"stopped by {actor}"
    with transitions.holding(run_id=run.pk):
        now = clock.now()
        was_first = transitions.order_stop(
            run=run, ended_by=ended_by, actor=actor, reason=reason, now=now
        )
        if was_first:
            # The removals are on their way while the tick below moves the run.
            conducting.recover_all(run=run, reason=reason, actor=actor, now=now)
    run.refresh_from_db()
    if run.is_live:
        conducting.tick(run_id=run.pk)
    run.refresh_from_db()
    return was_first


def answer_checkpoint(*, run: Run, name: str, user: User) -> bool:
    """Let the run go on past a checkpoint. Return whether it was waiting there."""
    people.require(user, "launch_run", "let a run go on")
    now = clock.now()
    with transitions.holding(run_id=run.pk):
        answered = run.actions.filter(
            name=name, kind="checkpoint", finished_at__isnull=True
        ).update(finished_at=now, outcome=f"answered by {user.username}")
        if answered:
            still = run.actions.filter(kind="checkpoint", finished_at__isnull=True).exists()
            Run.objects.filter(pk=run.pk).update(
                next_due=now, waiting_for="checkpoint" if still else ""
            )
            transitions.journal(
                run=run,
                kind="checkpoint",
                message=f"{name}: {user.username} lets the run go on",
                actor=user.username,
                now=now,
            )
            queue.wake("tick", run.pk)
    return bool(answered)
