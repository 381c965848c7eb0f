"""What ``bench.ticks`` asks of the installation's database, in a process of its own.

It is the agent of ``tests/system`` (see there) with more commands.
"""

from __future__ import annotations

import copy
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import django

django.setup()

from django.db import connection, models, transaction  # noqa: E402

from drivers.protocol import FaultRequest  # noqa: E402
from experiments import backends  # noqa: E402
from experiments.domain.states import LIVE, InjectionPhase, Status  # noqa: E402
from experiments.models import (  # noqa: E402
    ActionRecord,
    Alias,
    Call,
    Claim,
    Connection,
    Environment,
    ExperimentVersion,
    Injection,
    Reading,
    Run,
    RunEvent,
    User,
)
from experiments.services import checking, clock, held, launching, snapshots, sweeping  # noqa: E402
from tests.system import agent  # noqa: E402

TARGET = "t{:03d}"
_BATCH = 2000
_INSERT_S = 0.004
"""How long the rows of one run take to be written, at most."""
_LIVE = sorted(status.value for status in LIVE)

_LOGGED = {
    "tick": (Run._meta.db_table, "next_due", ""),
    "watch": (Call._meta.db_table, "due_at", "old.kind = 'watch' AND new.due_at > old.due_at AND "),
    "observe": (
        Injection._meta.db_table,
        "due_at",
        f"old.phase = '{InjectionPhase.ACTIVE.value}' AND new.due_at > old.due_at AND ",
    ),
}


def world(count: int, targets: int, state: str, prometheus: str, scrape_s: float) -> None:
    """Make environments ``e0``, ``e1`` and so on: a rehearsal each, and one Prometheus for all."""
    metrics = Connection.objects.create(
        name="metrics",
        kind="prometheus",
        options={"url": prometheus},
        scrape_interval_s=scrape_s,
        flush_interval_s=scrape_s,
    )
    names = [TARGET.format(number) for number in range(targets)]
    for number in range(count):
        made = Environment.objects.create(name=f"e{number}")
        mesh = Connection.objects.create(
            name=f"fleet-{number}", kind="fake", options={"targets": names, "state": state}
        )
        Alias.objects.create(environment=made, name="mesh", connection=mesh)
        Alias.objects.create(environment=made, name="metrics", connection=metrics)


def start_with(version: int, environment: str, parameters: dict[str, Any]) -> int:
    """Request a run as the person, with values of its parameters; return its id."""
    run = launching.request_run(
        version=ExperimentVersion.objects.get(pk=version),
        environment=Environment.objects.get(name=environment),
        user=User.objects.get(username=agent.PERSON),
        idempotency_key=secrets.token_hex(8),
        parameters=parameters,
    )
    return run.pk


