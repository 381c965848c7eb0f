"""Inject faults into a cluster through the Kubernetes API alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from drivers.kube.api import ForbiddenError, path
from drivers.kube.cluster import Cluster
from drivers.kube.rights import RightRow
from drivers.kubernetes import needs, sentinels, suggestions
from drivers.kubernetes.deletion import WorkloadDeletion
from drivers.kubernetes.faults import (
    CordonNode,
    DeletePods,
    DeleteWorkload,
    DrainNode,
    IsolatePods,
    ScaleWorkload,
    SetImage,
)
from drivers.kubernetes.isolation import Isolation
from drivers.kubernetes.nodes import Cordon, Drain
from drivers.kubernetes.pods import PodsDeletion
from drivers.kubernetes.procedure import AnyProcedure, home_of, unreachable
from drivers.kubernetes.survey import survey
from drivers.kubernetes.workloads import Rollout, Scaling
from drivers.protocol import (
    ConnectionConfig,
    Document,
    DriverError,
    FaultParams,
    FaultRequest,
    Handle,
    Member,
    Observation,
    Owned,
    Plan,
    Preview,
    Problem,
    Suggestion,
    Targets,
)

logger = logging.getLogger(__name__)

CALL_BUDGET_S = 4.5
"""What inject, observe and recover may take in all: their promise is 5 s."""
LOOK_BUDGET_S = 8.0
"""What check, resolve, prepare and owned may take: 10,000 pods come in twenty pages."""
SUGGEST_BUDGET_S = 1.5
"""What suggest may take in all: somebody is typing."""

_PROCEDURES: Mapping[str, AnyProcedure] = MappingProxyType(
    {
        DeletePods.kind: PodsDeletion(),
        DeleteWorkload.kind: WorkloadDeletion(),
        ScaleWorkload.kind: Scaling(),
        SetImage.kind: Rollout(),
        IsolatePods.kind: Isolation(),
        CordonNode.kind: Cordon(),
        DrainNode.kind: Drain(),
    }
)


class KubernetesDriver:
    """The driver of one connection: see ``drivers.kube.access`` for its options and secrets.

    ``namespaces`` is the list of those that it may touch, see ``scope``. Faults elsewhere are
    refused by check, prepare and inject; what is ours is removed wherever it is.
    """

    def __init__(self, connection: ConnectionConfig) -> None:
        self._cluster = Cluster(connection)

    def close(self) -> None:
        """Close every kept connection. The driver must not be used afterwards."""
        self._cluster.close()

    def check(self, request: FaultRequest) -> list[Problem]:
        """Return what stands in the way: access, rights, namespace, target. Changes nothing."""
        procedure, deadline = _of(request.params.kind), _until(LOOK_BUDGET_S)
        namespace = procedure.namespace(request.params)
        found: list[Problem] = []
        try:
            self._refuse(namespace)
            home = namespace or self._cluster.home(deadline)
            found += self._standing(request.params, home, deadline)
            if found:
                return found
            looked = procedure.look(self._cluster, request.params, deadline)
            other = self._held(procedure, request, looked, home, deadline)
            found += [_told(other, self._cluster.name)] if other else []
            found += procedure.problems(request.params, looked)
        except DriverError as error:
            found.append(_told(error, self._cluster.name))
        return found

    def suggest(self, what: str, given: Mapping[str, Any]) -> list[Suggestion]:
        """Return what exists in the allowed namespaces; see ``suggestions``."""
        return suggestions.suggest(self._cluster, what, given, _until(SUGGEST_BUDGET_S))

    def survey(self) -> list[Member]:
        """Return the cluster: its version, its namespaces, what the account may not do."""
        return survey(self._cluster, _until(LOOK_BUDGET_S))

    def rights(self, kinds: Sequence[str]) -> list[RightRow]:
        """Return every right of these faults in the allowed namespaces, and whether we have it."""
        deadline = _until(LOOK_BUDGET_S)
        return needs.table(self._cluster, kinds, self._readable(deadline), deadline)

    def manifests(self, kinds: Sequence[str]) -> list[Document]:
        """Return what a viewer and an injector of these faults need in the allowed namespaces."""
        return needs.documents(kinds, self._readable(_until(LOOK_BUDGET_S)))

    def preview(self, request: FaultRequest) -> Preview:
        """Return what would be sent. Which pods it is, and their uids, is known only online."""
        procedure = _of(request.params.kind)
        return Preview(
            documents=procedure.documents(request.params, request.token),
            sentence=request.params.sentence(),
            undo=procedure.undo,
        )

    def resolve(self, request: FaultRequest) -> Targets:
        """Return what matches now, with node, phase and readiness."""
        procedure = _of(request.params.kind)
        self._refuse(procedure.namespace(request.params))
        looked = procedure.look(self._cluster, request.params, _until(LOOK_BUDGET_S))
        return procedure.targets(request.params, looked)

    def prepare(self, request: FaultRequest) -> Plan:
        """Read what is there now and return the plan. Raises where ``check`` finds an error.

        Where the token is injected already, its sentinel gives the same plan back.
        """
        procedure, deadline = _of(request.params.kind), _until(LOOK_BUDGET_S)
        namespace = procedure.namespace(request.params)
        self._refuse(namespace)
        home = namespace or self._cluster.home(deadline)
        kept = None
        if needs.keeps_a_sentinel(request.params.kind):
            kept = sentinels.find(self._cluster, home, request.token, deadline)
        if kept is not None:
            if kept.plan is None:
                raise DriverError(
                    f"A fault is already injected under this token ({request.token}), and its "
                    "sentinel does not tell what was before.",
                    hint=f"Look at the ConfigMaps of {home}.",
                )
            return kept.plan
        looked = procedure.look(self._cluster, request.params, deadline)
        if other := self._held(procedure, request, looked, home, deadline):
            raise other
        for problem in procedure.problems(request.params, looked):
            if problem.severity == "error":
                raise DriverError(problem.message, hint=problem.hint)
        return procedure.plan(self._cluster, request, looked, deadline)

    def inject(self, plan: Plan) -> Handle:
        """Do what is still missing of the plan. Does nothing where it already is.

        Raises DriverError where nothing of ours is there; UnknownOutcomeError where something may
        be.
        """
        self._refuse(home_of(plan) or str(plan.details.get("namespace", "")))
        deadline = _until(CALL_BUDGET_S)
        details = _of(plan.fault).inject(self._cluster, plan, deadline)
        return Handle(token=plan.token, details=details)

    def observe(self, plan: Plan, handle: Handle | None) -> Observation:
        """Read how far the plan is in effect. Without a handle, nothing there reads ``pending``."""
        is_answered = handle is not None
        try:
            return _of(plan.fault).observe(
                self._cluster, plan, _until(CALL_BUDGET_S), is_answered=is_answered
            )
        except DriverError as error:
            return unreachable(plan, error, is_injected=is_answered)

    def recover(self, plan: Plan, handle: Handle | None) -> Observation:
        """Restore what is ours and read back once, within 5 s."""
        try:
            return _of(plan.fault).recover(
                self._cluster, plan, _until(CALL_BUDGET_S), is_answered=handle is not None
            )
        except DriverError as error:
            return unreachable(plan, error, is_injected=True)

    def owned(self) -> list[Owned]:
        """Return our faults whose sentinels are found, wherever we may look.

        Raises when no namespace can be read; logs those that cannot.
        """
        deadline = _until(LOOK_BUDGET_S)
        if self._cluster.scope.has_wildcards:
            try:
                return _sorted(sentinels.listed(self._cluster, "", deadline))
            except ForbiddenError as error:
                logger.info("%s: not every ConfigMap may be listed: %s", self._cluster.name, error)
        names = self._readable(deadline)
        found: list[Owned] = []
        errors: list[DriverError] = []
        for name, listed in self._cluster.each(
            lambda each: sentinels.listed(self._cluster, each, deadline), names
        ):
            if isinstance(listed, DriverError):
                logger.warning("No faults could be looked for in %s: %s", name, listed)
                errors.append(listed)
            else:
                found += listed
        if errors and len(errors) == len(names):
            raise errors[0]
        if not names:
            # Nothing is allowed, and so nothing can be there; but say if it does not answer.
            self._cluster.api.get("/version", deadline=deadline)
        return _sorted(found)

    def _readable(self, deadline: float) -> list[str]:
        try:
            return self._cluster.namespaces(deadline)
        except ForbiddenError:
            names = list(self._cluster.scope.names)
            if not names:
                raise
            logger.warning("%s: its wildcards cannot be looked up.", self._cluster.name)
            return names

    def _refuse(self, namespace: str) -> None:
        """Raise where the fault's namespace is not allowed."""
        if namespace and (refused := self._cluster.scope.refusal(namespace)):
            raise refused

    def _standing(self, params: FaultParams, home: str, deadline: float) -> list[Problem]:
        """Return what is wrong with the namespace and with the account's rights there."""
        found = []
        try:
            at = path("v1", "namespaces", name=home)
            if self._cluster.api.find(at, deadline=deadline) is None:
                return [Problem(message=f"There is no namespace {home}.", where=home)]
        except ForbiddenError:
            pass  # we may not look; the rights that are lacking are told below
        for right in needs.lacking(self._cluster, params, home, deadline):
            where = "" if right.is_everywhere else f" in {home}"
            found.append(
                Problem(
                    message=f"The account may not {right}{where}.",
                    hint="The connection's page writes the manifest that allows it.",
                    where=home,
                )
            )
        return found

    def _held(
        self,
        procedure: AnyProcedure,
        request: FaultRequest,
        looked: Any,
        home: str,
        deadline: float,
    ) -> DriverError | None:
        """Return the refusal where another injection's sentinel holds what this one would."""
        claims = procedure.claims(self._cluster, request.params, looked, deadline)
        try:
            return sentinels.held_by_another(self._cluster, home, request.token, claims, deadline)
        except ForbiddenError:
            if needs.keeps_a_sentinel(request.params.kind):
                raise
            return None  # it needs no ConfigMaps, and claims are the ledger's


def _of(kind: str) -> AnyProcedure:
    if kind not in _PROCEDURES:
        raise DriverError(f"Kubernetes cannot inject {kind}.")
    return _PROCEDURES[kind]


def _until(budget_s: float) -> float:
    return time.monotonic() + budget_s


def _told(error: DriverError, where: str) -> Problem:
    return Problem(message=error.message, hint=error.hint, where=where)


def _sorted(found: list[Owned]) -> list[Owned]:
    return sorted(found, key=lambda each: each.token)
