"""Asks a cluster what an account may do there, and writes what would let it do what faults need."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from drivers.protocol import Document, DriverError, FaultParams, Problem
from experiments import backends
from experiments.backends import Grant
from experiments.models import Connection

KINDS = ("kubernetes",)
"""The kinds of connection whose backend grants rights one by one."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The rights of some faults on one connection, and the manifests that give them."""

    grants: tuple[Grant, ...] = ()
    manifests: tuple[Document, ...] = ()
    problem: Problem | None = None
    """Why the cluster could not be asked."""

    @property
    def lacking(self) -> int:
        """Return how many rights are needed and not there."""
        return sum(each.is_required and each.is_allowed is False for each in self.grants)


def faults(connection: Connection) -> list[type[FaultParams]]:
    """Return the faults that are injected through connections of this kind."""
    return [
        model
        for kind, model in backends.faults().items()
        if backends.connection_kind(kind) == connection.kind
    ]


def by_right(grants: Iterable[Grant]) -> list[tuple[Grant, str]]:
    """Return each right once for each answer, with the places where that is the answer."""
    found: dict[tuple[str, bool | None, bool], tuple[Grant, list[str]]] = {}
    for each in grants:
        key = (each.right, each.is_allowed, each.place == "")
        found.setdefault(key, (each, []))[1].append(each.place)
    return [(each, ", ".join(filter(None, places))) for each, places in found.values()]


def look(connection: Connection, chosen: Collection[str] = ()) -> Granted:
    """Ask for the rights of the chosen faults, of all where none is chosen; only reads."""
    known = [model.kind for model in faults(connection)]
    kinds = [kind for kind in known if kind in chosen] or known
    try:
        return Granted(
            tuple(backends.grants(connection, kinds)),
            tuple(backends.manifests(connection, kinds)),
        )
    except DriverError as error:
        problem = Problem(message=error.message, hint=error.hint, where=connection.name)
        return Granted(problem=problem)
