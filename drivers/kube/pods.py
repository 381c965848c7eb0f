"""What matters of a pod, and the workload that it belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Body = Mapping[str, Any]
FINISHED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller that made a pod: ``kind`` and ``name``, in the pod's namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod as just read."""

    namespace: str
    name: str
    uid: str
    phase: str
    is_ready: bool
    node: str
    is_on_host_network: bool
    is_going: bool
    """Whether its deletion has begun."""
    owner: Owner | None
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def detail(self) -> str:
        """Return node, phase and readiness in words."""
        said = [self.phase.lower() or "unknown", "ready" if self.is_ready else "not ready"]
        if self.phase in FINISHED:
            said = ["completed" if self.phase == "Succeeded" else "failed"]
        if self.is_going:
            said.append("being deleted")
        where = f" on {self.node}" if self.node else ", on no node yet"
        of = f", of {self.owner}" if self.owner else ""
        return ", ".join(said) + where + of


def read(body: Body) -> Pod:
    """Return what matters of a pod's object."""
    about, spec, status = (body.get(part) or {} for part in ("metadata", "spec", "status"))
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or []}
    return Pod(
        namespace=str(about.get("namespace", "")),
        name=str(about.get("name", "")),
        uid=str(about.get("uid", "")),
        phase=str(status.get("phase", "")),
        is_ready=conditions.get("Ready") == "True",
        node=str(spec.get("nodeName", "")),
        is_on_host_network=bool(spec.get("hostNetwork")),
        is_going=bool(about.get("deletionTimestamp")),
        owner=_owner(about),
        labels=dict(about.get("labels") or {}),
        containers=tuple(str(each.get("name", "")) for each in spec.get("containers") or []),
    )


def _owner(about: Body) -> Owner | None:
    """Return the workload: of a ReplicaSet that a Deployment made, the Deployment."""
    for each in about.get("ownerReferences") or []:
        if not each.get("controller"):
            continue
        kind, name = str(each.get("kind", "")), str(each.get("name", ""))
        hashed = str((about.get("labels") or {}).get("pod-template-hash", ""))
        if kind == "ReplicaSet" and hashed and name.endswith(f"-{hashed}"):
            return Owner("Deployment", name.removesuffix(f"-{hashed}"))
        return Owner(kind, name)
    return None


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a workload's pods are selected."""

    namespace: str
    owner: Owner
    selected: int
    there: int

    def __str__(self) -> str:
        return f"{self.selected} of {self.there} pods of {self.owner} in {self.namespace}"


def shares(selected: Iterable[Pod], there: Iterable[Pod]) -> list[Share]:
    """Return, for each workload with a selected pod, how many of its living pods are selected."""
    chosen = [pod for pod in selected if pod.owner]
    living = [pod for pod in there if pod.owner and pod.phase not in FINISHED]
    found = []
    for namespace, owner in dict.fromkeys((pod.namespace, pod.owner) for pod in chosen):
        assert owner is not None  # noqa: S101  pods without one were left out
        own = {pod.key for pod in living if (pod.namespace, pod.owner) == (namespace, owner)}
        hit = {pod.key for pod in chosen if (pod.namespace, pod.owner) == (namespace, owner)}
        found.append(Share(namespace, owner, len(hit & own), len(own)))
    return found


def owners(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """Return the pods by what makes them: “shop/Deployment/web”, or the pod itself."""
    found: dict[str, list[Pod]] = {}
    for pod in pods:
        of = pod.owner
        key = f"{pod.namespace}/{of.kind}/{of.name}" if of else f"{pod.namespace}/Pod/{pod.name}"
        found.setdefault(key, []).append(pod)
    return found
