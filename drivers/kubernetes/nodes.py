"""Close a node to new pods, and evict those that are there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from drivers.kube.api import ForbiddenError, KubeError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED, Pod
from drivers.kubernetes.changes import Body, Change
from drivers.kubernetes.faults import DrainNode
from drivers.kubernetes.payload import (
    Reference,
    by_hand,
    marked,
    node,
    request,
    unmark,
)
from drivers.kubernetes.procedure import error, observation, warn
from drivers.protocol import (
    Document,
    DriverError,
    FaultRequest,
    Json,
    Observation,
    Plan,
    Problem,
    Target,
    Targets,
    TargetState,
    UnknownOutcomeError,
)

_VERSION = "<the version that was read>"
_STAYS = frozenset({"DaemonSet", "Node"})
"""Owners whose pods an eviction only makes anew on the same node."""


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A node as just read; ``pods`` are those that would be evicted, ``others`` are not ours."""

    of: Reference
    body: Body | None
    home: str
    pods: tuple[Pod, ...] = ()
    others: tuple[str, ...] = ()
    """Pods of namespaces that the connection does not allow; known only if we may look."""
    bare: tuple[str, ...] = ()
    """Pods that nothing would make again."""
    budgets: tuple[str, ...] = ()
    """Disruption budgets that allow no eviction now."""


def is_closed(body: Body) -> bool:
    """Tell whether a node takes no new pods."""
    return bool((body.get("spec") or {}).get("unschedulable"))


class Cordon(Change[Any, FoundNode]):
    """Sets a node unschedulable."""

    undo = (
        "The node is opened again if it was open before. Without ChaosWeb it stays closed until "
        "somebody runs the command shown."
    )

    def namespace(self, params: Any) -> str:
        """Return nothing: a node lies in no namespace."""
        return ""

    def documents(self, params: Any, token: str) -> tuple[Document, ...]:
        """Return the patch."""
        of = node(params.node)
        patch = {"spec": {"unschedulable": True}, "metadata": marked(token, _VERSION)}
        return (request(of.label, "PATCH", of.path, patch, "application/merge-patch+json"),)

    def look(self, cluster: Cluster, params: Any, deadline: float) -> FoundNode:
        """Read the node."""
        of = node(params.node)
        body = cluster.api.find(of.path, deadline=deadline)
        return FoundNode(of, body, cluster.home(deadline))

    def problems(self, params: Any, found: FoundNode) -> list[Problem]:
        """Refuse a node that is not there, or is closed already."""
        if found.body is None:
            return [error(f"There is no node {params.node}.", where=found.of.label)]
        if is_closed(found.body):
            said = f"The node {params.node} is closed already: nothing would change."
            return [error(said, where=found.of.label)]
        return []

    def targets(self, params: Any, found: FoundNode) -> Targets:
        """Return the node."""
        if found.body is None:
            return Targets(targets=(), sentence=params.sentence())
        return Targets(targets=(_described(found),), sentence=params.sentence())

    def claims(
        self, cluster: Cluster, params: Any, found: FoundNode, deadline: float
    ) -> tuple[str, ...]:
        """Return the node."""
        return (f"k8s:{cluster.identity(deadline)}:{found.of.label}:node",)

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: FoundNode, deadline: float
    ) -> Plan:
        """Keep whether the node was open."""
        assert found.body is not None  # noqa: S101  problems told of one that is missing
        of = found.of
        undo = (f"uncordon {of.name}", unmark(of))
        return Plan(
            token=request.token,
            fault=request.params.kind,
            documents=self.documents(request.params, request.token),
            targets=(_described(found),),
            claims=self.claims(cluster, request.params, found, deadline),
            requested_share=1.0,
            undo={of.label: {"value": is_closed(found.body)}},
            details={
                "home": found.home,
                "object": of.dump(),
                "uid": found.body["metadata"]["uid"],
                "set": True,
            },
            by_hand=(by_hand(*undo, home=found.home, token=request.token),),
        )

    def value(self, body: Body, plan: Plan) -> Json:
        """Return whether the node is closed."""
        return is_closed(body)

    def change(self, plan: Plan, value: Json) -> Body:
        """Return the patch; an open node says nothing."""
        return {"spec": {"unschedulable": True if value else None}}

    def words(self, value: Json) -> str:
        """Say whether it takes pods."""
        return "no place for new pods" if value else "place for new pods"

    def met(self, body: Body, plan: Plan) -> tuple[float, float]:
        """Count a closed node as hit: the scheduler reads the same field."""
        return 1.0, 1.0


