"""Experiments in and out of ChaosWeb, and what a draft would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, cast

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import errors, exchange_shapes, shapes
from experiments.api.base import ApiView, one, person
from experiments.api.bodies import read_document
from experiments.api.parsing import JsonParser, OldYamlParser, YamlParser
from experiments.domain.errors import InvalidDocumentError, SpecError
from experiments.models import Experiment, ExperimentVersion
from experiments.services import exporting, importing, people, previewing
from experiments.services.importing import OnConflict, Report, Upload

_CODES = {
    (True, True): status.HTTP_201_CREATED,
    (True, False): status.HTTP_200_OK,
    (False, True): status.HTTP_207_MULTI_STATUS,
    (False, False): status.HTTP_400_BAD_REQUEST,
}
"""By whether every file is fine, and whether anything was stored."""
_YES = {"": False, "no": False, "false": False, "0": False, "yes": True, "true": True, "1": True}


class BytesParser(BaseParser):
    """Takes any body as it is: what it holds is for the importers to say."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, bytes]:
        """Return the body, unread."""
        return {"body": stream.read()}


class YamlRenderer(BaseRenderer):
    """Answers a text as YAML."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(
        self,
        data: str,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the text as it is."""
        return data.encode()


class JsonTextRenderer(YamlRenderer):
    """Answers a text that is JSON already."""

    media_type = "application/json"
    format = "json"


class ChaosMeshRenderer(YamlRenderer):
    """Answers manifests of Chaos Mesh, which are YAML too."""

    format = "chaosmesh"


class Import(ApiView):
    """Files with experiments, or one such file as the body."""

    parser_classes = (MultiPartParser, BytesParser)

    @extend_schema(
        operation_id="experiment_import",
        parameters=[
            OpenApiParameter("check", bool, description="Only say what there is; store nothing."),
            OpenApiParameter(
                "on_conflict",
                str,
                enum=importing.ON_CONFLICT,
                description="A name that exists: make its next version, or refuse it.",
            ),
            OpenApiParameter("file", str, description="The file's name, for a bare body."),
        ],
        request={
            "multipart/form-data": exchange_shapes.FilesShape,
            "application/yaml": OpenApiTypes.STR,
            "application/json": OpenApiTypes.OBJECT,
        },
        responses={
            200: exchange_shapes.ImportShape,
            201: exchange_shapes.ImportShape,
            207: exchange_shapes.ImportShape,
            400: exchange_shapes.ImportShape,
            403: shapes.DetailShape,
        },
    )
    def post(self, request: Request) -> Response:
        """Store every experiment without errors; report what was kept, changed, lost and wrong.

        201: everything is stored. 200: there was nothing new, or it was only checked. 207: some
        are stored, others have errors. 400: nothing is stored.
        """
        is_check, on_conflict = _asked(request)
        if is_check:
            reports = importing.check(_uploads(request), on_conflict=on_conflict)
            return _told(reports, status.HTTP_200_OK)
        user = person(request)
        people.require(user, "author_experiment", "write experiments")
        reports = importing.store(_uploads(request), user=user, on_conflict=on_conflict)
        is_fine = all(report.is_fine for report in reports)
        is_stored = any(found.is_stored for report in reports for found in report.experiments)
        return _told(reports, _CODES[is_fine, is_stored])


def _told(reports: list[Report], code: int) -> Response:
    return Response({"files": [report.to_json() for report in reports]}, code)


def _asked(request: Request) -> tuple[bool, OnConflict]:
    """Return whether only to check, and what to do with names that exist."""
    check = request.query_params.get("check", "no").lower()
    on_conflict = request.query_params.get("on_conflict", "version")
    wrong = []
    if check not in _YES:
        wrong.append(SpecError(("check",), "must be yes or no"))
    if on_conflict not in importing.ON_CONFLICT:
        wrong.append(SpecError(("on_conflict",), "must be version or refuse"))
    if wrong:
        raise InvalidDocumentError(wrong)
    return _YES[check], cast(OnConflict, on_conflict)


def _uploads(request: Request) -> list[Upload]:
    """Return what was sent. Raises InvalidDocumentError where that is nothing."""
    sent: Any = request.data
    body = sent.get("body")
    if isinstance(body, bytes):
        return [Upload(request.query_params.get("file", "") or "body", body)]
    most = importing.MAX_BYTES + 1
    files = [file for _, each in request.FILES.lists() for file in each]
    if not files:
        told = "is missing: send files as multipart/form-data, or a document as the body"
        raise InvalidDocumentError([SpecError(("file",), told)])
    return [Upload(file.name or "a file", file.read(most)) for file in files]


