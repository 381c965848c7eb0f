"""Pages: every fault that can be injected, made from its model."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from drivers.protocol import FaultParams
from experiments.domain import text
from experiments.forms import drafts
from experiments.forms import faults as fields
from experiments.selectors import authoring as plans
from experiments.services import faults, library, previewing

_UNDO = {"restores": "restores", "self_heals": "heals by itself", "none": "for good"}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List the faults by backend, narrowed by what was asked for."""
    filters = faults.Filters(
        text=request.GET.get("q", "").strip(),
        backend=request.GET.get("backend", ""),
        family=request.GET.get("family", ""),
    )
    groups: dict[str, list[dict[str, Any]]] = {}
    found = faults.search(filters)
    for model in found:
        groups.setdefault(backend_title(model.kind.split(".")[0]), []).append(tile(model))
    return render(
        request,
        "catalogue/index.html",
        {
            "groups": list(groups.items()),
            "found": len(found),
            "total": len(faults.known()),
            "filters": filters,
            "backends": [(kind, backend_title(kind)) for kind in faults.kinds()],
            "families": faults.all_families(),
            "may_author": request.user.has_perm("experiments.author_experiment"),
        },
    )


@require_GET
def detail(request: HttpRequest, kind: str) -> HttpResponse:
    """Show one fault: its parameters, needs, traces in metrics, and how it ends."""
    catalogue = faults.known()
    model = catalogue.get(kind)
    if model is None:
        raise Http404
    backend = kind.split(".")[0]
    return render(
        request,
        "catalogue/detail.html",
        {
            "fault": tile(model),
            "backend": backend_title(backend),
            "backend_kind": backend,
            "rows": fields.rows(model),
            "example": text.write([example(model)]),
            "undo": previewing.undo(model),
            "dead_man": previewing.dead_man(model),
            "experiments": plans.usage(kind),
            "starters": library.using(kind),
            "may_author": request.user.has_perm("experiments.author_experiment"),
        },
    )


def example(model: type[FaultParams]) -> dict[str, Any]:
    """Return an action of a method that injects the fault, with the model's own examples."""
    action: dict[str, Any] = drafts.item(
        "method", "fault", catalogue=faults.known(), fault=model.kind
    )
    action["name"] = model.kind.split(".")[-1].replace("_", "-")
    return action


def backend_title(kind: str) -> str:
    """Return what pages call a backend."""
    return faults.backend_title(kind)


def tile(model: type[FaultParams]) -> dict[str, Any]:
    """Return what pages show of a fault: its class itself would be called by a template."""
    return {
        "kind": model.kind,
        "title": model.title,
        "summary": model.summary,
        "family": model.family,
        "undo": _UNDO[model.undo],
        "is_for_good": model.undo == "none",
        "needs": model.needs,
        "metrics": model.metrics,
        "has_dead_man": model.dead_man_s is not None,
    }
