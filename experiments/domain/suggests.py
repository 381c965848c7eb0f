"""What a field suggests, as one word that forms, pages and the service share. Pure.

``alias:prometheus``
    the environment's aliases of connections of that kind, or of the kind that reaches that backend;
    of any kind without one
``preset:envoy.edge_errors:listener``
    the values of that field of a ready-made SLI, through the lookup that it declares
``envoy:routes``
    what that backend's driver finds, by its own word (``Driver.suggest``)
"""

from __future__ import annotations

from typing import Final

ALIAS: Final = "alias"
PRESET: Final = "preset"


def of_alias(kind: str = "") -> str:
    """Return the word for the aliases of connections of a kind."""
    return f"{ALIAS}:{kind}"


def of_preset(preset: str, field: str) -> str:
    """Return the word for the values of a ready-made SLI's field."""
    return f"{PRESET}:{preset}:{field}"


def of_fault(fault: str, word: str) -> str:
    """Return the word for what the fault's backend finds."""
    return f"{backend_of(fault)}:{word}"


def backend_of(fault: str) -> str:
    """Return the backend of a fault: the first word of its kind."""
    return fault.partition(".")[0]
