"""Which rights faults of Chaos Mesh need, whether we have them, and manifests that give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drivers.chaosmesh import objects
from drivers.chaosmesh.common import PodFault
from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.needs import GROUP
from drivers.chaosmesh.payload import text
from drivers.kube.cluster import Cluster
from drivers.kube.rights import Right, RightRow, allowed, manifests, rights
from drivers.protocol import Document, DriverError

_READS = frozenset({"get", "list", "watch"})
_NODES = rights("", "nodes", "list", is_everywhere=True)
_ROLES = ("viewer", "injector")


def needed(kind: str) -> list[Right]:
    """Return what a fault needs, whatever its parameters. Raises DriverError."""
    model = objects.fault_of(kind)
    found = rights(GROUP, model.plural(), "create", "get", "list", "delete")
    if issubclass(model, PodFault):
        found += rights("", "pods", "list")
    if issubclass(model, MachineFault):
        found += rights(GROUP, "physicalmachines", "list")
    return found


def helpful(kind: str) -> list[Right]:
    """Return what makes checks and observations fuller, and which it works without."""
    model = objects.fault_of(kind)
    found = [*rights(GROUP, model.plural(), "watch"), *rights("", "events", "list")]
    found += rights("", "namespaces", "get")
    if model.is_one_shot and issubclass(model, PodFault):
        for plural in ("deployments", "statefulsets", "replicasets"):
            found += rights("apps", plural, "get")
    return [*found, *_NODES] if issubclass(model, PodFault) else found


def table(
    cluster: Cluster, kinds: Iterable[str], namespaces: Sequence[str], deadline: float
) -> list[RightRow]:
    """Ask the cluster for every right of these faults, in each namespace; what lies in none, once.

    Sorted: what is required first, then by resource and verb.
    """
    wanted = list(kinds)
    required = {right for kind in wanted for right in needed(kind)}
    users: dict[Right, list[str]] = {}
    for kind in wanted:
        for right in dict.fromkeys((*needed(kind), *helpful(kind))):
            users.setdefault(right, []).append(kind)
    asked = [
        (right, place) for right in users for place in ([""] if right.is_everywhere else namespaces)
    ]
    rows = [
        RightRow(
            right,
            place,
            None if isinstance(answer, DriverError) else answer,
            tuple(users[right]),
            right in required,
        )
        for (right, place), answer in cluster.each(
            lambda each: allowed(cluster.api, each[0], each[1], deadline=deadline), asked
        )
    ]
    return sorted(rows, key=lambda row: (not row.is_required, row.namespace, row.right))


def documents(kinds: Iterable[str], namespaces: Sequence[str]) -> list[Document]:
    """Return the manifests of a viewer and of an injector of these faults, as YAML.

    The accounts are those that the faults of Kubernetes itself have; the roles are their own.
    """
    wanted = list(kinds)
    if not namespaces or not wanted:
        return []
    found = {right for kind in wanted for right in (*needed(kind), *helpful(kind))}
    made = []
    for role in _ROLES:
        own = found if role == "injector" else {each for each in found if each.verb in _READS}
        bodies = manifests(
            f"chaosweb-{role}-chaos-mesh",
            own,
            namespaces,
            account_in=namespaces[0],
            account_name=f"chaosweb-{role}",
        )
        target = f"{role} of Chaos Mesh: kubectl apply -f"
        made.append(Document(target=target, body=text(bodies), language="yaml"))
    return made
