"""Pages: an environment's secrets. Admins set and remove them; nobody sees them again."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from experiments.forms.secrets import SecretsForm
from experiments.models import Environment, User
from experiments.selectors import secrets as usage
from experiments.services import people, secrets


@sensitive_post_parameters()
@require_POST
def save(request: HttpRequest, name: str) -> HttpResponse:
    """Set, replace and remove secrets."""
    person = cast(User, request.user)
    people.require(person, "administer", "change secrets")
    environment = get_object_or_404(Environment, name=name)
    form = SecretsForm(request.POST, environment=environment)
    if not form.is_valid():
        page = {"environment": environment, **context(environment, form)}
        return render(request, "environments/secrets.html", page, status=422)
    changes = form.changes()
    secrets.save(user=person, environment=environment, changes=changes)
    if changes:
        messages.success(request, _told(changes))
    else:
        messages.info(request, "No secret was changed.")
    return redirect(f"{reverse('environment_edit', args=[environment.name])}#secrets")


def context(environment: Environment, form: SecretsForm | None = None) -> dict[str, Any]:
    """Return what the card of an environment's secrets shows."""
    form = form or SecretsForm(environment=environment)
    users = usage.users()
    there = {each.name for each in form.kept}
    return {
        "secrets_form": form,
        "secret_rows": [
            (kept, value, remove, users.get(kept.name, [])) for kept, value, remove in form.rows()
        ],
        "secrets_wanted": [(each, users[each]) for each in sorted(users) if each not in there],
        "secrets_are_readable": secrets.is_readable(environment),
    }


def _told(changes: dict[str, str | None]) -> str:
    """Say which secrets were changed, and how."""
    kept = ", ".join(name for name, value in changes.items() if value is not None)
    gone = ", ".join(name for name, value in changes.items() if value is None)
    told = [f"Set: {kept}." if kept else "", f"Removed: {gone}." if gone else ""]
    return " ".join(filter(None, told))
