"""Our objects of Chaos Mesh: how they are made, found again, and read back as plans."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from drivers.chaosmesh import payload
from drivers.chaosmesh.common import API_VERSION, DEAD_MAN_S, ChaosFault
from drivers.chaosmesh.faults import FAULTS, RESOURCES
from drivers.kube.api import path
from drivers.protocol import DriverError, FaultRequest, Plan, Target

PLAN = "chaosweb/plan"
"""The annotation that holds what a plan cannot be rebuilt without."""
MOST_KEPT_BYTES = 200_000
"""Annotations of one object take 256 KiB in all."""
_RUN = re.compile(r"-(\d+)-\d+-[0-9a-f]{12}$")
_KINDS = {fault.kind: fault for fault in FAULTS}

Body = Mapping[str, Any]


def fault_of(kind: str) -> type[ChaosFault]:
    """Return the model of a fault. Raises DriverError."""
    if kind not in _KINDS:
        raise DriverError(f"Chaos Mesh cannot inject {kind}.")
    return _KINDS[kind]


def of(request: FaultRequest) -> ChaosFault:
    """Return the request's parameters. Raises DriverError for those of another backend."""
    if not isinstance(request.params, ChaosFault):
        raise DriverError(f"Chaos Mesh cannot inject {request.params.kind}.")
    return request.params


def run_of(token: str) -> str:
    """Return the run that a token names, the whole token where it names none."""
    found = _RUN.search(token)
    return found[1] if found else token


def made(
    request: FaultRequest, namespace: str, kept: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the object for a request, ``kept`` in its annotation. Raises DriverError.

    Its duration is a little longer than ours: Chaos Mesh ends it should we be gone by then.
    """
    params, seconds = of(request), request.duration_s
    if seconds is None and not params.is_one_shot:
        raise DriverError(
            f"{params.kind} needs a duration.", hint="Give the action one, for example 1m."
        )
    try:
        body = payload.manifest(
            params,
            name=payload.object_name(request.token),
            namespace=namespace,
            labels=payload.labels(run_of(request.token), request.token),
            duration_s=None if seconds is None else seconds + DEAD_MAN_S,
        )
    except ValueError as error:
        raise DriverError(f"{params.kind} cannot be written: {error}.") from error
    if kept is not None:
        said = json.dumps(kept, separators=(",", ":"), sort_keys=True)
        if len(said) > MOST_KEPT_BYTES:
            raise DriverError(
                "The pods belong to more workloads than can be kept track of.",
                hint="Select fewer of them.",
            )
        body["metadata"]["annotations"] = {PLAN: said}
    return body


def collection(resource: str, namespace: str = "") -> str:
    """Return the path of a kind's objects, in a namespace or (empty) in the cluster."""
    return path(API_VERSION, resource.lower(), namespace=namespace or None)


def at(resource: str, namespace: str, name: str) -> str:
    """Return the path of one object."""
    return path(API_VERSION, resource.lower(), namespace=namespace, name=name)


def place(plan: Plan) -> str:
    """Return the path of a plan's object."""
    return at(plan.details["resource"], plan.details["namespace"], plan.details["name"])


def label(plan: Plan) -> str:
    """Return what pages call a plan's object: “PodChaos shop/cw-1”."""
    about = plan.details
    return f"{about['resource']} {about['namespace']}/{about['name']}"


def token(body: Body) -> str:
    """Return the token that an object carries, empty for none."""
    labels = (body.get("metadata") or {}).get("labels") or {}
    return str(labels.get(payload.TOKEN_LABEL, ""))


def is_going(body: Body) -> bool:
    """Tell whether the object's deletion has begun."""
    return bool((body.get("metadata") or {}).get("deletionTimestamp"))


def kept(body: Body) -> dict[str, Any] | None:
    """Return what the annotation holds; None where it was taken away or changed."""
    annotations = (body.get("metadata") or {}).get("annotations") or {}
    try:
        found = json.loads(annotations.get(PLAN, ""))
    except (TypeError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("fault") in _KINDS else None


def plan(body: Mapping[str, Any], said: Mapping[str, Any], targets: Iterable[Target]) -> Plan:
    """Return the plan of an object, from what its annotation says."""
    about = body["metadata"]
    sent = {key: body[key] for key in ("apiVersion", "kind", "metadata", "spec")}
    resource, namespace, name = str(body["kind"]), str(about["namespace"]), str(about["name"])
    return Plan(
        token=token(body),
        fault=str(said["fault"]),
        documents=(payload.document(sent),),
        targets=tuple(targets),
        claims=tuple(said.get("claims") or ()),
        requested_share=said.get("share"),
        counters=said.get("ready") or {},
        details={
            "resource": resource,
            "namespace": namespace,
            "name": name,
            "matching": said.get("matching"),
            "manifest": sent,
        },
        by_hand=by_hand(resource, namespace, name),
    )


def rebuilt(body: Body, resource: str, targets: Iterable[Target]) -> Plan | None:
    """Return the plan of an object that was found in a cluster; None where it tells too little."""
    said, about = kept(body), body["metadata"]
    if said is None or not isinstance(body.get("spec"), Mapping):
        return None
    ours = {key: about[key] for key in ("name", "namespace")}
    ours["labels"] = dict(about.get("labels") or {})
    ours["annotations"] = {PLAN: about["annotations"][PLAN]}
    sent = {
        "apiVersion": API_VERSION,
        "kind": resource,
        "metadata": ours,
        "spec": dict(body["spec"]),
    }
    try:
        return plan(sent, said, targets)
    except ValidationError:
        return None  # what somebody changed in the annotation is no plan any more


def by_hand(resource: str, namespace: str, name: str) -> tuple[str, ...]:
    """Return the command that ends the fault, and what to do only where that hangs."""
    what = f"{resource.lower()} {name} -n {namespace}"
    return (f"kubectl delete {what} --wait=false", forced(resource, namespace, name))


def forced(resource: str, namespace: str, name: str) -> str:
    """Return the command that lets an object go whose fault could not be removed.

    Chaos Mesh's own way is the annotation ``chaos-mesh.chaos-mesh.org/cleanFinalizer: forced``. Its
    2.8 never gets to read it while a record still fails, which is when it is needed.
    """
    return (
        f"kubectl patch {resource.lower()} {name} -n {namespace} --type=merge "
        """-p '{"metadata":{"finalizers":[]}}'"""
        "  # only if the deletion hangs: the object goes, what it did to its targets may stay"
    )


def every_kind(served: Iterable[str]) -> list[str]:
    """Return the kinds of faults among those that a cluster serves."""
    there = set(served)
    return [resource for resource in RESOURCES if resource in there]
