"""One execution of one version, its timeline, its outside calls and its journal."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from experiments.domain.states import LIVE, EndedBy, Status, Verdict
from experiments.models.environments import Environment
from experiments.models.experiment import AppendOnly, ExperimentVersion


class Run(models.Model):
    """One execution. ``status`` is written by ``services.transitions`` alone."""

    STATUSES = [(status.value, status.value) for status in Status]
    ENDINGS = [(end.value, end.value) for end in EndedBy]
    VERDICTS = [(verdict.value, verdict.value.replace("_", " ")) for verdict in Verdict]

    version = models.ForeignKey(ExperimentVersion, models.PROTECT, related_name="runs")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="runs")
    parameters = models.JSONField(default=dict)
    aliases = models.JSONField(default=dict)
    """The environment's connections as they were when the run was requested: alias to id."""
    guardrails = models.JSONField(default=list)
    """The environment's mandatory guardrails as they were then."""
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="runs"
    )
    requested_at = models.DateTimeField()
    idempotency_key = models.CharField(max_length=64)

    status = models.CharField(max_length=16, choices=STATUSES, default=Status.REQUESTED.value)
    status_since = models.DateTimeField()
    ended_by = models.CharField(max_length=16, choices=ENDINGS, blank=True)
    waiting_for = models.CharField(max_length=32, blank=True)
    reason = models.TextField(blank=True)
    """Why it ended, or was refused, in a sentence for people."""

    stop_requested_at = models.DateTimeField(null=True)
    stop_ended_by = models.CharField(max_length=16, choices=ENDINGS, blank=True)
    stop_reason = models.TextField(blank=True)
    stop_actor = models.CharField(max_length=150, blank=True)
    is_stopped_on_data = models.BooleanField(default=False)
    """A guardrail saw breaches; one that saw nothing proves nothing."""

    baseline_at = models.DateTimeField(null=True)
    injecting_at = models.DateTimeField(null=True)
    recovering_at = models.DateTimeField(null=True)
    settling_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    verdict = models.CharField(max_length=16, choices=VERDICTS, blank=True)
    judgement = models.JSONField(null=True)
    problems = models.JSONField(default=list)

    next_due = models.DateTimeField(null=True)
    blind_at = models.DateTimeField(null=True)
    """When the first of its guardrails has been without data for too long: due then, too."""
    page_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("launch_run", "Can launch runs and answer checkpoints"),
            ("administer", "Can change environments, connections and people"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by", "idempotency_key"], name="run_requested_once"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in Status]),
                name="run_status_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_due"],
                name="run_due",
                condition=models.Q(status__in=sorted(status.value for status in LIVE)),
            ),
            models.Index(
                fields=["blind_at"],
                name="run_blind",
                condition=models.Q(blind_at__isnull=False),
            ),
            models.Index(fields=["environment", "-id"], name="run_by_environment"),
            models.Index(
                fields=["environment", "verdict", "status"],
                name="run_ended",
                condition=models.Q(ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk}"

    @property
    def is_live(self) -> bool:
        """Return whether the run has not ended."""
        return self.status in LIVE


class ActionRecord(models.Model):
    """When an action of the method, or a guardrail's checkpoint, began and ended."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="actions")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["started_at", "id"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="action_begins_once")]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.name}"


class Call(models.Model):
    """An outside call of a run that is no injection's: claimed, made and answered like a carry."""

    KINDS = [(kind, kind) for kind in ("check", "gate", "watch", "probe", "judge")]

    run = models.ForeignKey(Run, models.CASCADE, related_name="calls")
    kind = models.CharField(max_length=16, choices=KINDS)
    due_at = models.DateTimeField(null=True)
    woken_at = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    attempt_deadline = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    outcome = models.JSONField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "kind"], name="call_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.kind}"


class RunEvent(AppendOnly):
    """One line of the journal."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=32)
    old = models.CharField(max_length=16, blank=True)
    new = models.CharField(max_length=16, blank=True)
    actor = models.CharField(max_length=150)
    message = models.TextField()
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "id"], name="journal_of_run")]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.message}"
