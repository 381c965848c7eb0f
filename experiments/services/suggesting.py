"""Suggests values for a field while somebody writes it: what the environment's systems have now.

Answers are kept in the cache for a short while, per connection and question. A system that does not
answer is named in a note and not asked again for some seconds. Nobody waits for one longer than
PATIENCE_S: the call goes on in a thread of its own, and what it finds serves the next question.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from drivers.protocol import DriverError, Suggestion
from experiments import backends
from experiments.domain import suggests
from experiments.domain.lookups import Lookup
from experiments.domain.presets import PRESETS
from experiments.domain.promql import SelectorError
from experiments.models import Alias, Connection, Environment
from experiments.services import querying

log = logging.getLogger(__name__)

MOST = 200
"""So many suggestions are given at once; the best matches."""
PATIENCE_S = 2.0
"""So long somebody who types waits for a system."""
KEPT_S = 30
SILENT_S = 5
"""So long nobody asks a system again that did not answer."""
_MOST_KEPT = 20_000
_LOOKED_BACK_S = 24 * 3600
"""What Prometheus has not seen for a day is not suggested."""
_READ_WITHIN_S = 1.8
_THREADS = 8
_AT_ONCE = 2
"""So many questions to one system wait for it at the same time."""
_PICK = "Pick an environment under “Preview in” to see what it has."

_pool = ThreadPoolExecutor(_THREADS, "suggest")
_asking: dict[str, tuple[int, Future[_Answer]]] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Values that fit, the best first; ``note`` says why there are none, or no more."""

    options: tuple[Suggestion, ...] = ()
    note: str = ""
    origin: str = ""
    """Where they were found, in a few words."""
    left_out: int = 0
    """How many more fit."""


