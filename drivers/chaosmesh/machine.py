"""PhysicalMachineChaos: which machines a fault hits, and what all those faults share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from drivers.chaosmesh.common import ChaosFault, Mode, Value, counted
from drivers.chaosmesh.selector import Expression, Namespaces, joined
from drivers.chaosmesh.values import (
    Labels,
    distinct,
    is_dns_label,
    is_dns_name,
    rare,
    refuse,
)
from drivers.chaosmesh.wire import ADDRESSES, EXPRESSIONS, MAP, PODS, Part, Wire

_ADDRESS = re.compile(r"(?:https?://)?[A-Za-z0-9.-]+(?::\d{1,5})?/?")
_FIELDS = ("metadata.name", "metadata.namespace", "spec.address")


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        told = f"“{value}” is no address of chaosd; write for example https://10.0.0.5:31768"
        raise refuse("address", told)
    return value if value.startswith(("http://", "https://")) else f"http://{value}"


def _machine(value: str) -> str:
    namespace, _, name = value.partition("/")
    if not is_dns_label(namespace) or not is_dns_name(name):
        raise refuse("machine", f"“{value}” is no PhysicalMachine; write namespace/name")
    return value


def _fields(value: dict[str, str]) -> dict[str, str]:
    for key in value:
        if key not in _FIELDS:
            told = f"“{key}” is no field that machines are selected by: {', '.join(_FIELDS)}"
            raise refuse("field", told)
    return value


class MachineSelector(Part):
    """Which PhysicalMachines may be hit; all that is given must hold."""

    namespaces: Namespaces = ()
    labels: Annotated[
        Labels,
        Wire("labelSelectors", MAP),
        Field(
            title="Labels",
            description="Labels that a PhysicalMachine must have: one a line, key=value.",
            examples=[{"arch": "amd64"}],
        ),
    ] = {}
    whole_namespace: bool = Field(
        default=False,
        title="Every machine of the namespaces",
        description="Say yes where no label narrows the choice and that is meant.",
    )
    expressions: Annotated[
        tuple[Expression, ...],
        Wire("expressionSelectors", EXPRESSIONS),
        Field(
            title="Label expressions",
            description="One a line: tier in (cache, db), env notin (dev), canary, !canary.",
            examples=[["tier in (cache, db)"]],
            json_schema_extra=rare(),
        ),
    ] = ()
    annotations: Annotated[
        Labels,
        Wire("annotationSelectors", MAP),
        Field(
            title="Annotations",
            description="Annotations that a machine must have. Values must fit a label.",
            examples=[{"team": "checkout"}],
            json_schema_extra=rare(),
        ),
    ] = {}
    fields: Annotated[
        dict[str, str],
        AfterValidator(_fields),
        Wire("fieldSelectors", MAP),
        Field(
            title="Fields",
            description=f"Fields that a machine must have, of {', '.join(_FIELDS)}.",
            examples=[{"metadata.name": "db-1"}],
            json_schema_extra=rare(),
        ),
    ] = {}
    machines: Annotated[
        tuple[Annotated[str, AfterValidator(_machine)], ...],
        AfterValidator(distinct),
        Wire("physicalMachines", PODS),
        Field(
            title="Machines by name",
            description="One a line: namespace/name. Then nothing else may select.",
            examples=[["infra/db-1"]],
        ),
    ] = ()

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Self:
        narrows = self.narrowing()
        if self.machines:
            if narrows or self.namespaces or self.whole_namespace:
                told = "names machines, so Chaos Mesh would ignore all else; keep one or the other"
                raise refuse("selector", told)
        elif not self.namespaces:
            raise refuse("selector", "names no namespace, so machines of all of them are meant")
        elif self.whole_namespace == bool(narrows):
            told = (
                f"says every machine of the namespaces, but {', '.join(narrows)} narrow the choice"
                if narrows
                else "selects every machine of its namespaces; add labels, or whole_namespace: true"
            )
            raise refuse("selector", told)
        return self

    def narrowing(self) -> list[str]:
        """Return the names of the fields that select among the machines of the namespaces."""
        named = ("labels", "expressions", "annotations", "fields")
        return [name for name in named if getattr(self, name)]

    def sent(self, made: dict[str, Any]) -> dict[str, Any]:
        """Return the selector; named machines with their namespaces, which are never empty."""
        if not self.machines:
            return made
        return {"namespaces": list(made["physicalMachines"]), **made}

    @classmethod
    def understood(cls, found: dict[str, Any]) -> dict[str, Any]:
        """Return the raw fields that a selector of Chaos Mesh means."""
        if found.get("machines"):
            return {"machines": found["machines"]}
        found = {name: value for name, value in found.items() if value not in ({}, [])}
        if set(found) == {"namespaces"}:
            found["whole_namespace"] = True
        return found

    def words(self) -> str:
        """Return the machines in words: “arch=amd64 in infra”."""
        if self.machines:
            return joined(self.machines)
        wanted = [f"{key}={value}" for key, value in self.labels.items()]
        wanted += self.expressions
        wanted += [f"annotation {key}={value}" for key, value in self.annotations.items()]
        wanted += [f"{key}={value}" for key, value in self.fields.items()]
        where = joined(self.namespaces)
        return f"{', '.join(wanted)} in {where}" if wanted else where


class MachineFault(ChaosFault):
    """A fault that chaosd injects on machines outside of Kubernetes."""

    example: ClassVar[Mapping[str, Any]] = {
        "selector": {"namespaces": ["infra"], "labels": {"arch": "amd64"}},
        "mode": "one",
    }
    needs: ClassVar[str] = (
        "Chaos Mesh 2.8, permission to create PhysicalMachineChaos, and chaosd on each machine, "
        "reached by https with the controller's certificate unless its security mode is off."
    )
    metrics: ClassVar[str] = "What node_exporter and the programs of the machine show."
    resource: ClassVar[str] = "PhysicalMachineChaos"
    inner_duration: ClassVar[str] = ""
    """Where the action's own object repeats the duration; chaosd reads it there."""
    is_inner_in_seconds: ClassVar[bool] = False
    """Whether it is a bare number of seconds there, no Go duration."""

    selector: Annotated[
        MachineSelector | None,
        Wire("selector"),
        Field(title="Machines", description="Which PhysicalMachines may be hit."),
    ] = None
    addresses: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...],
        AfterValidator(distinct),
        Wire("address", ADDRESSES),
        Field(
            title="Addresses",
            description="Of chaosd on each machine, one a line, in place of a selector. An older "
            "way: register PhysicalMachines instead.",
            examples=[["https://10.0.0.5:31768"]],
            json_schema_extra=rare(),
        ),
    ] = ()
    mode: Mode = "one"
    value: Value = None

    @model_validator(mode="after")
    def _hits_somebody(self) -> Self:
        if (self.selector is None) == (not self.addresses):
            told = "needs either a selector of machines or addresses, and not both"
            raise refuse("machines", told)
        return self

    def whom(self) -> str:
        """Return the machines in words: “one machine of arch=amd64 in infra”."""
        if self.selector is None:
            return counted(self.mode, self.value, "machine", f"of {joined(self.addresses)}")
        is_plain = self.selector.whole_namespace
        which = f"{'in' if is_plain else 'of'} {self.selector.words()}"
        return counted(self.mode, self.value, "machine", which)
