"""Inject faults by creating objects of Chaos Mesh, and end them by deleting these."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from drivers.chaosmesh import (
    granting,
    needs,
    objects,
    payload,
    reach,
    records,
    recovery,
    suggestions,
)
from drivers.chaosmesh.common import DEAD_MAN_S, ChaosFault
from drivers.chaosmesh.reach import Reach
from drivers.kube.api import ConflictError, ForbiddenError, NotFoundError
from drivers.kube.cluster import Cluster
from drivers.kube.rights import RightRow
from drivers.protocol import (
    ConnectionConfig,
    Document,
    DriverError,
    FaultRequest,
    Handle,
    Observation,
    Owned,
    Plan,
    Preview,
    Problem,
    Suggestion,
    Target,
    Targets,
)

logger = logging.getLogger(__name__)

CALL_BUDGET_S = 4.5
"""What inject, observe and recover may take in all: their promise is 5 s."""
LOOK_BUDGET_S = 8.0
"""What check, resolve, prepare and owned may take: 10,000 pods come in twenty pages."""
SUGGEST_BUDGET_S = 1.5
"""What suggest may take in all: somebody is typing."""
_HOME = "<namespace>"


class ChaosMeshDriver:
    """The driver of one connection: see ``drivers.kube.access`` for its options and secrets.

    ``namespaces`` is the list of those that it may touch, see ``drivers.kube.scope``. An object
    lies in the first namespace that its fault selects; that of a cloud's machine in the first
    allowed one.
    """

    def __init__(self, connection: ConnectionConfig) -> None:
        self._cluster = Cluster(connection)

    def close(self) -> None:
        """Close every kept connection. The driver must not be used afterwards."""
        self._cluster.close()

    def check(self, request: FaultRequest) -> list[Problem]:
        """Return what stands in the way: Chaos Mesh itself, rights, namespaces, targets.

        The webhooks judge the very document in a dry run. Changes nothing.
        """
        deadline, found = _until(LOOK_BUDGET_S), list[Problem]()
        try:
            params = objects.of(request)
            home = self._home(params, deadline)
            if missing := needs.absent(self._cluster, params, deadline):
                return [missing]
            if lacking := needs.lacking(self._cluster, params, home, deadline):
                return lacking
            looked = reach.look(self._cluster, params, deadline)
            found += looked.problems()
            if other := self._held(request, looked, home, deadline):
                found.append(_told(other, self._cluster.name))
            if absent := needs.absent_controller(self._cluster, deadline):
                found.append(absent)
            body = objects.made(request, home)
            needs.dry_run(self._cluster, body, deadline)
            if unchecked := needs.no_webhooks(self._cluster, body, deadline):
                found.append(unchecked)
        except DriverError as error:
            found.append(_told(error, self._cluster.name))
        return found

    def suggest(self, what: str, given: Mapping[str, Any]) -> list[Suggestion]:
        """Return what exists in the allowed namespaces; see ``suggestions``."""
        return suggestions.suggest(self._cluster, what, given, _until(SUGGEST_BUDGET_S))

    def rights(self, kinds: Sequence[str]) -> list[RightRow]:
        """Return every right of these faults in the allowed namespaces, and whether we have it."""
        deadline = _until(LOOK_BUDGET_S)
        return granting.table(self._cluster, kinds, self._allowed(deadline), deadline)

    def manifests(self, kinds: Sequence[str]) -> list[Document]:
        """Return what a viewer and an injector of these faults need in the allowed namespaces."""
        return granting.documents(kinds, self._allowed(_until(LOOK_BUDGET_S)))

    def preview(self, request: FaultRequest) -> Preview:
        """Return the object that would be created; what we note in it is known only online."""
        params = objects.of(request)
        places = reach.places(params) or self._cluster.scope.names
        body = objects.made(request, places[0] if places else "")
        if not places:
            body["metadata"]["namespace"] = _HOME
        return Preview(
            documents=(payload.document(body),),
            sentence=params.sentence(),
            undo=_undo(params),
        )

    def resolve(self, request: FaultRequest) -> Targets:
        """Return what matches now, with node, phase and readiness."""
        params, deadline = objects.of(request), _until(LOOK_BUDGET_S)
        self._refuse(reach.places(params))
        return reach.look(self._cluster, params, deadline).targets()

    def prepare(self, request: FaultRequest) -> Plan:
        """Read what is there now and return the plan. Raises where ``check`` finds an error.

        Where the token is injected already, its object gives the same plan back.
        """
        params, deadline = objects.of(request), _until(LOOK_BUDGET_S)
        home = self._home(params, deadline)
        if missing := needs.absent(self._cluster, params, deadline):
            raise DriverError(missing.message, hint=missing.hint)
        name = payload.object_name(request.token)
        at = objects.at(params.resource, home, name)
        if (body := self._cluster.api.find(at, deadline=deadline)) is not None:
            return self._again(request, body)
        looked = reach.look(self._cluster, params, deadline)
        for problem in needs.errors(looked.problems()):
            raise DriverError(problem.message, hint=problem.hint)
        if other := self._held(request, looked, home, deadline):
            raise other
        kept = {
            "fault": params.kind,
            "claims": looked.claims(self._cluster.identity(deadline)),
            "matching": looked.matching,
            "share": looked.share,
            "ready": looked.ready_before() if params.is_one_shot else {},
        }
        body = objects.made(request, home, kept)
        needs.dry_run(self._cluster, body, deadline)
        return objects.plan(body, kept, looked.targets().targets)

    def inject(self, plan: Plan) -> Handle:
        """Create the object, and wait a moment for its records. Does nothing where it is there.

        Raises DriverError where nothing of ours is there; UnknownOutcomeError where something may
        be.
        """
        deadline, about = _until(CALL_BUDGET_S), plan.details
        self._refuse((about["namespace"],))
        at = objects.collection(about["resource"], about["namespace"])
        try:
            body = self._cluster.api.create(at, about["manifest"], deadline=deadline)
        except ConflictError:
            body = self._ours(plan, deadline)
        except NotFoundError as error:
            raise DriverError(
                f"{objects.label(plan)} cannot be created: {error.message}",
                hint="Is Chaos Mesh installed, and does the namespace exist?",
            ) from error
        if not records.settled(body):
            recovery.watched(
                self._cluster, plan, body, lambda told: records.settled(told["object"]), deadline
            )
        return Handle(token=plan.token, details={"uid": str(body["metadata"]["uid"])})

    def observe(self, plan: Plan, handle: Handle | None) -> Observation:
        """Read how far the plan is in effect. Without a handle, nothing there reads ``pending``."""
        is_answered = handle is not None
        try:
            return recovery.observe(
                self._cluster, plan, _until(CALL_BUDGET_S), is_answered=is_answered
            )
        except DriverError as error:
            return recovery.unreachable(plan, error, is_injected=is_answered)

    def recover(self, plan: Plan, handle: Handle | None) -> Observation:
        """Have the object deleted and read back, within 5 s; say why where it is not gone."""
        try:
            return recovery.recover(
                self._cluster, plan, _until(CALL_BUDGET_S), is_answered=handle is not None
            )
        except DriverError as error:
            return recovery.unreachable(plan, error, is_injected=True)

    def owned(self) -> list[Owned]:
        """Return our faults whose objects are found, wherever we may look.

        None where Chaos Mesh is not installed, or its objects may not be listed: what may not be
        listed was never injected through this connection. Raises DriverError.
        """
        deadline = _until(LOOK_BUDGET_S)
        kinds = objects.every_kind(needs.served(self._cluster, deadline))
        if not kinds:
            return []
        places = [""] if self._cluster.scope.has_wildcards else list(self._cluster.scope.names)
        found, refused = self._listed(kinds, places, deadline)
        if refused and places == [""]:
            more, _ = self._listed(refused, self._allowed(deadline), deadline)
            found += more
        return sorted(found, key=lambda each: each.token)

    def _listed(
        self, kinds: list[str], places: list[str], deadline: float
    ) -> tuple[list[Owned], list[str]]:
        """Return what is ours, and the kinds that we may not list in one of the places."""
        asked = [(kind, place) for kind in kinds for place in places]
        found: list[Owned] = []
        refused: list[str] = []
        for (kind, place), listed in self._cluster.each(
            lambda each: self._cluster.api.all(
                objects.collection(*each), {"labelSelector": payload.TOKEN_LABEL}, deadline=deadline
            ),
            asked,
        ):
            if isinstance(listed, ForbiddenError):
                logger.info("%s: %s in “%s”: %s", self._cluster.name, kind, place, listed)
                refused.append(kind)
            elif isinstance(listed, DriverError):
                raise listed
            else:
                found += [_owned(body, kind) for body in listed]
        return found, list(dict.fromkeys(refused))

    def _allowed(self, deadline: float) -> list[str]:
        """Return the allowed namespaces, those named in full where we may not list them."""
        try:
            return self._cluster.namespaces(deadline)
        except ForbiddenError:
            return list(self._cluster.scope.names)

    def _home(self, params: ChaosFault, deadline: float) -> str:
        """Return the namespace of the fault's object. Raises where one is not allowed."""
        places = reach.places(params)
        self._refuse(places)
        return places[0] if places else self._cluster.home(deadline)

    def _refuse(self, places: tuple[str, ...]) -> None:
        for place in places:
            if refused := self._cluster.scope.refusal(place):
                raise refused

    def _again(self, request: FaultRequest, body: Mapping[str, Any]) -> Plan:
        """Return the plan of an object that is there under the token. Raises DriverError."""
        resource = objects.of(request).resource
        if objects.token(body) != request.token:
            raise DriverError(
                f"There is already a {resource} {body['metadata']['name']} that is not ours."
            )
        plan = objects.rebuilt(body, resource, _targets(body, resource))
        if plan is None:
            raise DriverError(
                f"A fault is already injected under this token ({request.token}), and its object "
                "does not tell which any more.",
                hint=f"Look at {resource} {body['metadata']['name']}.",
            )
        return plan

    def _ours(self, plan: Plan, deadline: float) -> dict[str, Any]:
        """Return the object that has the plan's name already. Raises where it is not ours."""
        body = self._cluster.api.get(objects.place(plan), deadline=deadline)
        if objects.token(body) != plan.token:
            whose = objects.token(body) or "somebody else"
            raise DriverError(f"{objects.label(plan)} is there already, and belongs to {whose}.")
        if objects.is_going(body):
            raise DriverError(
                f"{objects.label(plan)} is still being deleted.",
                retryable=True,
                hint="It is created again once it is gone.",
            )
        return body

    def _held(
        self, request: FaultRequest, looked: Reach, home: str, deadline: float
    ) -> DriverError | None:
        """Return the refusal where an object of ours nearby holds what this one would."""
        wanted = set(looked.claims(self._cluster.identity(deadline)))
        kinds = objects.every_kind(needs.served(self._cluster, deadline))
        places = list(dict.fromkeys([home, *reach.places(looked.params)]))
        found, _ = self._listed(kinds, places, deadline)
        for other in found:
            shared = wanted & set(other.plan.claims if other.plan else ())
            if other.token != request.token and shared:
                return DriverError(
                    f"Injection {other.token} holds {sorted(shared)[0]}.",
                    hint="Recover it first, or wait until it ends.",
                )
        return None


