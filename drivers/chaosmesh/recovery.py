"""Look at a plan's object, have it removed, and say why it is not gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from drivers.chaosmesh import diagnosis, needs, objects, records
from drivers.chaosmesh.common import PodFault
from drivers.kube import health, pods
from drivers.kube.api import ConflictError, ForbiddenError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.protocol import DriverError, Observation, Plan, TargetState

WAIT_S = 1.5
"""How long a change is watched before it is read: longer waits are the engine's."""
_PROBE = "chaosweb-asks"

Body = dict[str, Any]


def observe(cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool) -> Observation:
    """Read how far the plan is in effect. Raises DriverError where that cannot be read.

    Without an object nothing of ours is there: a Chaos Mesh that runs has removed the fault first.
    """
    body = cluster.api.find(objects.place(plan), deadline=deadline)
    if body is None:
        return absent(plan, is_answered=is_answered)
    if objects.token(body) != plan.token:
        return foreign(plan, body)
    model = objects.fault_of(plan.fault)
    return records.observation(
        plan,
        body,
        events(cluster, plan, deadline),
        vanished(cluster, plan, body, deadline),
        is_one_shot=model.is_one_shot,
    )


def recover(cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool) -> Observation:
    """Have the object deleted and read back whether it is gone, and its records with it."""
    at = objects.place(plan)
    body = cluster.api.find(at, deadline=deadline)
    if body is not None and objects.token(body) != plan.token:
        return foreign(plan, body)
    if body is not None:
        if not objects.is_going(body):
            _delete(cluster, at, body, deadline)
        watched(cluster, plan, body, lambda told: told["type"] == "DELETED", deadline)
        body = cluster.api.find(at, deadline=deadline)
    if body is None or objects.token(body) != plan.token:
        return _healed(cluster, plan, deadline)
    return _hanging(cluster, plan, body, deadline)


def watched(
    cluster: Cluster,
    plan: Plan,
    body: Mapping[str, Any],
    is_done: Callable[[Mapping[str, Any]], bool],
    deadline: float,
) -> None:
    """Wait a moment until the object is as expected. Only shortens a wait: read it afterwards."""
    about = plan.details
    query = {
        "fieldSelector": f"metadata.name={about['name']}",
        "resourceVersion": str(body["metadata"].get("resourceVersion", "")),
    }
    at = objects.collection(about["resource"], about["namespace"])
    until = min(deadline - 1.0, time.monotonic() + WAIT_S)
    # Whoever may not watch, or is cut off meanwhile, reads without having waited.
    with contextlib.suppress(DriverError):
        for told in cluster.api.watch(at, query, deadline=until):
            if told.get("type") == "ERROR" or is_done(told):
                return


def events(cluster: Cluster, plan: Plan, deadline: float) -> list[Body]:
    """Return the object's events; none where we may not read them."""
    about = plan.details
    chosen = f"involvedObject.kind={about['resource']},involvedObject.name={about['name']}"
    at = path("v1", "events", namespace=about["namespace"])
    try:
        return cluster.api.all(at, {"fieldSelector": chosen}, deadline=deadline)
    except ForbiddenError:
        return []


def vanished(
    cluster: Cluster, plan: Plan, body: Mapping[str, Any], deadline: float
) -> frozenset[str]:
    """Return the pods of the records that are not there any more; none where we cannot know."""
    found = records.read(body).records
    if not issubclass(objects.fault_of(plan.fault), PodFault) or not found:
        return frozenset()
    if (body.get("spec") or {}).get("remoteCluster"):
        return frozenset()
    wanted = {records.pod_of(each) for each in found}
    gone: set[str] = set()
    for place, listed in cluster.each(
        lambda each: cluster.api.all(
            path("v1", "pods", namespace=each), deadline=deadline, is_brief=True
        ),
        sorted({each.partition("/")[0] for each in wanted}),
    ):
        if isinstance(listed, ForbiddenError):
            continue  # we may not look there, and take them for alive
        if isinstance(listed, DriverError):
            raise listed
        there = {f"{place}/{each['metadata']['name']}" for each in listed}
        gone |= {each for each in wanted if each.startswith(f"{place}/")} - there
    return frozenset(gone)


def absent(plan: Plan, *, is_answered: bool) -> Observation:
    """Return the observation of a plan without an object."""
    phase = "gone" if is_answered else "pending"
    said = f"There is no {objects.label(plan)}."
    return _observation(plan, phase, _named(plan, phase, said), said)


