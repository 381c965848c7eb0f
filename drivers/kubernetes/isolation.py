"""Cut pods off the network by a NetworkPolicy."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from drivers.kube.api import ConflictError, ForbiddenError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import Pod, owners
from drivers.kubernetes import sentinels
from drivers.kubernetes.changes import withdraw
from drivers.kubernetes.faults import IsolatePods
from drivers.kubernetes.matching import Matching, match, nothing, targets, told
from drivers.kubernetes.payload import TOKEN, by_hand, manifest, policy, sentinel_name
from drivers.kubernetes.procedure import Procedure, home_of, observation, warn
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

GROUP = "networking.k8s.io/v1"
_ENFORCING = (
    "projectcalico.org",
    "cilium.io",
    "antrea.io",
    "k8s.ovn.org",
    "kubeovn.io",
    "networking.k8s.aws",
    "network.openshift.io",
)
"""Ends of the API groups of network plugins that are known to enforce NetworkPolicies."""
_TYPES = {"in": {"Ingress"}, "out": {"Egress"}, "both": {"Ingress", "Egress"}}


@dataclass(frozen=True, slots=True)
class FoundIsolation:
    """The pods that match, what else is said about their network, and who enforces it."""

    pods: Matching
    policies: tuple[Mapping[str, Any], ...]
    enforced_by: str


class Isolation(Procedure[IsolatePods, FoundIsolation]):
    """Creates a NetworkPolicy that selects the pods and allows nothing."""

    undo = (
        "The NetworkPolicy is deleted. Without ChaosWeb it stays until somebody runs the command "
        "shown. Connections that were open may live on, or stay broken, as the plugin does it."
    )

    def documents(self, params: IsolatePods, token: str) -> tuple[Document, ...]:
        """Return the policy."""
        where = params.selector.namespace
        name = f"{where}/NetworkPolicy/{sentinel_name(token)}"
        return (manifest(name, _policy(params, token)),)

    def namespace(self, params: IsolatePods) -> str:
        """Return the selection's namespace."""
        return params.selector.namespace

    def look(self, cluster: Cluster, params: IsolatePods, deadline: float) -> FoundIsolation:
        """Read the pods, the other policies, and which network plugin shows itself."""
        at = path(GROUP, "networkpolicies", namespace=params.selector.namespace)
        return FoundIsolation(
            match(cluster, params.selector, deadline),
            tuple(cluster.api.all(at, deadline=deadline)),
            _enforcer(cluster, deadline),
        )

    def problems(self, params: IsolatePods, found: FoundIsolation) -> list[Problem]:
        """Refuse a selection of nothing; warn of pods and policies that would not be cut."""
        if absent := nothing(found.pods):
            return absent
        where, problems = params.selector.namespace, []
        hosted = [pod.name for pod in found.pods.pods if pod.is_on_host_network]
        if hosted:
            said = f"On the host's network, where no NetworkPolicy reaches: {told(hosted)}."
            problems.append(warn(said, where=where))
        if not found.enforced_by:
            problems.append(
                warn(
                    "Nothing shows that this cluster enforces NetworkPolicies: whether the fault "
                    "took effect stays in doubt.",
                    "Use a network plugin that does, such as Calico or Cilium.",
                    where,
                )
            )
        for each in found.policies:
            if TOKEN not in (each["metadata"].get("labels") or {}) and _allows(each, params, found):
                name = each["metadata"]["name"]
                said = f"The NetworkPolicy {name} allows traffic of the same pods: that goes on."
                problems.append(warn(said, where=where))
        return problems

    def targets(self, params: IsolatePods, found: FoundIsolation) -> Targets:
        """Return the matching pods; those that come later are cut off as well."""
        shares = "; ".join(str(share) for share in found.pods.shares(found.pods.pods)[:5])
        return targets(found.pods, f"{len(found.pods.pods):,} pods match: {shares}.")

    def claims(
        self, cluster: Cluster, params: IsolatePods, found: FoundIsolation, deadline: float
    ) -> tuple[str, ...]:
        """Return the network of every workload with a matching pod."""
        identity, pods = cluster.identity(deadline), _reached(found.pods.pods)
        return tuple(sorted(f"k8s:{identity}:{key}:partition" for key in owners(pods)))

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: FoundIsolation, deadline: float
    ) -> Plan:
        """Keep the policy, and the pods that it cuts off now."""
        params = request.params
        assert isinstance(params, IsolatePods)  # noqa: S101  chosen by its class
        home, pods = params.selector.namespace, _reached(found.pods.pods)
        delete = f"delete -n {home} networkpolicy {sentinel_name(request.token)}"
        return Plan(
            token=request.token,
            fault=params.kind,
            documents=self.documents(params, request.token),
            targets=(
                Target(
                    name=f"{home}/NetworkPolicy/{sentinel_name(request.token)}",
                    detail=f"cuts {len(pods):,} pods off",
                ),
            ),
            claims=self.claims(cluster, params, found, deadline),
            # Nobody counts whom a policy cut off: where none enforces it, that is a doubt.
            requested_share=None if found.enforced_by else 1.0,
            details={
                "home": home,
                "policy": _policy(params, request.token),
                "enforced_by": found.enforced_by,
                "pods": len(pods),
            },
            by_hand=(by_hand(delete, home=home, token=request.token),),
        )

    def inject(self, cluster: Cluster, plan: Plan, deadline: float) -> dict[str, Json]:
        """Create the sentinel, then the policy; one that is there under the token is ours."""
        home = home_of(plan)
        now = cluster.api.find(_at(plan), deadline=deadline)
        kept = sentinels.find(cluster, home, plan.token, deadline)
        if now is not None and not _is_ours(plan, now):
            raise DriverError(
                f"The NetworkPolicy {now['metadata']['name']} was changed by somebody else.",
                hint="Delete it, and plan again.",
            )
        if kept is None:
            other = sentinels.held_by_another(cluster, home, plan.token, plan.claims, deadline)
            if other is not None:
                raise other
            sentinels.create(cluster, home, plan, deadline)
        if now is not None:
            return {}
        try:
            body = plan.details["policy"]
            cluster.api.create(
                path(GROUP, "networkpolicies", namespace=home), body, deadline=deadline
            )
        except (UnknownOutcomeError, ConflictError):
            raise
        except DriverError as refused:
            if kept is None:
                withdraw(cluster, plan, refused, deadline)
            raise
        return {}

    def observe(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read whether the policy is there as it was created."""
        body = cluster.api.find(_at(plan), deadline=deadline)
        evidence: dict[str, Json] = {"enforced_by": plan.details["enforced_by"] or "nobody known"}
        state = _state(plan, body, is_injected=is_answered)
        return observation(plan, [state], is_injected=is_answered, evidence=evidence)

    def recover(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Delete the policy, read back, and delete the sentinel last.

        It carries our token in its name: one that somebody edited goes as well.
        """
        home = home_of(plan)
        with suppress(NotFoundError):  # it is gone: what is read next says so
            cluster.api.delete(_at(plan), deadline=deadline)
        body = cluster.api.find(_at(plan), deadline=deadline)
        is_going = body is not None and bool(body["metadata"].get("deletionTimestamp"))
        detail = "Its deletion has not ended." if is_going else ""
        name = plan.targets[0].name
        state = TargetState(name=name, phase="active" if body else "gone", detail=detail)
        if body is None:
            sentinels.remove(cluster, home, plan.token, deadline)
        return observation(plan, [state], is_injected=True)


def _policy(params: IsolatePods, token: str) -> dict[str, Any]:
    chosen = params.selector
    return policy(token, params.kind, chosen.namespace, chosen.labels, params.direction)


def _at(plan: Plan) -> str:
    about = plan.details["policy"]["metadata"]
    return path(GROUP, "networkpolicies", namespace=about["namespace"], name=about["name"])


def _is_ours(plan: Plan, body: Mapping[str, Any]) -> bool:
    wanted = plan.details["policy"]["spec"]
    spec = body["spec"]
    return (
        (spec.get("podSelector") or {}) == wanted["podSelector"]
        and sorted(spec.get("policyTypes") or []) == sorted(wanted["policyTypes"])
        and not spec.get("ingress")
        and not spec.get("egress")
    )


def _state(plan: Plan, body: Mapping[str, Any] | None, *, is_injected: bool) -> TargetState:
    name = plan.targets[0].name
    if body is None:
        return TargetState(name=name, phase="gone" if is_injected else "pending")
    if not _is_ours(plan, body):
        return TargetState(name=name, phase="foreign", detail="Somebody else changed it.")
    return TargetState(name=name, phase="active")


def _reached(pods: list[Pod]) -> list[Pod]:
    return [pod for pod in pods if not pod.is_on_host_network]


def _enforcer(cluster: Cluster, deadline: float) -> str:
    """Return the API group of a network plugin that enforces policies, empty for none known."""
    try:
        groups = cluster.api.get("/apis", deadline=deadline).get("groups") or []
    except ForbiddenError:
        return ""
    names = [str(each.get("name", "")) for each in groups]
    return next((name for name in names if name.endswith(_ENFORCING)), "")


def _allows(other: Mapping[str, Any], params: IsolatePods, found: FoundIsolation) -> bool:
    """Tell whether another policy lets through what ours would cut, for any of the pods."""
    spec = other.get("spec") or {}
    opened = {key.capitalize() for key in ("ingress", "egress") if spec.get(key)}
    if not opened & _TYPES[params.direction]:
        return False
    selector = spec.get("podSelector") or {}
    return any(_selects(selector, pod.labels) for pod in found.pods.pods)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for each in selector.get("matchExpressions") or []:
        has, value = each["key"] in labels, labels.get(each["key"])
        values = each.get("values") or []
        if {
            "In": has and value in values,
            "NotIn": not has or value not in values,
            "Exists": has,
            "DoesNotExist": not has,
        }[each["operator"]] is False:
            return False
    return True
