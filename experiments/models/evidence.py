"""The ledger of injections, what they hold, and what was measured."""

from __future__ import annotations

from django.db import models

from experiments.domain.states import MAY_EXIST, InjectionPhase
from experiments.models.environments import Connection
from experiments.models.run import Run


class Injection(models.Model):
    """One fault in one run: intent, plan, handle, what was seen, and its removal."""

    PHASES = [(phase.value, phase.value) for phase in InjectionPhase]

    run = models.ForeignKey(Run, models.PROTECT, related_name="injections")
    action = models.CharField(max_length=63)
    position = models.PositiveIntegerField()
    fault = models.CharField(max_length=64)
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="injections")
    params = models.JSONField()
    duration_s = models.FloatField()
    on_drift = models.CharField(max_length=16)
    token = models.CharField(max_length=63, unique=True)
    claims = models.JSONField(default=list)

    phase = models.CharField(max_length=16, choices=PHASES, default=InjectionPhase.PLANNED.value)
    plan = models.JSONField(null=True)
    handle = models.JSONField(null=True)
    is_unanswered = models.BooleanField(default=False)
    """An inject was sent and never answered: it may take effect later."""

    due_at = models.DateTimeField(null=True)
    woken_at = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    attempt_deadline = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    is_final_failure = models.BooleanField(default=False)

    intent_at = models.DateTimeField(null=True)
    injected_at = models.DateTimeField(null=True)
    recover_by = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    """When it was first seen missing while it was to be there, and was not put back."""
    lost_s = models.FloatField(default=0.0)
    """For how long it was missing before it was put back, in all."""
    recovering_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)
    settle_reads = models.PositiveIntegerField(default=0)
    recovered_at = models.DateTimeField(null=True)

    by_hand_at = models.DateTimeField(null=True)
    """When a person said that they had removed it by hand."""
    by_hand_by = models.CharField(max_length=150, blank=True)
    by_hand_reason = models.TextField(blank=True)
    unchecked_since = models.DateTimeField(null=True)
    """Closed by hand, and not yet seen gone on its backend: its claims stay until it is."""

    observation = models.JSONField(null=True)
    observed_at = models.DateTimeField(null=True)
    evidence = models.JSONField(null=True)
    """The last observation made while the fault was to be there: what the verdict relies on."""

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "action"], name="injection_once_per_action"),
            models.CheckConstraint(
                condition=~models.Q(phase__in=["active", "recovering", "unsettled", "recovered"])
                | models.Q(plan__isnull=False),
                name="injection_has_plan",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="injection_may_exist",
                condition=models.Q(phase__in=sorted(phase.value for phase in MAY_EXIST)),
            ),
            models.Index(
                fields=["unchecked_since"],
                name="injection_unchecked",
                condition=models.Q(unchecked_since__isnull=False),
            ),
            models.Index(fields=["recovered_at", "intent_at"], name="injection_lived"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.action}"


class Claim(models.Model):
    """A physical thing that a run holds; nobody else may hold it until it is released."""

    key = models.CharField(max_length=255)
    run = models.ForeignKey(Run, models.PROTECT, related_name="claims")
    reserved_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(released_at__isnull=True),
                name="claim_held_once",
            )
        ]

    def __str__(self) -> str:
        return self.key


class Reading(models.Model):
    """One distinct sample of a guardrail or of a probe."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="readings")
    kind = models.CharField(max_length=16)
    name = models.CharField(max_length=63)
    at = models.DateTimeField()
    value = models.FloatField(null=True)
    is_breach = models.BooleanField(null=True)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(fields=["run", "kind", "name", "at"], name="reading_distinct")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


class LiveSeries(models.Model):
    """What one measure of one source says now: read once, for every run that watches it.

    ``key`` is that of ``domain.slis.key_of``; ``read_at`` is when it was last asked, answered or
    not; ``attempt_deadline`` is until when somebody is asking.
    """

    key = models.CharField(max_length=32, unique=True)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="live_series")
    kind = models.CharField(max_length=16)
    payload = models.BinaryField(null=True)
    problem = models.TextField(blank=True)
    read_at = models.DateTimeField(null=True)
    attempt_deadline = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key


class Series(models.Model):
    """What one SLI measured during one run, compressed."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="series")
    sli = models.CharField(max_length=63)
    kind = models.CharField(max_length=16)
    payload = models.BinaryField()
    totals = models.JSONField(default=dict)
    problem = models.TextField(blank=True)
    queries = models.JSONField(default=list)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "sli"], name="series_once_per_sli")]

    def __str__(self) -> str:
        return f"{self.run_id}:{self.sli}"
