"""Whom a fault hits: modes and targets; and what all faults of Chaos Mesh share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from drivers.chaosmesh.selector import Selector, joined
from drivers.chaosmesh.values import (
    INT32,
    Container,
    ObjectName,
    distinct,
    rare,
    refuse,
    shown_when,
)
from drivers.chaosmesh.wire import COUNT, LIST, Part, Wire, starting_point
from drivers.protocol import FaultParams

API_VERSION = "chaos-mesh.org/v1alpha1"
DEAD_MAN_S = 30.0
"""How long after its own duration Chaos Mesh ends a fault that nobody recovered."""

DAEMON = (
    "Chaos Mesh 2.8 with its chaos-daemon on the node of each pod, and permission to create {}."
)
CONTROLLER = "Chaos Mesh 2.8, and permission to create {}."

_ModeName = Literal["one", "all", "fixed", "fixed-percent", "random-max-percent"]
_COUNTED = ("fixed", "fixed-percent", "random-max-percent")


def _fits(value: int | None, info: ValidationInfo) -> int | None:
    mode = info.data.get("mode")
    if mode in _COUNTED and value is None:
        raise refuse("value", f"is missing: the mode {mode} needs how many")
    if mode in ("one", "all") and value is not None:
        raise refuse("value", f"has no meaning with the mode {mode}; leave it out")
    if mode in _COUNTED[1:] and value is not None and value > 100:
        raise refuse("value", f"must be a whole percentage from 1 to 100, not {value}")
    return value


Mode = Annotated[
    _ModeName,
    Wire("mode"),
    Field(
        title="How many",
        description="How many of those that match are hit. Chosen once, when the fault begins.",
        json_schema_extra={
            "enum_labels": {
                "one": "one, at random",
                "all": "all of them",
                "fixed": "a number of them",
                "fixed-percent": "a percentage of them",
                "random-max-percent": "a random percentage, possibly none",
            }
        },
    ),
]
Value = Annotated[
    Annotated[int, Field(ge=1, le=INT32)] | None,
    AfterValidator(_fits),
    Wire("value", COUNT),
    Field(
        title="Number or percentage",
        description="How many for a number; from 1 to 100 for a percentage.",
        examples=[2, 50],
        json_schema_extra=shown_when("mode", *_COUNTED),
    ),
]


def counted(mode: str, value: int | None, what: str, which: str) -> str:
    """Return how many of what: “one pod of app=web in shop”, “50% of the pods of …”."""
    plural = f"{what}s {which}"
    return {
        "one": f"one {what} {which}",
        "all": f"every {what} {which}",
        "fixed": f"{value} {what if value == 1 else what + 's'} {which}",
        "fixed-percent": f"{value}% of the {plural}",
        "random-max-percent": f"up to {value}% of the {plural}",
    }[mode]


def pods_in_words(selector: Selector, mode: str, value: int | None) -> str:
    """Return the pods that are hit: “one pod of app=web in shop”."""
    is_plain = selector.whole_namespace and not selector.phases
    return counted(mode, value, "pod", f"{'in' if is_plain else 'of'} {selector.words()}")


class Target(Part):
    """The other side of the network: which pods, and how many of them."""

    selector: Annotated[
        Selector, Wire("selector"), Field(title="Pods", description="Which pods on the other side.")
    ]
    mode: Mode = "all"
    value: Value = None

    def words(self) -> str:
        """Return the pods of the other side."""
        return pods_in_words(self.selector, self.mode, self.value)


def _with_example(schema: dict[str, Any], model: type[BaseModel]) -> None:
    schema["examples"] = [starting_point(model)]


class ChaosFault(FaultParams):
    """One action of one kind of Chaos Mesh."""

    model_config = ConfigDict(json_schema_extra=_with_example)

    example: ClassVar[Mapping[str, Any]] = {}
    """What to start from, beside the examples of the fields that must be there."""
    resource: ClassVar[str]
    """The kind of the object, ``NetworkChaos``."""
    action: ClassVar[str] = ""
    """``spec.action``; empty for kinds that have none."""
    constants: ClassVar[Mapping[str, Any]] = {}
    """What every object of this fault says, by the dotted path in its spec."""
    dead_man_s: ClassVar[float | None] = DEAD_MAN_S
    dead_man_after_duration: ClassVar[bool] = True
    is_one_shot: ClassVar[bool] = False
    """Whether it happens once: Chaos Mesh does not recover it and ignores its duration."""

    remote_cluster: Annotated[
        ObjectName | None,
        Wire("remoteCluster"),
        Field(
            title="Remote cluster",
            description="The RemoteCluster that the fault is for. Empty: the cluster itself.",
            examples=["cluster-eu"],
            json_schema_extra=rare(),
        ),
    ] = None

    @classmethod
    def plural(cls) -> str:
        """Return the kind as addresses of the API have it."""
        return cls.resource.lower()

    def whom(self) -> str:
        """Return whom it hits, in words."""
        raise NotImplementedError  # abstract: each scope says its own


class PodFault(ChaosFault):
    """A fault of whole pods."""

    example: ClassVar[Mapping[str, Any]] = {"mode": "one"}

    selector: Annotated[
        Selector, Wire("selector"), Field(title="Pods", description="Which pods may be hit.")
    ]
    mode: Mode = "one"
    value: Value = None

    def whom(self) -> str:
        """Return the pods in words: “one pod of app=web in shop”."""
        return pods_in_words(self.selector, self.mode, self.value)


class ContainerFault(PodFault):
    """A fault of containers of pods."""

    containers: Annotated[
        tuple[Container, ...],
        AfterValidator(distinct),
        Wire("containerNames", LIST),
        Field(
            title="Containers",
            description="Names of the containers. None: the first container of each pod.",
            examples=[["web"]],
            json_schema_extra={"suggest": "pod_containers"},
        ),
    ] = ()

    def whom(self) -> str:
        """Return the containers in words: “container web of one pod of app=web in shop”."""
        which = super().whom()
        if not self.containers:
            return f"the first container of {which}"
        many = "s" if len(self.containers) > 1 else ""
        return f"container{many} {joined(self.containers)} of {which}"
