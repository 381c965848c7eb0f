"""Services: whose they are, where they live, and their named SLIs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from experiments.api import shapes
from experiments.api.base import ApiView, ListView, one, person
from experiments.models import Service
from experiments.services import describing, people

_REFUSED: dict[int, Any] = {400: shapes.ErrorsShape, 403: shapes.DetailShape}


class ServiceShape(serializers.ModelSerializer[Service]):
    """One service; ``slis`` are as a document has them, ``places`` by environment."""

    class Meta:
        model = Service
        fields = [
            "name",
            "title",
            "description",
            "owner",
            "contact",
            "runbook",
            "dashboards",
            "places",
            "slis",
            "sli_changes",
            "updated_at",
        ]
        read_only_fields = fields


class ServiceBody(serializers.Serializer[Any]):
    """What is written down of a service: the whole of it, what is left out is empty."""

    name = serializers.CharField(max_length=63)
    title = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    owner = serializers.CharField(required=False)
    contact = serializers.CharField(required=False)
    runbook = serializers.URLField(required=False)
    dashboards = serializers.ListField(child=serializers.DictField(), required=False)
    places = serializers.DictField(child=serializers.DictField(), required=False)
    slis = serializers.ListField(child=serializers.DictField(), required=False)


class Services(ListView):
    """Every service that somebody has described."""

    @extend_schema(operation_id="service_list", responses=ServiceShape(many=True))
    def get(self, request: Request) -> Response:
        """List the services by name."""
        return self.page_of(request, Service.objects.order_by("name"), ServiceShape)

    @extend_schema(
        operation_id="service_create",
        request=ServiceBody,
        responses={201: ServiceShape, **_REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Describe a service."""
        people.require(person(request), "author_experiment", "describe services")
        describing.check(request.data)
        made = describing.save(raw=request.data, user=person(request))
        where = reverse("api_service", args=[made.name], request=request)
        answer = ServiceShape(made).data
        return Response(answer, status.HTTP_201_CREATED, headers={"Location": where})


class OneService(ApiView):
    """One service."""

    @extend_schema(
        operation_id="service_detail",
        responses={200: ServiceShape, 404: shapes.DetailShape},
    )
    def get(self, request: Request, name: str) -> Response:
        """Answer what is written down of the service."""
        return Response(ServiceShape(one(Service.objects.all(), "service", name=name)).data)

    @extend_schema(
        operation_id="service_change",
        request=ServiceBody,
        responses={200: ServiceShape, **_REFUSED, 404: shapes.DetailShape},
    )
    def put(self, request: Request, name: str) -> Response:
        """Write the service anew; versions keep their copies of its SLIs."""
        known = one(Service.objects.all(), "service", name=name)
        raw: Any = request.data
        if isinstance(raw, dict):
            told = {key: raw[key] for key in raw if key not in ("sli_changes", "updated_at")}
            raw = {"name": name, **told}
        people.require(person(request), "author_experiment", "describe services")
        describing.check(raw)
        changed = describing.save(raw=raw, user=person(request), service=known)
        return Response(ServiceShape(changed).data)
