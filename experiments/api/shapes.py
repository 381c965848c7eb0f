"""What leaves the API: one serializer for each shape, all read-only."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from experiments.models import (
    Alias,
    Environment,
    Experiment,
    ExperimentVersion,
    Injection,
    Run,
    RunEvent,
)


class ErrorShape(serializers.Serializer[Any]):
    """One error of a body: its path, the path as people read it, and what would be right."""

    path = serializers.ListField(child=serializers.JSONField())
    where = serializers.CharField()
    line = serializers.IntegerField(
        allow_null=True,
        help_text="In the text or file that was sent, from 1; null where it is not known.",
    )
    column = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()


class ErrorsShape(serializers.Serializer[Any]):
    """Every error of a body."""

    errors = ErrorShape(many=True)  # type: ignore[assignment]


class DetailShape(serializers.Serializer[Any]):
    """Why the request was refused."""

    detail = serializers.CharField()


class ValidityShape(serializers.Serializer[Any]):
    """Whether a document is valid, and all that is wrong with it."""

    valid = serializers.BooleanField()
    errors = ErrorShape(many=True)  # type: ignore[assignment]
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="What could not be checked, and why."
    )


class DocumentShape(serializers.Serializer[Any]):
    """A document, as JSON or as YAML text: one of the two (or a bare document instead of this)."""

    document = serializers.JSONField(required=False)
    text = serializers.CharField(required=False)
    message = serializers.CharField(required=False, max_length=200)
    environment = serializers.CharField(required=False)
    parameters = serializers.DictField(required=False)


class RunRequestShape(serializers.Serializer[Any]):
    """A run that is asked for; the newest version unless one is named."""

    experiment = serializers.CharField()
    version = serializers.IntegerField(required=False)
    environment = serializers.CharField()
    parameters = serializers.DictField(required=False)
    idempotency_key = serializers.CharField(required=False, max_length=64)
    confirm_irreversible = serializers.BooleanField(required=False)


class ReasonShape(serializers.Serializer[Any]):
    """Why a run is stopped."""

    reason = serializers.CharField(required=False)


class StopShape(serializers.Serializer[Any]):
    """Whether this very request stopped the run, and where the run stands now."""

    stopped = serializers.BooleanField()
    status = serializers.CharField()


class AnswerShape(serializers.Serializer[Any]):
    """Whether the run was waiting at the checkpoint, and where it stands now."""

    answered = serializers.BooleanField()
    status = serializers.CharField()


class VersionBriefShape(serializers.ModelSerializer[ExperimentVersion]):
    """One version, without its document."""

    author = serializers.CharField(source="author.username", allow_null=True, read_only=True)

    class Meta:
        model = ExperimentVersion
        fields = ["number", "message", "author", "created_at"]
        read_only_fields = fields


class VersionShape(VersionBriefShape):
    """One version with its document and the author's own text."""

    experiment = serializers.CharField(source="experiment.name", read_only=True)

    class Meta(VersionBriefShape.Meta):
        fields = ["experiment", *VersionBriefShape.Meta.fields, "document", "text"]
        read_only_fields = fields


class ExperimentBriefShape(serializers.ModelSerializer[Experiment]):
    """One experiment in a list."""

    created_by = serializers.CharField(
        source="created_by.username", allow_null=True, read_only=True
    )
    versions = serializers.IntegerField(source="version_count", read_only=True)

    class Meta:
        model = Experiment
        fields = [
            "name",
            "title",
            "service",
            "created_by",
            "created_at",
            "updated_at",
            "archived_at",
            "versions",
        ]
        read_only_fields = fields


class ExperimentShape(ExperimentBriefShape):
    """One experiment with its newest version."""

    newest = VersionShape(source="versions.first", allow_null=True, read_only=True)

    class Meta(ExperimentBriefShape.Meta):
        fields = [*ExperimentBriefShape.Meta.fields, "newest"]
        read_only_fields = fields


