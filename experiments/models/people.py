"""People who sign in."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person or a machine that signs in; what they may do comes with the groups of their role."""

    def __str__(self) -> str:
        return self.get_full_name() or self.username
