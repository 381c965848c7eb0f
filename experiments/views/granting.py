"""What an account may do on its cluster, and the manifests that give it what faults need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from experiments.models import Connection, User
from experiments.services import granting, people


@require_GET
def rights(request: HttpRequest, name: str) -> HttpResponse:
    """Ask the cluster and show every right with the faults that need it."""
    people.require(cast(User, request.user), "author_experiment", "ask connections")
    connection = get_object_or_404(Connection, name=name)
    if connection.kind not in granting.KINDS:
        raise Http404
    models = granting.faults(connection)
    chosen = set(request.GET.getlist("fault")) & {model.kind for model in models}
    titles = {model.kind: model.title for model in models}
    found = granting.look(connection, chosen)
    context: dict[str, Any] = {
        "connection": connection,
        "found": found,
        "faults": [(kind, title, kind in chosen) for kind, title in titles.items()],
        "grants": [
            (each, places, _said(each.faults, titles, chosen))
            for each, places in granting.by_right(found.grants)
        ],
        "is_narrowed": bool(chosen),
    }
    return render(request, "environments/rights.html", context)


def _said(kinds: Collection[str], titles: Mapping[str, str], chosen: Collection[str]) -> str:
    """Name the faults, or say that it is every one that was asked for."""
    asked = chosen or titles
    if len(asked) > 1 and set(kinds) >= set(asked):
        return "every one of these faults"
    return ", ".join(titles.get(kind, kind) for kind in kinds)
