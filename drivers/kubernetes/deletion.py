"""Delete a Deployment or StatefulSet with its pods, and make it again as it was."""

from __future__ import annotations

from typing import Any

from drivers.kube import health
from drivers.kube.api import ConflictError, NotFoundError, path
from drivers.kube.cluster import Cluster
from drivers.kube.pods import FINISHED, owners
from drivers.kubernetes import sentinels
from drivers.kubernetes.changes import MOST_TRIES, Body, object_of, withdraw
from drivers.kubernetes.faults import DeleteWorkload
from drivers.kubernetes.matching import MOST_SHOWN
from drivers.kubernetes.payload import (
    PLURALS,
    TOKEN,
    Reference,
    holder,
    marked,
    request,
    sentinel_name,
    stripped,
)
from drivers.kubernetes.procedure import Procedure, error, home_of, observation, warn
from drivers.kubernetes.workloads import (
    FoundWorkload,
    described,
    missing,
    read,
    reference,
    replicas_of,
    selector_of,
)
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

_FAMILIES = ("kill", "capacity", "release")
"""A workload that is deleted can be neither scaled nor rolled out meanwhile."""


class WorkloadDeletion(Procedure[DeleteWorkload, FoundWorkload]):
    """Deletes the workload that was read; its manifest is kept in the plan and the sentinel."""

    undo = (
        "The workload is created again from the manifest that was there; it counts as recovered "
        "once as many of its pods are ready. Volumes of a StatefulSet stay; the history of "
        "rollouts is lost. Without ChaosWeb somebody runs the command shown."
    )

    def documents(self, params: DeleteWorkload, token: str) -> tuple[Document, ...]:
        """Return the call that deletes it."""
        of = reference(params)
        body = _options("<its uid>", "<its version>")
        return (request(of.label, "DELETE", of.path, body, "application/json"),)

    def look(self, cluster: Cluster, params: DeleteWorkload, deadline: float) -> FoundWorkload:
        """Read the workload with its pods."""
        return read(cluster, params, deadline, with_pods=True)

    def problems(self, params: DeleteWorkload, found: FoundWorkload) -> list[Problem]:
        """Refuse what could not be made again as it was; warn of what goes with it."""
        if absent := missing(found):
            return absent
        assert found.body is not None  # noqa: S101  it is not missing
        where, spec = found.of.label, found.body["spec"]
        retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
        if retention.get("whenDeleted") == "Delete":
            return [
                error(
                    f"The volumes of {found.of} would be deleted with it, and what is on them.",
                    "Set persistentVolumeClaimRetentionPolicy.whenDeleted to Retain.",
                    where,
                )
            ]
        problems = []
        for each in found.body["metadata"].get("ownerReferences") or []:
            said = f"{found.of} belongs to {each.get('kind')} {each.get('name')}"
            hint = "One that it makes is left, and reported."
            problems.append(warn(f"{said}, which may make it again by itself.", hint, where))
        if found.autoscaler:
            said = f"The autoscaler {found.autoscaler} stays, and has nothing to scale meanwhile."
            problems.append(warn(said, where=where))
        if not found.living:
            problems.append(warn(f"{found.of} has no pods now.", where=where))
        return problems

    def targets(self, params: DeleteWorkload, found: FoundWorkload) -> Targets:
        """Return the workload."""
        if found.body is None:
            return Targets(targets=(), sentence=params.sentence())
        pods = tuple(Target(name=pod.key, detail=pod.detail) for pod in found.living[:MOST_SHOWN])
        sentence = f"All {len(found.living):,} pods of {found.of}: {params.sentence()}"
        return Targets(targets=(described(found), *pods), sentence=sentence)

    def claims(
        self, cluster: Cluster, params: DeleteWorkload, found: FoundWorkload, deadline: float
    ) -> tuple[str, ...]:
        """Return the workload, for every family that needs it to be there."""
        identity = cluster.identity(deadline)
        return tuple(f"k8s:{identity}:{found.of.label}:{family}" for family in _FAMILIES)

    def plan(
        self, cluster: Cluster, request: FaultRequest, found: FoundWorkload, deadline: float
    ) -> Plan:
        """Keep the whole manifest, and how many pods were ready."""
        body, of, home = found.body, found.of, found.of.namespace
        assert body is not None  # noqa: S101  problems told of one that is missing
        params = request.params
        assert isinstance(params, DeleteWorkload)  # noqa: S101  chosen by its class
        name = sentinel_name(request.token)
        kept = f"kubectl get -n {home} configmap {name} -o jsonpath='{{.data.manifest}}'"
        return Plan(
            token=request.token,
            fault=params.kind,
            documents=self.documents(params, request.token),
            targets=(described(found),),
            claims=self.claims(cluster, params, found, deadline),
            requested_share=1.0,
            undo={of.label: {"manifest": stripped(body, of.kind)}},
            counters={of.label: {"ready": float(health.ready(found.pods))}},
            details={
                "home": home,
                "object": of.dump(),
                "uid": body["metadata"]["uid"],
                "labels": selector_of(body),
                "pods": len(found.living),
            },
            by_hand=(f"{kept} | kubectl create -f - && kubectl delete -n {home} configmap {name}",),
        )

    def inject(self, cluster: Cluster, plan: Plan, deadline: float) -> dict[str, Json]:
        """Create the sentinel, mark the workload, and delete it as it was when it was marked."""
        of, home = object_of(plan), home_of(plan)
        body = cluster.api.find(of.path, deadline=deadline)
        kept = sentinels.find(cluster, home, plan.token, deadline)
        if kept is not None and (body is None or _is_going(plan, body)):
            return {}
        self._refuse(cluster, plan, body, deadline, is_kept=kept is not None)
        if kept is None:
            manifest = sentinels.kept_manifest(_manifest(plan))
            sentinels.create(cluster, home, plan, deadline, manifest=manifest)
        try:
            self._delete(cluster, plan, deadline)
        except UnknownOutcomeError:
            raise
        except DriverError as refused:
            if kept is None:
                withdraw(cluster, plan, refused, deadline)
            raise
        return {}

    def observe(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Read whether the workload is gone, and how many of its pods went with it."""
        of = object_of(plan)
        body = cluster.api.find(of.path, deadline=deadline)
        state = _state(plan, body, is_injected=is_answered)
        met = None
        if state.phase == "active":
            pods = cluster.pods(of.namespace, deadline, labels=plan.details["labels"])
            there = owners(pods).get(of.label, ())
            left = sum(not pod.is_going and pod.phase not in FINISHED for pod in there)
            planned = float(plan.details["pods"])
            met = (planned, max(0.0, planned - left))
        return observation(plan, [state], is_injected=is_answered, met=met)

    def recover(
        self, cluster: Cluster, plan: Plan, deadline: float, *, is_answered: bool
    ) -> Observation:
        """Create the workload again where none is, and read whether its pods are ready again."""
        of, home = object_of(plan), home_of(plan)
        body = cluster.api.find(of.path, deadline=deadline)
        is_kept = sentinels.find(cluster, home, plan.token, deadline) is not None
        if body is None and (is_kept or is_answered):
            self._create(cluster, plan, deadline)
            body = cluster.api.find(of.path, deadline=deadline)
        if body is None:
            detail = "It is not there, and we did not delete it."
            phase = "active" if is_kept or is_answered else "foreign"
            state = TargetState(name=of.label, phase=phase, detail=detail)
        elif _is_going(plan, body):
            detail = "Its deletion has not ended; it is made again after that."
            state = TargetState(name=of.label, phase="active", detail=detail)
        elif holder(body) == plan.token:
            state = self._settled(cluster, plan, body, deadline)
        else:
            state = _state(plan, body, is_injected=True)
        seen = observation(plan, [state], is_injected=True)
        if seen.phase == "gone" and is_kept:
            sentinels.remove(cluster, home, plan.token, deadline)
        return seen

    def _settled(self, cluster: Cluster, plan: Plan, body: Body, deadline: float) -> TargetState:
        """Return whether the workload is healthy; take our mark off it if it is."""
        of = object_of(plan)
        if body["metadata"]["uid"] != plan.details["uid"]:
            # Its own count: pods of the one that was deleted may still be there, and ready.
            ready = int((body.get("status") or {}).get("readyReplicas") or 0)
            wanted = min(int(plan.counters[of.label]["ready"]), replicas_of(body))
            if ready < wanted:
                detail = f"{ready} of {wanted} pods are ready again."
                return TargetState(name=of.label, phase="active", detail=detail)
        # A deletion that is still on its way names the version from before this, and is refused.
        change = {"metadata": marked(None, body["metadata"]["resourceVersion"])}
        try:
            cluster.api.patch(of.path, change, deadline=deadline)
        except ConflictError:
            detail = "It changed while its mark was being taken off."
            return TargetState(name=of.label, phase="active", detail=detail)
        return TargetState(name=of.label, phase="gone")

    def _create(self, cluster: Cluster, plan: Plan, deadline: float) -> None:
        of, manifest = object_of(plan), _manifest(plan)
        about = manifest["metadata"]
        annotations = {**(about.get("annotations") or {}), TOKEN: plan.token}
        body = {**manifest, "metadata": {**about, "annotations": annotations}}
        at = path(of.group, PLURALS[of.kind], namespace=of.namespace)
        try:
            cluster.api.create(at, body, deadline=deadline)
        except ConflictError:
            return  # somebody was faster; what is there is read next

    def _delete(self, cluster: Cluster, plan: Plan, deadline: float) -> None:
        of = object_of(plan)
        for tried in range(1, MOST_TRIES + 1):
            body = cluster.api.find(of.path, deadline=deadline)
            if body is None or _is_going(plan, body):
                return
            self._refuse(cluster, plan, body, deadline, is_kept=True)
            try:
                version = body["metadata"]["resourceVersion"]
                change = {"metadata": marked(plan.token, version)}
                body = cluster.api.patch(of.path, change, deadline=deadline)
                options = _options(plan.details["uid"], body["metadata"]["resourceVersion"])
                cluster.api.delete(of.path, options, deadline=deadline)
            except NotFoundError:
                return
            except ConflictError:
                if tried == MOST_TRIES:
                    raise

    def _refuse(
        self,
        cluster: Cluster,
        plan: Plan,
        body: Body | None,
        deadline: float,
        *,
        is_kept: bool,
    ) -> None:
        """Raise why what is there must not be deleted."""
        of = object_of(plan)
        if not is_kept:
            home = home_of(plan)
            other = sentinels.held_by_another(cluster, home, plan.token, plan.claims, deadline)
            if other is not None:
                raise other
        if body is None:
            raise DriverError(f"There is no {of} any more.", hint="Plan again.")
        held = holder(body)
        if held and held != plan.token:
            raise sentinels.taken(held, str(of))
        is_same = body["metadata"]["uid"] == plan.details["uid"]
        if not is_same or stripped(body, of.kind) != _manifest(plan):
            raise DriverError(
                f"{of} has changed since the fault was planned.",
                hint="Plan again, so that what is restored is what was there.",
            )


def _manifest(plan: Plan) -> dict[str, Any]:
    kept: dict[str, Any] = plan.undo[object_of(plan).label]["manifest"]
    return kept


def _options(uid: str, version: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": uid, "resourceVersion": version},
    }


def _is_going(plan: Plan, body: Body) -> bool:
    """Tell whether this is the object that was to be deleted, and its deletion has begun."""
    about = body["metadata"]
    return about["uid"] == plan.details["uid"] and bool(about.get("deletionTimestamp"))


def _state(plan: Plan, body: Body | None, *, is_injected: bool) -> TargetState:
    of: Reference = object_of(plan)
    if body is None:
        return TargetState(name=of.label, phase="active")
    if _is_going(plan, body):
        return TargetState(name=of.label, phase="active", detail="Its deletion has not ended.")
    if body["metadata"]["uid"] == plan.details["uid"]:
        return TargetState(name=of.label, phase="gone" if is_injected else "pending")
    if holder(body) == plan.token:
        return TargetState(name=of.label, phase="gone", detail="It was made again.")
    detail = "Somebody else made one of that name: it is left as it is."
    return TargetState(name=of.label, phase="foreign", detail=detail)
