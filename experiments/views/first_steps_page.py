"""What every page of the first steps shows: the steps, how far each is, and who may do them."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from experiments.models import User
from experiments.selectors import first_steps
from experiments.services import connecting


def page(
    request: HttpRequest, current: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render the page of a step; ``current`` is its name, ``start`` or ``rehearsal``."""
    asked = context.get("found")
    failing = current if asked and asked["is_in_the_way"] else ""
    steps = first_steps.steps([kind for kind, _ in connecting.kinds()], failing=failing)
    names = ["start", *(step.name for step in steps)]
    place = names.index(current) if current in names else 0
    context |= {
        "steps": steps,
        "current": current,
        "is_done": current in names and current != "start" and steps[place - 1].is_done,
        "previous": steps[place - 2] if place > 1 else None,
        "following": steps[place] if place < len(steps) else None,
        "has_next": any(step.state == "next" for step in steps),
        "admins": first_steps.admins(),
        "may_administer": may(request, "administer"),
        "may_author": may(request, "author_experiment"),
    }
    return render(request, f"first_steps/{current}.html", context, status=status)


def person(request: HttpRequest) -> User:
    """Return who is signed in."""
    return cast(User, request.user)


def may(request: HttpRequest, permission: str) -> bool:
    """Return whether the person has the permission."""
    return person(request).has_perm(f"experiments.{permission}")
