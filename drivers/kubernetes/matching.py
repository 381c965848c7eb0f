"""Which pods a selection matches now, and what there is to say about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED, Pod, Share, shares
from drivers.kubernetes.procedure import error, warn
from drivers.kubernetes.selection import PodSelection
from drivers.protocol import Problem, Target, Targets

MOST_SHOWN = 1000
"""How many pods are listed one by one; more are counted."""
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Matching:
    """The pods of one namespace as just read."""

    selection: PodSelection
    there: tuple[Pod, ...]
    """Every pod of the namespace, or of the labels where only these were read."""
    missing: tuple[str, ...] = ()
    """Names that were asked for and are not there."""

    @property
    def named(self) -> list[Pod]:
        """Return the pods that the selection means, whatever state they are in."""
        wanted, labels = set(self.selection.pods), self.selection.labels
        return [
            pod
            for pod in self.there
            if (not wanted or pod.name in wanted)
            and all(pod.labels.get(key) == value for key, value in labels.items())
        ]

    @property
    def pods(self) -> list[Pod]:
        """Return those that can be hit: neither ended nor going already."""
        return [pod for pod in self.named if pod.phase not in FINISHED and not pod.is_going]

    def shares(self, chosen: Iterable[Pod]) -> list[Share]:
        """Return how many of each workload's pods are among the chosen."""
        living = [pod for pod in self.there if not pod.is_going]
        return shares(chosen, living)


def match(cluster: Cluster, selection: PodSelection, deadline: float) -> Matching:
    """Read the pods of the selection's namespace. Raises DriverError."""
    there = cluster.pods(selection.namespace, deadline)
    names = {pod.name for pod in there}
    missing = tuple(name for name in selection.pods if name not in names)
    return Matching(selection, tuple(there), missing)


def choose(pods: Sequence[Pod], count: int, token: str) -> list[Pod]:
    """Return so many of the pods by chance, which is the same chance for the same token."""

    def rank(pod: Pod) -> str:
        return hashlib.sha256(f"{token}/{pod.uid}".encode()).hexdigest()

    chosen = {pod.uid for pod in sorted(pods, key=rank)[:count]}
    return [pod for pod in pods if pod.uid in chosen]


def nothing(found: Matching) -> list[Problem]:
    """Return the problem of a selection that matches no pod that could be hit."""
    where = found.selection.namespace
    if found.pods:
        return []
    if ended := len(found.named):
        said = f"All {ended} pods of {found.selection} have ended or are being deleted."
        return [error(said, "Select pods that run.", where)]
    said = f"No pod matches {found.selection}."
    known = sorted({f"{key}={value}" for pod in found.there for key, value in pod.labels.items()})
    told = ", ".join(known[:_MOST_TOLD]) or "none"
    return [error(said, f"Labels of pods there: {told}.", where)]


def warnings(found: Matching, count: int, verb: str) -> list[Problem]:
    """Return what to know before ``count`` of the matching pods are hit; ``verb``: “deleted”."""
    where, pods = found.selection.namespace, found.pods
    problems = []
    for name in found.missing:
        problems.append(warn(f"There is no pod {name} in {where}.", where=where))
    ended = sum(pod.phase in FINISHED for pod in found.named)
    if ended:
        problems.append(
            warn(f"{ended} matching pods have completed: they are left out.", "", where)
        )
    hosted = [pod for pod in pods if pod.is_on_host_network]
    if hosted:
        said = f"On the host's network: {told(pod.name for pod in hosted)}."
        problems.append(warn(said, "Such pods often serve their whole node.", where))
    unready = [pod for pod in pods if not pod.is_ready]
    if unready:
        said = f"{len(unready)} of {len(pods)} matching pods are not ready already."
        problems.append(warn(said, where=where))
    for share in found.shares(pods):
        hit = min(count, share.selected)
        if share.there == 1:
            said = f"{share.owner} in {where} has a single pod, which may be {verb}."
            problems.append(warn(said, where=where))
        elif hit == share.there:
            said = f"All {share.there} pods of {share.owner} in {where} may be {verb} at once."
            problems.append(warn(said, where=where))
    return problems


def targets(found: Matching, sentence: str) -> Targets:
    """Return the matching pods, each with node, phase, readiness and workload."""
    pods = found.pods
    listed = tuple(Target(name=pod.key, detail=pod.detail) for pod in pods[:MOST_SHOWN])
    if len(pods) > MOST_SHOWN:
        sentence = f"{sentence} The first {MOST_SHOWN:,} of {len(pods):,} pods are listed."
    return Targets(targets=listed, sentence=sentence)


def told(names: Iterable[str]) -> str:
    """Return some of the names, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - _MOST_TOLD} more" if len(known) > _MOST_TOLD else ""
    return ", ".join(known[:_MOST_TOLD]) + more
