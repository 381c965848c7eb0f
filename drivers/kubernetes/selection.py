"""Which pods a fault is for, and how many of them: the parameters that several faults share."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONG_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

Mode = Literal["one", "all", "fixed", "fixed_percent"]


def refuse(message: str) -> PydanticCustomError:
    """Return an error for pydantic that says exactly this."""
    return PydanticCustomError("kubernetes", "{reason}", {"reason": message})


def check_namespace(value: str) -> str:
    """Return the name of a namespace. Raises what pydantic shows."""
    if not _NAME.fullmatch(value):
        raise refuse(f"“{value}” is no namespace: small letters, digits and -, at most 63")
    return value


def check_name(value: str) -> str:
    """Return the name of an object. Raises what pydantic shows."""
    if not _LONG_NAME.fullmatch(value):
        raise refuse(f"“{value}” is no name: small letters, digits, - and ., at most 253")
    return value


def _check_labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not _LABEL_KEY.fullmatch(key):
            raise refuse(f"“{key}” is no label; write for example app or example.com/app")
        if not _LABEL_VALUE.fullmatch(text):
            raise refuse(
                f"“{text}” is no value of a label: letters, digits, -, _ and ., at most 63"
            )
    return value


Namespace = Annotated[
    str,
    AfterValidator(check_namespace),
    Field(
        title="Namespace",
        description="Where it is. The connection must allow it.",
        examples=["shop"],
        json_schema_extra={"suggest": "namespaces"},
    ),
]

Labels = Annotated[
    dict[str, str],
    AfterValidator(_check_labels),
    Field(
        title="Labels",
        description="Pods that have every one of these.",
        examples=[{"app": "web"}],
        json_schema_extra={"suggest": "pod_labels"},
    ),
]

PodNames = Annotated[
    list[Annotated[str, AfterValidator(check_name)]],
    Field(
        title="Pods",
        description="Only these, by name. Names of pods change when they are replaced.",
        examples=[["web-0"]],
        json_schema_extra={"suggest": "pods"},
    ),
]


class PodSelection(BaseModel):
    """Pods of one namespace, by labels or by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Namespace
    labels: Labels = {}
    pods: PodNames = []
    whole_namespace: bool = Field(
        default=False,
        title="Every pod of the namespace",
        description="Has to be said: without labels and names, everything there is meant.",
    )

    @model_validator(mode="after")
    def _is_meant(self) -> Self:
        if not (self.labels or self.pods or self.whole_namespace):
            raise refuse(
                "selects every pod of the namespace; give labels or names, or say that "
                "the whole namespace is meant"
            )
        if self.whole_namespace and (self.labels or self.pods):
            raise refuse("selects the whole namespace and only a part of it; leave one out")
        return self

    @property
    def query(self) -> str:
        """Return the label selector as the API server takes it; empty for none."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.labels.items()))

    def __str__(self) -> str:
        if self.whole_namespace:
            return f"the namespace {self.namespace}"
        named = [*(f"{key}={value}" for key, value in self.labels.items()), *self.pods]
        return f"{', '.join(named)} in {self.namespace}"


Selector = Annotated[
    PodSelection,
    Field(
        title="Pods",
        description="Which pods it is for.",
        examples=[{"namespace": "shop", "labels": {"app": "web"}}],
    ),
]

ModeField = Annotated[
    Mode,
    Field(
        title="How many",
        description="Of the pods that match when the fault begins; chosen by chance.",
        json_schema_extra={
            "enum_labels": {
                "one": "one of them",
                "all": "all of them",
                "fixed": "a number of them",
                "fixed_percent": "a percentage of them",
            }
        },
    ),
]

Value = Annotated[
    int | None,
    Field(
        title="Number or percentage",
        description="Of a number: at least 1. Of a percentage: 1 to 100, rounded up.",
        ge=1,
        le=10_000,
        json_schema_extra={"shown_when": {"mode": ["fixed", "fixed_percent"]}},
    ),
]


def check_value(mode: Mode, value: int | None) -> None:
    """Raise what pydantic shows unless the value belongs to the mode."""
    if mode in ("one", "all"):
        if value is not None:
            raise refuse(f"“{mode}” takes no number; leave value out")
        return
    if value is None:
        raise refuse(f"“{mode}” needs a value, for example {'2' if mode == 'fixed' else '50'}")
    if mode == "fixed_percent" and value > 100:
        raise refuse(f"{value} is more than 100 %")


def count(mode: Mode, value: int | None, matching: int) -> int:
    """Return how many of the matching pods are meant; a percentage is rounded up."""
    if mode == "all":
        return matching
    if mode == "one":
        return min(1, matching)
    if mode == "fixed":
        return min(value or 0, matching)
    return -(-matching * (value or 0) // 100)


def said(mode: Mode, value: int | None) -> str:
    """Say how many, as a sentence has it: “one pod”, “50 % of the pods”."""
    if mode == "fixed":
        return f"{value} pod{'' if value == 1 else 's'}"
    return {"one": "one pod", "all": "every pod"}.get(mode, f"{value} % of the pods")
