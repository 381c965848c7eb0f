"""Where experiments run, and how backends are reached."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from encrypted_fields.fields import EncryptedJSONField

slug = RegexValidator(
    r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$",
    "Use small letters, digits, - and _ (and no - at the ends).",
)


class Service(models.Model):
    """What the business calls it: whose it is, where help is written down, how it is measured."""

    name = models.CharField(max_length=63, unique=True, validators=[slug])
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    owner = models.CharField(max_length=200, blank=True)
    contact = models.CharField(max_length=200, blank=True, help_text="Whom to call at 3 a.m.")
    runbook = models.URLField(blank=True, max_length=500)
    dashboards = models.JSONField(
        default=list, blank=True, help_text="A list of mappings: title and url."
    )
    slis = models.JSONField(
        default=list,
        blank=True,
        help_text="Named SLIs, as a document has them, without what is expected of them.",
    )
    sli_changes = models.JSONField(
        default=dict,
        blank=True,
        help_text="When each SLI was last changed, by its name (ISO 8601).",
    )
    places = models.JSONField(
        default=dict,
        blank=True,
        help_text="Where it lives: by the environment's name, where (a text) and labels.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title or self.name


class Connection(models.Model):
    """How to reach one Envoy fleet, cluster, account or Prometheus."""

    KINDS = [
        ("envoy", "Envoy fleet (admin interface)"),
        ("kubernetes", "Kubernetes cluster"),
        ("prometheus", "Prometheus"),
        ("fake", "Rehearsal (nothing is touched)"),
    ]

    name = models.CharField(max_length=63, unique=True, validators=[slug])
    kind = models.CharField(max_length=32, choices=KINDS)
    options = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True)
    scrape_interval_s = models.FloatField(
        default=15.0, help_text="Prometheus: how often the targets are scraped, in seconds."
    )
    flush_interval_s = models.FloatField(
        default=5.0,
        help_text="How often the slowest source advances (Envoy: stats_flush_interval), seconds.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scrape_interval_s__gt=0, flush_interval_s__gt=0),
                name="connection_intervals_positive",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Environment(models.Model):
    """Where experiments run: aliases bound to connections, values of parameters, and the policy."""

    name = models.CharField(max_length=63, unique=True, validators=[slug])
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    allowed_hosts = models.JSONField(
        default=list,
        blank=True,
        help_text="Hosts that HTTP probes may ask: host, host:port, *.host.",
    )
    guardrails = models.JSONField(
        default=list,
        blank=True,
        help_text="Guardrails that watch every run here, beside the author's own.",
    )
    longest_fault_s = models.FloatField(
        null=True,
        blank=True,
        help_text="No fault may be asked to last longer here, in seconds; empty: no limit.",
    )
    secrets = EncryptedJSONField(
        default=dict,
        blank=True,
        help_text="By name, what ${secret:name} stands for in the headers of HTTP probes.",
    )
    connections = models.ManyToManyField(Connection, through="Alias", related_name="environments")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(longest_fault_s__isnull=True) | models.Q(longest_fault_s__gt=0),
                name="environment_longest_fault_positive",
            )
        ]

    def __str__(self) -> str:
        return self.title or self.name


class Alias(models.Model):
    """The name by which an environment's documents call a connection."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=63, validators=[slug])
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="aliases")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "name"], name="alias_once_per_environment"
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment_id}:{self.name}"