def foreign(plan: Plan, body: Mapping[str, Any]) -> Observation:
    """Return the observation where an object that is not ours has our name: it is left alone."""
    whose = objects.token(body) or "somebody else"
    said = f"{objects.label(plan)} belongs to {whose}."
    return _observation(plan, "gone", _named(plan, "foreign", said), said)


def unreachable(plan: Plan, error: DriverError, *, is_injected: bool) -> Observation:
    """Return the observation of a plan of which nothing could be read."""
    phase = "partly" if is_injected else "pending"
    return _observation(plan, phase, _named(plan, "unreachable", str(error)), str(error))


def _delete(cluster: Cluster, at: str, body: Mapping[str, Any], deadline: float) -> None:
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": body["metadata"]["uid"]},
    }
    # Gone by now, or replaced by an object that is not ours: what is read next says which.
    with contextlib.suppress(NotFoundError, ConflictError):
        cluster.api.delete(at, options, deadline=deadline)


def _healed(cluster: Cluster, plan: Plan, deadline: float) -> Observation:
    """Return whether, without its object, the workloads have their pods again."""
    said = f"{objects.label(plan)} is gone, and its records with it."
    before = {key: int(counted["ready"]) for key, counted in plan.counters.items()}
    if objects.fault_of(plan.fault).undo != "self_heals" or not before:
        return _observation(plan, "gone", _named(plan, "gone", ""), said)
    listed: list[pods.Pod] = []
    for _, found in cluster.each(
        lambda place: cluster.pods(place, deadline),
        sorted({key.partition("/")[0] for key in before}),
    ):
        if isinstance(found, DriverError):
            raise found
        listed += found
    states = health.states(cluster, before, listed, deadline)
    sick = [each for each in states if each.phase == "active"]
    if not sick:
        return _observation(plan, "gone", states, f"{said} Every workload has its pods again.")
    told = " ".join(f"{each.name}: {each.detail}" for each in sick[:5])
    phase = "active" if len(sick) == len(states) else "partly"
    return _observation(plan, phase, states, f"{said} {told}")


def _hanging(cluster: Cluster, plan: Plan, body: Mapping[str, Any], deadline: float) -> Observation:
    """Return the observation of an object that is being deleted, and why it is still there."""
    status = records.read(body)
    lost = vanished(cluster, plan, body, deadline)
    webhook, controller = _webhook(cluster, plan, deadline), ""
    if not webhook:
        found = needs.absent_controller(cluster, deadline)
        controller = f"{found.message} {found.hint}" if found else ""
    why = diagnosis.words(
        status, lost, now=datetime.now(UTC), webhook=webhook, controller=controller
    )
    about = plan.details
    force = objects.forced(about["resource"], about["namespace"], about["name"])
    model = objects.fault_of(plan.fault)
    states = [
        # A record that waits may be in force: it is never taken for gone.
        each
        if each.phase in ("active", "gone")
        else TargetState(name=each.name, phase="pending", detail=each.detail)
        for each in records.states(status, lost, is_one_shot=model.is_one_shot)
    ]
    states = states or _named(plan, "pending", "It is being deleted.")
    message = f"{objects.label(plan)} is being deleted. {why} If nothing else helps: {force}"
    told = records.warnings(events(cluster, plan, deadline))
    return _observation(plan, "partly", states, message, evidence=records.evidence(status, told))


def _webhook(cluster: Cluster, plan: Plan, deadline: float) -> str:
    """Return what the server says where it cannot ask Chaos Mesh's webhooks, empty otherwise.

    It is asked by a dry run of the same document under another name.
    """
    body = dict(plan.details["manifest"])
    body["metadata"] = {**body["metadata"], "name": _PROBE}
    try:
        cluster.api.create(
            objects.collection(body["kind"], plan.details["namespace"]),
            body,
            deadline=deadline,
            dryRun="All",
        )
    except DriverError as error:
        # Any other refusal came from somebody who answered.
        return error.message if needs.is_webhook_down(error) else ""
    return ""


def _named(plan: Plan, phase: Any, detail: str) -> list[TargetState]:
    names = list(dict.fromkeys(each.name for each in plan.targets)) or [objects.label(plan)]
    return [
        TargetState(name=name, phase=phase, detail="" if index else detail)
        for index, name in enumerate(names[: records.MOST_STATES])
    ]


def _observation(
    plan: Plan, phase: Any, states: list[TargetState], message: str, *, evidence: Any = None
) -> Observation:
    return Observation(
        phase=phase,
        targets=tuple(states),
        requested_share=plan.requested_share,
        evidence=evidence or {},
        message=message,
    )