def _owned(body: Mapping[str, Any], resource: str) -> Owned:
    targets = _targets(body, resource)
    plan = objects.rebuilt(body, resource, targets)
    return Owned(token=objects.token(body), targets=targets, plan=plan)


def _targets(body: Mapping[str, Any], resource: str) -> tuple[Target, ...]:
    """Return whom the records of an object name; itself while it has none."""
    found = [each for each in records.read(body).records if not each.is_other_side]
    if found:
        return tuple(Target(name=each.id, detail=each.phase) for each in found)
    about = body["metadata"]
    return (Target(name=f"{resource} {about['namespace']}/{about['name']}"),)


def _undo(params: ChaosFault) -> str:
    if params.undo == "none":
        return "It cannot be undone: deleting the object leaves what it did."
    if params.is_one_shot or params.undo == "self_heals":
        return (
            "It happens once. The object is deleted, and it counts as recovered when every "
            "workload that was hit has as many ready pods as before."
        )
    return (
        "The object is deleted, and read back until it and its records are gone. Chaos Mesh ends "
        f"the fault by itself {DEAD_MAN_S:.0f} s after it should have ended."
    )


def _until(budget_s: float) -> float:
    return time.monotonic() + budget_s


def _told(error: DriverError, where: str) -> Problem:
    return Problem(message=error.message, hint=error.hint, where=where)
