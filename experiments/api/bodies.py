"""Reads what callers send, once, into typed objects; every error of a body is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request

from experiments.domain import json_types, text, uses
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Environment, Experiment, ExperimentVersion, Run

_KEY_LENGTH = 64
_KEY_HINT = (
    "is missing: send a text of your own making (a UUID, a build's number) as the header "
    "Idempotency-Key or the field idempotency_key; sent twice, it starts one run, not two"
)


class Fields:
    """Takes the fields of a body one by one and remembers every error."""

    def __init__(self, body: Any, known: tuple[str, ...]) -> None:
        """Raise InvalidDocumentError for a body that is no object, or that cannot be kept."""
        unkept = (
            json_types.problems(body) if isinstance(body, Mapping) else [SpecError((), _NO_OBJECT)]
        )
        if unkept:
            raise InvalidDocumentError(unkept)
        self._body = body
        there = ", ".join(known)
        self.errors = [
            SpecError((name,), f"is not a field here; there are {there}")
            for name in body
            if name not in known
        ]

    def refuse(self, name: str, message: str) -> None:
        """Remember an error of a field."""
        self.errors.append(SpecError((name,), message))

    def text(self, name: str, *, most: int = 200, missing: str = "") -> str:
        """Return a text; empty when it is absent, which is an error if ``missing`` says one."""
        value = self._body.get(name)
        if value is None or value == "":
            if missing:
                self.refuse(name, missing)
            return ""
        if not isinstance(value, str):
            self.refuse(name, "must be a text")
            return ""
        if len(value) > most:
            self.refuse(name, f"is longer than {most} characters")
            return ""
        return value

    def number(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self._body.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.refuse(name, "must be a whole number")
        return None

    def flag(self, name: str) -> bool:
        """Return a yes or a no; no when it is absent."""
        value = self._body.get(name, False)
        if isinstance(value, bool):
            return value
        self.refuse(name, "must be true or false")
        return False

    def mapping(self, name: str) -> dict[str, Any] | None:
        """Return a mapping, or None."""
        value = self._body.get(name)
        if value is None or isinstance(value, dict):
            return value
        self.refuse(name, "must be a mapping of names to values")
        return None

    def environment(self, *, missing: str = "") -> Environment | None:
        """Return the environment that the body names, or None."""
        name = self.text("environment", missing=missing)
        found = Environment.objects.filter(name=name).first() if name else None
        if name and found is None:
            self.refuse("environment", f"there is no environment “{name}”")
        return found

    def close(self) -> None:
        """Raise InvalidDocumentError if there was any error."""
        if self.errors:
            raise InvalidDocumentError(self.errors)


_NO_OBJECT = "the body must be a JSON object"


@dataclass(frozen=True, slots=True)
class DocumentBody:
    """A document, as JSON types or as the author's YAML, and what was said beside it."""

    document: Any
    text: str | None
    message: str
    environment: Environment | None
    parameters: dict[str, Any] | None

    def read(self) -> Any:
        """Return the document's JSON types, as its author writes it: without copies of SLIs.

        Raises InvalidDocumentError with every error.
        """
        if self.text is not None:
            return uses.bare(text.read(self.text))
        unkept = json_types.problems(self.document)
        if unkept:
            raise InvalidDocumentError(unkept)
        return uses.bare(self.document)


def read_document(request: Request) -> DocumentBody:
    """Read a document: bare, or in ``{"document": …}`` or ``{"text": yaml}`` with what goes along.

    ``message``, ``environment`` and ``parameters`` stand beside document or text; the first two may
    be in the address's query instead, which is the only place for them beside a bare document.
    """
    body: Any = request.data
    asked = {key: request.query_params[key] for key in _ASKED if key in request.query_params}
    is_wrapped = isinstance(body, Mapping) and ("text" in body or "document" in body)
    beside = {**asked, **body} if is_wrapped else asked
    document = beside.pop("document", None) if is_wrapped else body
    written = beside.pop("text", None)
    fields = Fields(beside, (*_ASKED, "parameters"))
    if is_wrapped and (document is None) == (written is None):
        fields.refuse("document", "needs either document or text")
    if written is not None and not isinstance(written, str):
        fields.refuse("text", "must be a text: the document as YAML")
    made = DocumentBody(
        document=document,
        text=written,
        message=fields.text("message"),
        environment=fields.environment(),
        parameters=fields.mapping("parameters"),
    )
    fields.close()
    return made


_ASKED = ("environment", "message")


@dataclass(frozen=True, slots=True)
class RunBody:
    """A run that somebody asks for."""

    version: ExperimentVersion
    is_version_named: bool
    environment: Environment
    parameters: dict[str, Any]
    key: str
    is_loss_accepted: bool

    def is_of(self, run: Run) -> bool:
        """Return whether the run may be what the same request started earlier."""
        same_plan = (
            run.version_id == self.version.pk
            if self.is_version_named
            else run.version.experiment_id == self.version.experiment_id
        )
        same_values = all(
            run.parameters.get(key) == self.parameters[key] for key in self.parameters
        )
        return same_plan and run.environment_id == self.environment.pk and same_values


def read_run(request: Request) -> RunBody:
    """Read the request for a run. Raises InvalidDocumentError with every error."""
    known = (
        "experiment",
        "version",
        "environment",
        "parameters",
        "idempotency_key",
        "confirm_irreversible",
    )
    body: Any = request.data
    header = request.headers.get("Idempotency-Key", "")
    if header and isinstance(body, Mapping):
        body = {**body, "idempotency_key": header}
    fields = Fields(body, known)
    name = fields.text("experiment", missing="is missing: the name of an experiment")
    number = fields.number("version")
    experiment = Experiment.objects.filter(name=name).first() if name else None
    version = None
    if name and experiment is None:
        fields.refuse("experiment", f"there is no experiment “{name}”")
    if experiment is not None:
        versions = experiment.versions.all()
        version = (versions if number is None else versions.filter(number=number)).first()
        if version is None:
            fields.refuse("version", f"{name} has no version {number}")
    environment = fields.environment(missing="is missing: the name of an environment")
    parameters = fields.mapping("parameters")
    key = fields.text("idempotency_key", most=_KEY_LENGTH, missing=_KEY_HINT)
    is_loss_accepted = fields.flag("confirm_irreversible")
    fields.close()
    assert version is not None  # noqa: S101 — closed above
    assert environment is not None  # noqa: S101 — closed above
    named = number is not None
    return RunBody(version, named, environment, parameters or {}, key, is_loss_accepted)
