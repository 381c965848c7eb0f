"""What the API says of imports and previews."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from experiments.api.shapes import ErrorShape


class NoteShape(serializers.Serializer[Any]):
    """One thing that was kept, changed or lost, and on which line of the file."""

    line = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()


class FoundShape(serializers.Serializer[Any]):
    """One experiment of a file, and what becomes of it."""

    name = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    line = serializers.IntegerField()
    becomes = serializers.ChoiceField(
        ["experiment", "version", "nothing"],
        allow_null=True,
        help_text="nothing: the newest version says the same; null: it has errors",
    )
    version = serializers.IntegerField(allow_null=True)
    stored = serializers.BooleanField()
    errors = serializers.IntegerField(help_text="How many of the file's errors are its own.")  # type: ignore[assignment]


class ReportShape(serializers.Serializer[Any]):
    """What one file held."""

    file = serializers.CharField()
    format = serializers.CharField(allow_null=True)
    fine = serializers.BooleanField()
    experiments = FoundShape(many=True)
    kept = NoteShape(many=True)
    changed = NoteShape(many=True)
    lost = NoteShape(many=True)
    errors = ErrorShape(many=True)  # type: ignore[assignment]


class ImportShape(serializers.Serializer[Any]):
    """What all files held."""

    files = ReportShape(many=True)


class FilesShape(serializers.Serializer[Any]):
    """Files to import, as many as you like."""

    file = serializers.ListField(child=serializers.FileField())


class ProblemShape(serializers.Serializer[Any]):
    """What a check found wrong."""

    message = serializers.CharField()
    hint = serializers.CharField()
    severity = serializers.ChoiceField(["error", "warning"])
    where = serializers.CharField()


class SentShape(serializers.Serializer[Any]):
    """One thing that would be sent, as the backend gets it."""

    target = serializers.CharField()
    body = serializers.CharField()
    language = serializers.CharField()


class TargetShape(serializers.Serializer[Any]):
    """One concrete thing that the fault would hit now."""

    name = serializers.CharField()
    detail = serializers.CharField()


class ClaimShape(serializers.Serializer[Any]):
    """One physical thing that would be held, and the run that holds it now."""

    key = serializers.CharField()
    held_by = serializers.IntegerField(allow_null=True)


class ActionPreviewShape(serializers.Serializer[Any]):
    """One fault of the method: what is sent and undone, and (where asked) what it hits."""

    name = serializers.CharField()
    kind = serializers.CharField()
    title = serializers.CharField()
    via = serializers.CharField()
    sentence = serializers.CharField()
    undo = serializers.CharField()
    dead_man = serializers.CharField()
    is_for_good = serializers.BooleanField()
    documents = SentShape(many=True)
    note = serializers.CharField(help_text="Why there is no more to show.")
    problems = ProblemShape(many=True)
    targets = TargetShape(many=True)
    hits = serializers.CharField()
    claims = ClaimShape(many=True)
    was_asked = serializers.BooleanField()


class GuardrailPreviewShape(serializers.Serializer[Any]):
    """One guardrail that would watch, and whose it is."""

    name = serializers.CharField()
    rule = serializers.CharField()
    no_data = serializers.CharField()
    is_of_environment = serializers.BooleanField()


class ScheduleShape(serializers.Serializer[Any]):
    """How long a run would take, in seconds."""

    total_s = serializers.FloatField()
    baseline_s = serializers.FloatField()
    watched_s = serializers.FloatField()
    fault_s = serializers.FloatField()
    waits_for_people = serializers.BooleanField()


class LackShape(serializers.Serializer[Any]):
    """What the environment lacks for the document."""

    where = serializers.CharField(source="dotted")
    message = serializers.CharField()


class PreviewShape(serializers.Serializer[Any]):
    """All that is known of a draft; ``errors`` as validating tells them."""

    schedule = ScheduleShape(allow_null=True)
    actions = ActionPreviewShape(many=True)
    guardrails = GuardrailPreviewShape(many=True)
    warnings = ProblemShape(many=True)
    lacks = LackShape(many=True)
    notes = serializers.ListField(child=serializers.CharField())
    was_asked = serializers.BooleanField()


class WholePreviewShape(PreviewShape):
    """The preview with the document's errors."""

    errors = ErrorShape(many=True)  # type: ignore[assignment]
