"""What the API says of halts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from experiments.models import Halt


class HaltShape(serializers.ModelSerializer[Halt]):
    """One halt: of an environment, or of everything (null); active until it is lifted."""

    environment = serializers.CharField(
        source="environment.name", allow_null=True, default=None, read_only=True
    )
    is_active = serializers.SerializerMethodField()

    class Meta:
        model = Halt
        fields = [
            "id",
            "environment",
            "is_active",
            "since",
            "actor",
            "reason",
            "lifted_at",
            "lifted_by",
            "lift_reason",
        ]
        read_only_fields = fields

    def get_is_active(self, halt: Halt) -> bool:
        """Return whether nobody has lifted it."""
        return halt.lifted_at is None


class HaltRequestShape(serializers.Serializer[Any]):
    """What to halt: everything, unless an environment is named."""

    environment = serializers.CharField(required=False, allow_null=True)
    reason = serializers.CharField(required=False)


class ResumeShape(serializers.Serializer[Any]):
    """Why runs may start again."""

    reason = serializers.CharField()


class FailedStopShape(serializers.Serializer[Any]):
    """A run that could not be stopped: halt again."""

    run = serializers.IntegerField()
    error = serializers.CharField()


class HaltedShape(serializers.Serializer[Any]):
    """What this very request did, and how many faults are being removed."""

    halt = HaltShape()
    runs_stopped = serializers.IntegerField()
    faults = serializers.IntegerField()
    failed = FailedStopShape(many=True)


class ResumedShape(serializers.Serializer[Any]):
    """Whether this very request lifted the halt."""

    resumed = serializers.BooleanField()
    halt = HaltShape()
