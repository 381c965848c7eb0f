"""What a fault needs of the cluster: its kind, our rights, a controller that runs, webhooks."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from drivers.chaosmesh import objects
from drivers.chaosmesh.common import API_VERSION, ChaosFault, PodFault
from drivers.chaosmesh.network import NetworkFault
from drivers.chaosmesh.reach import places
from drivers.kube.api import ForbiddenError, KubeError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kube.rights import Right, allowed, rights
from drivers.protocol import DriverError, Problem

GROUP, VERSION = API_VERSION.split("/")
CONTROLLER = "chaos-controller-manager"
_HOMES = ("chaos-mesh", "chaos-testing")
"""Where the chart is installed as a rule."""
_NO_DURATION = "chaosweb asks whether anybody checks this"
_UNCHECKED = ("TimeChaos",)
"""Kinds whose webhook does not look at the duration."""


def served(cluster: Cluster, deadline: float) -> list[str]:
    """Return the kinds that the cluster serves in the version that we write; none without it."""
    try:
        found = cluster.api.get(f"/apis/{API_VERSION}", deadline=deadline)
    except NotFoundError:
        return []
    return sorted({str(each.get("kind", "")) for each in found.get("resources") or ()})


def absent(cluster: Cluster, params: ChaosFault, deadline: float) -> Problem | None:
    """Return the problem where the cluster does not serve the fault's kind."""
    kinds = served(cluster, deadline)
    if params.resource in kinds:
        return None
    if not kinds:
        return Problem(
            message=f"Chaos Mesh is not installed: the cluster does not serve {API_VERSION}.",
            hint="Install Chaos Mesh 2.8, for example with its Helm chart.",
            where=cluster.name,
        )
    return Problem(
        message=f"The Chaos Mesh of this cluster has no {params.resource}.",
        hint="Upgrade it to 2.8 and apply its CRDs, which Helm does not upgrade by itself.",
        where=cluster.name,
    )


def lacking(cluster: Cluster, params: ChaosFault, home: str, deadline: float) -> list[Problem]:
    """Return one problem for each right that the account lacks. Raises DriverError.

    Chaos Mesh's own webhook asks for ``create`` in every namespace that is selected.
    """
    asked: list[tuple[Right, str]] = [
        (right, home) for right in rights(GROUP, params.plural(), "create", "get", "list", "delete")
    ]
    for place in places(params):
        if isinstance(params, PodFault):
            asked += [(right, place) for right in rights(GROUP, params.plural(), "create")]
            if not params.remote_cluster:
                asked += [(right, place) for right in rights("", "pods", "list")]
        elif not params.remote_cluster:
            asked += [(right, place) for right in rights(GROUP, "physicalmachines", "list")]
    if _reads_nodes(params):
        asked += [(right, "") for right in rights("", "nodes", "list", is_everywhere=True)]
    found = []
    for (right, place), answer in cluster.each(
        lambda each: allowed(cluster.api, each[0], each[1], deadline=deadline),
        list(dict.fromkeys(asked)),
    ):
        if isinstance(answer, DriverError):
            raise answer
        if not answer:
            where = f" in {place}" if place else ""
            what = f"{right.resource}.{right.group}" if right.group else right.resource
            hint = f"Grant it: kubectl create role … --verb={right.verb} --resource={what}"
            found.append(
                Problem(message=f"The account may not {right}{where}.", hint=hint, where=place)
            )
    return found


def _reads_nodes(params: ChaosFault) -> bool:
    if not isinstance(params, PodFault) or params.remote_cluster:
        return False
    sides = [params.selector]
    if isinstance(params, NetworkFault) and params.target is not None:
        sides.append(params.target.selector)
    return any(each.nodes or each.node_labels for each in sides)


def absent_controller(cluster: Cluster, deadline: float) -> Problem | None:
    """Return the problem of a controller that has no ready pod; None where it cannot be found."""
    for home in _HOMES:
        at = path("apps/v1", "deployments", namespace=home, name=CONTROLLER)
        try:
            body = cluster.api.find(at, deadline=deadline)
        except ForbiddenError:
            continue
        if body is not None and not (body.get("status") or {}).get("readyReplicas"):
            return Problem(
                message=f"Chaos Mesh's controller, {home}/{CONTROLLER}, has no ready pod.",
                hint="Nothing would be injected, and nothing recovered, until it runs.",
                where=cluster.name,
            )
    return None


def dry_run(cluster: Cluster, body: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Have the server and the webhooks judge a document. Raises DriverError; changes nothing."""
    at = objects.collection(body["kind"], body["metadata"]["namespace"])
    try:
        return cluster.api.create(at, body, deadline=deadline, dryRun="All")
    except KubeError as error:
        if is_webhook_down(error):
            raise DriverError(
                f"Chaos Mesh's webhook does not answer: {error.message}",
                retryable=True,
                hint="It is its controller that serves it: is chaos-controller-manager running?",
            ) from error
        raise


def is_webhook_down(error: DriverError) -> bool:
    """Tell whether the server could not ask a webhook."""
    return "failed calling webhook" in error.message


def no_webhooks(cluster: Cluster, body: dict[str, Any], deadline: float) -> Problem | None:
    """Return a warning where nobody but the schema checks what is sent.

    A dry run with a duration that is none: only a webhook would refuse it.
    """
    if body["kind"] in _UNCHECKED:
        return None
    wrong = copy.deepcopy(body)
    wrong["spec"]["duration"] = _NO_DURATION
    try:
        dry_run(cluster, wrong, deadline)
    except KubeError:
        return None
    return Problem(
        message="Chaos Mesh's webhooks are not installed: nobody there checks what is sent.",
        hint="ChaosWeb checks the same itself, and sends what they would fill in.",
        severity="warning",
        where=cluster.name,
    )


def errors(found: Iterable[Problem]) -> list[Problem]:
    """Return what prevents the fault."""
    return [each for each in found if each.severity == "error"]
