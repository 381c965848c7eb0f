"""Halts: what is halted, halting, and letting runs start again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import halt_shapes, shapes
from experiments.api.base import ApiView, ListView, one, person
from experiments.api.bodies import Fields
from experiments.models import Environment
from experiments.selectors import halting as selector
from experiments.services import halting, people

_MOST = 100_000
"""A reason of any sane length is cut, not refused: it must not keep anybody from halting."""


def _scope(body: Any, fields: Fields) -> Environment | None:
    """Return the environment that is named; an empty name is a mistake, and means no everything."""
    if isinstance(body, Mapping) and body.get("environment") == "":
        fields.refuse("environment", "is empty: leave it out to halt everything")
    return fields.environment()


class Halts(ListView):
    """Every halt."""

    @extend_schema(operation_id="halt_list", responses=halt_shapes.HaltShape(many=True))
    def get(self, request: Request) -> Response:
        """List the halts, active and past, newest first."""
        return self.page_of(request, selector.halts(), halt_shapes.HaltShape)

    @extend_schema(
        operation_id="halt_begin",
        request=halt_shapes.HaltRequestShape,
        responses={
            200: halt_shapes.HaltedShape,
            201: halt_shapes.HaltedShape,
            400: shapes.ErrorsShape,
        },
    )
    def post(self, request: Request) -> Response:
        """Refuse new runs and stop all, of an environment or everywhere; anybody signed in may."""
        fields = Fields(request.data, ("environment", "reason"))
        environment = _scope(request.data, fields)
        reason = fields.text("reason", most=_MOST)
        fields.close()
        halted = halting.halt(
            environment=environment, actor=person(request).username, reason=reason
        )
        told = halt_shapes.HaltedShape(
            {
                "halt": halted.halt,
                "runs_stopped": halted.runs_stopped,
                "faults": halted.faults,
                "failed": [{"run": run, "error": why} for run, why in halted.failed.items()],
            }
        )
        return Response(told.data, status.HTTP_201_CREATED if halted.is_new else status.HTTP_200_OK)


class Resume(ApiView):
    """The end of one halt."""

    @extend_schema(
        operation_id="halt_resume",
        request=halt_shapes.ResumeShape,
        responses={
            200: halt_shapes.ResumedShape,
            400: shapes.ErrorsShape,
            403: shapes.DetailShape,
            404: shapes.DetailShape,
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        """Let runs start again; an admin may, and says why."""
        people.require(person(request), "administer", "resume after a halt")
        halt = one(selector.halts(), "halt", pk=pk)
        fields = Fields(request.data, ("reason",))
        reason = fields.text("reason", most=_MOST)
        fields.close()
        resumed = halting.resume(halt=halt, user=person(request), reason=reason)
        return Response(halt_shapes.ResumedShape({"resumed": resumed, "halt": halt}).data)
