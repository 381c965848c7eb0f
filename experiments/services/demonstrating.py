"""Fills an installation with the demo: its people, its environment and its experiments."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from experiments.domain import text
from experiments.models import Alias, Connection, Environment, ExperimentVersion, Service, User
from experiments.services import authoring, describing, people

ENVIRONMENT = "sandbox"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sandbox's backends answer, and how often its sources advance, in seconds."""

    edge_admin: str
    mesh_admin: str
    prometheus_url: str
    edge_url: str
    scrape_interval_s: float
    flush_interval_s: float
    own_url: str = ""
    """Where ChaosWeb answers; rehearsals ask it whether it is well. Empty: no rehearsals."""
    rehearsals: str = ""
    """The folder in which rehearsals keep what they pretend."""


# A verdict needs 30 steps of baseline and 15 of the fault; a step of the sandbox takes 2 s.
PARAMETERS = {"baseline": "64s", "lasts": "40s", "settle": "20s"}
"""What starters take from the environment, so that a run lasts two minutes and not twenty."""


@transaction.atomic
def seed(
    *,
    place: Place,
    documents: Iterable[str],
    services: Mapping[str, Mapping[str, Any]],
) -> tuple[Environment, list[ExperimentVersion], str]:
    """Create or refresh everything; return environment, one version per document, password.

    The password of the person ``demo`` is new each time and stored only as its hash.
    """
    people.ensure_roles()
    demo, _ = User.objects.get_or_create(username="demo")
    password = secrets.token_urlsafe(9)
    demo.set_password(password)
    demo.save()
    people.give_role(user=demo, role=people.ADMIN)
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "edge": ("envoy", {"addresses": [place.edge_admin]}),
        "mesh": ("envoy", {"addresses": [place.mesh_admin]}),
        "metrics": ("prometheus", {"url": place.prometheus_url}),
    }
    hosts = [place.edge_url.split("//", 1)[-1].rstrip("/")]
    parameters = dict(PARAMETERS)
    if place.own_url:
        kinds["rehearsal"] = ("fake", {"targets": ["one", "two"], "state": place.rehearsals})
        hosts.append(place.own_url.split("//", 1)[-1].rstrip("/"))
        parameters["url"] = f"{place.own_url.rstrip('/')}/healthz"
    environment, _ = Environment.objects.update_or_create(
        name=ENVIRONMENT,
        defaults={
            "title": "Sandbox",
            "description": "The demo's shop, on this machine.",
            "allowed_hosts": hosts,
            "parameters": parameters,
        },
    )
    for alias, (kind, options) in kinds.items():
        connection, _ = Connection.objects.update_or_create(
            name=f"sandbox-{alias}",
            defaults={
                "kind": kind,
                "options": options,
                "scrape_interval_s": place.scrape_interval_s,
                "flush_interval_s": place.flush_interval_s,
            },
        )
        Alias.objects.update_or_create(
            environment=environment, name=alias, defaults={"connection": connection}
        )
    for name, described in services.items():
        _describe(name, described, demo)
    return environment, [_version(written, demo) for written in documents], password


def _describe(name: str, described: Mapping[str, Any], author: User) -> None:
    """Describe a service; what somebody has written down of it already stays."""
    known = Service.objects.filter(name=name).first()
    stays = describing.to_json(known) if known else {}
    raw = {"name": name, **described, **{key: value for key, value in stays.items() if value}}
    describing.save(raw=raw, user=author, service=known)


def _version(written: str, author: User) -> ExperimentVersion:
    """Return the stored version of the document; a document that was stored before is found."""
    raw = text.read(written)
    kept = authoring.frozen(raw)
    for known in ExperimentVersion.objects.filter(experiment__name=raw["metadata"]["name"]):
        if known.document == kept:
            return known
    first = ExperimentVersion.objects.filter(experiment__name=raw["metadata"]["name"]).first()
    return authoring.save(
        raw=raw,
        author=author,
        experiment=first.experiment if first else None,
        message="what the first run found" if first else "from the demo",
        written=written,
    )
