"""Loads a run as the engine sees it: one frozen snapshot, in a handful of queries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from experiments import backends
from experiments.domain import mandatory, spec
from experiments.domain.errors import InvalidDocumentError
from experiments.domain.states import BEFORE_FAULTS, EndedBy, InjectionPhase, Status
from experiments.engine.blind import BlindSnapshot
from experiments.engine.snapshot import (
    ActionState,
    CallState,
    InjectionState,
    Pace,
    RunSnapshot,
    Sample,
    StopOrder,
)
from experiments.models import Connection, Environment, ExperimentVersion, Run
from experiments.selectors import halting

_SCRAPES_PER_STEP = 5
_FLUSHES_PER_STEP = 2
"""design: a window of at least five scrapes and two flushes of the source."""


@lru_cache(maxsize=1024)
def _parse(version_id: int, saved_at: str, values: str, guardrails: str) -> spec.Experiment:
    del saved_at  # part of the key: an id may be given again after a restored backup
    document = ExperimentVersion.objects.values_list("document", flat=True).get(pk=version_id)
    parsed = spec.parse(document, faults=backends.faults(), values=json.loads(values))
    own, errors = mandatory.read(json.loads(guardrails))
    if errors:
        raise InvalidDocumentError(mandatory.placed(errors))
    return mandatory.added(parsed.or_raise(), own)


def spec_of(run: Run) -> spec.Experiment:
    """Return the run's document, its parameters' values and its environment's guardrails in it.

    Raises InvalidDocumentError.
    """
    values = json.dumps(run.parameters, sort_keys=True)
    guardrails = json.dumps(run.guardrails, sort_keys=True)
    return _parse(run.version_id, run.version.created_at.isoformat(), values, guardrails)


def sources_of(run: Run) -> dict[str, Connection]:
    """Return the run's connections by alias, as its environment had them when it was requested."""
    return sources_of_all([run])[run.pk]


def sources_of_all(runs: Iterable[Run]) -> dict[int, dict[str, Connection]]:
    """Return the connections of several runs, by run and alias, in one query."""
    # A run requested by an earlier version of ChaosWeb has none of its own.
    aliases = {run.pk: run.aliases or aliases_of(run.environment) for run in runs}
    known = Connection.objects.in_bulk({pk for bound in aliases.values() for pk in bound.values()})
    return {
        run: {name: known[pk] for name, pk in bound.items() if pk in known}
        for run, bound in aliases.items()
    }


def aliases_of(environment: Environment) -> dict[str, int]:
    """Return the ids of the environment's connections by alias."""
    return dict(environment.aliases.values_list("name", "connection_id"))


def _intervals(
    document: spec.Experiment, connections: Mapping[str, Connection]
) -> tuple[float, float]:
    sources = [connections[sli.source] for sli in document.measures if sli.source in connections]
    scrape = max((source.scrape_interval_s for source in sources), default=1.0)
    flush = max((source.flush_interval_s for source in sources), default=1.0)
    return scrape, flush


def least_step(document: spec.Experiment, connections: Mapping[str, Connection]) -> float:
    """Return the shortest step, in seconds, that the document's sources can fill."""
    return _least_step(*_intervals(document, connections))


def least_step_of(source: Connection) -> float:
    """Return the shortest step, in seconds, that one source can fill."""
    return _least_step(source.scrape_interval_s, source.flush_interval_s)


def _least_step(scrape_s: float, flush_s: float) -> float:
    return max(_SCRAPES_PER_STEP * scrape_s, _FLUSHES_PER_STEP * flush_s)


def pace_of(document: spec.Experiment, connections: Mapping[str, Connection]) -> Pace:
    """Return the run's step and how often its sources advance, in seconds."""
    step = document.timing.step
    return Pace(
        step_s=float(step) if step is not None else least_step(document, connections),
        scrape_s=max(_intervals(document, connections)),
    )


def load(run: Run) -> RunSnapshot:
    """Return the frozen snapshot of the run, as the current transaction sees it."""
    document = spec_of(run)
    calls = {call.kind: call for call in run.calls.all()}
    watch = calls.get("watch")
    return RunSnapshot(
        status=Status(run.status),
        spec=document,
        status_since=run.status_since,
        injecting_at=run.injecting_at,
        stop=_stop(run) if run.stop_requested_at else None,
        halt=None if run.stop_requested_at else _halted(run),
        actions={
            record.name: ActionState(record.started_at, record.finished_at)
            for record in run.actions.all()
        },
        injections={row.action: _injection(row) for row in run.injections.all()},
        calls={kind: _call(call) for kind, call in calls.items()},
        guardrails=_samples(run, document) if watch else {},
        watched_since=run.baseline_at if watch else None,
        pace=pace_of(document, sources_of(run)),
    )


def load_blind(run: Run) -> BlindSnapshot:
    """Return what is known of a run that was ordered to stop, without reading its document."""
    return BlindSnapshot(
        status=Status(run.status),
        stop=_stop(run),
        injections={row.action: _injection(row) for row in run.injections.all()},
        open_actions=tuple(
            run.actions.filter(finished_at__isnull=True).values_list("name", flat=True)
        ),
    )


def _stop(run: Run) -> StopOrder:
    ended_by = EndedBy(run.stop_ended_by)
    return StopOrder(ended_by, run.stop_actor, run.stop_reason, run.is_stopped_on_data)


def _halted(run: Run) -> StopOrder | None:
    """Return the order of a halt that missed the run: while it was requested, or was held."""
    if run.status not in BEFORE_FAULTS | {Status.INJECTING}:
        return None
    halt = halting.active(run.environment)
    return StopOrder(EndedBy.HALT, halt.actor, halting.stop_reason(halt)) if halt else None


def _injection(row: Any) -> InjectionState:
    return InjectionState(
        action=row.action,
        phase=InjectionPhase(row.phase),
        due_at=row.due_at,
        woken_at=row.woken_at,
        attempt_deadline=row.attempt_deadline,
        has_plan=row.plan is not None,
        is_final_failure=row.is_final_failure,
        recover_by=row.recover_by,
        recovered_at=row.recovered_at,
        is_lost=row.lost_at is not None,
        observed_phase=(row.observation or {}).get("phase", ""),
        last_error=row.last_error,
    )


def _call(call: Any) -> CallState:
    outcome = call.outcome or {}
    return CallState(
        kind=call.kind,
        due_at=call.due_at,
        woken_at=call.woken_at,
        attempt_deadline=call.attempt_deadline,
        finished_at=call.finished_at,
        is_ok=outcome.get("is_ok"),
        reason=outcome.get("reason", call.error),
    )


def _samples(run: Run, document: spec.Experiment) -> dict[str, tuple[Sample, ...]]:
    found: dict[str, tuple[Sample, ...]] = {}
    for guardrail in document.guardrails:
        rows = run.readings.filter(kind="guardrail", name=guardrail.name).order_by("-at")
        newest = list(rows[: guardrail.breaches.of + 1])
        found[guardrail.name] = tuple(
            Sample(row.at, row.value, row.is_breach, row.note) for row in reversed(newest)
        )
    return found