class Drain(Cordon):
    """Closes a node, then evicts its pods as far as their budgets allow."""

    undo = (
        "The node is opened again if it was open before. Evicted pods were made anew elsewhere, "
        "and stay there. Without ChaosWeb the node stays closed until somebody runs the command "
        "shown."
    )

    def documents(self, params: Any, token: str) -> tuple[Document, ...]:
        """Return the patch, and the eviction that each pod gets."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "<pod>", "namespace": "<namespace>"},
        }
        at = "/api/v1/namespaces/<namespace>/pods/<pod>/eviction"
        each = request(f"each pod of {params.node}", "POST", at, body)
        return (*super().documents(params, token), each)

    def look(self, cluster: Cluster, params: Any, deadline: float) -> FoundNode:
        """Read the node, its pods, and the budgets that protect them."""
        assert isinstance(params, DrainNode)  # noqa: S101  chosen by its class
        found = super().look(cluster, params, deadline)
        if found.body is None:
            return found
        there, others = self._pods(cluster, params, deadline)
        evicted = [pod for pod in there if _is_evicted(pod)]
        namespaces = sorted({pod.namespace for pod in evicted})
        return FoundNode(
            of=found.of,
            body=found.body,
            home=found.home,
            pods=tuple(evicted),
            others=tuple(others),
            bare=tuple(pod.key for pod in evicted if pod.owner is None),
            budgets=tuple(
                budget for each in namespaces for budget in _exhausted(cluster, each, deadline)
            ),
        )

    def _pods(
        self, cluster: Cluster, params: DrainNode, deadline: float
    ) -> tuple[list[Pod], list[str]]:
        """Return the pods of allowed namespaces on the node, and the names of all others."""
        try:
            there = cluster.pods("", deadline, node=params.node)
        except ForbiddenError:
            if not params.namespaces_only:
                raise
            allowed = cluster.namespaces(deadline)
            found = [cluster.pods(each, deadline, node=params.node) for each in allowed]
            return [pod for each in found for pod in each], []
        ours = [pod for pod in there if cluster.scope.allows(pod.namespace)]
        others = [
            pod.key for pod in there if not cluster.scope.allows(pod.namespace) and _is_evicted(pod)
        ]
        return ours, others

    def problems(self, params: Any, found: FoundNode) -> list[Problem]:
        """Refuse what must not be evicted; warn of what will not go or not come back."""
        problems = super().problems(params, found)
        if problems:
            return problems
        where = found.of.label
        if found.others:
            said = f"{len(found.others)} pods of other namespaces are on {params.node}"
            if params.namespaces_only:
                problems.append(warn(f"{said}: they stay.", where=where))
            else:
                hint = "Allow those namespaces, or evict only pods of allowed ones."
                problems.append(error(f"{said} ({_some(found.others)}).", hint, where))
        if not found.pods:
            said = f"No pod on {params.node} would be evicted."
            problems.append(warn(said, "It is only closed.", where))
        if found.bare:
            hint = "Delete them yourself first, or give them a Deployment."
            said = f"Nothing would make these pods again: {_some(found.bare)}."
            problems.append(error(said, hint, where))
        for budget in found.budgets:
            said = f"The disruption budget {budget} allows no eviction now: its pods stay."
            problems.append(warn(said, "With on_drift: reinject they are tried again.", where))
        return problems

    def targets(self, params: Any, found: FoundNode) -> Targets:
        """Return the node and the pods that would be evicted."""
        shown = super().targets(params, found)
        pods = tuple(Target(name=pod.key, detail=pod.detail) for pod in found.pods)
        sentence = f"{len(pods)} pods: {params.sentence()}"
        return Targets(targets=(*shown.targets, *pods), sentence=sentence)

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: FoundNode, deadline: float
    ) -> Plan:
        """Keep whether the node was open, and which pods were there."""
        plan = super().plan(cluster, request, found, deadline)
        pods = [{"key": pod.key, "uid": pod.uid} for pod in found.pods]
        shown = tuple(Target(name=pod.key, detail=pod.detail) for pod in found.pods)
        return plan.model_copy(
            update={
                "targets": (*plan.targets, *shown),
                "details": {**plan.details, "pods": pods},
            }
        )

    def inject(self, cluster: Cluster, plan: Plan, deadline: float) -> dict[str, Json]:
        """Close the node, then ask once for every eviction that is missing.

        What a budget holds back is not an error: it reads ``pending``. Raises UnknownOutcomeError
        where evictions failed otherwise.
        """
        super().inject(cluster, plan, deadline)
        held: list[str] = []
        failed: list[DriverError] = []
        waiting = [pod for pod, is_there in self._there(cluster, plan, deadline) if is_there]
        asked = cluster.each(lambda pod: _evict(cluster, pod, deadline), waiting)
        for pod, outcome in asked:
            if isinstance(outcome, KubeError) and outcome.status == 429:
                held.append(str(pod["key"]))
            elif isinstance(outcome, DriverError):
                failed.append(outcome)
        if failed:
            first = failed[0]
            raise UnknownOutcomeError(
                f"{len(failed)} of {len(waiting)} pods could not be evicted: {first.message}",
                retryable=first.retryable,
                hint=first.hint,
            )
        return {"held_back": list(held)}

    def observe(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read the node and every pod that was to go."""
        seen = super().observe(cluster, plan, deadline, is_answered=is_answered)
        if seen.phase != "active":
            return seen
        pods = [
            TargetState(
                name=str(pod["key"]),
                phase="pending" if is_there else "active",
                detail="It is still there." if is_there else "",
            )
            for pod, is_there in self._there(cluster, plan, deadline)
        ]
        gone = sum(each.phase == "active" for each in pods)
        return observation(
            plan,
            [*seen.targets, *pods],
            is_injected=is_answered,
            met=(float(len(pods)), float(gone)) if pods else (1.0, 1.0),
            evidence=seen.evidence,
        )

    def _there(
        self, cluster: Cluster, plan: Plan, deadline: float
    ) -> list[tuple[dict[str, Json], bool]]:
        """Return each pod of the plan, and whether it is there and not going."""
        name = str(plan.details["object"]["name"])
        planned = list(plan.details["pods"])
        namespaces = sorted({str(pod["key"]).partition("/")[0] for pod in planned})
        living = {
            pod.uid
            for each in namespaces
            for pod in cluster.pods(each, deadline, node=name)
            if not pod.is_going and pod.phase not in FINISHED
        }
        return [(pod, pod["uid"] in living) for pod in planned]


