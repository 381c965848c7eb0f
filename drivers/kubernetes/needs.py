"""Which rights each fault needs, and which of them the account has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from drivers.kube.cluster import Cluster
from drivers.kube.rights import Right, RightRow, allowed, manifests, rights
from drivers.kubernetes.faults import FAULTS
from drivers.kubernetes.payload import PLURALS, as_yaml
from drivers.protocol import Document, DriverError, FaultParams

Role = Literal["viewer", "injector"]

_READS = frozenset({"get", "list", "watch"})
_PLACE = rights("", "namespaces", "get")
_SENTINEL = rights("", "configmaps", "get", "list", "create", "delete")
_NODE = rights("", "nodes", "get", "patch", is_everywhere=True)
_AUTOSCALERS = rights("autoscaling", "horizontalpodautoscalers", "list")
_IDENTITY = Right("", "namespaces", "get", is_everywhere=True, name="kube-system")
_HEALTH = [
    *rights("apps", "deployments", "get"),
    *rights("apps", "statefulsets", "get"),
    *rights("apps", "replicasets", "get"),
]

_NEEDED: dict[str, list[Right]] = {
    "kubernetes.delete_pods": [*_PLACE, *rights("", "pods", "list", "delete")],
    "kubernetes.isolate_pods": [
        *_PLACE,
        *_SENTINEL,
        *rights("", "pods", "list"),
        *rights("networking.k8s.io", "networkpolicies", "get", "list", "create", "delete"),
    ],
    "kubernetes.cordon_node": [*_SENTINEL, *_NODE],
    "kubernetes.drain_node": [
        *_SENTINEL,
        *_NODE,
        *rights("", "pods", "list"),
        *rights("", "pods/eviction", "create"),
    ],
}
_ON_WORKLOADS = {
    "kubernetes.delete_workload": ("get", "patch", "delete", "create"),
    "kubernetes.scale_workload": ("get", "patch"),
    "kubernetes.set_image": ("get", "patch"),
}
_HELPFUL: dict[str, list[Right]] = {
    "kubernetes.delete_pods": _HEALTH,
    "kubernetes.delete_workload": _AUTOSCALERS,
    "kubernetes.scale_workload": _AUTOSCALERS,
    "kubernetes.set_image": _AUTOSCALERS,
    "kubernetes.drain_node": rights("policy", "poddisruptionbudgets", "list"),
}
_COMPARING = rights("", "configmaps", "list")
"""A connection is compared with the ledger by the ConfigMaps of all faults."""
_SUGGESTING = [
    *rights("", "pods", "list"),
    *rights("apps", "deployments", "list"),
    *rights("apps", "statefulsets", "list"),
    *rights("", "nodes", "list", is_everywhere=True),
]


def of(params: FaultParams) -> list[Right]:
    """Return what exactly this fault needs."""
    if params.kind in _ON_WORKLOADS:
        return _on_workload(params.kind, [str(getattr(params, "workload", ""))])
    found = list(_NEEDED[params.kind])
    if params.kind == "kubernetes.drain_node" and not getattr(params, "namespaces_only", True):
        found += rights("", "pods", "list", is_everywhere=True)
    return found


def of_kind(kind: str) -> list[Right]:
    """Return what the fault may need, whatever its parameters. Raises KeyError."""
    if kind in _ON_WORKLOADS:
        return _on_workload(kind, ["Deployment", "StatefulSet"])
    return list(_NEEDED[kind])


def helpful(kind: str) -> list[Right]:
    """Return what makes the fault's checks fuller, and which it works without."""
    return [*_HELPFUL.get(kind, []), *_COMPARING, *_SUGGESTING, _IDENTITY]


def keeps_a_sentinel(kind: str) -> bool:
    """Tell whether the fault keeps a ConfigMap in the cluster."""
    return _SENTINEL[0] in of_kind(kind)


def of_role(kinds: Iterable[str], role: Role) -> list[Right]:
    """Return what an account needs to look at these faults, or to inject them as well."""
    wanted = list(kinds)
    found = {right for kind in wanted for right in (*of_kind(kind), *helpful(kind))}
    return sorted(found if role == "injector" else {each for each in found if each.verb in _READS})


def table(
    cluster: Cluster, kinds: Iterable[str], namespaces: Iterable[str], deadline: float
) -> list[RightRow]:
    """Ask the cluster for every right of these faults, in each namespace; what lies in none, once.

    Sorted: what is required first, then by resource and verb.
    """
    wanted, rows = list(kinds), []
    required = {right for kind in wanted for right in of_kind(kind)}
    for right in {*required, *(right for kind in wanted for right in helpful(kind))}:
        users = tuple(kind for kind in wanted if right in (*of_kind(kind), *helpful(kind)))
        for namespace in [""] if right.is_everywhere else namespaces:
            rows.append((right, namespace, users))

    def ask(row: tuple[Right, str, tuple[str, ...]]) -> bool:
        return allowed(cluster.api, row[0], row[1], deadline=deadline)

    found = [
        RightRow(
            right,
            namespace,
            None if isinstance(answer, DriverError) else answer,
            users,
            right in required,
        )
        for (right, namespace, users), answer in cluster.each(ask, rows)
    ]
    return sorted(found, key=lambda row: (not row.is_required, row.namespace, row.right))


def lacking(cluster: Cluster, params: FaultParams, namespace: str, deadline: float) -> list[Right]:
    """Return the rights that this fault needs and the account does not have.

    Raises DriverError where the cluster cannot be asked.
    """
    wanted = list(dict.fromkeys(of(params)))
    missing = []
    for right, answer in cluster.each(
        lambda right: allowed(cluster.api, right, namespace, deadline=deadline), wanted
    ):
        if isinstance(answer, DriverError):
            raise answer
        if not answer:
            missing.append(right)
    return missing


def documents(kinds: Iterable[str], namespaces: list[str]) -> list[Document]:
    """Return the manifests of a viewer and of an injector of these faults, as YAML."""
    wanted = list(kinds)
    if not namespaces:
        return []
    return [
        Document(
            target=f"{role}: kubectl apply -f",
            body=manifest(wanted, namespaces, role),
            language="yaml",
        )
        for role in ("viewer", "injector")
    ]


def manifest(kinds: Iterable[str], namespaces: list[str], role: str) -> str:
    """Return the account, roles and bindings for these faults in these namespaces, as YAML.

    The account lies in the first of the namespaces; empty where there is none.
    """
    if not namespaces:
        return ""
    kind: Role = "viewer" if role == "viewer" else "injector"
    found: list[dict[str, Any]] = manifests(
        f"chaosweb-{kind}", of_role(kinds, kind), namespaces, account_in=namespaces[0]
    )
    return as_yaml(*found)


def every_kind() -> list[str]:
    """Return the kinds of all faults of this driver."""
    return [fault.kind for fault in FAULTS]


def _on_workload(kind: str, workloads: Iterable[str]) -> list[Right]:
    found = [*_PLACE, *_SENTINEL]
    for each in workloads:
        found += rights("apps", PLURALS[each], *_ON_WORKLOADS[kind])
        if kind == "kubernetes.set_image" and each == "StatefulSet":
            found += rights("", "pods", "list", "delete")
    if kind == "kubernetes.delete_workload":
        found += rights("", "pods", "list")
    return found
