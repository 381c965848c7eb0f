"""Documents and pretended sources for flows of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drivers.prometheus_answers import Answer, Sample, TimeSeries
from drivers.protocol import DriverError, Problem
from experiments.models import Environment, Run, User
from experiments.services import authoring, launching

ENDED = ("completed", "stopped", "errored", "refused")


def fault(name: str = "one", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "fault": "fake.abort",
        "via": "mesh",
        "with": {},
        "duration": "10s",
    } | changes


def document(*method: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a document whose only check is a probe at the end."""
    raw: dict[str, Any] = {
        "apiVersion": "chaosweb/v1",
        "kind": "Experiment",
        "metadata": {"name": "rehearsed"},
        "hypothesis": "It answers.",
        "probes": [
            {
                "name": "answers",
                "at": ["end"],
                "http": {"url": "http://front/"},
                "tolerance": {"status": 200},
            }
        ],
        "timing": {"baseline": "0s", "settle": "0s"},
        "method": list(method) or [fault()],
    }
    return raw | changes


def watched(*method: dict[str, Any], **guardrail: Any) -> dict[str, Any]:
    """Return a document with one SLI, which one guardrail watches."""
    sli = {"name": "load", "source": "metrics", "value": "load", "limit": {"max": 100}}
    rule = {"name": "too-much", "sli": "load", "above": 50, "breaches": "2 of 3"} | guardrail
    return document(
        *(method or (fault(duration="2m"),)),
        slis=[sli],
        guardrails=[rule],
        timing={"baseline": "30s", "settle": "5s", "step": "5s"},
    )


def start(
    user: User, environment: Environment, raw: dict[str, Any] | None = None, key: str = "k"
) -> Run:
    raw = raw or document()
    raw["metadata"] = {"name": f"{raw['metadata']['name']}-{key}"}
    version = authoring.save(raw=raw, author=user)
    return launching.request_run(
        version=version, environment=environment, user=user, idempotency_key=key
    )


@dataclass
class Metrics:
    """A source whose one series has the value ``value(time)``; None: the series is missing."""

    value: Callable[[float], float | None] = lambda at: 1.0
    error: str = ""
    asked: list[str] = field(default_factory=list)

    def check(self) -> list[Problem]:
        self._answer("check")
        return []

    def parse(self, query: str) -> str:
        self._answer("parse")
        return query

    def range(self, query: str, start: float, end: float, step: float) -> Answer[TimeSeries]:
        self._answer("range")
        times = np.arange(start, end + step / 2, step)
        found = [(at, found) for at in times if (found := self.value(float(at))) is not None]
        if not found:
            return Answer()
        return Answer([TimeSeries({}, *map(np.array, zip(*found, strict=True)))])

    def instant(self, query: str, at: float | None = None) -> Answer[Sample]:
        self._answer("instant")
        return Answer()

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if self.error:
            raise DriverError(self.error, retryable=True)
