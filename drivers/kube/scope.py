"""Which namespaces a connection may touch. Pure.

A name, or its beginning with ``*`` at the end. The namespaces of Kubernetes itself are allowed only
where they are named in full; an empty list allows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from drivers.protocol import ConnectionConfig, DriverError

SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?|([a-z0-9][-a-z0-9]{0,61})?\*")
_HINT = "Name it in the connection's namespaces."


@dataclass(frozen=True, slots=True)
class Scope:
    """The allow-list of a connection, in the order that it was written."""

    patterns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return what is named in full."""
        return tuple(each for each in self.patterns if not each.endswith("*"))

    @property
    def has_wildcards(self) -> bool:
        """Tell whether the cluster has to be asked which namespaces are meant."""
        return len(self.names) < len(self.patterns)

    def allows(self, namespace: str) -> bool:
        """Tell whether the namespace may be touched."""
        if namespace in self.patterns:
            return True
        return namespace not in SYSTEM and any(
            each.endswith("*") and namespace.startswith(each[:-1]) for each in self.patterns
        )

    def allowed(self, namespaces: Iterable[str]) -> list[str]:
        """Return those that may be touched, each once, in the order given."""
        return list(dict.fromkeys(each for each in namespaces if self.allows(each)))

    def refusal(self, namespace: str) -> DriverError | None:
        """Return why the namespace must not be touched, or None."""
        if self.allows(namespace):
            return None
        if not self.patterns:
            return DriverError("The connection allows no namespace yet.", hint=_HINT)
        said = f"The connection does not allow the namespace {namespace}."
        if namespace in SYSTEM:
            return DriverError(said, hint=f"It is Kubernetes' own. {_HINT}")
        return DriverError(said, hint=f"It allows {', '.join(self.patterns)}. {_HINT}")


def scope_of(connection: ConnectionConfig) -> Scope:
    """Return what the connection's option ``namespaces`` allows. Raises DriverError."""
    given = connection.options.get("namespaces") or []
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise DriverError(f"Connection {connection.name}: namespaces must be a list of names.")
    patterns = tuple(dict.fromkeys(each.strip() for each in given if each.strip()))
    for each in patterns:
        if not _PATTERN.fullmatch(each):
            raise DriverError(
                f"Connection {connection.name}: “{each}” is no namespace.",
                hint="Write a name, or the beginning of names and *, as in shop-*.",
            )
    return Scope(patterns)
