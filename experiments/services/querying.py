"""Has Prometheus read the PromQL that people write: of drafts, of guardrails, of services.

A server that does not answer says nothing about a query: it is named in a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.protocol import DriverError
from experiments import backends
from experiments.domain import presets
from experiments.domain.errors import Path, SpecError
from experiments.domain.method import Guardrail
from experiments.domain.presets import PresetError
from experiments.models import Connection, Environment
from experiments.services import abreast, drafts

SOURCE = "metrics"
"""The alias of whatever names no source."""
_REFERENCE = "${"
"""What begins a parameter's name: a query that still has one is none yet."""
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Queries:
    """What servers say of the PromQL; ``notes`` name those that did not answer."""

    errors: tuple[SpecError, ...] = ()
    notes: tuple[str, ...] = ()


Asked = tuple[Path, str, str]
"""Where a query is, the alias of its source, and the text that must parse."""


def queries(*, raw: Mapping[str, Any], environment: Environment | None) -> Queries:
    """Have the environment's Prometheus read every query of the draft, each error at its field."""
    sources = _sources(drafts.connections_of(environment))
    silent = _silences(sources.values())
    errors: list[SpecError] = []
    for path, source, query in in_document(drafts.measured(raw, environment)):
        server = sources.get(source)
        if server is None or silent[server.pk] or _REFERENCE in query:
            continue
        message, silent[server.pk] = said(server, query)
        if message:
            errors.append(SpecError(path, message))
    return Queries(tuple(errors), tuple(note for note in silent.values() if note))


def of_service(raw: Mapping[str, Any]) -> Queries:
    """Have Prometheus read the PromQL of a service's SLIs (a description, JSON types).

    Asked are the environments where the service lives; where none is named, every one that has
    the SLI's source. An error names its environments where another one can read the query.
    """
    asked = list(in_document({"slis": raw.get("slis")}))
    places = raw.get("places")
    homes = set(places) if isinstance(places, Mapping) else set()
    environments = list(Environment.objects.all()) if asked else []
    bound = {
        each.name: _sources(drafts.connections_of(each))
        for each in [each for each in environments if each.name in homes] or environments
    }
    wanted = {source for _, source, _ in asked}
    servers = {
        connection.pk: connection
        for sources in bound.values()
        for alias, connection in sources.items()
        if alias in wanted
    }
    silent = _silences(servers.values())
    errors: list[SpecError] = []
    for path, source, query in asked:
        told: dict[int, str] = {}
        where: dict[str, str] = {}
        for name, sources in bound.items():
            server = sources.get(source)
            if server is None or silent[server.pk]:
                continue
            if server.pk not in told:
                told[server.pk], silent[server.pk] = said(server, query)
            if not silent[server.pk]:
                where[name] = told[server.pk]
        errors += _told(path, where)
    return Queries(tuple(errors), tuple(note for note in silent.values() if note))


def _told(path: Path, where: Mapping[str, str]) -> Iterable[SpecError]:
    """Yield each message once, with its environments where it is not said in all of them."""
    for message in dict.fromkeys(message for message in where.values() if message):
        names = [name for name, each in where.items() if each == message]
        within = "" if len(names) == len(where) else f" (in {', '.join(names)})"
        yield SpecError(path, f"{message}{within}")


def unreadable(
    guardrails: Iterable[Guardrail], connections: Mapping[str, Connection]
) -> list[SpecError]:
    """Have Prometheus read the guardrails' PromQL. A server that does not answer says nothing."""
    found = []
    for index, guardrail in enumerate(guardrails):
        message, _ = said(connections[guardrail.source], guardrail.promql or "")
        if message:
            found.append(SpecError((index, "promql"), message))
    return found


def in_document(measured: Mapping[str, Any]) -> Iterable[Asked]:
    """Yield every query of a document whose named SLIs are written in."""
    for index, sli in _mappings(measured.get("slis")):
        source = str(sli.get("source") or SOURCE)
        for path, query in _measured(sli):
            if isinstance(query, str) and query.strip():
                # What a service measures is no field of the document: its reference is.
                place: Path = ("use",) if sli.get("use") is not None else path
                yield ("slis", index, *place), source, query
    for index, probe in _mappings(measured.get("probes")):
        check = probe.get("promql")
        if isinstance(check, Mapping) and isinstance(check.get("query"), str):
            source = str(check.get("source") or SOURCE)
            yield ("probes", index, "promql", "query"), source, check["query"]
    for index, guardrail in _mappings(measured.get("guardrails")):
        query = guardrail.get("promql")
        if isinstance(query, str) and query.strip():
            yield ("guardrails", index, "promql"), str(guardrail.get("source") or SOURCE), query


def _sources(connections: Mapping[str, Connection]) -> dict[str, Connection]:
    return {name: each for name, each in connections.items() if each.kind == "prometheus"}


def _silences(servers: Iterable[Connection]) -> dict[int, str]:
    """Return of each server why it answers nothing at all, empty when it can be asked."""
    asked = list({server.pk: server for server in servers}.values())
    answers = abreast.for_each(asked, _silence, threads=_THREADS)
    return {server.pk: "" for server in asked} | dict(answers)


def _silence(server: Connection) -> tuple[int, str]:
    return server.pk, said(server, "vector(1)")[1]


def said(server: Connection, query: str) -> tuple[str, str]:
    """Return what is wrong with the query, and why the server did not say; both empty if right."""
    try:
        backends.prometheus(server).parse(query)
    except DriverError as error:
        if error.retryable:
            return "", f"PromQL was not checked: {error.message}"
        return f"Prometheus cannot read it: {error.message}", ""
    return "", ""


def _mappings(found: Any) -> Iterable[tuple[int, Mapping[str, Any]]]:
    items = found if isinstance(found, list | tuple) else []
    return [(index, item) for index, item in enumerate(items) if isinstance(item, Mapping)]


def _measured(sli: Mapping[str, Any]) -> Iterable[tuple[Path, Any]]:
    ratio, quantile, with_ = sli.get("ratio"), sli.get("quantile"), sli.get("with") or {}
    if isinstance(ratio, Mapping):
        yield from ((("ratio", key), ratio.get(key)) for key in ("bad", "total"))
    if isinstance(quantile, Mapping):
        yield ("quantile", "histogram"), quantile.get("histogram")
    yield ("value",), sli.get("value")
    if isinstance(sli.get("preset"), str) and isinstance(with_, Mapping):
        try:
            made = presets.expand(sli["preset"], with_)
        except PresetError:
            return
        path: Path = ("with", "matchers") if with_.get("matchers") else ("preset",)
        selectors = made.get("ratio") or made.get("quantile") or {}
        texts = [text for key, text in selectors.items() if key != "q"]
        yield from ((path, text) for text in texts[:1])