@dataclass(frozen=True, slots=True)
class _Answer:
    options: tuple[Suggestion, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    """One call to one system: ``about`` is all that its answer depends on."""

    connection: Connection
    about: tuple[Any, ...]
    ask: Callable[[], Iterable[Suggestion]]
    origin: str
    nothing: str

    @property
    def key(self) -> str:
        """Return the key of its answer."""
        return _key(self.connection, *self.about)

    @property
    def silence(self) -> str:
        """Return the key of why the system does not answer anything."""
        return _key(self.connection, "silence")


def suggest(
    *,
    environment: Environment | None,
    what: str,
    alias: str = "",
    given: Mapping[str, Any] | None = None,
    typed: str = "",
) -> Suggestions:
    """Return what a field may hold in the environment, best matches first. Never raises for it.

    Args:
        environment: where it is looked for.
        what: the field's question, see ``domain.suggests``.
        alias: the connection that the row goes through, as far as it is written.
        given: the row's other fields, unchecked.
        typed: what is written in the field; empty for everything.
    """
    kind, _, word = what.partition(":")
    if kind == suggests.ALIAS:
        return _aliases(environment, word, typed)
    if environment is None:
        return Suggestions(note=_PICK)
    try:
        if kind == suggests.PRESET:
            question = _of_preset(environment, word, alias, given or {})
        else:
            question = _of_driver(environment, kind, word, alias, given or {})
    except _UnusableError as error:
        return Suggestions(note=str(error))
    except SelectorError as error:
        return Suggestions(note=f"The other fields make no selector: {error}.")
    answer = _answer(question)
    if answer.problem:
        return Suggestions(note=f"No suggestions: {answer.problem}")
    if not answer.options:
        return Suggestions(note=question.nothing)
    return _best(answer.options, typed, question.origin)


def connection_kinds() -> dict[str, str]:
    """Return the kind of connection that reaches each backend. Loads no driver."""
    found = {suggests.backend_of(fault) for fault in backends.faults()}
    return {backend: backends.connection_kind(backend) for backend in sorted(found)}


class _UnusableError(Exception):
    """Why nobody can be asked."""


def _aliases(environment: Environment | None, kind: str, typed: str) -> Suggestions:
    kind = backends.connection_kind(kind)
    rows = Alias.objects.select_related("connection", "environment")
    rows = rows.filter(connection__kind=kind) if kind else rows
    if environment is None:
        homes: dict[str, list[str]] = {}
        for each in rows.order_by("name", "environment__name"):
            homes.setdefault(each.name, []).append(str(each.environment))
        found = [
            Suggestion(value=name, detail=f"in {', '.join(places)}")
            for name, places in homes.items()
        ]
        return _best(found, typed, "the aliases of every environment")
    found = [
        Suggestion(value=each.name, detail=_reaches(each.connection, is_known=bool(kind)))
        for each in rows.filter(environment=environment)
    ]
    if not found:
        return Suggestions(note=f"{environment} has no {_called(kind)}.")
    return _best(found, typed, f"the aliases of {environment}")


def _reaches(connection: Connection, *, is_known: bool) -> str:
    return str(connection) if is_known else f"{connection} · {connection.get_kind_display()}"


def _called(kind: str) -> str:
    return {"": "connection", "prometheus": "Prometheus"}.get(kind, f"{kind} connection")


def _connection(environment: Environment, alias: str, kind: str) -> tuple[str, Connection]:
    """Return the alias and its connection. Raises _UnusableError."""
    bound = {
        each.name: each.connection for each in environment.aliases.select_related("connection")
    }
    fitting = [name for name, each in bound.items() if each.kind == kind]
    if not alias and len(fitting) == 1:
        alias = fitting[0]
    if not alias and fitting:
        raise _UnusableError(f"Fill in Via first: {' or '.join(fitting)}.")
    if not alias:
        raise _UnusableError(f"{environment} has no {_called(kind)}.")
    if alias not in bound:
        raise _UnusableError(f"{environment} has no connection “{alias}”.")
    if bound[alias].kind != kind:
        raise _UnusableError(
            f"“{alias}” is no {_called(kind)} in {environment}, but {bound[alias].kind}."
        )
    return alias, bound[alias]


def _of_driver(
    environment: Environment, kind: str, word: str, alias: str, given: Mapping[str, Any]
) -> _Question:
    kind = backends.connection_kind(kind)
    if not backends.is_driver(kind):
        raise _UnusableError("Nothing is suggested for this field.")
    alias, connection = _connection(environment, alias, kind)
    return _Question(
        connection,
        (word, json.dumps(given, sort_keys=True, default=str)),
        lambda: backends.driver(connection).suggest(word, given),
        f"{word} of {alias}",
        f"{alias} has no {word}.",
    )


def _of_preset(
    environment: Environment, word: str, alias: str, given: Mapping[str, Any]
) -> _Question:
    name, _, field_name = word.partition(":")
    preset = PRESETS.get(name)
    fields = {field.name: field for field in preset.fields} if preset else {}
    lookup = fields[field_name].lookup if field_name in fields else None
    if preset is None or lookup is None:
        raise _UnusableError("Nothing is suggested for this field.")
    alias, connection = _connection(environment, alias or querying.SOURCE, "prometheus")
    texts = preset.texts(given)
    selector, says = lookup.selector(texts), lookup.says(texts)
    return _Question(
        connection,
        (lookup.asks, lookup.label, selector),
        lambda: _looked_up(connection, lookup, selector),
        f"{says}, from {alias}",
        f"{alias} has seen no {says} for a day.",
    )


def _looked_up(connection: Connection, lookup: Lookup, selector: str) -> list[Suggestion]:
    reader = backends.prometheus(connection).within(_READ_WITHIN_S)
    since = timezone.now().timestamp() - _LOOKED_BACK_S
    if lookup.asks == "labels":
        found = reader.label_names([selector], since=since, most=_MOST_KEPT)
    else:
        found = reader.label_values(lookup.label, [selector], since=since, most=_MOST_KEPT)
    return [Suggestion(value=each) for each in lookup.values(found)]


def _key(connection: Connection, *parts: Any) -> str:
    """Return a key that holds nothing readable and changes when the connection is edited."""
    about = json.dumps([connection.pk, connection.updated_at.isoformat(), *parts])
    return f"suggest:{hashlib.sha256(about.encode()).hexdigest()}"


def _answer(question: _Question) -> _Answer:
    """Return what is known, or what the system says within PATIENCE_S."""
    kept: _Answer | None = cache.get(question.key) or cache.get(question.silence)
    if kept is not None:
        return kept
    asked = _begin(question)
    if asked is None:
        return _Answer(problem=f"{question.connection} has not answered yet.")
    try:
        return asked.result(timeout=PATIENCE_S)
    except (TimeoutError, CancelledError):
        if asked.cancel():
            # It still stood in the queue, behind other systems: nobody knows whether it answers.
            told = f"{question.connection} was not asked, as other systems are slow. Try again."
            return _Answer(problem=told)
        late = _Answer(problem=f"{question.connection} does not answer within {PATIENCE_S:g} s.")
        cache.set(question.silence, late, SILENT_S)
        return late


def _begin(question: _Question) -> Future[_Answer] | None:
    """Ask, or join whoever asks the same; None where enough wait for the system already."""
    key, system = question.key, question.connection.pk
    with _lock:
        if key in _asking:
            return _asking[key][1]
        if sum(each == system for each, _ in _asking.values()) >= _AT_ONCE:
            return None
        asked = _pool.submit(_ask, question)
        _asking[key] = system, asked

    def forget(_: Future[_Answer]) -> None:
        with _lock:
            _asking.pop(key, None)

    asked.add_done_callback(forget)
    return asked


def _ask(question: _Question) -> _Answer:
    """Ask the system and keep what it says; needs no database."""
    key, kept_s = question.key, SILENT_S
    try:
        found = tuple(question.ask())[:_MOST_KEPT]
    except DriverError as error:
        answer = _Answer(problem=str(error))
        # What no other attempt would mend, as a wrong query, says nothing about other questions.
        key = question.silence if error.retryable else key
    except Exception as error:  # the thread's edge: a broken driver must not break the form
        log.exception("%s could not be asked for suggestions", question.connection)
        answer = _Answer(problem=f"{question.connection} failed ({type(error).__name__}).")
    else:
        answer, kept_s = _Answer(found), KEPT_S
    cache.set(key, answer, kept_s)
    return answer


def _best(options: Iterable[Suggestion], typed: str, origin: str) -> Suggestions:
    """Return the options that fit what is typed: at the start, at a word's start, anywhere."""
    everything = list(options)
    wanted = typed.strip().lower()
    ranked = [
        (rank, each) for each in everything if (rank := _rank(each.value, wanted)) is not None
    ]
    fitting = [each for _, each in sorted(ranked, key=lambda pair: pair[0])]
    if everything and not fitting:
        known = (
            f"None of the {len(everything)} known fits"
            if everything[1:]
            else "The one known is not"
        )
        return Suggestions(note=f"{known} “{typed.strip()}”.", origin=origin)
    return Suggestions(tuple(fitting[:MOST]), "", origin, max(len(fitting) - MOST, 0))


def _rank(value: str, wanted: str) -> int | None:
    text = value.lower()
    if wanted not in text:
        return None
    if text.startswith(wanted):
        return 0 if text == wanted or not wanted else 1
    return 2 if re.search(rf"(?<![^\W_]){re.escape(wanted)}", text) else 3
