"""The words of a Prometheus, for completion: its metrics, their labels and the labels' values.

Bounded in time and size, kept for half a minute; a server that does not answer is left alone for
ten seconds, so that nobody who types waits for it twice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from drivers.protocol import DriverError
from experiments import backends
from experiments.models import Connection, Environment
from experiments.services import drafts

_KEPT_S = 30
_KEPT_SILENCE_S = 10
_TIMEOUT_S = 2.5
_LATELY_S = 3600.0
"""What has not been there within the last hour is not offered."""
MOST_NAMES = 10_000
MOST_SERIES = 1_000
_MOST_SELECTORS = 4
_LONGEST_SELECTOR = 2_000


@dataclass(frozen=True, slots=True)
class Words:
    """What the server says, or why it says nothing."""

    found: Any = None
    error: str = ""


def labels(environment: Environment, alias: str, match: Sequence[str]) -> Words:
    """Return the names of the labels of all series that match any selector."""
    return _asked(
        environment,
        alias,
        ("labels", *_short(match)),
        lambda reader, since: reader.label_names(_short(match), since=since, most=MOST_NAMES),
    )


def values(environment: Environment, alias: str, label: str, match: Sequence[str]) -> Words:
    """Return the values of a label; those of ``__name__`` are the metrics."""
    return _asked(
        environment,
        alias,
        ("values", label, *_short(match)),
        lambda reader, since: reader.label_values(
            label, _short(match), since=since, most=MOST_NAMES
        ),
    )


def series(environment: Environment, alias: str, match: Sequence[str]) -> Words:
    """Return the labels of series that match any selector, of at most a thousand."""
    if not match:
        return Words([])

    def ask(reader: backends.Prometheus, since: float) -> list[Mapping[str, str]]:
        return list(reader.series(_short(match), since, time.time(), most=MOST_SERIES))

    return _asked(environment, alias, ("series", *_short(match)), ask)


def metadata(environment: Environment, alias: str) -> Words:
    """Return type, help and unit of each metric."""
    return _asked(
        environment, alias, ("metadata",), lambda reader, _: reader.metadata(most=MOST_NAMES)
    )


def _short(match: Iterable[str]) -> list[str]:
    return [each[:_LONGEST_SELECTOR] for each in list(match)[:_MOST_SELECTORS]]


def _asked(
    environment: Environment,
    alias: str,
    what: tuple[str, ...],
    ask: Callable[[backends.Prometheus, float], Any],
) -> Words:
    source = drafts.connections_of(environment).get(alias)
    if source is None or source.kind != "prometheus":
        return Words(error=f"{environment} has no Prometheus called “{alias}”.")
    silence = _key(source, ("silence",))
    told = cache.get(silence)
    if told is not None:
        return Words(error=str(told))
    key = _key(source, what)
    kept = cache.get(key)
    if kept is not None:
        return Words(json.loads(kept))
    try:
        # The start moves once a minute: what is asked within one is the same question.
        since = (time.time() - _LATELY_S) // 60 * 60
        found = ask(backends.prometheus(source).within(_TIMEOUT_S), since)
    except DriverError as error:
        if error.retryable:
            cache.set(silence, error.message, _KEPT_SILENCE_S)
        return Words(error=error.message)
    cache.set(key, json.dumps(found), _KEPT_S)
    return Words(found)


def _key(source: Connection, what: tuple[str, ...]) -> str:
    said = json.dumps([source.pk, source.updated_at.isoformat(), *what])
    return f"vocabulary:{hashlib.blake2b(said.encode(), digest_size=16).hexdigest()}"
