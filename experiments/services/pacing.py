"""Says which guardrails ask more often than their sources have something new to say."""

from __future__ import annotations

from drivers.protocol import Problem
from drivers.units import Duration
from experiments.domain.spec import Experiment
from experiments.engine.snapshot import Pace


def unfed(document: Experiment, pace: Pace) -> list[Problem]:
    """Return a warning for each guardrail that reads faster than there is a new value."""
    step = Duration(pace.step_s)
    return [
        Problem(
            message=f"{each.name} reads every {each.every} but its source gives a new value every "
            f"{step}: {each.breaches.count} breaches take at least "
            f"{Duration(pace.step_s * each.breaches.count)}.",
            hint=f"Read every {step}, and ask for fewer breaches if that is too slow.",
            severity="warning",
            where=f"guardrails.{each.name}",
        )
        for each in document.guardrails
        if float(each.every) < pace.step_s * 0.999
    ]
