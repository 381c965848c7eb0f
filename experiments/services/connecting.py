"""Writes environments and connections, and asks whether a connection can be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from drivers.protocol import DriverError, Problem
from experiments import backends
from experiments.models import Alias, Connection, Environment, User
from experiments.services import people


@dataclass(frozen=True, slots=True)
class Reached:
    """What a connection answered."""

    problems: tuple[Problem, ...]
    says: str

    @property
    def is_ok(self) -> bool:
        """Return whether nothing stands in the way."""
        return not any(problem.severity == "error" for problem in self.problems)


def unusable(connection: Connection) -> str:
    """Return why the connection's options cannot be used; empty when they can. Asks nobody."""
    if not isinstance(connection.secrets, dict):
        connection.secrets = {}
    try:
        if backends.is_driver(connection.kind):
            backends.driver(connection)
        else:
            backends.prometheus(connection)
    except DriverError as error:
        return str(error)
    return ""


def save_connection(
    *, user: User, connection: Connection, secrets: Mapping[str, str | None]
) -> Connection:
    """Store a connection. A secret of None is taken away; one that is not named stays.

    Raises PermissionDenied.
    """
    people.require(user, "administer", "change connections")
    stored = connection.secrets if isinstance(connection.secrets, dict) else {}
    kept = {**stored, **secrets}
    connection.secrets = {name: value for name, value in kept.items() if value}
    connection.save()
    return connection


def save_environment(
    *, user: User, environment: Environment, aliases: Sequence[tuple[str, Connection]]
) -> Environment:
    """Store an environment and its aliases, those and no others. Raises PermissionDenied."""
    people.require(user, "administer", "change environments")
    with transaction.atomic():
        environment.save()
        environment.aliases.exclude(name__in=[name for name, _ in aliases]).delete()
        for name, connection in aliases:
            Alias.objects.update_or_create(
                environment=environment, name=name, defaults={"connection": connection}
            )
    return environment


def check(connection: Connection) -> Reached:
    """Ask the connection's server whether it answers; only reads."""
    try:
        if not backends.is_driver(connection.kind):
            found = tuple(backends.prometheus(connection).check())
            return Reached(found, "Prometheus answers queries.")
        owned = backends.driver(connection).owned()
    except DriverError as error:
        problem = Problem(message=error.message, hint=error.hint, where=connection.name)
        return Reached((problem,), "")
    return Reached((), _owned(len(owned)))


def _owned(count: int) -> str:
    if not count:
        return "It answers. None of our faults is there now."
    return f"It answers. {count} of our faults {'is' if count == 1 else 'are'} there now."


def summary(connection: Connection) -> str:
    """Return what the connection points at, in a few words; never a secret."""
    options: Mapping[str, Any] = connection.options or {}
    if connection.kind == "prometheus":
        return str(options.get("url", ""))
    if connection.kind == "envoy":
        return ", ".join(map(str, options.get("addresses", [])))
    return "nothing real"