def _evict(cluster: Cluster, pod: dict[str, Json], deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise UnknownOutcomeError("There was no time left to evict it.")
    namespace, _, name = str(pod["key"]).partition("/")
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": pod["uid"]}},
    }
    at = path("v1", "pods", namespace=namespace, name=name, sub="eviction")
    try:
        cluster.api.create(at, body, deadline=deadline)
    except NotFoundError:
        return


def _is_evicted(pod: Pod) -> bool:
    """Tell whether a drain evicts the pod: not one of a DaemonSet, of the node itself, or ended."""
    owner = pod.owner.kind if pod.owner else ""
    return owner not in _STAYS and pod.phase not in FINISHED and not pod.is_going


def _exhausted(cluster: Cluster, namespace: str, deadline: float) -> list[str]:
    """Return the namespace's budgets that allow no eviction now; none if we may not look."""
    try:
        at = path("policy/v1", "poddisruptionbudgets", namespace=namespace)
        found = cluster.api.all(at, deadline=deadline)
    except (ForbiddenError, NotFoundError):
        return []
    return [
        f"{namespace}/{each['metadata']['name']}"
        for each in found
        if (each.get("status") or {}).get("disruptionsAllowed") == 0
    ]


def _described(found: FoundNode) -> Target:
    body = found.body or {}
    conditions = (body.get("status") or {}).get("conditions") or []
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    state = "closed" if is_closed(body) else "open"
    return Target(name=found.of.label, detail=f"{'ready' if is_ready else 'not ready'}, {state}")


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
