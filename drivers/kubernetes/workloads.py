"""Scale a Deployment or StatefulSet, and roll out another image on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drivers.kube.api import ForbiddenError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED, Pod
from drivers.kube.pods import read as read_pod
from drivers.kubernetes.changes import Body, Change, before, object_of
from drivers.kubernetes.faults import ScaleWorkload, SetImage
from drivers.kubernetes.payload import (
    Reference,
    by_hand,
    marked,
    quoted,
    request,
    unmark,
    workload,
)
from drivers.kubernetes.procedure import error, warn
from drivers.protocol import (
    Document,
    FaultParams,
    FaultRequest,
    Json,
    Plan,
    Problem,
    Target,
    Targets,
)

AUTOSCALERS = "autoscaling/v2"
_VERSION = "<the version that was read>"


@dataclass(frozen=True, slots=True)
class FoundWorkload:
    """A workload as just read; ``autoscaler`` is the name of the one that is bound to it."""

    of: Reference
    body: Body | None
    autoscaler: str = ""
    pods: tuple[Pod, ...] = field(default=())

    @property
    def living(self) -> list[Pod]:
        """Return its pods that have not ended."""
        return [pod for pod in self.pods if pod.phase not in FINISHED and not pod.is_going]

    @property
    def replicas(self) -> int:
        """Return how many pods it is to have."""
        return replicas_of(self.body or {})


def replicas_of(body: Body) -> int:
    """Return how many pods a workload is to have; 1 where it does not say."""
    wanted = (body.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)


def reference(params: Any) -> Reference:
    """Return the workload that a fault names."""
    return workload(params.workload, params.namespace, params.name)


def read(cluster: Cluster, params: Any, deadline: float, *, with_pods: bool) -> FoundWorkload:
    """Read the workload that a fault names, its autoscaler, and its pods."""
    of = reference(params)
    body = cluster.api.find(of.path, deadline=deadline)
    if body is None:
        return FoundWorkload(of, None)
    pods = owned_pods(cluster, of, body, deadline) if with_pods else []
    return FoundWorkload(of, body, _autoscaler(cluster, of, deadline), tuple(pods))


def owned_pods(cluster: Cluster, of: Reference, body: Body, deadline: float) -> list[Pod]:
    """Return the pods that the workload made."""
    found = cluster.pods(of.namespace, deadline, labels=selector_of(body))
    return [pod for pod in found if pod.owner and str(pod.owner) == f"{of.kind} {of.name}"]


def selector_of(body: Body) -> str:
    """Return a workload's selector as the API server takes it."""
    selector = body["spec"].get("selector") or {}
    said = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        values = ",".join(each.get("values") or [])
        said.append(
            {
                "In": f"{each['key']} in ({values})",
                "NotIn": f"{each['key']} notin ({values})",
                "Exists": each["key"],
                "DoesNotExist": f"!{each['key']}",
            }[each["operator"]]
        )
    return ",".join(said)


def _autoscaler(cluster: Cluster, of: Reference, deadline: float) -> str:
    """Return the autoscaler that is bound to it; empty for none, or where we may not look."""
    at = path(AUTOSCALERS, "horizontalpodautoscalers", namespace=of.namespace)
    try:
        found = cluster.api.all(at, deadline=deadline)
    except (ForbiddenError, NotFoundError):
        return ""
    for each in found:
        bound = each["spec"]["scaleTargetRef"]
        if (bound.get("kind"), bound.get("name")) == (of.kind, of.name):
            return str(each["metadata"]["name"])
    return ""


def missing(found: FoundWorkload) -> list[Problem]:
    """Return the problem of a workload that is not there, or is going."""
    if found.body is None:
        return [error(f"There is no {found.of}.", where=found.of.label)]
    if found.body["metadata"].get("deletionTimestamp"):
        return [error(f"{found.of} is being deleted.", where=found.of.label)]
    return []


def described(found: FoundWorkload) -> Target:
    """Return the workload as a target: how many pods, how many ready."""
    status = (found.body or {}).get("status") or {}
    ready = int(status.get("readyReplicas") or 0)
    return Target(name=found.of.label, detail=f"{ready} of {found.replicas} pods ready")


def bound(found: FoundWorkload) -> list[Problem]:
    """Warn of an autoscaler that may change the number of pods."""
    if not found.autoscaler:
        return []
    return [
        warn(
            f"The autoscaler {found.autoscaler} is bound to {found.of}: it may change the number "
            "of pods at any time.",
            "A number that it sets is left, and reported.",
            found.of.label,
        )
    ]


