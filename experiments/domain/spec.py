"""The experiment document: one typed model for forms, API, YAML editor, importers and engine.

``parse`` is the only way in. It reports every error at once; there is no second validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from drivers.protocol import FaultParams
from experiments.domain import json_types, nearest, rules, secrets, uses
from experiments.domain import parameters as params
from experiments.domain import schema as for_editors
from experiments.domain.errors import InvalidDocumentError, Path, SpecError, from_pydantic
from experiments.domain.method import (
    Action,
    Checkpoint,
    FaultAction,
    Guardrail,
    Probe,
    Timing,
    Wait,
)
from experiments.domain.slis import Name, Part, Sli

Catalogue = Mapping[str, type[FaultParams]]
API_VERSION: Literal["chaosweb/v1"] = "chaosweb/v1"
_VERSION = re.compile(r"chaosweb/v(\d{1,9})(?:[a-z]+\d{0,9})?")
_NEWEST = 1
MOST_ERRORS = 300


RESERVED = frozenset({"export", "import", "new", "preview", "row", "suggest", "validate"})
"""Names that are addresses of their own beside the experiments'."""


class Metadata(Part):
    """What the experiment is called, and whose it is."""

    name: Name
    title: str = Field(default="", max_length=200)
    description: str = ""
    service: str = Field(default="", max_length=63)
    tags: tuple[Name, ...] = ()

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError(f"“{value}” is an address of ChaosWeb itself; choose another name")
        return value


class Experiment(Part):
    """A whole experiment, its parameters' values written in."""

    api_version: Literal["chaosweb/v1"] = Field(alias="apiVersion")
    kind: Literal["Experiment"]
    metadata: Metadata
    hypothesis: str = Field(min_length=1)
    parameters: dict[str, params.Parameter] = Field(default_factory=dict)
    slis: tuple[Sli, ...] = Field(default=(), max_length=50)
    probes: tuple[Probe, ...] = Field(default=(), max_length=20)
    timing: Timing = Timing()
    method: tuple[Action, ...] = Field(min_length=1, max_length=100)
    guardrails: tuple[Guardrail, ...] = Field(default=(), max_length=50)

    @property
    def title(self) -> str:
        """Return what pages call it."""
        return self.metadata.title or self.metadata.name

    @property
    def faults(self) -> tuple[FaultAction, ...]:
        """Return the actions that inject."""
        return tuple(action for action in self.method if isinstance(action, FaultAction))

    def sli(self, name: str) -> Sli:
        """Return the SLI of that name. Raises KeyError."""
        for sli in self.slis:
            if sli.name == name:
                return sli
        raise KeyError(name)

    def watched(self, guardrail: Guardrail) -> Sli:
        """Return what the guardrail watches: an SLI, or its own PromQL as one. Raises KeyError."""
        if guardrail.promql is None:
            return self.sli(guardrail.sli or "")
        return Sli(
            name=guardrail.name,
            source=guardrail.source,
            value=guardrail.promql,
            unit=guardrail.unit or None,
        )

    @property
    def measures(self) -> tuple[Sli, ...]:
        """Return everything that is read while a run goes on: SLIs, and guardrails' own PromQL."""
        return (*self.slis, *self.own_measures)

    @property
    def own_measures(self) -> tuple[Sli, ...]:
        """Return what guardrails watch that is no SLI: their own PromQL."""
        return tuple(self.watched(each) for each in self.guardrails if each.promql is not None)

    @property
    def aliases(self) -> frozenset[str]:
        """Return the connections that the document names."""
        sources = {sli.source for sli in self.measures}
        sources |= {probe.promql.source for probe in self.probes if probe.promql}
        return frozenset(sources | {action.via for action in self.faults})


@dataclass(frozen=True, slots=True)
class Parsed:
    """The outcome of ``parse``: a spec, or errors; never both."""

    spec: Experiment | None
    errors: tuple[SpecError, ...]

    def or_raise(self) -> Experiment:
        """Return the spec. Raises InvalidDocumentError with every error."""
        if self.spec is None:
            raise InvalidDocumentError(self.errors)
        return self.spec


_TAGS = frozenset({"fault", "checkpoint", "wait"})


def _tidy(path: Path) -> Path:
    """Drop what pydantic adds to a path: the tag of a method's action, a bare baseline's field."""
    if len(path) > 2 and path[0] == "method" and path[2] in _TAGS:
        path = (*path[:2], *path[3:])
    if path[:3] == ("timing", "baseline", "length"):
        path = path[:2]
    return path


