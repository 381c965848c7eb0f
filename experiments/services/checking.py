"""Asks every backend and source whether the run can be, then reserves what it will hold."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from drivers.protocol import DriverError, FaultRequest, Problem
from drivers.units import Duration
from experiments import backends
from experiments.domain.spec import Experiment, FaultAction
from experiments.models import Claim, Connection, Injection, Run
from experiments.services import measuring, pacing, snapshots, transitions
from experiments.services.outcomes import Outcome, problems_json, tell


def own_prefix() -> str:
    """Return how the tokens of this installation begin: others may share a backend with it."""
    key = hashlib.sha256(f"installation:{settings.SECRET_KEY}".encode()).hexdigest()
    return f"cw-{key[:8]}-"


def token_for(run: Run, position: int) -> str:
    """Return a new token: whose it is, which run and action, and chance never to meet again."""
    return f"{own_prefix()}{run.pk}-{position}-{secrets.token_hex(6)}"


def check(run: Run) -> Outcome:
    """Ask everything that the run needs; only reads. Raises DriverError."""
    document = snapshots.spec_of(run)
    connections = snapshots.sources_of(run)
    problems: list[Problem] = []
    planned: list[dict[str, Any]] = []
    for position, action in enumerate(document.method):
        if isinstance(action, FaultAction):
            request = FaultRequest(action.params, token_for(run, position), float(action.duration))
            found, claims, targets = _ask(request, connections[action.via])
            problems += found
            planned.append(
                {
                    "action": action,
                    "position": position,
                    "token": request.token,
                    "claims": claims,
                    "targets": targets,
                }
            )
    problems += overlaps(document, planned)
    problems += _sources(document, connections)
    errors = tuple(problem for problem in problems if problem.severity == "error")
    return Outcome(
        is_ok=not errors,
        reason=tell(errors) or "every backend and source answers, and the targets are there",
        problems=tuple(problems),
        findings={"planned": planned},
    )


def _ask(request: FaultRequest, connection: Connection) -> tuple[list[Problem], list[str], int]:
    try:
        driver = backends.driver(connection)
        problems = driver.check(request)
        if any(problem.severity == "error" for problem in problems):
            return problems, [], 0
        plan = driver.prepare(request)
    except DriverError as error:
        return [Problem(message=error.message, hint=error.hint, where=connection.name)], [], 0
    return problems, list(plan.claims), len(plan.targets)


def overlaps(document: Experiment, planned: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Refuse two actions that would hold one thing at once: started together, neither after."""
    found: list[Problem] = []
    order = [action.name for action in document.method]
    after: dict[str, set[str]] = {}
    # An action may wait for a later one of the list: once round for each link of the longest chain.
    for _ in order:
        for index, action in enumerate(document.method):
            start = action.start
            if start is None:
                before = {order[index - 1]} if index else set()
            else:
                before = set(start.after)
                # Started with another: after whatever that one waited for, not after itself.
                for other in start.with_:
                    before |= after.get(other, set())
            after[action.name] = before | {
                earlier for name in before for earlier in after.get(name, set())
            }
    for index, first in enumerate(planned):
        for second in planned[index + 1 :]:
            one, two = first["action"].name, second["action"].name
            shared = set(first["claims"]) & set(second["claims"])
            if shared and one not in after[two] and two not in after[one]:
                found.append(
                    Problem(
                        message=f"{one} and {two} would both hold {', '.join(sorted(shared))}",
                        hint=f"Let {two} start after {one}.",
                        where=two,
                    )
                )
    return found


def _sources(document: Experiment, connections: dict[str, Connection]) -> list[Problem]:
    """Ask each Prometheus once, and have it read every query."""
    found: list[Problem] = []
    asked = {sli.source for sli in document.measures}
    asked |= {probe.promql.source for probe in document.probes if probe.promql}
    for alias in sorted(asked):
        try:
            found += backends.prometheus(connections[alias]).check()
        except DriverError as error:
            found.append(Problem(message=error.message, hint=error.hint, where=alias))
    if any(problem.severity == "error" for problem in found):
        return found
    found += _too_fine(document, connections)
    found += pacing.unfed(document, snapshots.pace_of(document, connections))
    for probe in document.probes:
        if probe.promql is not None:
            found += _unreadable(
                probe.promql.query, connections[probe.promql.source], f"probes.{probe.name}"
            )
    for place, measures in (("slis", document.slis), ("guardrails", document.own_measures)):
        for sli in measures:
            for query in measuring.queries(sli, 60.0):
                found += _unreadable(query, connections[sli.source], f"{place}.{sli.name}")
    return found


def _unreadable(query: str, source: Connection, where: str) -> list[Problem]:
    try:
        backends.prometheus(source).parse(query)
    except DriverError as error:
        message = f"Prometheus cannot read {query}: {error.message}"
        return [Problem(message=message, hint=error.hint, where=where)]
    return []


def _too_fine(document: Experiment, connections: dict[str, Connection]) -> list[Problem]:
    """Refuse bins so short that one sample would fill several of them."""
    least = snapshots.least_step(document, connections)
    step = document.timing.step
    if step is None or not document.measures or step >= least * 0.999:
        return []
    return [
        Problem(
            message=f"A step of {step} is shorter than its sources can fill.",
            hint=f"Take at least {Duration(least)} (five scrapes, two flushes), or auto.",
            where="timing.step",
        )
    ]


def commit(run: Run, outcome: Outcome, now: datetime) -> None:
    """Write the ledger's rows and reserve the claims, all or none; name who holds one already."""
    Run.objects.filter(pk=run.pk).update(problems=problems_json(outcome.problems))
    if not outcome.is_ok:
        return
    planned = outcome.findings["planned"]
    connections = snapshots.sources_of(run)
    keys = sorted({key for entry in planned for key in entry["claims"]})
    try:
        with transaction.atomic():
            Claim.objects.bulk_create(Claim(key=key, run=run, reserved_at=now) for key in keys)
    except IntegrityError:
        held = Claim.objects.filter(key__in=keys, released_at__isnull=True).select_related("run")
        names = ", ".join(f"{claim.key} is held by run {claim.run_id}" for claim in held)
        problem = Problem(message=names or "a claim was taken meanwhile", hint="Wait for it.")
        Run.objects.filter(pk=run.pk).update(problems=problems_json((problem,)))
        run.calls.filter(kind="check").update(outcome={"is_ok": False, "reason": tell((problem,))})
        return
    Injection.objects.bulk_create(
        Injection(
            run=run,
            action=entry["action"].name,
            position=entry["position"],
            fault=entry["action"].fault,
            connection=connections[entry["action"].via],
            params=entry["action"].params.model_dump(mode="json"),
            duration_s=float(entry["action"].duration),
            on_drift=entry["action"].on_drift,
            token=entry["token"],
            claims=entry["claims"],
        )
        for entry in planned
    )
    for entry in planned:
        transitions.journal(
            run=run,
            kind="check",
            message=f"{entry['action'].name}: {entry['targets']} target(s) match",
            actor="engine",
            now=now,
            details={"claims": entry["claims"]},
        )
