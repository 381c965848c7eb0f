"""“Was it us?” for bots and runbooks: what was live at a moment or in a span."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import shapes
from experiments.api.base import ApiView
from experiments.models import Orphan
from experiments.selectors import was_it_us as selector
from experiments.selectors.answering import Lived, Lost, Near
from experiments.services import faults


class LivedShape(serializers.Serializer[Lived]):
    """One fault that was, or may have been, in effect."""

    run = serializers.IntegerField(source="injection.run_id")
    experiment = serializers.CharField(source="injection.run.version.experiment.name")
    environment = serializers.CharField(source="injection.run.environment.name")
    service = serializers.CharField()
    action = serializers.CharField(source="injection.action")
    fault = serializers.CharField(source="injection.fault")
    sentence = serializers.CharField(help_text="What it does.")
    where = serializers.CharField(help_text="Its connection and targets.")
    began_at = serializers.DateTimeField(
        help_text="When it was confirmed in effect; before that, when it may have been sent."
    )
    ended_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was read back as gone; null while it may be there."
    )
    is_live = serializers.BooleanField()
    is_certain = serializers.BooleanField(help_text="It was seen in effect.")
    is_unconfirmed = serializers.BooleanField(help_text="Its removal is not confirmed.")
    is_rehearsal = serializers.BooleanField(help_text="Nothing real was touched.")
    state = serializers.CharField()
    note = serializers.CharField()
    requested_by = serializers.CharField(
        source="injection.run.requested_by.username", allow_null=True, default=None
    )
    status = serializers.CharField(source="injection.run.status")
    verdict = serializers.CharField(source="injection.run.verdict")
    by_hand = serializers.ListField(
        child=serializers.CharField(), help_text="Commands that remove it without us."
    )
    page = serializers.SerializerMethodField(help_text="The path of the run's page.")
    stop = serializers.SerializerMethodField(
        help_text="Where a POST stops the run; null when there is nothing to stop."
    )

    def get_page(self, row: Lived) -> str:
        """Return the path of the run's page."""
        return reverse("run_detail", args=[row.injection.run_id])

    def get_stop(self, row: Lived) -> str | None:
        """Return the path that stops the run, while there is something to stop."""
        is_stoppable = row.is_live and row.injection.run.is_live
        return reverse("api_stop", args=[row.injection.run_id]) if is_stoppable else None


class LostShape(serializers.Serializer[Lost]):
    """One fault on a backend that no run looks after; it may have begun before it was seen."""

    connection = serializers.CharField(source="orphan.connection.name")
    token = serializers.CharField(source="orphan.token")
    targets = serializers.CharField()
    first_seen_at = serializers.DateTimeField(source="orphan.first_seen_at")
    gone_at = serializers.DateTimeField(source="orphan.gone_at", allow_null=True)
    is_live = serializers.BooleanField()
    by_hand = serializers.SerializerMethodField(help_text="Commands that remove it without us.")

    def get_by_hand(self, row: Lost) -> list[str]:
        """Return the commands that remove it."""
        orphan: Orphan = row.orphan
        return list(orphan.by_hand)


class NearShape(serializers.Serializer[Near]):
    """The nearest fault before or after, within 24 hours."""

    run = serializers.IntegerField(source="injection.run_id")
    is_before = serializers.BooleanField()
    text = serializers.CharField()


class WasItUsShape(serializers.Serializer[selector.Answer]):
    """Whether it was us, in one word, in a sentence, and fault by fault."""

    answer = serializers.ChoiceField(["yes", "perhaps", "no"], source="kind")
    sentence = serializers.CharField()
    service = serializers.CharField(source="question.service")
    environment = serializers.CharField(source="question.environment")
    at = serializers.DateTimeField(source="question.span.start")
    until = serializers.DateTimeField(source="question.span.end")
    faults = LivedShape(
        source="own", many=True, help_text="Those of the service; all, where none was named."
    )
    also_live = LivedShape(
        source="others", many=True, help_text="Those of other services, in the same environments."
    )
    orphans = LostShape(many=True)
    nearby = NearShape(many=True)
    is_cut = serializers.BooleanField(help_text="There were more than the 100 of each list.")


class WasItUs(ApiView):
    """The faults that were live at a moment or in a span."""

    @extend_schema(
        operation_id="was_it_us",
        parameters=[
            OpenApiParameter("service", str, description="By name; none: any."),
            OpenApiParameter("environment", str, description="By name; none: any."),
            OpenApiParameter(
                "at",
                str,
                description="A moment, or where a span begins: ISO 8601, 14:02, -15m, a Unix time"
                " or now (which it is unless told). UTC unless it says otherwise.",
            ),
            OpenApiParameter("until", str, description="Where the span ends, written likewise."),
        ],
        responses={200: WasItUsShape, 400: shapes.ErrorsShape},
    )
    def get(self, request: Request) -> Response:
        """Answer whether ChaosWeb broke something then."""
        question = selector.read(request.query_params.dict(), timezone.now())
        found: Any = WasItUsShape(selector.answer(question, faults.known())).data
        return Response(found)
