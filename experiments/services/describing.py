"""Writes what a service is: its description, its named SLIs, and when each of these changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from experiments.domain import services as domain
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.domain.services import Description
from experiments.domain.slis import ServiceSli
from experiments.models import Environment, Service, User
from experiments.services import clock, people, querying


def read(raw: Any) -> Description:
    """Return the description. Raises InvalidDocumentError with every error; stores nothing."""
    names = set(Environment.objects.values_list("name", flat=True))
    found, errors = domain.read(raw, environments=names)
    if found is None:
        raise InvalidDocumentError(errors)
    return found


def check(raw: Any) -> tuple[str, ...]:
    """Have the servers read the PromQL of a description; return which of them did not answer.

    Asked are the environments where the service lives, or else all that have its sources. Raises
    InvalidDocumentError with every error of the description, or of its PromQL; stores nothing.
    """
    found = read(raw)
    asked = querying.of_service(found.model_dump(mode="json", by_alias=True, exclude_none=True))
    if asked.errors:
        raise InvalidDocumentError(asked.errors)
    return asked.notes


def save(*, raw: Any, user: User, service: Service | None = None, seen: str = "") -> Service:
    """Store the description as a new service, or as what one is from now on.

    Versions keep their copies of its SLIs. ``seen`` is the ``stamp`` of what the person began with:
    what somebody else has saved since is not written over. Raises InvalidDocumentError with every
    error, PermissionDenied.
    """
    people.require(user, "author_experiment", "describe services")
    found = read(raw)
    with transaction.atomic():
        if service is None:
            row = _new(found.name)
        elif service.name != found.name:
            told = f"must stay “{service.name}”: experiments refer to the service by it"
            raise InvalidDocumentError([SpecError(("name",), told)])
        else:
            row = Service.objects.select_for_update().get(pk=service.pk)
            if seen and seen != stamp(row):
                told = f"somebody else saved {row} meanwhile; save again to have yours instead"
                raise InvalidDocumentError([SpecError((), told)])
        fill(row, found)
        row.save()
    return row


def stamp(service: Service) -> str:
    """Return what tells one saved state of a service from another."""
    return service.updated_at.isoformat()


def fill(row: Service, found: Description) -> None:
    """Write the description into a row, and when each SLI that differs was changed."""
    row.title, row.description = found.title, found.description
    row.owner, row.contact = found.owner, found.contact
    row.runbook = found.runbook or ""
    row.dashboards = [each.model_dump(mode="json") for each in found.dashboards]
    row.places = {
        name: place.model_dump(mode="json")
        for name, place in found.places.items()
        if place.where or place.labels
    }
    slis = [domain.sli_to_json(sli) for sli in found.slis]
    before = {sli["name"]: sli for sli in row.slis}
    now = clock.now().isoformat()
    known: Mapping[str, str] = row.sli_changes
    row.sli_changes = {
        sli["name"]: known.get(sli["name"], now) if before.get(sli["name"]) == sli else now
        for sli in slis
    }
    row.slis = slis


def slis_of(service: Service) -> Sequence[ServiceSli]:
    """Return the SLIs of a service. Raises InvalidDocumentError where a row is broken."""
    return read(to_json(service)).slis


def to_json(service: Service) -> dict[str, Any]:
    """Return the description as ``save`` takes it, without places in environments that are gone."""
    names = set(Environment.objects.values_list("name", flat=True))
    return {
        "name": service.name,
        "title": service.title,
        "description": service.description,
        "owner": service.owner,
        "contact": service.contact,
        "runbook": service.runbook,
        "dashboards": service.dashboards,
        "places": {name: place for name, place in service.places.items() if name in names},
        "slis": service.slis,
    }


def _new(name: str) -> Service:
    """Take the name, or say that it is taken."""
    try:
        with transaction.atomic():
            return Service.objects.create(name=name)
    except IntegrityError as error:
        taken = SpecError(("name",), f"there is a service “{name}” already; change that one")
        raise InvalidDocumentError([taken]) from error
