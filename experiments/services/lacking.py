"""Says why an SLI's query returned nothing: no such metric, no such label's value, too few scrapes.

Asks a few small questions, and none once the source's own time-out has passed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from drivers.protocol import DriverError, Problem
from drivers.units import Duration
from experiments import backends
from experiments.analysis.series import RatioSeries, Series
from experiments.domain import nearest, promql
from experiments.domain.slis import Sli
from experiments.models import Connection

_LATELY_S = 3600.0
_MOST_NAMES = 20_000
_MOST_LISTED = 8
_LEAST_WAIT_S = 0.2


class Patience:
    """The time that one asker may wait for one source: the source's time-out, once for all."""

    def __init__(self, source: Connection) -> None:
        self.source = source
        self._ends = time.monotonic() + backends.prometheus(source).timeout_s

    def is_over(self) -> bool:
        """Return whether nothing more may be asked."""
        return self._ends - time.monotonic() < _LEAST_WAIT_S

    def reader(self) -> backends.Prometheus:
        """Return the source's reader, which waits no longer than is left."""
        left = max(self._ends - time.monotonic(), _LEAST_WAIT_S)
        return backends.prometheus(self.source).within(left)


def why(sli: Sli, problem: str, step_s: float, patience: Patience) -> Problem:
    """Return why there are no bins of a ratio or a quantile, and how to mend it.

    ``problem`` is what the reading says, where the server gives no better reason.
    """
    plain = Problem(
        message=f"{problem[:1].upper()}{problem[1:]}." if problem else "There are no data.",
        hint="Is the target scraped, and is there traffic?",
    )
    measure = sli.measure
    if measure.ratio is not None:
        selector = measure.ratio.total
    elif measure.quantile is not None:
        selector = measure.quantile.histogram
    else:
        return plain
    try:
        return _of_selector(selector, step_s, patience) or plain
    except (DriverError, promql.SelectorError):
        # The server that has just answered does not any more, or reads selectors differently.
        return plain


def bad_events(sli: Sli, series: Series, patience: Patience) -> list[Problem]:
    """Return that there has never been a metric of the bad events, though they count as 0."""
    ratio = sli.measure.ratio
    if ratio is None or not isinstance(series, RatioSeries) or patience.is_over():
        return []
    if bool((series.bad == series.bad).any()):
        return []
    try:
        unknown = _unknown(promql.parts(ratio.bad)[0], patience)
    except (DriverError, promql.SelectorError):
        return []  # A remark less: what was read is shown all the same.
    if unknown is None:
        return []
    said = f"{unknown.message[:-1]}, so the bad events count as 0."
    return [Problem(message=said, hint=unknown.hint, severity="warning")]


def _of_selector(selector: str, step_s: float, patience: Patience) -> Problem | None:
    name, matchers = promql.parts(selector)
    if patience.is_over():
        return None
    count = _count(selector, patience)
    if count:
        return Problem(
            message=f"{selector} has {count} series now, but fewer than two samples of them in"
            f" {Duration(step_s)}, which is one bin.",
            hint="Is it scraped less often than the connection says, or only just begun?",
        )
    unknown = _unknown(name, patience)
    if unknown is not None:
        return unknown
    for matcher in matchers:
        if patience.is_over():
            return None
        if not _count(f"{name}{{{matcher}}}", patience):
            return _of_matcher(name, matcher, patience)
    return Problem(
        message=f"No series of {name} has all of {', '.join(matchers)} now."
        if matchers
        else f"{name} has no series now, though it had some within the last hour.",
        hint="Each alone has some: is one of them wrong?"
        if matchers
        else "Is its target still scraped?",
    )


def _unknown(name: str, patience: Patience) -> Problem | None:
    """Return that there is no such metric, with the nearest that there is; None if there is."""
    if patience.is_over() or _count(name, patience):
        return None
    known = patience.reader().label_values(
        "__name__", since=time.time() - _LATELY_S, most=_MOST_NAMES
    )
    if name in known:
        return None
    near = nearest.hint(name, known)
    return Problem(
        message=f"No metric is called “{name}” here.",
        hint=f"{near[:1].upper()}{near[1:]}" if near.startswith("did") else _listed(name, known),
    )


def _listed(name: str, known: Iterable[str]) -> str:
    start = name.split("_")[0]
    alike = [each for each in known if each.startswith(start)][:_MOST_LISTED]
    return f"There are {', '.join(alike)} …" if alike else "Is its target scraped?"


def _of_matcher(name: str, matcher: str, patience: Patience) -> Problem:
    label = matcher.split("=")[0].rstrip("!").strip()
    values = (
        []
        if patience.is_over()
        else patience.reader().label_values(
            label, [name], since=time.time() - _LATELY_S, most=_MOST_NAMES
        )
    )
    more = ", …" if len(values) > _MOST_LISTED else ""
    return Problem(
        message=f"No series of {name} has {matcher} now.",
        hint=f"{label} is one of {', '.join(values[:_MOST_LISTED])}{more}."
        if values
        else f"It has no label “{label}”.",
    )


def _count(selector: str, patience: Patience) -> int:
    """Return how many series the selector matches now."""
    found = patience.reader().instant(f"count({selector})")
    return int(found[0].value) if found else 0
