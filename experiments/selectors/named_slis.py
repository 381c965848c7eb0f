"""The SLIs that services have a name for, as documents refer to them: ``orders.p95``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.dateparse import parse_datetime

from experiments.domain import uses
from experiments.domain.slis import Sli
from experiments.models import Service


def for_document(raw: Any) -> uses.Named:
    """Return the SLIs of every service, for a document that uses some; else nothing, unasked."""
    return known() if uses.references(raw) else uses.NOTHING


def known() -> uses.Named:
    """Return the SLIs of every service, by the service's name and by their own."""
    rows = Service.objects.values_list("name", "slis")
    return {name: {str(sli["name"]): sli for sli in slis} for name, slis in rows}


def listed(named: uses.Named | None = None) -> list[tuple[str, str]]:
    """Return every SLI of a service as a document refers to it, and what it is called."""
    return [
        (f"{service}.{name}", str(sli.get("title") or ""))
        for service, slis in sorted((known() if named is None else named).items())
        for name, sli in slis.items()
    ]


def news(slis: Iterable[Sli]) -> dict[str, str]:
    """Say, by the SLI's name, what has become of what a version uses since it was saved.

    Those of which there is nothing to say are left out.
    """
    using = [sli for sli in slis if sli.use is not None and sli.copied is not None]
    if not using:
        return {}
    named = known()
    changes = dict(Service.objects.values_list("name", "sli_changes"))
    found = {}
    for sli in using:
        reference = str(sli.use)
        service, _, name = reference.partition(".")
        if not uses.is_changed(reference, sli.copied or {}, named):
            continue
        if name not in named.get(service, {}):
            found[sli.name] = f"{reference} is gone: this version keeps what it was"
            continue
        at = parse_datetime(str(changes.get(service, {}).get(name, "")))
        when = f" on {at.day} {at:%b %Y}" if at else ""
        found[sli.name] = f"{reference} was changed{when}: save a new version to take it over"
    return found