class _OnWorkload(Change[Any, FoundWorkload]):
    """What scaling and rolling out share."""

    family: str

    def look(self, cluster: Cluster, params: Any, deadline: float) -> FoundWorkload:
        """Read the workload and its autoscaler."""
        return read(cluster, params, deadline, with_pods=False)

    def targets(self, params: FaultParams, found: FoundWorkload) -> Targets:
        """Return the workload."""
        there = (described(found),) if found.body is not None else ()
        return Targets(targets=there, sentence=params.sentence())

    def claims(
        self, cluster: Cluster, params: Any, found: FoundWorkload, deadline: float
    ) -> tuple[str, ...]:
        """Return what of the workload is held: its size, or its release."""
        return (f"k8s:{cluster.identity(deadline)}:{found.of.label}:{self.family}",)

    def _plan(
        self,
        cluster: Cluster,
        asked: FaultRequest,
        found: FoundWorkload,
        deadline: float,
        details: dict[str, Json],
        was: Json,
        undo: str,
    ) -> Plan:
        assert found.body is not None  # noqa: S101  problems told of one that is missing
        of, home = found.of, found.of.namespace
        return Plan(
            token=asked.token,
            fault=asked.params.kind,
            documents=self.documents(asked.params, asked.token),
            targets=(described(found),),
            claims=self.claims(cluster, asked.params, found, deadline),
            requested_share=1.0,
            undo={of.label: {"value": was}},
            details={
                "home": home,
                "object": of.dump(),
                "uid": found.body["metadata"]["uid"],
                **details,
            },
            by_hand=(by_hand(undo, unmark(of), home=home, token=asked.token),),
        )

    def _has_settled(self, body: Body) -> bool:
        """Tell whether the controller has seen the newest change."""
        status = body.get("status") or {}
        return int(status.get("observedGeneration") or 0) >= int(body["metadata"]["generation"])


class Scaling(_OnWorkload):
    """Sets the number of pods."""

    family = "capacity"
    undo = (
        "The number of pods that was there is set again. Without ChaosWeb it stays until somebody "
        "runs the command shown; the ConfigMap chaosweb-… beside the workload says what it was."
    )

    def documents(self, params: ScaleWorkload, token: str) -> tuple[Document, ...]:
        """Return the patch."""
        of = reference(params)
        patch = {"spec": {"replicas": params.replicas}, "metadata": marked(token, _VERSION)}
        return (request(of.label, "PATCH", of.path, patch, "application/merge-patch+json"),)

    def problems(self, params: ScaleWorkload, found: FoundWorkload) -> list[Problem]:
        """Refuse what would change nothing; warn of what is left without pods."""
        if absent := missing(found):
            return absent
        where, now = found.of.label, found.replicas
        if now == params.replicas:
            said = f"{found.of} has {self.words(now)} already: nothing would change."
            return [error(said, "Ask for another number.", where)]
        problems = bound(found)
        if now == 1:
            problems.append(warn(f"{found.of} has a single pod.", where=where))
        elif params.replicas == 0 and now > 1:
            problems.append(warn(f"All {now} pods of {found.of} would go.", where=where))
        return problems

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: FoundWorkload, deadline: float
    ) -> Plan:
        """Keep the number that is there."""
        params = request.params
        assert isinstance(params, ScaleWorkload)  # noqa: S101  chosen by its class
        undo = f"scale {found.of.kubectl} --replicas={found.replicas}"
        details: dict[str, Json] = {"set": params.replicas}
        return self._plan(cluster, request, found, deadline, details, found.replicas, undo)

    def value(self, body: Body, plan: Plan) -> Json:
        """Return the number of pods that is asked for."""
        return replicas_of(body)

    def change(self, plan: Plan, value: Json) -> Body:
        """Return the patch of the number."""
        return {"spec": {"replicas": value}}

    def words(self, value: Json) -> str:
        """Say “3 pods”."""
        return f"{value} pod{'' if value == 1 else 's'}"

    def met(self, body: Body, plan: Plan) -> tuple[float, float]:
        """Count the workload as hit once its controller has brought it to that number."""
        status = body.get("status") or {}
        there = int(status.get("replicas") or 0)
        return 1.0, float(self._has_settled(body) and there == plan.details["set"])


