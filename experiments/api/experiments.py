"""Experiments: checked, written, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError
from django.db.models import Count, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from experiments.api import errors, shapes
from experiments.api.base import ApiView, ListView, one, person
from experiments.api.bodies import DocumentBody, read_document
from experiments.api.parsing import JsonParser, OldYamlParser, YamlParser
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Experiment, ExperimentVersion, User
from experiments.services import authoring, launching, people, querying

_DOCUMENT: dict[str, Any] = {
    "application/json": shapes.DocumentShape,
    "application/yaml": OpenApiTypes.STR,
}
_MESSAGE = OpenApiParameter("message", str, description="Why, in a few words: kept with it.")
_REFUSED: dict[int, Any] = {400: shapes.ErrorsShape, 403: shapes.DetailShape}


class Validate(ApiView):
    """Whether a document is valid; nothing is stored."""

    parser_classes = (JsonParser, YamlParser, OldYamlParser)

    @extend_schema(
        operation_id="experiment_validate",
        parameters=[
            OpenApiParameter("environment", str, description="Check that it fits there, too.")
        ],
        request=_DOCUMENT,
        responses={200: shapes.ValidityShape, **_REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Report every error of the document at once."""
        body = read_document(request)
        try:
            found, notes = _check(body)
        except InvalidDocumentError as error:
            found, notes = list(error.errors), ()
        told = errors.tell(found, body.text)
        answer = {"valid": not found, "errors": told, "notes": list(notes)}
        return Response(answer)


def _check(body: DocumentBody) -> tuple[list[SpecError], tuple[str, ...]]:
    """Return every error, and what could not be checked. Raises InvalidDocumentError."""
    raw = body.read()
    parsed = authoring.validate(raw, values=_values(body, raw))
    found = list(parsed.errors)
    if body.environment is None or not isinstance(raw, dict):
        return found, ()
    if parsed.spec is not None:
        found += launching.fits(parsed.spec, body.environment)
    asked = querying.queries(raw=raw, environment=body.environment)
    told = {error.path for error in found}
    return found + [error for error in asked.errors if error.path not in told], asked.notes


def _values(body: DocumentBody, raw: Any) -> dict[str, Any] | None:
    """Return the values as a launch would take them; None when no parameters were sent."""
    if body.parameters is None:
        return None
    declared = raw.get("parameters") if isinstance(raw, dict) else None
    there = body.environment.parameters if body.environment else {}
    known = declared if isinstance(declared, dict) else {}
    return {**{name: there[name] for name in there if name in known}, **body.parameters}


def _save(request: Request, experiment: Experiment | None) -> ExperimentVersion:
    user = person(request)
    people.require(user, "author_experiment", "write experiments")
    body = read_document(request)
    with errors.of_text(body.text):
        return _stored(body, user, experiment)


def _stored(body: DocumentBody, user: User, experiment: Experiment | None) -> ExperimentVersion:
    raw = body.read()
    if body.environment is not None and isinstance(raw, Mapping):
        unread = querying.queries(raw=raw, environment=body.environment).errors
        if unread:
            told = authoring.validate(raw).errors
            raise InvalidDocumentError([*told, *unread])
    try:
        return authoring.save(
            raw=raw,
            author=user,
            message=body.message,
            experiment=experiment,
            written=body.text,
        )
    except IntegrityError as error:
        raise errors.TakenError from error


def _answer(request: Request, version: ExperimentVersion, code: int) -> Response:
    where = reverse("api_version", args=[version.experiment.name, version.number], request=request)
    return Response(shapes.VersionShape(version).data, code, headers={"Location": where})


def _experiments() -> QuerySet[Experiment]:
    rows = Experiment.objects.select_related("created_by")
    return rows.annotate(version_count=Count("versions"))


