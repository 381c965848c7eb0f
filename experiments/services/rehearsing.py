"""Prepares and starts a rehearsal: a whole run on a backend that only pretends."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from drivers.protocol import DriverError
from experiments import backends
from experiments.domain import spec
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import (
    Alias,
    Connection,
    Environment,
    Experiment,
    ExperimentVersion,
    Run,
    User,
)
from experiments.services import authoring, connecting, launching, library, people

ALIAS = "rehearsal"
STARTER = "rehearse-a-run"
_NAMES = ("rehearsal", "rehearsal-only", "first-rehearsal")
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where a rehearsal runs."""

    environment: Environment
    url: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The address that a rehearsal asks, and the host that an environment must allow for it."""

    url: str

    @property
    def host(self) -> str:
        """Return the host, with its port."""
        return _host(self.url)


def asked() -> Asked:
    """Return where ChaosWeb itself answers 200, as the settings have it."""
    return Asked(f"{settings.BASE_URL.rstrip('/')}/healthz")


def folder() -> str:
    """Return where the pretended state is kept, so that every process of this machine sees it."""
    if settings.REHEARSALS_FOLDER:
        return str(settings.REHEARSALS_FOLDER)
    database = Path(str(settings.DATABASES["default"]["NAME"]))
    if connection.vendor == "sqlite" and database.is_absolute():
        return str(database.parent / "rehearsals")
    return str(Path(tempfile.gettempdir()) / "chaosweb-rehearsals")


def prepared() -> Prepared | None:
    """Return the environment in which the starter can be rehearsed; None when there is none."""
    starter = _starter()
    for alias in Alias.objects.filter(name=ALIAS, connection__kind="fake").select_related(
        "environment", "connection"
    ):
        place = alias.environment
        url = str(place.parameters.get("url", ""))
        # Without a folder each process would pretend by itself, and see the others' faults as lost.
        if url and alias.connection.options.get("state") and not launching.fits(starter, place):
            return Prepared(place, url)
    return None


def unreachable(url: str) -> str:
    """Return why the address cannot be the one that the rehearsal asks; empty when it can."""
    try:
        parts = urlsplit(url)
    except ValueError:  # as of http://[
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "Write an address, as in http://web:8000/healthz."
    try:
        answer = backends.fetch(
            url=url, method="GET", headers={}, timeout_s=_TIMEOUT_S, allowed=[_host(url)]
        )
    except DriverError as error:
        return str(error)
    if answer.status != 200:
        return f"It answered {answer.status}: the rehearsal needs an address that answers 200."
    return ""


def prepare(*, user: User, url: str) -> Prepared:
    """Store a pretended connection and an environment for it. Raises PermissionDenied.

    The address is one that ``unreachable`` has nothing against.
    """
    people.require(user, "administer", "change environments")
    try:
        return _prepare(user, url)
    except IntegrityError:
        # Somebody else took the names between our look and our write: now they are seen.
        return _prepare(user, url)


@transaction.atomic
def _prepare(user: User, url: str) -> Prepared:
    known = prepared()
    if known is not None and known.url == url:
        return known
    if known is not None:
        place = Environment.objects.select_for_update().get(pk=known.environment.pk)
        place.parameters = {**place.parameters, "url": url}
        place.allowed_hosts = list(dict.fromkeys([*place.allowed_hosts, _host(url)]))
        # Its secrets stay as they are stored: they may be unreadable here.
        place.save(update_fields=["parameters", "allowed_hosts"])
        return Prepared(place, url)
    pretended = Connection(
        name=_free(Connection),
        kind="fake",
        options={"targets": ["one", "two"], "state": folder()},
    )
    connecting.save_connection(user=user, connection=pretended, secrets={})
    place = Environment(
        name=_free(Environment),
        title="Rehearsal",
        description="Nothing here is real: faults are only pretended.",
        parameters={"url": url},
        allowed_hosts=[_host(url)],
    )
    aliases = [(ALIAS, pretended)]
    source = Connection.objects.filter(kind="prometheus").first()
    if source is not None:
        aliases.append(("metrics", source))
    connecting.save_environment(user=user, environment=place, aliases=aliases)
    return Prepared(place, url)


def run(*, user: User, place: Prepared, idempotency_key: str) -> Run:
    """Save the starter, unless an experiment says what it says, and start it.

    Raises InvalidDocumentError (also while runs are halted) and PermissionDenied.
    """
    people.require(user, "launch_run", "launch runs")
    if not place.url:
        raise InvalidDocumentError([SpecError(("parameters", "url"), "is missing")])
    starter = library.one(STARTER)
    assert starter is not None, "the library has lost its rehearsal"  # noqa: S101 (for the types)
    version = _saved(starter)
    if version is None:
        raw = library.fresh(starter)
        version = authoring.save(
            raw=raw,
            author=user,
            message=f"started from “{starter.title}”",
            written=library.written(starter.name, raw),
        )
    return launching.request_run(
        version=version,
        environment=place.environment,
        user=user,
        idempotency_key=idempotency_key,
    )


def _starter() -> spec.Experiment:
    found = library.one(STARTER)
    assert found is not None, "the library has lost its rehearsal"  # noqa: S101 (for the types)
    return found.document


def _saved(starter: library.Starter) -> ExperimentVersion | None:
    """Return the newest version of the newest experiment that is the starter but for its name."""
    wanted = _nameless(authoring.frozen(dict(starter.raw)))
    known = Experiment.objects.filter(name__startswith=STARTER, archived_at=None)
    for experiment in known.order_by("-pk"):
        version = experiment.versions.first()
        if version is not None and _nameless(version.document) == wanted:
            return version
    return None


def _nameless(document: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: each for key, each in document["metadata"].items() if key != "name"}
    return {**document, "metadata": metadata}


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _free(model: type[Connection | Environment]) -> str:
    """Return the first name that is not taken."""
    taken = set(model.objects.values_list("name", flat=True))
    return next(
        name
        for name in (*_NAMES, *(f"rehearsal-{number}" for number in range(2, len(taken) + 3)))
        if name not in taken
    )
