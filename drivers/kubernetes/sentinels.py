"""The record of an injection in the cluster: a ConfigMap that holds its whole plan.

It is created before anything is changed and deleted after everything is restored, so that a fault
can be removed with nothing but the cluster. A person reads in it what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from drivers.kube.api import ConflictError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kubernetes.payload import FAULT, MANAGED_BY, TOKEN, as_yaml, labels, sentinel_name
from drivers.protocol import DriverError, Owned, Plan, Target

OURS = ",".join([*(f"{key}={value}" for key, value in MANAGED_BY.items()), TOKEN])
"""Selects every sentinel."""


def create(cluster: Cluster, home: str, plan: Plan, deadline: float, **more: str) -> None:
    """Create the sentinel; one that is there under this token already is as good.

    Raises DriverError, UnknownOutcomeError.
    """
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": sentinel_name(plan.token),
            "namespace": home,
            "labels": labels(plan.token, plan.fault),
        },
        "immutable": True,
        "data": {"plan": plan.model_dump_json(indent=1), **more},
    }
    try:
        cluster.api.create(path("v1", "configmaps", namespace=home), body, deadline=deadline)
    except ConflictError:
        if find(cluster, home, plan.token, deadline) is None:
            raise


def find(cluster: Cluster, home: str, token: str, deadline: float) -> Owned | None:
    """Return what the sentinel of the token says, None where there is none."""
    body = cluster.api.find(_at(home, token), deadline=deadline)
    return None if body is None else read(body)


def remove(cluster: Cluster, home: str, token: str, deadline: float) -> None:
    """Delete the sentinel, which may be gone already. Raises DriverError, UnknownOutcomeError."""
    try:
        cluster.api.delete(_at(home, token), deadline=deadline)
    except NotFoundError:
        return


def listed(cluster: Cluster, home: str, deadline: float) -> list[Owned]:
    """Return every injection whose sentinel is in the namespace (empty: in the cluster)."""
    at = path("v1", "configmaps", namespace=home or None)
    return [read(each) for each in cluster.api.all(at, {"labelSelector": OURS}, deadline=deadline)]


def held_by_another(
    cluster: Cluster, home: str, token: str, claims: Iterable[str], deadline: float
) -> DriverError | None:
    """Return the refusal where another injection's sentinel holds one of the claims, or None."""
    wanted = set(claims)
    for other in listed(cluster, home, deadline):
        shared = wanted & set(other.plan.claims if other.plan else ())
        if other.token != token and shared:
            return taken(other.token, sorted(shared)[0])
    return None


def taken(token: str, what: str) -> DriverError:
    """Return the refusal for what another injection holds."""
    return DriverError(
        f"Injection {token} holds {what}.", hint="Recover it first, or wait until it ends."
    )


def read(body: Mapping[str, Any]) -> Owned:
    """Return the injection of a sentinel; without a plan where its text is no plan any more."""
    about = body["metadata"]
    said = about.get("labels") or {}
    try:
        plan = Plan.model_validate_json((body.get("data") or {}).get("plan", ""))
    except ValidationError:
        where = f"{about['namespace']}/ConfigMap/{about['name']}"
        target = Target(name=where, detail=f"of {said.get(FAULT, 'an unknown fault')}, unreadable")
        return Owned(token=str(said.get(TOKEN, "")), targets=(target,))
    return Owned(token=plan.token, targets=plan.targets, plan=plan)


def kept_manifest(body: Mapping[str, Any]) -> str:
    """Return an object as the sentinel keeps it, for ``kubectl create -f -``."""
    return as_yaml(body)


def _at(home: str, token: str) -> str:
    return path("v1", "configmaps", namespace=home, name=sentinel_name(token))
