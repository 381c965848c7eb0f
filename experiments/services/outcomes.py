"""What an outside call of a run found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drivers.protocol import Problem


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of one call.

    ``again_s``: seconds until it is due again; None: it is finished. ``findings`` are the call's
    own and are committed with it.
    """

    is_ok: bool
    reason: str
    problems: tuple[Problem, ...] = ()
    again_s: float | None = None
    findings: dict[str, Any] = field(default_factory=dict)


def problems_json(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    """Return the problems as the run keeps them."""
    return [problem.model_dump(mode="json") for problem in problems]


def tell(problems: tuple[Problem, ...]) -> str:
    """Return the errors among the problems as one text for people."""
    return " ".join(
        f"{problem.where}: {problem.message} {problem.hint}".strip().removeprefix(": ")
        for problem in problems
        if problem.severity == "error"
    )