_FILES: dict[Any, Any] = {
    (200, "application/yaml"): OpenApiTypes.STR,
    (200, "application/json"): OpenApiTypes.OBJECT,
    404: shapes.DetailShape,
}


class ExportView(ApiView):
    """An address that answers files, as YAML unless ``format`` or Accept says JSON.

    ``format=chaosmesh`` answers the faults of Chaos Mesh alone, as manifests.
    """

    renderer_classes = (YamlRenderer, JsonTextRenderer, ChaosMeshRenderer)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Answer errors in JSON, whatever was asked for."""
        if getattr(response, "exception", False):
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)

    def answer(
        self, request: Request, versions: list[ExperimentVersion], name: str, *, is_list: bool
    ) -> Response:
        """Answer the versions as a file of that name."""
        kind = request.accepted_renderer.format
        if kind == "json":
            body = exporting.as_json(versions, is_list=is_list)
        elif kind == "chaosmesh":
            body = exporting.as_chaosmesh(versions)
        else:
            body = exporting.as_yaml(versions)
        ending = "chaosmesh.yaml" if kind == "chaosmesh" else kind
        return Response(
            body, headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
        )


class Export(ExportView):
    """One experiment as a file."""

    @extend_schema(
        operation_id="experiment_export",
        parameters=[OpenApiParameter("version", int, description="The newest unless told.")],
        responses=_FILES,
    )
    def get(self, request: Request, name: str) -> Response:
        """Answer the version as its author wrote it, or its document as JSON."""
        experiment = one(Experiment.objects.all(), "experiment", name=name)
        number = request.query_params.get("version", "")
        rows = experiment.versions.select_related("experiment")
        if number:
            if not number.isdecimal() or len(number) > 9:
                raise Http404(f"There is no version “{number}”.")
            version = one(rows, "version", number=int(number))
        else:
            newest = rows.first()
            if newest is None:
                raise Http404(f"“{name}” has no version.")
            version = newest
        return self.answer(request, [version], f"{name}.v{version.number}", is_list=False)


class ExportMany(ExportView):
    """Several experiments as one file."""

    @extend_schema(
        operation_id="experiment_export_many",
        parameters=[
            OpenApiParameter(
                "name", str, many=True, description="Which; without any, all but archived ones."
            )
        ],
        responses=_FILES,
    )
    def get(self, request: Request) -> Response:
        """Answer the newest versions: a YAML stream, or a JSON list."""
        versions, missing = exporting.newest(request.query_params.getlist("name"))
        if missing:
            raise Http404(f"There is no experiment “{missing[0]}”.")
        return self.answer(request, versions, "experiments", is_list=True)


class Preview(ApiView):
    """What a draft would do; nothing is stored, and nothing is injected."""

    parser_classes = (JsonParser, YamlParser, OldYamlParser)

    @extend_schema(
        operation_id="experiment_preview",
        parameters=[
            OpenApiParameter("environment", str, description="Where it would run."),
            OpenApiParameter(
                "reach", bool, description="Ask backends and Prometheus there what matches now."
            ),
        ],
        request={"application/json": shapes.DocumentShape, "application/yaml": OpenApiTypes.STR},
        responses={
            200: exchange_shapes.WholePreviewShape,
            400: shapes.ErrorsShape,
            403: shapes.DetailShape,
        },
    )
    def post(self, request: Request) -> Response:
        """Say what would be sent, for how long, under which guardrails, and what is wrong."""
        people.require(person(request), "author_experiment", "write experiments")
        reach = _YES.get(request.query_params.get("reach", "no").lower())
        if reach is None:
            raise InvalidDocumentError([SpecError(("reach",), "must be yes or no")])
        body = read_document(request)
        with errors.of_text(body.text):
            raw = body.read()
            if not isinstance(raw, Mapping):
                told = "the document must be a mapping of fields"
                raise InvalidDocumentError([SpecError((), told)])
        shown = previewing.preview(raw=raw, environment=body.environment, reach=reach)
        answer = dict(exchange_shapes.PreviewShape(shown).data)
        return Response({**answer, "errors": errors.tell(shown.errors, body.text)})
