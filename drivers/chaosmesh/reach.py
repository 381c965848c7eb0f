"""Whom a fault would hit now: pods, PhysicalMachines, or what a cloud calls its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from drivers.chaosmesh import selection
from drivers.chaosmesh.cloud import AwsFault, AzureFault, GcpFault
from drivers.chaosmesh.common import API_VERSION, ChaosFault, ContainerFault, PodFault
from drivers.chaosmesh.kernel import KernelFault
from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.network import NetworkFault
from drivers.chaosmesh.pod import ContainerKill
from drivers.chaosmesh.selector import Selector, joined
from drivers.kube import health, pods
from drivers.kube.api import path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED, Pod, Share, owners, shares
from drivers.protocol import DriverError, Problem, Target, Targets

MOST_SHOWN = 1000
"""How many pods are listed one by one; more are counted."""
_MOST_TOLD = 5
_ERROR = "error"
_WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Reach:
    """What matches now. ``matching`` is None where only Chaos Mesh can know it."""

    params: ChaosFault
    pods: tuple[Pod, ...] = ()
    there: tuple[Pod, ...] = ()
    """Every pod of the namespaces."""
    other_side: tuple[Pod, ...] | None = None
    """The pods of a network fault's target; None where it has none."""
    named: tuple[Target, ...] = ()
    """What is hit where that is no pod of this cluster."""
    claims_of: tuple[str, ...] = ()
    """What these are called in claims, without their family."""
    missing: tuple[str, ...] = ()
    """What the fault names and is not there."""
    absent_nodes: tuple[str, ...] = ()
    matching: int | None = None

    @property
    def chosen(self) -> int | None:
        """Return how many of those that match are hit; None where chance says how many."""
        if self.matching is None:
            return None
        params: Any = self.params
        if not isinstance(params, PodFault | MachineFault):
            return self.matching
        return selection.chosen(params.mode, params.value, self.matching)

    @property
    def share(self) -> float | None:
        """Return the share of those that match that is to be hit."""
        count = self.chosen
        return count / self.matching if self.matching and count is not None else None

    def claims(self, identity: str) -> tuple[str, ...]:
        """Return the physical things that it would hold.

        Always whole workloads: Chaos Mesh picks the pods, and names of pods change.
        """
        family = self.params.family
        both = [*self.pods, *(self.other_side or ())]
        found = {f"k8s:{identity}:{key}:{family}" for key in owners(both)}
        found |= {each.format(cluster=identity) + f":{family}" for each in self.claims_of}
        return tuple(sorted(found))

    def ready_before(self) -> dict[str, dict[str, float]]:
        """Return how many pods of each workload are ready, by “namespace/kind/name”."""
        everything = owners(self.there)
        return {
            key: {"ready": float(health.ready(everything.get(key, ())))}
            for key in owners(self.pods)
        }

    def targets(self) -> Targets:
        """Return what matches, with node, phase and readiness, and how much of each workload."""
        if not isinstance(self.params, PodFault) or self.named:
            return Targets(targets=self.named, sentence=f"{self.params.whom()}.")
        listed = tuple(Target(name=pod.key, detail=pod.detail) for pod in self.pods[:MOST_SHOWN])
        count, many = self.chosen, len(self.pods)
        which = {None: "a random part of them", many: "all of them"}.get(count, f"{count} of them")
        said = "; ".join(str(each) for each in self.shares()[:_MOST_TOLD])
        sentence = f"{many:,} pods match, {which} hit" + (f": {said}." if said else ".")
        if self.other_side is not None:
            sentence += f" On the other side {len(self.other_side):,} pods match."
        if many > MOST_SHOWN:
            sentence += f" The first {MOST_SHOWN:,} are listed."
        return Targets(targets=listed, sentence=sentence)

    def shares(self) -> list[Share]:
        """Return how many of each workload's pods match."""
        return shares(self.pods, [pod for pod in self.there if not pod.is_going])

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it, and what to know before."""
        if isinstance(self.params, KernelFault):
            yield _problem(
                _ERROR,
                "Chaos Mesh 2.8 cannot inject KernelChaos: it looks for a container where it has "
                "selected a pod.",
                "See its issue 4059.",
            )
        for name in self.absent_nodes:
            yield _problem(_ERROR, f"There is no node {name}: Chaos Mesh would select nothing.")
        for name in self.missing:
            yield _problem(_WARNING, f"There is no {name}: Chaos Mesh passes over it.")
        if self.matching == 0:
            what = "machine" if isinstance(self.params, MachineFault) else "pod"
            yield _problem(
                _ERROR, f"No {what} matches {_whose(self.params)}.", self._known_labels()
            )
            return
        if self.other_side is not None and not self.other_side:
            yield _problem(_ERROR, "No pod matches on the other side of the network.")
        if self.pods:
            yield from self._of_pods()

    def _of_pods(self) -> Iterator[Problem]:
        many, count = len(self.pods), self.chosen
        ended = [pod.name for pod in self.pods if pod.phase in FINISHED]
        if ended:
            said = f"{len(ended)} of {many} matching pods have completed, and could be chosen: "
            hint = "Add phases: [Running] to the selector."
            yield _problem(_WARNING, said + _told(ended) + ".", hint)
        going = [pod.name for pod in self.pods if pod.is_going]
        if going:
            yield _problem(_WARNING, f"Being deleted already: {_told(going)}.")
        hosted = [pod.name for pod in self.pods if pod.is_on_host_network]
        if isinstance(self.params, NetworkFault):
            hosted += [pod.name for pod in self.other_side or () if pod.is_on_host_network]
        if hosted:
            yield self._of_hosted(hosted)
        unready = [pod for pod in self.pods if not pod.is_ready and pod.phase not in FINISHED]
        if unready:
            yield _problem(_WARNING, f"{len(unready)} of {many} pods are not ready already.")
        yield from self._of_containers()
        for share in self.shares():
            where = f"{share.owner} in {share.namespace}"
            most = share.selected if count is None else min(count, share.selected)
            if share.there == 1:
                yield _problem(_WARNING, f"{where} has a single pod, which may be hit.")
            elif most >= share.there > 0:
                yield _problem(_WARNING, f"All {share.there} pods of {where} may be hit at once.")

    def _of_hosted(self, hosted: list[str]) -> Problem:
        said = f"On the host's network: {_told(hosted)}."
        if not isinstance(self.params, NetworkFault):
            return _problem(_WARNING, said, "Such pods often serve their whole node.")
        is_certain = self.chosen == len(self.pods)
        hint = (
            "Chaos Mesh refuses them unless ALLOW_HOST_NETWORK_TESTING is set, and the fault then "
            "hangs while it is removed: leave them out."
        )
        return _problem(_ERROR if is_certain else _WARNING, said, hint)

    def _of_containers(self) -> Iterator[Problem]:
        if not isinstance(self.params, ContainerFault | ContainerKill):
            return
        for name in self.params.containers:
            having = sum(name in pod.containers for pod in self.pods)
            if having < len(self.pods):
                known = sorted({each for pod in self.pods for each in pod.containers})
                said = (
                    f"{len(self.pods) - having} of {len(self.pods)} pods have no container {name}."
                )
                yield _problem(_WARNING if having else _ERROR, said, f"They have {_told(known)}.")

    def _known_labels(self) -> str:
        known = sorted({f"{key}={text}" for pod in self.there for key, text in pod.labels.items()})
        return f"Labels of pods there: {_told(known)}." if known else ""


def places(params: ChaosFault) -> tuple[str, ...]:
    """Return the namespaces that a fault reaches into; none for clouds and bare addresses."""
    found: list[str] = []
    if isinstance(params, PodFault):
        found += params.selector.places
    if isinstance(params, NetworkFault) and params.target is not None:
        found += params.target.selector.places
    if isinstance(params, MachineFault) and params.selector is not None:
        of = params.selector
        found += of.namespaces or [each.partition("/")[0] for each in of.machines]
    return tuple(dict.fromkeys(found))


def look(cluster: Cluster, params: ChaosFault, deadline: float) -> Reach:
    """Read what a fault would hit now. Raises DriverError."""
    if params.remote_cluster:
        there = f"cluster {params.remote_cluster}: {params.whom()}"
        return Reach(
            params, named=(Target(name=there),), claims_of=(f"remote:{{cluster}}:{there}",)
        )
    if isinstance(params, PodFault):
        return _pods(cluster, params, deadline)
    if isinstance(params, MachineFault):
        return _machines(cluster, params, deadline)
    return Reach(
        params,
        named=(Target(name=params.whom()),),
        claims_of=(_cloud(params),),
        matching=1,
    )


def _pods(cluster: Cluster, params: PodFault, deadline: float) -> Reach:
    listed: list[dict[str, Any]] = []
    for _, found in cluster.each(
        lambda place: cluster.api.all(path("v1", "pods", namespace=place), deadline=deadline),
        places(params),
    ):
        if isinstance(found, DriverError):
            raise found
        listed += found
    nodes: list[dict[str, Any]] = []
    sides = [params.selector]
    if isinstance(params, NetworkFault) and params.target is not None:
        sides.append(params.target.selector)
    if any(each.nodes or each.node_labels for each in sides):
        nodes = cluster.api.all(path("v1", "nodes"), deadline=deadline)
    matched, absent, missing = [], list[str](), list[str]()
    for each in sides:
        on, lost = _on(each, nodes)
        absent += lost
        chosen = selection.pods(each, listed, on)
        known = {selection.key(body) for body in chosen}
        missing += [f"pod {name}" for name in each.pods if name not in known]
        matched.append(tuple(pods.read(body) for body in chosen))
    there = {selection.key(body): pods.read(body) for body in listed}
    own = set(params.selector.places)
    return Reach(
        params,
        pods=matched[0],
        there=tuple(pod for pod in there.values() if pod.namespace in own),
        other_side=matched[1] if len(matched) > 1 else None,
        missing=tuple(missing),
        absent_nodes=tuple(absent),
        matching=len(matched[0]),
    )


def _on(selector: Selector, nodes: Iterable[dict[str, Any]]) -> tuple[set[str] | None, list[str]]:
    if not selector.nodes and not selector.node_labels:
        return None, []
    return selection.nodes(selector, nodes)


def _machines(cluster: Cluster, params: MachineFault, deadline: float) -> Reach:
    if params.selector is None:
        return Reach(
            params,
            named=tuple(Target(name=each) for each in params.addresses),
            claims_of=tuple(f"machine:{each.rstrip('/')}" for each in params.addresses),
            matching=len(params.addresses),
        )
    listed: list[dict[str, Any]] = []
    for _, found in cluster.each(
        lambda place: cluster.api.all(
            path(API_VERSION, "physicalmachines", namespace=place), deadline=deadline
        ),
        places(params),
    ):
        if isinstance(found, DriverError):
            raise found
        listed += found
    chosen = selection.machines(params.selector, listed)
    addresses = [str((body.get("spec") or {}).get("address", "")) for body in chosen]
    known = {selection.key(body) for body in chosen}
    return Reach(
        params,
        named=tuple(
            Target(name=selection.key(body), detail=address)
            for body, address in zip(chosen, addresses, strict=True)
        ),
        # Two PhysicalMachines, and a bare address too, may be one machine: its address says so.
        claims_of=tuple(f"machine:{address.rstrip('/')}" for address in addresses),
        missing=tuple(
            f"PhysicalMachine {name}" for name in params.selector.machines if name not in known
        ),
        matching=len(chosen),
    )


def _cloud(params: ChaosFault) -> str:
    if isinstance(params, AwsFault):
        return f"aws:{params.region}/{params.instance}"
    if isinstance(params, GcpFault):
        return f"gcp:{params.project}/{params.zone}/{params.instance}"
    if isinstance(params, AzureFault):
        return f"azure:{params.subscription}/{params.resource_group}/{params.machine}"
    raise DriverError(f"Nobody knows what {params.kind} hits.")


def _whose(params: ChaosFault) -> str:
    of = getattr(params, "selector", None)
    return of.words() if of is not None else params.whom()


def _problem(severity: Any, message: str, hint: str = "") -> Problem:
    return Problem(message=message, hint=hint, severity=severity)


def _told(names: Iterable[str]) -> str:
    return joined(tuple(dict.fromkeys(names)), _MOST_TOLD)
