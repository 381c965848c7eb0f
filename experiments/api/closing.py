"""Faults that a person removed by hand, and those that no run looks after."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import shapes
from experiments.api.base import ApiView, ListView, one, person
from experiments.api.bodies import Fields
from experiments.models import Injection, Orphan
from experiments.selectors import orphans
from experiments.services import closing

_STATES = ("there", "gone")


class NothingToCloseError(APIException):
    """The fault's removal did not fail."""

    status_code = status.HTTP_409_CONFLICT


class RemovedShape(serializers.Serializer[Any]):
    """Why a person says that the fault is gone: what they did, and where."""

    reason = serializers.CharField(max_length=closing.REASON_LENGTH)


class ClosedShape(serializers.ModelSerializer[Injection]):
    """A fault that was closed by hand; ``unchecked_since`` until its backend has confirmed it."""

    class Meta:
        model = Injection
        fields = [
            "action",
            "token",
            "phase",
            "by_hand_at",
            "by_hand_by",
            "by_hand_reason",
            "unchecked_since",
        ]
        read_only_fields = fields


class OrphanShape(serializers.ModelSerializer[Orphan]):
    """A fault of ours that no run looks after; ``gone_at`` is when it was read back as gone."""

    connection = serializers.CharField(source="connection.name", read_only=True)
    targets = serializers.SerializerMethodField()

    class Meta:
        model = Orphan
        fields = [
            "id",
            "connection",
            "token",
            "targets",
            "by_hand",
            "first_seen_at",
            "last_seen_at",
            "attempts",
            "last_error",
            "gone_at",
        ]
        read_only_fields = fields

    def get_targets(self, row: Orphan) -> list[str]:
        """Return the names of every target it was seen on."""
        return [str(target.get("name", "")) for target in row.targets]


class Removed(ApiView):
    """One fault of one run, removed by hand."""

    @extend_schema(
        operation_id="fault_removed",
        request=RemovedShape,
        responses={
            200: ClosedShape,
            400: shapes.ErrorsShape,
            403: shapes.DetailShape,
            404: shapes.DetailShape,
            409: shapes.DetailShape,
        },
    )
    def post(self, request: Request, pk: int, name: str) -> Response:
        """Let the run go on; the claims stay held until the backend confirms that it is gone."""
        rows = Injection.objects.select_related("run").filter(run_id=pk)
        injection = one(rows, "fault in this run", action=name)
        fields = Fields(request.data, ("reason",))
        reason = fields.text("reason", most=closing.REASON_LENGTH)
        fields.close()
        try:
            closing.close_by_hand(injection=injection, user=person(request), reason=reason)
        except closing.NotUnconfirmedError as error:
            raise NothingToCloseError(str(error)) from error
        return Response(ClosedShape(injection).data)


class Orphans(ListView):
    """Every fault that no run looks after."""

    @extend_schema(
        operation_id="orphan_list",
        parameters=[OpenApiParameter("state", str, enum=list(_STATES))],
        responses={200: OrphanShape(many=True), 400: shapes.DetailShape},
    )
    def get(self, request: Request) -> Response:
        """List them, newest first; ``state`` chooses those still there, or those that are gone."""
        asked = request.query_params.get("state")
        if asked is not None and asked not in _STATES:
            raise ValidationError({"detail": f"state: “{asked}” is none of {', '.join(_STATES)}."})
        rows = orphans.all_orphans()
        if asked is not None:
            rows = rows.filter(gone_at__isnull=asked == "there")
        return self.page_of(request, rows, OrphanShape)
