"""What the catalogue says of faults, for pages: their sentences, families and how they end."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.protocol import FaultParams
from experiments import backends

Catalogue = Mapping[str, type[FaultParams]]


def known() -> Catalogue:
    """Return every fault model by its kind. Loads no driver."""
    return backends.faults()


def families() -> tuple[str, ...]:
    """Return the families of the faults that touch something real, in the catalogue's order."""
    found = (model.family for kind, model in known().items() if not kind.startswith("fake."))
    return tuple(dict.fromkeys(found))