class InjectionShape(serializers.ModelSerializer[Injection]):
    """One fault of a run: what was asked for, what was delivered, and when it came and went."""

    connection = serializers.CharField(source="connection.name", read_only=True)
    requested_share = serializers.SerializerMethodField()
    delivered_share = serializers.SerializerMethodField()
    exposed = serializers.SerializerMethodField()
    affected = serializers.SerializerMethodField()
    by_hand = serializers.SerializerMethodField(help_text="Commands that remove it without us.")

    class Meta:
        model = Injection
        fields = [
            "action",
            "fault",
            "connection",
            "params",
            "duration_s",
            "on_drift",
            "token",
            "phase",
            "is_unanswered",
            "requested_share",
            "delivered_share",
            "exposed",
            "affected",
            "intent_at",
            "injected_at",
            "recover_by",
            "recovering_at",
            "gone_at",
            "recovered_at",
            "failures",
            "last_error",
            "by_hand",
            "by_hand_at",
            "by_hand_by",
            "by_hand_reason",
            "unchecked_since",
        ]
        read_only_fields = fields

    def get_requested_share(self, row: Injection) -> float | None:
        """Return the share of requests or targets that was to meet the fault, 0–1."""
        seen = _seen(row, "requested_share")
        return (row.plan or {}).get("requested_share") if seen is None else seen

    def get_delivered_share(self, row: Injection) -> float | None:
        """Return the share that met it, 0–1; None while nothing could have."""
        return _seen(row, "delivered_share")

    def get_exposed(self, row: Injection) -> float | None:
        """Return how many requests or targets could have met it."""
        return _seen(row, "exposed")

    def get_affected(self, row: Injection) -> float | None:
        """Return how many met it."""
        return _seen(row, "affected")

    def get_by_hand(self, row: Injection) -> list[str]:
        """Return the commands that remove the fault without ChaosWeb."""
        return list((row.plan or {}).get("by_hand", ()))


def _seen(row: Injection, name: str) -> float | None:
    value: float | None = (row.evidence or {}).get(name)
    return value


class PhasesShape(serializers.ModelSerializer[Run]):
    """When each phase of a run began; null while it has not, or if it never did."""

    class Meta:
        model = Run
        fields = ["baseline_at", "injecting_at", "recovering_at", "settling_at", "ended_at"]
        read_only_fields = fields


class RunBriefShape(serializers.ModelSerializer[Run]):
    """One run in a list."""

    experiment = serializers.CharField(source="version.experiment.name", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)
    environment = serializers.CharField(source="environment.name", read_only=True)
    requested_by = serializers.CharField(
        source="requested_by.username", allow_null=True, read_only=True
    )

    class Meta:
        model = Run
        fields = [
            "id",
            "experiment",
            "version",
            "environment",
            "requested_by",
            "requested_at",
            "status",
            "status_since",
            "waiting_for",
            "verdict",
            "ended_by",
            "ended_at",
            "reason",
        ]
        read_only_fields = fields


class RunShape(RunBriefShape):
    """One run: where it stands, what it injected and what it showed."""

    phases = PhasesShape(source="*", read_only=True)
    injections = InjectionShape(many=True, read_only=True)

    class Meta(RunBriefShape.Meta):
        fields = [
            *RunBriefShape.Meta.fields,
            "parameters",
            "stop_requested_at",
            "stop_actor",
            "stop_reason",
            "phases",
            "injections",
            "judgement",
            "problems",
        ]
        read_only_fields = fields


class EventShape(serializers.ModelSerializer[RunEvent]):
    """One line of a run's journal."""

    class Meta:
        model = RunEvent
        fields = ["id", "at", "kind", "old", "new", "actor", "message", "details"]
        read_only_fields = fields


class AliasShape(serializers.ModelSerializer[Alias]):
    """The name by which documents call a connection here; its options and secrets stay inside."""

    connection = serializers.CharField(source="connection.name", read_only=True)
    kind = serializers.CharField(source="connection.kind", read_only=True)

    class Meta:
        model = Alias
        fields = ["name", "connection", "kind"]
        read_only_fields = fields


class EnvironmentShape(serializers.ModelSerializer[Environment]):
    """One environment: aliases, values of parameters, hosts for probes, guardrails of every run."""

    aliases = AliasShape(many=True, read_only=True)
    guardrails = serializers.ListField(child=serializers.DictField(), read_only=True)

    class Meta:
        model = Environment
        fields = [
            "name",
            "title",
            "description",
            "parameters",
            "allowed_hosts",
            "guardrails",
            "aliases",
        ]
        read_only_fields = fields


class FaultShape(serializers.Serializer[Any]):
    """One fault of the catalogue, with the JSON Schema of its ``with``."""

    kind = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    needs = serializers.CharField()
    metrics = serializers.CharField()
    family = serializers.CharField()
    undo = serializers.CharField()
    dead_man_s = serializers.FloatField(allow_null=True)
    schema = serializers.DictField()
