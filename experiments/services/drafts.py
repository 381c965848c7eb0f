"""A draft as an environment would have it: its parameters' values, its aliases, its named SLIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.domain import parameters, uses
from experiments.models import Connection, Environment
from experiments.selectors import named_slis


def settled(raw: Mapping[str, Any], environment: Environment | None = None) -> dict[str, Any]:
    """Return the document with its parameters' values written in, as far as there are any."""
    declared, _ = parameters.declared(raw.get("parameters"))
    given = environment.parameters if environment else {}
    values, _ = parameters.settle(
        declared, {name: value for name, value in given.items() if name in declared}
    )
    resolved, _ = parameters.substitute(raw, values, frozenset(declared))
    return dict(resolved)


def measured(raw: Mapping[str, Any], environment: Environment | None = None) -> dict[str, Any]:
    """Return the document as settled, every SLI of a service with what its service measures.

    A reference that leads nowhere stays as it is. Parameters do not reach into a service's SLI.
    """
    own = uses.bare(settled(raw, environment))
    return dict(uses.written_in(uses.resolve(own, named_slis.for_document(own))[0]))


def connections_of(environment: Environment | None) -> dict[str, Connection]:
    """Return the environment's connections by alias."""
    if environment is None:
        return {}
    aliases = environment.aliases.select_related("connection")
    return {alias.name: alias.connection for alias in aliases}
