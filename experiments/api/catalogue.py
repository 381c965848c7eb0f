"""What documents may name: the schema, the faults and the environments."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from experiments.api import shapes
from experiments.api.base import ApiView, ListView
from experiments.domain import spec
from experiments.models import Environment
from experiments.services import faults


@cache
def _schema() -> dict[str, Any]:
    return spec.json_schema(faults.known())


class Schema(ApiView):
    """The JSON Schema of the experiment document."""

    @extend_schema(operation_id="experiment_schema", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Answer the schema, every fault's parameters written out."""
        where = reverse("api_schema", request=request)
        return Response({"$id": where, **_schema()})


class Faults(ApiView):
    """The catalogue."""

    @extend_schema(operation_id="fault_list", responses=shapes.FaultShape(many=True))
    def get(self, request: Request) -> Response:
        """List every fault with the JSON Schema of its parameters."""
        rows = [
            {
                "kind": kind,
                "title": model.title,
                "summary": model.summary,
                "needs": model.needs,
                "metrics": model.metrics,
                "family": model.family,
                "undo": model.undo,
                "dead_man_s": model.dead_man_s,
                "schema": model.model_json_schema(),
            }
            for kind, model in sorted(faults.known().items())
        ]
        return Response(shapes.FaultShape(rows, many=True).data)


class Environments(ListView):
    """Where experiments run."""

    @extend_schema(operation_id="environment_list", responses=shapes.EnvironmentShape(many=True))
    def get(self, request: Request) -> Response:
        """List the environments and what their aliases are bound to."""
        rows = Environment.objects.prefetch_related("aliases__connection")
        return self.page_of(request, rows, shapes.EnvironmentShape)
