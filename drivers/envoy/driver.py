"""Inject faults into a fleet of Envoys through their admin interfaces."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

from drivers.envoy import evidence, suggestions
from drivers.envoy.checks import problems
from drivers.envoy.config import DEFAULT_KEYS, EnvoyConfig, FaultPoint, select
from drivers.envoy.evidence import Seen
from drivers.envoy.faults import EnvoyFault
from drivers.envoy.fleet import Fleet, answers, partial
from drivers.envoy.payload import (
    Runtime,
    TargetPlan,
    by_hand,
    described,
    document,
    inject_values,
    overrides,
    recover_values,
    stats_path,
    target_plans,
)
from drivers.envoy.plans import claims, details, owned_targets, target_plan
from drivers.envoy.survey import survey
from drivers.protocol import (
    ConnectionConfig,
    DriverError,
    FaultRequest,
    Handle,
    Member,
    Observation,
    Owned,
    Plan,
    Preview,
    Problem,
    Suggestion,
    Target,
    Targets,
    UnknownOutcomeError,
)

logger = logging.getLogger(__name__)

RECOVER_BUDGET_S = 4.5
"""What recover may take in all: its promise is 5 s."""
SUGGEST_BUDGET_S = 1.5
"""What suggest may take in all: somebody is typing."""

Answer = TypeVar("Answer")

_UNDO = (
    "The earlier value is put back, or the key deleted, in one request per Envoy. Requests held "
    "back at that moment still wait. Envoy has no dead-man's switch: without ChaosWeb the fault "
    "stays until Envoy restarts or somebody runs the command shown."
)


class EnvoyDriver:
    """The driver of one connection: ``{"addresses": [...], "timeout_s": 2.0}``.

    Calls go to all Envoys at once; clients and their connections are kept for the driver's life.
    """

    def __init__(self, connection: ConnectionConfig) -> None:
        self._fleet = Fleet(connection)

    def close(self) -> None:
        """Close every kept connection. The driver must not be used afterwards."""
        self._fleet.close()

    def check(self, request: FaultRequest) -> list[Problem]:
        """Return what stands in the way on each Envoy. Changes nothing."""
        params = _params(request)

        def look(address: str) -> list[Problem]:
            client = self._fleet.client(address)
            config = client.config(fresh=True)
            runtime = client.runtime(config.admin_layer)
            return problems(address, params, request.token, config, runtime)

        found: list[Problem] = []
        for address, result in self._fleet.each(look, self._fleet.addresses).items():
            if isinstance(result, DriverError):
                found.append(Problem(message=result.message, hint=result.hint, where=address))
            else:
                found += result
        return found

    def suggest(self, what: str, given: Mapping[str, Any]) -> list[Suggestion]:
        """Return the names that ``route`` may take (``routes``), or the clusters (``clusters``).

        Envoys that do not answer are left out. Raises when none does.
        """
        deadline = time.monotonic() + SUGGEST_BUDGET_S
        if what == "routes":
            return suggestions.routes(
                self._answered(
                    lambda each: self._fleet.client(each).config(fresh=True, deadline=deadline)
                )
            )
        if what == "clusters":
            return suggestions.clusters(
                self._answered(lambda each: self._fleet.client(each).clusters(deadline))
            )
        return []

    def survey(self) -> list[Member]:
        """Return every Envoy: its version, what a fault can name there, and what is missing."""
        return survey(self._fleet)

    def preview(self, request: FaultRequest) -> Preview:
        """Return the requests that would be sent. A route's own keys are known only online."""
        params = _params(request)
        keys = (
            {field: f"<{field} of {params.route}>" for field in DEFAULT_KEYS}
            if params.route
            else DEFAULT_KEYS
        )
        point = FaultPoint("filter", (), "", "", keys, abort="fixed", delay="fixed")
        wanted = overrides(params, [point])
        documents = []
        for address in self._fleet.addresses:
            target = TargetPlan(address=address, overrides=wanted, was=dict.fromkeys(wanted, None))
            values = inject_values(request.token, params.kind, target)
            sent = document(address, self._fleet.client(address).host, values)
            if params.route:
                sent = sent.model_copy(update={"body": unquote(sent.body)})
            documents.append(sent)
        return Preview(documents=tuple(documents), sentence=params.sentence(), undo=_UNDO)

    def resolve(self, request: FaultRequest) -> Targets:
        """Return the Envoys that have a matching fault point. Raises when one cannot be read."""
        params = _params(request)
        found: list[Target] = []
        configs = answers(
            self._fleet.each(lambda each: self._fleet.client(each).config(), self._fleet.addresses)
        )
        for address, config in configs.items():
            if chosen := select(config.points, params.route, params.block):
                found.append(described(address, config, chosen))
        count = f"{len(found)} of {len(self._fleet.addresses)} Envoys"
        return Targets(targets=tuple(found), sentence=f"{count}: {params.sentence()}")

    def prepare(self, request: FaultRequest) -> Plan:
        """Read what is there now and return the plan. Raises where ``check`` finds an error.

        Where the token is injected already, its sentinels say what was there before.
        """
        params = _params(request)

        def read(address: str) -> tuple[EnvoyConfig, TargetPlan, dict[str, float]]:
            client = self._fleet.client(address)
            config = client.config()
            runtime = client.runtime(config.admin_layer)
            for problem in problems(address, params, request.token, config, runtime):
                if problem.severity == "error":
                    raise DriverError(f"{address}: {problem.message}", hint=problem.hint)
            target = target_plan(address, params, request.token, config, runtime)
            path = stats_path(target.meters)
            return config, target, client.counters(path) if path else {}

        read_all = answers(self._fleet.each(read, self._fleet.addresses))
        token, targets = request.token, [target for _, target, _ in read_all.values()]
        return Plan(
            token=token,
            fault=params.kind,
            documents=tuple(
                document(
                    each.address,
                    self._fleet.client(each.address).host,
                    inject_values(token, params.kind, each),
                )
                for each in targets
            ),
            targets=tuple(
                described(address, config, select(config.points, params.route, params.block))
                for address, (config, _, _) in read_all.items()
            ),
            claims=claims(targets),
            requested_share=params.percentage.ratio,
            undo={each.address: dict(each.was) for each in targets},
            counters={address: counters for address, (_, _, counters) in read_all.items()},
            details=details(targets),
            by_hand=tuple(self._by_hand(token, each) for each in targets),
        )

    def inject(self, plan: Plan) -> Handle:
        """Apply the plan to every Envoy and read it back. Does nothing where it already is.

        Raises DriverError before anything is sent when any Envoy is unreachable or holds something
        else; UnknownOutcomeError when some Envoys took it and others did not answer.
        """
        targets = {each.address: each for each in target_plans(plan)}
        missing: dict[str, TargetPlan] = {}

        def look(address: str) -> bool:
            target = targets[address]
            runtime = self._fleet.client(address).runtime(target.admin_layer)
            if evidence.is_in_place(plan.token, target, runtime):
                return True
            if (refused := evidence.refusal(plan.token, target, runtime)) is not None:
                raise refused
            return False

        for address, is_there in answers(self._fleet.each(look, targets)).items():
            if not is_there:
                missing[address] = targets[address]
        results = self._fleet.each(lambda each: self._apply(plan, missing[each]), missing)
        errors = [result for result in results.values() if isinstance(result, DriverError)]
        if errors:
            raise partial(errors, len(targets))
        return Handle(token=plan.token, details={"addresses": list(targets)})

    def observe(self, plan: Plan, handle: Handle | None) -> Observation:
        """Read every Envoy of the plan. Without a handle, nothing there reads ``pending``."""
        seen = self._read(plan, deadline=None)
        is_answered = handle is not None
        return evidence.observation(plan, seen, is_injected=is_answered, is_answered=is_answered)

    def recover(self, plan: Plan, handle: Handle | None) -> Observation:
        """Remove all that carries the token and read back once, within 5 s.

        The share is given only by the call that found the fault in force: later requests, which
        could not meet it, would dilute it.
        """
        deadline = time.monotonic() + RECOVER_BUDGET_S
        is_answered = handle is not None
        targets = {each.address: each for each in target_plans(plan)}

        def undo(address: str) -> tuple[Seen, bool]:
            target = targets[address]
            client = self._fleet.client(address)
            runtime = client.runtime(target.admin_layer, deadline)
            values = evidence.removal(plan.token, target, runtime, is_answered=is_answered)
            if not values:
                return Seen(target, runtime), False
            client.modify(values, deadline)
            runtime = client.runtime(target.admin_layer, deadline)
            return Seen(target, runtime, self._counters(target, deadline)), True

        seen: list[Seen] = []
        was_there = False
        for address, result in self._fleet.each(undo, targets).items():
            if isinstance(result, DriverError):
                seen.append(Seen(targets[address], error=result))
            else:
                seen.append(result[0])
                was_there = was_there or result[1]
        return evidence.observation(
            plan, seen, is_injected=True, is_answered=is_answered, with_share=was_there
        )

    def owned(self) -> list[Owned]:
        """Return our faults on every Envoy that answers, with plans rebuilt from sentinels.

        Raises when no Envoy answers; logs those that do not.
        """

        def read(address: str) -> tuple[EnvoyConfig, Runtime]:
            client = self._fleet.client(address)
            config = client.config()
            return config, client.runtime(config.admin_layer)

        results = self._fleet.each(read, self._fleet.addresses)
        answered: dict[str, tuple[EnvoyConfig, Runtime]] = {}
        for address, result in results.items():
            if isinstance(result, DriverError):
                logger.warning("No faults could be looked for on %s: %s", address, result)
            else:
                answered[address] = result
        if not answered:
            answers(results)
        found: dict[str, list[TargetPlan]] = {}
        kinds: dict[str, str] = {}
        for address, (config, runtime) in answered.items():
            for token, kind, target in owned_targets(address, config, runtime):
                found.setdefault(token, []).append(target)
                kinds[token] = kind
        return [self._rebuilt(token, kinds[token], found[token]) for token in sorted(found)]

    def _answered(self, ask: Callable[[str], Answer]) -> list[Answer]:
        """Return what the Envoys that answer say. Raises when none does."""
        results = self._fleet.each(ask, self._fleet.addresses)
        found = [each for each in results.values() if not isinstance(each, DriverError)]
        if not found:
            answers(results)
        return found

    def _rebuilt(self, token: str, kind: str, parts: Sequence[TargetPlan]) -> Owned:
        targets = tuple(
            Target(name=each.address, detail=", ".join(sorted(each.overrides))) for each in parts
        )
        plan = Plan(
            token=token,
            fault=kind,
            documents=(),
            targets=targets,
            claims=claims(parts),
            undo={each.address: dict(each.was) for each in parts},
            details=details(parts),
            by_hand=tuple(self._by_hand(token, each) for each in parts),
        )
        return Owned(token=token, targets=targets, plan=plan)

    def _apply(self, plan: Plan, target: TargetPlan) -> None:
        client = self._fleet.client(target.address)
        client.modify(inject_values(plan.token, plan.fault, target))
        try:
            runtime = client.runtime(target.admin_layer)
        except DriverError as error:
            raise UnknownOutcomeError(
                f"{target.address} took the fault but could not be read back: {error.message}"
            ) from error
        # Two injections at the same moment both pass the first look: both must see it here.
        refused = evidence.refusal(plan.token, target, runtime)
        if refused is not None:
            raise refused
        if not evidence.is_in_place(plan.token, target, runtime):
            raise UnknownOutcomeError(f"{target.address} accepted the fault but does not show it.")

    def _read(self, plan: Plan, deadline: float | None) -> list[Seen]:
        targets = {each.address: each for each in target_plans(plan)}

        def look(address: str) -> Seen:
            target = targets[address]
            runtime = self._fleet.client(address).runtime(target.admin_layer, deadline)
            return Seen(target, runtime, self._counters(target, deadline))

        return [
            Seen(targets[address], error=result) if isinstance(result, DriverError) else result
            for address, result in self._fleet.each(look, targets).items()
        ]

    def _counters(self, target: TargetPlan, deadline: float | None) -> Mapping[str, float] | None:
        path = stats_path(target.meters)
        if path is None:
            return None
        try:
            return self._fleet.client(target.address).counters(path, deadline)
        except DriverError:
            # The overrides were read: without the counters only the share is unknown.
            return None

    def _by_hand(self, token: str, target: TargetPlan) -> str:
        client = self._fleet.client(target.address)
        return by_hand(client.url, client.socket, recover_values(token, target))


def _params(request: FaultRequest) -> EnvoyFault:
    if not isinstance(request.params, EnvoyFault):
        raise DriverError(f"Envoy cannot inject {request.params.kind}.")
    return request.params
