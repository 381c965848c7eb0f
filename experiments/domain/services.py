"""The description of a service: whose it is, where help is written down, and what it is known by.

``read`` is the only way in, for form, API and OpenSLO alike; it reports every error at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError, field_validator

from experiments.domain import json_types, nearest, rules
from experiments.domain.errors import Path, SpecError, from_pydantic
from experiments.domain.slis import Name, Part, ServiceSli

RESERVED = frozenset({"import", "new"})
"""Names that are addresses of their own beside the services'."""
MOST_SLIS = 50

Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+\S*$", max_length=500)]
Line = Annotated[str, Field(max_length=200)]


class Dashboard(Part):
    """A page that shows how the service is."""

    title: Line = ""
    url: Address


class Place(Part):
    """Where the service lives in one environment, in words, and how its parts are labelled."""

    where: str = Field(default="", max_length=500)
    labels: dict[str, Line] = Field(default_factory=dict, max_length=20)


class Description(Part):
    """A whole service."""

    name: Name
    title: Line = ""
    description: str = Field(default="", max_length=10_000)
    owner: Line = ""
    contact: Line = ""
    runbook: Address | None = None
    dashboards: tuple[Dashboard, ...] = Field(default=(), max_length=20)
    places: dict[str, Place] = Field(default_factory=dict, max_length=200)
    slis: tuple[ServiceSli, ...] = Field(default=(), max_length=MOST_SLIS)

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError(f"“{value}” is an address of ChaosWeb itself; choose another name")
        return value

    @field_validator("runbook", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "" else value


def read(
    raw: Any, *, environments: Collection[str]
) -> tuple[Description | None, tuple[SpecError, ...]]:
    """Return the description, or every error; never both.

    Args:
        raw: JSON types.
        environments: the names of those there are, which ``places`` may name.
    """
    if not isinstance(raw, Mapping):
        return None, (SpecError((), "a service must be a mapping of fields"),)
    unreadable = json_types.problems(raw)
    if unreadable:
        return None, tuple(unreadable)
    found: Description | None = None
    errors: list[SpecError] = []
    try:
        found = Description.model_validate(raw)
    except ValidationError as error:
        errors += from_pydantic(error, hint=_hint)
    told = [*rules.check_measures(raw), *_parameters(raw), *_places(raw, environments)]
    # A rule knows more than a type does: where both speak of one place, the rule is heard.
    places = {error.path for error in told}
    errors = [error for error in errors if error.path not in places] + told
    unique = sorted(set(errors), key=lambda error: [str(part) for part in error.path])
    return (None, tuple(unique)) if unique or found is None else (found, ())


def sli_to_json(sli: ServiceSli) -> dict[str, Any]:
    """Return an SLI as its service keeps it: what was said of it, and no more."""
    return sli.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _hint(path: Path) -> str:
    return nearest.hint(str(path[-1]), nearest.fields(Description, path[:-1]))


def _parameters(raw: Mapping[str, Any]) -> Iterator[SpecError]:
    """Yield every ``${…}``: parameters are an experiment's, and a service's SLI serves many."""
    slis = raw.get("slis")
    waiting: list[tuple[Any, Path]] = [(slis if isinstance(slis, list) else [], ("slis",))]
    while waiting:
        node, path = waiting.pop()
        if isinstance(node, Mapping):
            waiting += [(value, (*path, str(key))) for key, value in node.items()]
        elif isinstance(node, list | tuple):
            waiting += [(value, (*path, index)) for index, value in enumerate(node)]
        elif isinstance(node, str) and "${" in node:
            yield SpecError(path, "holds ${…}, but a service has no parameters: write the value")


def _places(raw: Mapping[str, Any], environments: Collection[str]) -> Iterator[SpecError]:
    places = raw.get("places")
    for name in places if isinstance(places, Mapping) else ():
        if name not in environments:
            hint = nearest.hint(str(name), environments)
            told = f"there is no environment “{name}”"
            yield SpecError(("places", name), f"{told}; {hint}" if hint else told)
