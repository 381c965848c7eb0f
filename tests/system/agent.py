"""A person at the installation's database: one JSON command per line in, one JSON answer out.

It runs as a process of its own (``python -m tests.system.agent``), because the test process has
Django set up on another database. It goes through the services, as pages and API do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402

from experiments.models import (  # noqa: E402
    Alias,
    Claim,
    Connection,
    Environment,
    ExperimentVersion,
    Run,
    User,
)
from experiments.services import authoring, launching, people  # noqa: E402

PERSON = "alice"


def migrate() -> None:
    """Make the tables and the one person who does everything here."""
    call_command("migrate", verbosity=0)
    people.ensure_roles()
    alice = User.objects.create_user(PERSON)
    people.give_role(user=alice, role=people.ADMIN)


def environment(
    name: str, envoys: list[str], prometheus: str, scrape_s: float, hosts: list[str]
) -> None:
    """Make an environment with the aliases ``mesh`` and, given an address, ``metrics``."""
    made = Environment.objects.create(name=name, allowed_hosts=hosts)
    kinds: dict[str, tuple[str, Any]] = {"mesh": ("envoy", {"addresses": envoys})}
    if prometheus:
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


def save(document: dict[str, Any]) -> int:
    """Store the document as an experiment's first version; return the version's id."""
    return authoring.save(raw=document, author=User.objects.get(username=PERSON)).pk


def start(version: int, environment: str, key: str) -> int:
    """Request a run as the person; return its id."""
    found = Environment.objects.get(name=environment)
    alice = User.objects.get(username=PERSON)
    chosen = ExperimentVersion.objects.get(pk=version)
    return launching.request_run(
        version=chosen, environment=found, user=alice, idempotency_key=key
    ).pk


def show(run: int) -> dict[str, Any]:
    """Return what the database says of the run."""
    found = Run.objects.get(pk=run)
    return {
        "status": found.status,
        "verdict": found.verdict,
        "reason": found.reason,
        "ended_by": found.ended_by,
        "is_live": found.is_live,
        "problems": found.problems,
        "injections": [
            {
                "phase": row.phase,
                "is_planned": row.plan is not None,
                "observation": row.observation,
            }
            for row in found.injections.order_by("position")
        ],
        "held": Claim.objects.filter(run=found, released_at__isnull=True).count(),
        "journal": [
            f"{event.at:%H:%M:%S.%f} {event.kind} {event.old}→{event.new} {event.message}"
            for event in found.events.all()
        ],
        "times": {event.new or event.kind: event.at.timestamp() for event in found.events.all()},
    }


def runs() -> int:
    """Return how many runs there are."""
    return Run.objects.count()


def session() -> dict[str, str]:
    """Sign the person in; return the cookie."""
    alice = User.objects.get(username=PERSON)
    store = SessionStore()
    store[SESSION_KEY] = str(alice.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = alice.get_session_auth_hash()
    store.create()
    return {settings.SESSION_COOKIE_NAME: str(store.session_key)}


_COMMANDS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (migrate, environment, save, start, show, runs, session)
}


def main() -> None:
    """Answer commands until there are no more."""
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = {"answer": _COMMANDS[name](**arguments)}
        except Exception as error:  # noqa: BLE001 (the caller raises it)
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
