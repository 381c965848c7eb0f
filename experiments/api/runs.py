"""Runs: requested, read, stopped, let go on."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from experiments.api import errors, shapes
from experiments.api.base import ApiView, ListView, one, person
from experiments.api.bodies import read_run
from experiments.api.parsing import JsonParser
from experiments.domain.states import Status, Verdict
from experiments.models import Run
from experiments.services import launching, people

_REASON_LENGTH = 500


def _runs() -> QuerySet[Run]:
    return Run.objects.select_related("version__experiment", "environment", "requested_by").defer(
        "version__document", "version__text"
    )


def _whole(pk: int) -> dict[str, Any]:
    run = one(_runs().prefetch_related("injections__connection"), "run", pk=pk)
    return shapes.RunShape(run).data


def _chosen(request: Request) -> dict[str, Any]:
    """Return what the filters ask for. Raises ValidationError for a value that cannot be."""
    found: dict[str, Any] = {}
    for name, values in (("status", [s.value for s in Status]), ("verdict", [*Verdict])):
        asked = request.query_params.getlist(name)
        for value in asked:
            if value not in values:
                raise ValidationError(
                    {"detail": f"{name}: “{value}” is none of {', '.join(values)}."}
                )
        if asked:
            found[f"{name}__in"] = asked
    for name, field in (
        ("experiment", "version__experiment__name"),
        ("environment", "environment__name"),
    ):
        asked = request.query_params.getlist(name)
        if asked:
            found[f"{field}__in"] = [value.replace("\0", "") for value in asked]
    return found


class Runs(ListView):
    """Every run."""

    @extend_schema(
        operation_id="run_list",
        parameters=[
            OpenApiParameter("status", str, many=True, enum=[s.value for s in Status]),
            OpenApiParameter("verdict", str, many=True, enum=[v.value for v in Verdict]),
            OpenApiParameter("experiment", str, many=True, description="By name."),
            OpenApiParameter("environment", str, many=True, description="By name."),
        ],
        responses={200: shapes.RunBriefShape(many=True), 400: shapes.DetailShape},
    )
    def get(self, request: Request) -> Response:
        """List the runs, newest first."""
        rows = _runs().defer("judgement").filter(**_chosen(request))
        return self.page_of(request, rows, shapes.RunBriefShape)

    @extend_schema(
        operation_id="run_request",
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Of your own making; needed here or as idempotency_key.",
            )
        ],
        request=shapes.RunRequestShape,
        responses={
            200: shapes.RunShape,
            201: shapes.RunShape,
            400: shapes.ErrorsShape,
            403: shapes.DetailShape,
            422: shapes.DetailShape,
        },
    )
    def post(self, request: Request) -> Response:
        """Request a run; the same key of the same person answers the same run, with 200."""
        user = person(request)
        people.require(user, "launch_run", "launch runs")
        asked = read_run(request)
        is_known = Run.objects.filter(requested_by=user, idempotency_key=asked.key).exists()
        run = launching.request_run(
            version=asked.version,
            environment=asked.environment,
            user=user,
            idempotency_key=asked.key,
            parameters=asked.parameters,
            is_loss_accepted=asked.is_loss_accepted,
        )
        if not asked.is_of(run):
            raise errors.KeyReusedError(
                f"This idempotency key already started run {run.pk}, of another experiment, "
                "environment or parameters: take a new key for a new run."
            )
        return Response(
            _whole(run.pk),
            status.HTTP_200_OK if is_known else status.HTTP_201_CREATED,
            headers={"Location": reverse("api_run", args=[run.pk], request=request)},
        )


class OneRun(ApiView):
    """One run."""

    @extend_schema(
        operation_id="run_detail", responses={200: shapes.RunShape, 404: shapes.DetailShape}
    )
    def get(self, request: Request, pk: int) -> Response:
        """Answer where the run stands, what it injected and what it showed."""
        return Response(_whole(pk))


class Events(ListView):
    """The journal of one run."""

    @extend_schema(
        operation_id="run_events",
        parameters=[OpenApiParameter("after", int, description="Only lines after this id.")],
        responses={200: shapes.EventShape(many=True), 404: shapes.DetailShape},
    )
    def get(self, request: Request, pk: int) -> Response:
        """List the journal's lines, oldest first."""
        events = one(Run.objects.all(), "run", pk=pk).events.all()
        after = request.query_params.get("after")
        if after is not None:
            if not (after.isascii() and after.isdigit() and len(after) < 19):
                raise ValidationError({"detail": f"after: “{after}” is not the id of a line."})
            events = events.filter(pk__gt=int(after))
        return self.page_of(request, events, shapes.EventShape)


class Stop(ApiView):
    """The end of one run, at once."""

    parser_classes = (JsonParser, FormParser, MultiPartParser)

    @extend_schema(
        operation_id="run_stop",
        request=shapes.ReasonShape,
        responses={200: shapes.StopShape, 404: shapes.DetailShape},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Stop the run and remove its faults; any signed-in person may, as often as they like."""
        run = one(_runs(), "run", pk=pk)
        user = person(request)
        stopped = launching.stop_run(run=run, actor=user.username, reason=_reason(request))
        return Response({"stopped": stopped, "status": run.status})


def _reason(request: Request) -> str:
    """Return the reason that was given, if it can be read: no body is a reason not to stop."""
    try:
        body = request.data
    except APIException:
        return ""
    given = body.get("reason", "") if hasattr(body, "get") else ""
    kept = str(given).replace("\0", "").encode("utf-8", "replace").decode()
    return kept.strip()[:_REASON_LENGTH]


class Checkpoint(ApiView):
    """A place where one run waits for a person."""

    @extend_schema(
        operation_id="run_checkpoint",
        request=None,
        responses={200: shapes.AnswerShape, 403: shapes.DetailShape, 404: shapes.DetailShape},
    )
    def post(self, request: Request, pk: int, name: str) -> Response:
        """Let the run go on; ``answered`` says whether it was waiting there."""
        run = one(Run.objects.select_related("version"), "run", pk=pk)
        names = [
            action.get("name")
            for action in run.version.document.get("method", ())
            if "checkpoint" in action
        ]
        # A guardrail without data opens checkpoints of its own.
        names += run.actions.filter(kind="checkpoint").values_list("name", flat=True)
        if name not in names:
            raise Http404(f"Run {pk} has no checkpoint “{name}”.")
        answered = launching.answer_checkpoint(run=run, name=name, user=person(request))
        run.refresh_from_db(fields=["status"])
        return Response({"answered": answered, "status": run.status})
