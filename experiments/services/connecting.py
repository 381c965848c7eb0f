"""Writes environments and connections, and asks whether a connection can be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from drivers.protocol import DriverError, Member, Problem
from experiments import backends
from experiments.models import Alias, Connection, Environment, User
from experiments.services import abreast, people

PATIENCE_S = 3.0
"""So long a page waits for what is connected; who answers later is left out."""
_SURVEYED_AT_ONCE = 8
_FIELDS = [
    field.name
    for field in Environment._meta.concrete_fields
    if not field.primary_key and field.name != "secrets"
]


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
    """Store an environment and its aliases, those and no others. Raises PermissionDenied.

    Its secrets stay as they are stored: they may have been changed meanwhile, or be unreadable.
    """
    people.require(user, "administer", "change environments")
    with transaction.atomic():
        environment.save(update_fields=_FIELDS if environment.pk else None)
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


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a connection to a backend reaches: its members, or what its check answered."""

    reached: Reached
    members: tuple[Member, ...] = ()

    @property
    def answering(self) -> int:
        """Return how many members answer and lack nothing that a fault needs."""
        return sum(member.is_ready for member in self.members)

    @property
    def targets(self) -> tuple[str, ...]:
        """Return everything that a fault may name there, each once."""
        found = {target.value for member in self.members for target in member.targets}
        return tuple(sorted(found))

    @property
    def flush_s(self) -> float | None:
        """Return how often the slowest member's metrics advance, in seconds."""
        return max((each.flush_s for each in self.members if each.flush_s), default=None)


def survey(connection: Connection) -> Surveyed:
    """Ask everything that a backend's connection reaches what it is and lacks; only reads."""
    try:
        members = backends.survey(connection)
    except DriverError as error:
        problem = Problem(message=error.message, hint=error.hint, where=connection.name)
        return Surveyed(Reached((problem,), ""))
    if members is None:
        return Surveyed(check(connection))
    return Surveyed(Reached((), ""), tuple(members))


def targets(environment: Environment) -> list[str]:
    """Return what a fault may name there, as what is connected says within PATIENCE_S."""
    injecting = [kind for kind, _ in kinds() if kind != "fake"]
    found = Connection.objects.filter(aliases__environment=environment, kind__in=injecting)
    surveyed = abreast.for_each(
        list(found.distinct()), survey, threads=_SURVEYED_AT_ONCE, within_s=PATIENCE_S
    )
    return sorted({target for each in surveyed for target in each.targets})


def same_place(connection: Connection) -> Connection | None:
    """Return the stored connection of that name, if it is of that kind and points there too.

    Who sends a form a second time, after the browser's Back, means that one.
    """
    known = Connection.objects.filter(name=connection.name, kind=connection.kind).first()
    return known if known is not None and _place(known) == _place(connection) else None


def _place(connection: Connection) -> object:
    """Return what makes two connections of a kind reach the same; its address, where it has one."""
    if connection.kind in ("prometheus", "envoy"):
        return summary(connection)
    return connection.options or {}


def set_interval(connection: Connection, name: str, seconds: float) -> None:
    """Store how often the connection's source scrapes or flushes, as it told."""
    setattr(connection, name, seconds)
    connection.save(update_fields=[name, "updated_at"])


def kinds() -> list[tuple[str, str]]:
    """Return the kinds of connection that can inject, with what pages call them."""
    return [(kind, title) for kind, title in Connection.KINDS if backends.is_driver(kind)]


def summary(connection: Connection) -> str:
    """Return what the connection points at, in a few words; never a secret."""
    options: Mapping[str, Any] = connection.options or {}
    if connection.kind == "prometheus":
        return str(options.get("url", ""))
    if connection.kind == "envoy":
        return ", ".join(map(str, options.get("addresses", [])))
    if connection.kind == "kubernetes":
        where = options.get("server") or options.get("context") or options.get("access")
        allowed = ", ".join(map(str, options.get("namespaces") or [])) or "no namespace yet"
        return f"{where or 'its kubeconfig'}: {allowed}"
    if connection.kind == "fake":
        return "nothing real"
    return ", ".join(f"{name} {value}" for name, value in sorted(options.items()))