def copies(
    run: int, total: int, versions: list[int], every_s: float, spread_s: float, in_s: float
) -> dict[str, Any]:
    """Copy a run that injects, until there are ``total``; return how many live runs there are then.

    All that the engine has written of it is copied: only ids, tokens, targets, versions,
    environments and moments are each copy's own. Its fault is injected by its driver. All of them
    begin ``in_s`` after they were written; what is due next is spread over the time in which it
    comes again. No worker may run meanwhile: it would find faults that are not in the ledger yet.
    """
    first = Run.objects.select_related("version", "environment").get(pk=run)
    assert first.status == Status.INJECTING.value, first.status
    places = list(Environment.objects.order_by("pk"))
    known = {place.pk: snapshots.aliases_of(place) for place in places}
    meshes = Connection.objects.in_bulk([aliases["mesh"] for aliases in known.values()])
    plans = ExperimentVersion.objects.in_bulk(versions)
    injected = first.injections.get()
    written: dict[type[models.Model], list[Any]] = {
        ActionRecord: list(first.actions.all()),
        Call: list(first.calls.all()),
        RunEvent: list(first.events.order_by("id")),
    }
    made: dict[type[models.Model], list[Any]] = {Run: [], Injection: [], Claim: []}
    made |= {kind: [] for kind in written}
    for number in range(1, total):
        place = places[number % len(places)]
        mesh = meshes[known[place.pk]["mesh"]]
        copied = _again(
            first,
            idempotency_key=secrets.token_hex(8),
            version=plans[versions[number % len(versions)]],
            environment=place,
            aliases=known[place.pk],
            parameters={"target": TARGET.format(number // len(places))},
        )
        injection = _again(injected, run=copied, connection=mesh)
        _inject(injection, copied, mesh, number)
        made[Run].append(copied)
        made[Injection].append(injection)
        made[Claim] += [
            Claim(key=key, run=copied, reserved_at=first.requested_at) for key in injection.claims
        ]
        for kind, rows in written.items():
            made[kind] += [_again(row, run=copied) for row in rows]
    begin = clock.now() + timedelta(seconds=total * _INSERT_S + in_s)
    _spread(made, begin, every_s, spread_s)
    with transaction.atomic():
        for kind, rows in made.items():
            kind._default_manager.bulk_create(rows, batch_size=_BATCH)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return {"live": Run.objects.filter(status__in=_LIVE).count(), "begin": begin.timestamp()}


def _again(row: Any, **changes: Any) -> Any:
    """Return a row with the same values that is not in the database yet."""
    made = copy.copy(row)
    made._state = copy.copy(row._state)
    made._state.fields_cache = dict(row._state.fields_cache)
    made._state.adding = True
    made.pk = None
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _inject(row: Injection, run: Run, mesh: Connection, number: int) -> None:
    """Inject the fault as the engine does, and note in the row what it would have noted."""
    action = snapshots.spec_of(run).faults[0]
    row.token = f"{checking.own_prefix()}{number}-0-{secrets.token_hex(6)}"
    row.params = action.params.model_dump(mode="json")
    driver = backends.driver(mesh)
    plan = driver.prepare(FaultRequest(action.params, row.token, float(action.duration)))
    handle = driver.inject(plan)
    seen = driver.observe(plan, handle)
    assert seen.phase == "active", seen
    row.claims = list(plan.claims)
    row.plan = plan.model_dump(mode="json")
    row.handle = handle.model_dump(mode="json")
    row.observation = row.evidence = seen.model_dump(mode="json")


def _spread(
    made: dict[type[models.Model], list[Any]], begin: datetime, every_s: float, spread_s: float
) -> None:
    def part(number: int, of_s: float) -> datetime:
        return begin + timedelta(seconds=of_s * number / len(made[Run]))

    for number, (run, injection) in enumerate(zip(made[Run], made[Injection], strict=True)):
        run.status_since = run.baseline_at = run.injecting_at = begin
        run.next_due = part(number, spread_s)
        injection.injected_at = injection.intent_at = injection.observed_at = begin
        injection.recover_by = begin + timedelta(seconds=injection.duration_s)
        injection.due_at = part(number, held.every_s(injection))
        injection.woken_at = injection.attempt_deadline = None
    watches = [call for call in made[Call] if call.kind == "watch"]
    for number, call in enumerate(watches):
        call.due_at = part(number, every_s)
        call.woken_at = call.attempt_deadline = None


def log_moves() -> float:
    """Have the database log every move of a due moment; return how long a sweep's claim lasts."""
    with connection.cursor() as cursor:
        for statement in _postgresql() if connection.vendor == "postgresql" else _sqlite():
            cursor.execute(statement)
    return sweeping._RUN_LEASE_S


def _postgresql() -> list[str]:
    columns = "kind text, row_id bigint, old timestamptz, new timestamptz"
    found = [f"CREATE UNLOGGED TABLE bench_moves ({columns})"]
    for kind, (table, column, only) in _LOGGED.items():
        found.append(
            f"CREATE FUNCTION bench_{kind}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"INSERT INTO bench_moves VALUES ('{kind}', old.id, old.{column}, new.{column}); "
            "RETURN NULL; END $$"
        )
        found.append(
            f"CREATE TRIGGER bench_{kind} AFTER UPDATE OF {column} ON {table} FOR EACH ROW "
            f"WHEN ({only} old.{column} IS DISTINCT FROM new.{column}) "
            f"EXECUTE FUNCTION bench_{kind}()"
        )
    return found


def _sqlite() -> list[str]:
    found = ["CREATE TABLE bench_moves (kind, row_id, old, new, at)"]
    for kind, (table, column, only) in _LOGGED.items():
        found.append(
            f"CREATE TRIGGER bench_{kind} AFTER UPDATE OF {column} ON {table} "
            f"WHEN {only} old.{column} IS NOT new.{column} BEGIN INSERT INTO bench_moves VALUES "
            f"('{kind}', old.id, old.{column}, new.{column}, strftime('%Y-%m-%d %H:%M:%f')); END"
        )
    return found


def moves() -> dict[str, Any]:
    """Return every logged move, what is due and not done, and the moment of the answer."""
    if connection.vendor == "postgresql":
        asked = (
            "SELECT kind, row_id, extract(epoch FROM old), extract(epoch FROM new), "
            "extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM bench_moves "
            "WHERE old IS NOT NULL AND new IS NOT NULL"
        )
    else:
        seconds = "(julianday({}) - 2440587.5) * 86400.0"
        asked = (
            f"SELECT kind, row_id, {', '.join(seconds.format(c) for c in ('old', 'new', 'at'))} "
            "FROM bench_moves WHERE old IS NOT NULL AND new IS NOT NULL"
        )
    with transaction.atomic():
        now = clock.now()
        with connection.cursor() as cursor:
            cursor.execute(asked)
            rows = [[kind, pk, *map(float, times)] for kind, pk, *times in cursor.fetchall()]
        live = Run.objects.filter(status__in=_LIVE)
        watches = Call.objects.filter(kind="watch", finished_at__isnull=True)
        faults = Injection.objects.filter(phase=InjectionPhase.ACTIVE.value)
        due = {
            "tick": live.filter(next_due__lte=now).values_list("pk", "next_due"),
            "watch": watches.filter(due_at__lte=now).values_list("pk", "due_at"),
            "observe": faults.filter(due_at__lte=now).values_list("pk", "due_at"),
        }
        undone = [
            [kind, pk, at.timestamp()]
            for kind, found in due.items()
            for pk, at in found
            if at is not None
        ]
    return {"now": now.timestamp(), "moves": rows, "undone": undone}


def census(since: float) -> dict[str, Any]:
    """Return how many runs inject, how many readings were committed since, and what went wrong."""
    by_status: dict[str, int] = {}
    for status in Run.objects.values_list("status", flat=True):
        by_status[status] = by_status.get(status, 0) + 1
    moment = datetime.fromtimestamp(since, UTC)
    return {
        "statuses": by_status,
        "readings": Reading.objects.filter(at__gte=moment, is_breach__isnull=False).count(),
        "without_data": Reading.objects.filter(is_breach__isnull=True).count(),
        "reasons": list(
            Run.objects.exclude(status=Status.INJECTING.value)
            .values_list("stop_reason", flat=True)
            .distinct()[:5]
        ),
    }


def forget_statements() -> None:
    """Begin to count the time of each statement anew."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_statements_reset()")


def statements() -> list[list[Any]]:
    """Return how often each statement ran, for how many milliseconds in all, and its rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT calls, total_exec_time, rows, regexp_replace(query, '\\s+', ' ', 'g') "
            "FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 40"
        )
        return [list(row) for row in cursor.fetchall()]


def main() -> None:
    """Answer commands until there are no more."""
    mine = (world, start_with, copies, log_moves, moves, census, statements, forget_statements)
    agent._COMMANDS.update({each.__name__: each for each in mine})
    agent.main()


if __name__ == "__main__":
    main()
