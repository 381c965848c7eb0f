"""Several drivers on one connection: a cluster takes the faults of Kubernetes and of Chaos Mesh.

Each call goes to the driver whose fault it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drivers.kube.rights import RightRow
from drivers.protocol import (
    Document,
    Driver,
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
    Targets,
)


class SeveralDrivers:
    """The drivers of one connection, by the first word of their faults' kinds."""

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        self._drivers = dict(drivers)

    def of(self, kind: str) -> Driver:
        """Return the driver of a fault. Raises DriverError for a fault of none of them."""
        name = kind.partition(".")[0]
        if name not in self._drivers:
            known = ", ".join(self._drivers)
            raise DriverError(f"{kind} is no fault of this connection, which takes {known}.")
        return self._drivers[name]

    def check(self, request: FaultRequest) -> list[Problem]:
        """Return what stands in the way."""
        return self.of(request.params.kind).check(request)

    def suggest(self, what: str, given: Mapping[str, Any]) -> list[Suggestion]:
        """Return what the first driver that knows the word suggests."""
        for driver in self._drivers.values():
            if found := driver.suggest(what, given):
                return found
        return []

    def preview(self, request: FaultRequest) -> Preview:
        """Return the documents that would be sent."""
        return self.of(request.params.kind).preview(request)

    def resolve(self, request: FaultRequest) -> Targets:
        """Return the concrete targets that match now."""
        return self.of(request.params.kind).resolve(request)

    def prepare(self, request: FaultRequest) -> Plan:
        """Read what is there now and return the plan."""
        return self.of(request.params.kind).prepare(request)

    def inject(self, plan: Plan) -> Handle:
        """Apply the plan."""
        return self.of(plan.fault).inject(plan)

    def observe(self, plan: Plan, handle: Handle | None) -> Observation:
        """Read how far the fault is in effect."""
        return self.of(plan.fault).observe(plan, handle)

    def recover(self, plan: Plan, handle: Handle | None) -> Observation:
        """Ask for removal and read back once."""
        return self.of(plan.fault).recover(plan, handle)

    def survey(self) -> list[Member]:
        """Return what is reached, as the first driver that offers a look finds it."""
        for driver in self._drivers.values():
            if hasattr(driver, "survey"):
                found: list[Member] = driver.survey()
                return found
        return []

    def rights(self, kinds: Sequence[str]) -> list[RightRow]:
        """Return the rights of these faults as each driver that knows them finds them."""
        found = [
            driver.rights([kind for kind in kinds if kind.startswith(f"{name}.")])
            for name, driver in self._drivers.items()
            if hasattr(driver, "rights")
        ]
        return [row for rows in found for row in rows]

    def manifests(self, kinds: Sequence[str]) -> list[Document]:
        """Return the manifests that these faults need, of each driver that writes some."""
        found = [
            driver.manifests(chosen)
            for name, driver in self._drivers.items()
            if hasattr(driver, "manifests")
            and (chosen := [kind for kind in kinds if kind.startswith(f"{name}.")])
        ]
        return [document for documents in found for document in documents]

    def owned(self) -> list[Owned]:
        """Return the faults of every driver that exist there now."""
        return [each for driver in self._drivers.values() for each in driver.owned()]
