"""Pages: starter experiments, to read and to start from."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from experiments.selectors import authoring as plans
from experiments.services import faults, library
from experiments.views.catalogue import backend_title, tile


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List the starters by level, narrowed by what was asked for."""
    filters = library.Filters(
        text=request.GET.get("q", "").strip(),
        backend=request.GET.get("backend", ""),
        family=request.GET.get("family", ""),
        level=request.GET.get("level", ""),
    )
    found = library.search(filters)
    groups = [
        (title, [each for each in found if each.level == level])
        for level, title in library.LEVELS.items()
    ]
    return render(
        request,
        "library/index.html",
        {
            "groups": [(title, starters) for title, starters in groups if starters],
            "found": len(found),
            "total": len(library.starters()),
            "filters": filters,
            "backends": [(kind, backend_title(kind)) for kind in library.kinds()],
            "families": library.families(),
            "levels": list(library.LEVELS.items()),
            "section": "catalogue",
            "may_author": request.user.has_perm("experiments.author_experiment"),
        },
    )


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one starter: what it does, what it needs, and its document with the comments."""
    starter = library.one(name)
    if starter is None:
        raise Http404
    catalogue = faults.known()
    return render(
        request,
        "library/detail.html",
        {
            "starter": starter,
            "document": starter.document,
            "schedule": starter.schedule,
            "watched": plans.watched(starter.document),
            "steps": plans.steps(starter.document),
            "connections": [(alias, backend_title(kind)) for alias, kind in starter.connections],
            "faults": [tile(catalogue[kind]) for kind in starter.faults],
            "backends": [backend_title(kind) for kind in starter.backends],
            "section": "catalogue",
            "may_author": request.user.has_perm("experiments.author_experiment"),
        },
    )