class Rollout(_OnWorkload):
    """Sets a container's image."""

    family = "release"
    patch_kind = "strategic"
    undo = (
        "The image that was there is set again, which rolls back. Without ChaosWeb it stays until "
        "somebody runs the command shown."
    )

    def documents(self, params: SetImage, token: str) -> tuple[Document, ...]:
        """Return the patch."""
        of, name = reference(params), params.container or "<the first container>"
        patch = {**_image_patch(name, params.image), "metadata": marked(token, _VERSION)}
        kind = "application/strategic-merge-patch+json"
        return (request(of.label, "PATCH", of.path, patch, kind),)

    def problems(self, params: SetImage, found: FoundWorkload) -> list[Problem]:
        """Refuse a container that is not there; warn of rollouts that would not begin."""
        if absent := missing(found):
            return absent
        assert found.body is not None  # noqa: S101  it is not missing
        where, images = found.of.label, _images(found.body)
        name = params.container or next(iter(images))
        if name not in images:
            said = f"{found.of} has no container {name}."
            return [error(said, f"There are: {', '.join(images)}.", where)]
        if images[name] == params.image:
            return [error(f"{name} has the image {params.image} already.", where=where)]
        spec = found.body["spec"]
        problems = []
        if found.replicas == 0:
            problems.append(warn(f"{found.of} is scaled to 0: no pod would show it.", where=where))
        if spec.get("paused"):
            said = f"{found.of} is paused: nothing rolls out until it is resumed."
            problems.append(warn(said, where=where))
        strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
        if strategy.get("type") == "OnDelete":
            said = f"{found.of} changes its pods only when they are deleted."
            problems.append(warn(said, where=where))
        if strategy.get("type") == "Recreate":
            said = f"{found.of} ends all its pods before it starts new ones."
            problems.append(warn(said, where=where))
        if found.replicas == 1:
            problems.append(warn(f"{found.of} has a single pod.", where=where))
        return problems

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: FoundWorkload, deadline: float
    ) -> Plan:
        """Keep the image that is there."""
        params = request.params
        assert isinstance(params, SetImage)  # noqa: S101  chosen by its class
        images = _images(found.body or {})
        name = params.container or next(iter(images))
        undo = f"set image {found.of.kubectl} {quoted(f'{name}={images[name]}')}"
        details: dict[str, Json] = {"set": params.image, "container": name}
        return self._plan(cluster, request, found, deadline, details, images[name], undo)

    def value(self, body: Body, plan: Plan) -> Json:
        """Return the container's image, None where it has none of that name any more."""
        return _images(body).get(plan.details["container"])

    def change(self, plan: Plan, value: Json) -> Body:
        """Return the patch of the image."""
        return _image_patch(plan.details["container"], value)

    def words(self, value: Json) -> str:
        """Say “the image shop/web:1”."""
        return f"the image {value}" if value else "no such container"

    def met(self, body: Body, plan: Plan) -> tuple[float, float]:
        """Count the workload as hit once a pod of the new image was made."""
        status = body.get("status") or {}
        if replicas_of(body) == 0:
            return 0.0, 0.0
        return 1.0, float(self._has_settled(body) and int(status.get("updatedReplicas") or 0) > 0)

    def after(self, cluster: Cluster, plan: Plan, deadline: float) -> None:
        """Delete pods of a StatefulSet that hang in our image: it would wait for them for ever.

        See “Forced rollback” in Kubernetes' documentation of StatefulSets.
        """
        of = object_of(plan)
        if of.kind != "StatefulSet" or before(plan) == plan.details["set"]:
            return
        body = cluster.api.find(of.path, deadline=deadline)
        if body is None:
            return
        at = path("v1", "pods", namespace=of.namespace)
        for each in cluster.api.all(at, {"labelSelector": selector_of(body)}, deadline=deadline):
            pod = read_pod(each)
            is_its = pod.owner is not None and str(pod.owner) == f"{of.kind} {of.name}"
            has_ours = _image_of(each["spec"], plan.details["container"]) == plan.details["set"]
            if is_its and has_ours and not pod.is_ready and not pod.is_going:
                options = {"preconditions": {"uid": pod.uid}}
                cluster.api.delete(f"{at}/{pod.name}", options, deadline=deadline)


def _image_patch(container: str, image: Json) -> Body:
    containers = [{"name": container, "image": image}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def _images(body: Body) -> dict[str, str]:
    containers = body["spec"]["template"]["spec"]["containers"]
    return {str(each["name"]): str(each.get("image", "")) for each in containers}


def _image_of(spec: Body, container: str) -> str:
    found = {each.get("name"): each.get("image") for each in spec.get("containers") or []}
    return str(found.get(container, ""))
