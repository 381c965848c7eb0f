"""An exporter whose counters rise by the clock alone, with the history that Prometheus began with.

A second of any service has ``PER_S`` requests, of which ``FAILING`` fail; of a service that was
made to fail, ``BROKEN`` of them fail from that moment on. So what a guardrail must see, and when,
is known beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.prometheus import Exporter

JOB = "shop"
PER_S = 50.0
FAILING = 0.01
BROKEN = 0.6


@dataclass(frozen=True)
class _Break:
    began_at: float
    ended_at: float | None = None


class Counters(Exporter):
    """``requests_total`` of each service by code, as of the moment of the scrape."""

    def __init__(self, services: Sequence[str], *, history_s: float) -> None:
        super().__init__()
        self._services = tuple(services)
        self._since = time.time() - history_s
        self._breaks: dict[str, _Break] = {}

    def break_down(self, services: Sequence[str]) -> float:
        """Let most requests of the services fail from now on; return the moment."""
        now = time.time()
        self._breaks |= {service: _Break(now) for service in services}
        return now

    def page(self) -> str:
        """Return the exposition text."""
        now = time.time()
        lines = [
            f'requests_total{{service="{service}",code="{code}"}} {count:.3f}'
            for service in self._services
            for code, count in self._counts(service, now)
        ]
        return "\n".join([*lines, ""])

    def history(self, every_s: float) -> str:
        """Return OpenMetrics text with what a scrape every so often would have read until now."""
        labels = f'instance="{self.address}",job="{JOB}"'
        steps = int((time.time() - self._since) / every_s)
        moments = [self._since + every_s * step for step in range(steps)]
        lines = ["# TYPE requests counter"]
        for service in self._services:
            for index, code in enumerate(("200", "500")):
                name = f'requests_total{{service="{service}",code="{code}",{labels}}}'
                lines += [
                    f"{name} {self._counts(service, at)[index][1]:.3f} {at:.3f}" for at in moments
                ]
        return "\n".join([*lines, "# EOF", ""])

    def _counts(self, service: str, now: float) -> tuple[tuple[str, float], tuple[str, float]]:
        all_of_them = PER_S * (now - self._since)
        bad = FAILING * all_of_them
        broken = self._breaks.get(service)
        if broken is not None:
            bad += (BROKEN - FAILING) * PER_S * max(0.0, now - broken.began_at)
        return ("200", all_of_them - bad), ("500", bad)


def sli(service: str) -> dict[str, Any]:
    """Return the SLI ``errors`` of one service."""
    every = f'requests_total{{service="{service}"'
    return {
        "name": "errors",
        "ratio": {"bad": every + ',code="500"}', "total": every + "}"},
        "expect": "may_degrade",
        "limit": {"max": "90%"},
    }


def guardrail(every_s: float, *, breaches: str = "2 of 3") -> dict[str, Any]:
    """Return a guardrail on it that a service which breaks down passes at once."""
    return {
        "name": "too-many-errors",
        "sli": "errors",
        "above": "20%",
        "breaches": breaches,
        "every": f"{every_s:g}s",
        "no_data": "stop",
    }
