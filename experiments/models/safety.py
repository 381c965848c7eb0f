"""Halts, the ways to stop without signing in, and faults that the ledger does not look after."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from encrypted_fields.fields import EncryptedJSONField

from experiments.models.environments import Connection, Environment, slug
from experiments.models.run import Run


class Halt(models.Model):
    """No new run, and every live one stopped: in one environment, or everywhere (None)."""

    environment = models.ForeignKey(
        Environment, models.PROTECT, null=True, blank=True, related_name="halts"
    )
    scope = models.CharField(max_length=63, blank=True)
    """The environment's name; empty: everywhere."""
    since = models.DateTimeField()
    actor = models.CharField(max_length=150)
    reason = models.TextField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=150, blank=True)
    lift_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-since", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope"],
                condition=models.Q(lifted_at__isnull=True),
                name="halt_once_per_scope",
            )
        ]

    def __str__(self) -> str:
        return f"halt of {self.scope or 'everything'}"


class StopLink(models.Model):
    """A signed address that stops a run, or halts an environment or everything (both None).

    The address holds a signature over the row's id: it can be revoked, and it expires.
    """

    environment = models.ForeignKey(
        Environment, models.CASCADE, null=True, blank=True, related_name="stop_links"
    )
    run = models.ForeignKey(Run, models.CASCADE, null=True, blank=True, related_name="stop_links")
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.note or f"stop link {self.pk}"


class Webhook(models.Model):
    """An address that an alerting system calls to halt an environment, or everything (None)."""

    name = models.CharField(max_length=63, unique=True, validators=[slug])
    environment = models.ForeignKey(
        Environment, models.CASCADE, null=True, blank=True, related_name="webhooks"
    )
    secrets = EncryptedJSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Orphan(models.Model):
    """A fault of ours on a backend that no live injection of the ledger looks after."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="orphans")
    token = models.CharField(max_length=63)
    targets = models.JSONField(default=list)
    by_hand = models.JSONField(default=list)
    plan = models.JSONField(null=True)
    """As its backend holds it, of every target it was ever seen on; None: it holds too little."""
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-first_seen_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "token"], name="orphan_once_per_token")
        ]

    def __str__(self) -> str:
        return f"{self.token} on {self.connection}"