def parse(
    raw: Any,
    *,
    faults: Catalogue,
    values: Mapping[str, Any] | None = None,
    named: uses.Named = uses.NOTHING,
) -> Parsed:
    """Read a raw document (JSON types) and report every error at once.

    Args:
        raw: what JSON or YAML gave.
        faults: every fault model by kind, from ``backends``.
        values: values of parameters (environment's and launch's); None checks the document as it
            stands, with defaults, and a sample of its type for a parameter that has none.
        named: the SLIs of services, for every ``use`` that has no copy beside it yet.
    """
    if not isinstance(raw, Mapping):
        return Parsed(None, (SpecError((), "the document must be a mapping of fields"),))
    unreadable = json_types.problems(raw)
    if unreadable:
        return Parsed(None, tuple(unreadable))
    newer = _newer(raw.get("apiVersion"))
    if newer:
        # What a later version means by its fields is not for this one to call wrong.
        return Parsed(None, (newer,))
    raw, unfollowed = uses.resolve(raw, named)
    raw = uses.written_in(raw)
    declared, errors = params.declared(raw.get("parameters"))
    errors += unfollowed
    settled, missing = params.settle(declared, values or {})
    if values is not None:
        errors += missing
    names = raw.get("parameters")
    known = frozenset(map(str, names)) if isinstance(names, Mapping) else frozenset()
    unset = frozenset(declared) - frozenset(settled) if values is None else frozenset()
    samples = {name: params.SAMPLES[declared[name].type] for name in unset}
    resolved, unknown = params.substitute(raw, {**settled, **samples}, known)
    errors += unknown
    spec: Experiment | None = None
    try:
        spec = Experiment.model_validate(resolved, context={"faults": faults})
    except ValidationError as error:
        # A reference to nothing is one error, not also a value of the wrong type.
        open_places = {found.path for found in (*unknown, *unfollowed)}
        told_of = from_pydantic(error, hint=lambda path: _hint(path, resolved, faults))
        typed = [SpecError(_tidy(found.path), found.message) for found in told_of]
        errors += [found for found in typed if found.path not in open_places]
    misplaced = secrets.misplaced(resolved)
    said = {error.path for error in misplaced}
    told = [*misplaced, *(error for error in rules.check(resolved) if error.path not in said)]
    # A rule knows more than a type does: where both speak of one place, the rule is heard.
    places = {error.path for error in told}
    errors = [error for error in errors if error.path not in places] + told
    # Where a sample does not fit, a value may: without one nobody can tell.
    errors = [
        _wants_default(error) if _waits(raw, error.path, unset) else error for error in errors
    ]
    unique = sorted(set(errors), key=lambda error: [str(part) for part in error.path])
    return Parsed(None, _told(unique)) if unique or spec is None else Parsed(spec, ())


def _told(errors: list[SpecError]) -> tuple[SpecError, ...]:
    """Return the errors; of more than anybody reads, the first and how many more there are."""
    if len(errors) <= MOST_ERRORS:
        return tuple(errors)
    more = SpecError((), f"has {len(errors) - MOST_ERRORS} more errors")
    return (*errors[:MOST_ERRORS], more)


def _newer(version: Any) -> SpecError | None:
    """Return the error of a document that a later ChaosWeb has written."""
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None or int(match[1]) <= _NEWEST:
        return None
    message = f"“{version}” is newer than this ChaosWeb reads ({API_VERSION})"
    return SpecError(("apiVersion",), message)


def _hint(path: Path, raw: Mapping[str, Any], faults: Catalogue) -> str:
    """Say what an unknown field at pydantic's path was probably meant to be."""
    inside, known = path[:-1], []
    if path[0] == "method" and path[2:4] == ("fault", "with"):
        model = faults.get(str(raw["method"][path[1]]["fault"]))
        known = nearest.fields(model, inside[4:]) if model else []
    else:
        known = nearest.fields(Experiment, inside)
    return nearest.hint(str(path[-1]), [each for each in known if each != uses.COPY])


def _wants_default(error: SpecError) -> SpecError:
    return SpecError(error.path, "cannot be checked: give its parameter a default that fits here")


def _waits(raw: Any, path: Path, unset: frozenset[str]) -> bool:
    node: Any = raw
    for part in path:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(node, str) and any(name in unset for name in params.REFERENCE.findall(node))


def json_schema(faults: Catalogue) -> dict[str, Any]:
    """Return the JSON Schema of the document, each fault's ``with`` written out."""
    pure = TypeAdapter(Experiment).json_schema(by_alias=True)
    definitions = pure["$defs"]
    # Nobody writes a copy: saving makes it.
    del definitions["Sli"]["properties"][uses.COPY]
    branches = []
    for kind, model in sorted(faults.items()):
        made = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(made.pop("$defs", {}))
        name = f"with.{kind}"
        definitions[name] = made
        branches.append(
            {
                "if": {"properties": {"fault": {"const": kind}}, "required": ["fault"]},
                "then": {"properties": {"with": {"$ref": f"#/$defs/{name}"}}},
            }
        )
    action = definitions["FaultAction"]
    action["properties"]["fault"]["enum"] = sorted(faults)
    action["allOf"] = branches
    schema = for_editors.taken(pure)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "ChaosWeb experiment"
    schema["description"] = (
        "What is broken on purpose, what is watched meanwhile, and what the team expects to see."
    )
    return schema


__all__ = [
    "API_VERSION",
    "Checkpoint",
    "Experiment",
    "FaultAction",
    "Metadata",
    "Parsed",
    "Wait",
    "json_schema",
    "parse",
]