class Experiments(ListView):
    """Every experiment."""

    parser_classes = (JsonParser, YamlParser, OldYamlParser)

    @extend_schema(
        operation_id="experiment_list",
        parameters=[
            OpenApiParameter(
                "archived",
                str,
                enum=["no", "yes", "all"],
                description="Archived ones; no if left out.",
            )
        ],
        responses={200: shapes.ExperimentBriefShape(many=True), 400: shapes.DetailShape},
    )
    def get(self, request: Request) -> Response:
        """List the experiments, the one that was changed last first."""
        asked = request.query_params.get("archived", "no")
        if asked not in ("no", "yes", "all"):
            raise ValidationError({"detail": f"archived: “{asked}” is none of no, yes, all."})
        rows = _experiments().order_by("-updated_at", "pk")
        if asked != "all":
            rows = rows.filter(archived_at__isnull=asked == "no")
        return self.page_of(request, rows, shapes.ExperimentBriefShape)

    @extend_schema(
        operation_id="experiment_create",
        parameters=[_MESSAGE],
        request=_DOCUMENT,
        responses={201: shapes.VersionShape, **_REFUSED, 409: shapes.DetailShape},
    )
    def post(self, request: Request) -> Response:
        """Write an experiment: its first version."""
        return _answer(request, _save(request, None), status.HTTP_201_CREATED)


class OneExperiment(ApiView):
    """One experiment."""

    @extend_schema(
        operation_id="experiment_detail",
        responses={200: shapes.ExperimentShape, 404: shapes.DetailShape},
    )
    def get(self, request: Request, name: str) -> Response:
        """Answer the experiment and its newest version."""
        return Response(shapes.ExperimentShape(one(_experiments(), "experiment", name=name)).data)


class Archive(ApiView):
    """An experiment taken out of the list."""

    parser_classes = (JsonParser,)

    @extend_schema(
        operation_id="experiment_archive",
        request=None,
        responses={200: shapes.ExperimentShape, 403: shapes.DetailShape, 404: shapes.DetailShape},
    )
    def post(self, request: Request, name: str) -> Response:
        """Archive the experiment: it is listed and run no more; nothing of it is lost."""
        experiment = one(Experiment.objects.all(), "experiment", name=name)
        authoring.archive(experiment=experiment, user=person(request))
        return Response(shapes.ExperimentShape(one(_experiments(), "experiment", name=name)).data)


class Unarchive(ApiView):
    """An experiment put back into the list."""

    parser_classes = (JsonParser,)

    @extend_schema(
        operation_id="experiment_unarchive",
        request=None,
        responses={200: shapes.ExperimentShape, 403: shapes.DetailShape, 404: shapes.DetailShape},
    )
    def post(self, request: Request, name: str) -> Response:
        """Put the experiment back into the list."""
        experiment = one(Experiment.objects.all(), "experiment", name=name)
        authoring.unarchive(experiment=experiment, user=person(request))
        return Response(shapes.ExperimentShape(one(_experiments(), "experiment", name=name)).data)


class Versions(ListView):
    """The versions of one experiment."""

    parser_classes = (JsonParser, YamlParser, OldYamlParser)

    @extend_schema(
        operation_id="version_list",
        responses={200: shapes.VersionBriefShape(many=True), 404: shapes.DetailShape},
    )
    def get(self, request: Request, name: str) -> Response:
        """List the versions, newest first."""
        experiment = one(Experiment.objects.all(), "experiment", name=name)
        rows = experiment.versions.select_related("author").defer("document", "text")
        return self.page_of(request, rows, shapes.VersionBriefShape)

    @extend_schema(
        operation_id="version_create",
        parameters=[_MESSAGE],
        request=_DOCUMENT,
        responses={
            200: shapes.VersionShape,
            201: shapes.VersionShape,
            **_REFUSED,
            404: shapes.DetailShape,
            409: shapes.DetailShape,
        },
    )
    def post(self, request: Request, name: str) -> Response:
        """Write the next version; 200 with the newest one when nothing has changed."""
        experiment = one(Experiment.objects.all(), "experiment", name=name)
        newest = experiment.versions.first()
        version = _save(request, experiment)
        is_new = newest is None or version.pk != newest.pk
        return _answer(request, version, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class OneVersion(ApiView):
    """One version."""

    @extend_schema(
        operation_id="version_detail",
        responses={200: shapes.VersionShape, 404: shapes.DetailShape},
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        """Answer the version with its document."""
        experiment = one(Experiment.objects.all(), "experiment", name=name)
        rows = experiment.versions.select_related("experiment", "author")
        return Response(shapes.VersionShape(one(rows, "version", number=number)).data)
