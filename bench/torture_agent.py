"""What the torture asks of the installation's database, in a process of its own.

It is the agent of ``tests/system`` (see there) with more commands, and it outlives its database.
"""

from __future__ import annotations

from typing import Any

import django

django.setup()

from django.db import close_old_connections  # noqa: E402

from experiments.domain.states import LIVE  # noqa: E402
from experiments.models import (  # noqa: E402
    Alias,
    Claim,
    Connection,
    Environment,
    Injection,
    Run,
    RunEvent,
)
from tests.system import agent  # noqa: E402


def world(name: str, meshes: dict[str, list[str]], prometheus: str, scrape_s: float) -> None:
    """Make an environment with the Envoys under the aliases given, and ``metrics``."""
    made = Environment.objects.create(name=name)
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        alias: ("envoy", {"addresses": addresses}) for alias, addresses in meshes.items()
    }
    kinds["metrics"] = ("prometheus", {"url": prometheus})
    for alias, (kind, options) in kinds.items():
        connection = Connection.objects.create(
            name=f"{name}-{alias}",
            kind=kind,
            options=options,
            scrape_interval_s=scrape_s,
            flush_interval_s=scrape_s,
        )
        Alias.objects.create(environment=made, name=alias, connection=connection)


def live() -> list[dict[str, Any]]:
    """Return every run that has not ended, and what its injections wait for."""
    return [
        {
            "id": run.pk,
            "status": run.status,
            "injections": [
                {
                    "phase": row.phase,
                    "due_at": row.due_at.timestamp() if row.due_at else None,
                }
                for row in run.injections.all()
            ],
        }
        for run in Run.objects.filter(status__in=[status.value for status in LIVE])
        .prefetch_related("injections")
        .order_by("id")
    ]


def ledger() -> dict[str, Any]:
    """Return every run, injection and line of the journal, oldest first."""
    events: dict[int, list[dict[str, Any]]] = {}
    for event in RunEvent.objects.order_by("id"):
        events.setdefault(event.run_id, []).append(
            {
                "at": event.at.timestamp(),
                "kind": event.kind,
                "old": event.old,
                "new": event.new,
                "message": event.message,
                "action": event.details.get("action", ""),
            }
        )
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in Injection.objects.order_by("run_id", "position"):
        moments = ("intent_at", "injected_at", "recover_by", "recovering_at", "recovered_at")
        rows.setdefault(row.run_id, []).append(
            {
                "token": row.token,
                "action": row.action,
                "phase": row.phase,
                "is_planned": row.plan is not None,
                "is_unanswered": row.is_unanswered,
                "attempt": row.attempt,
                "last_error": row.last_error,
                **{name: _seconds(getattr(row, name)) for name in moments},
            }
        )
    runs = [
        {
            "id": run.pk,
            "experiment": str(run.version),
            "status": run.status,
            "ended_by": run.ended_by,
            "reason": run.reason,
            "requested_at": run.requested_at.timestamp(),
            "stop_requested_at": _seconds(run.stop_requested_at),
            "injections": rows.get(run.pk, []),
            "journal": events.get(run.pk, []),
        }
        for run in Run.objects.select_related("version").order_by("id")
    ]
    return {"runs": runs, "held": Claim.objects.filter(released_at__isnull=True).count()}


def _seconds(moment: Any) -> float | None:
    return None if moment is None else float(moment.timestamp())


def main() -> None:
    """Answer commands until there are no more, each over a connection that is known to work."""

    def alive(command: Any) -> Any:
        def call(**arguments: Any) -> Any:
            # The database may have been restarted since the last command.
            close_old_connections()
            return command(**arguments)

        return call

    mine = {each.__name__: each for each in (world, live, ledger)}
    agent._COMMANDS.update(
        {name: alive(command) for name, command in {**agent._COMMANDS, **mine}.items()}
    )
    agent.main()


if __name__ == "__main__":
    main()
