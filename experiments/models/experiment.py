"""The plan and its versions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from experiments.models.environments import slug


class ImmutableError(RuntimeError):
    """A row that must never change was about to."""


class AppendOnly(models.Model):
    """A row that is written once. The database refuses changes too (migration 0002)."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert. Raises ImmutableError on a row that exists."""
        if not self._state.adding:
            raise ImmutableError(f"{self._meta.label} is append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raise ImmutableError."""
        raise ImmutableError(f"{self._meta.label} is append-only")


class Experiment(models.Model):
    """A plan that people edit; each save makes a version."""

    name = models.CharField(max_length=63, unique=True, validators=[slug])
    title = models.CharField(max_length=200)
    service = models.CharField(max_length=63, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="experiments"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-updated_at"]
        permissions = [("author_experiment", "Can write experiments")]

    def __str__(self) -> str:
        return self.title


class ExperimentVersion(AppendOnly):
    """One immutable version: the canonical document and the author's own text."""

    experiment = models.ForeignKey(Experiment, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    text = models.TextField()
    message = models.CharField(max_length=200, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "number"], name="version_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.experiment} v{self.number}"
