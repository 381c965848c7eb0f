"""What every page shows: whether a fault is live, what is halted, and who is signed in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from experiments.models import User
from experiments.selectors import halting, overview
from experiments.services import people


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Return what the navigation shows; read only by pages that have one, nothing for outsiders."""
    user = getattr(request, "user", None)
    if not isinstance(user, User) and not getattr(user, "is_authenticated", False):
        return {}
    return {
        "live_faults": SimpleLazyObject(overview.places),
        "active_halts": SimpleLazyObject(halting.all_active),
        "user_role": SimpleLazyObject(lambda: people.role_of(request.user)),  # type: ignore[arg-type]
    }
