"""Pages: every fault that can be injected, made from its model."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from drivers.protocol import FaultParams
from experiments.domain import text
from experiments.forms import drafts, faults
from experiments.models import Connection
from experiments.selectors import authoring as plans
from experiments.services import previewing

_BACKENDS = {kind: title for kind, title in Connection.KINDS if kind != "prometheus"}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List every fault by backend."""
    wanted = request.GET.get("q", "").strip().lower()
    groups: dict[str, list[type[FaultParams]]] = {}
    for kind, model in previewing.catalogue().items():
        if wanted in f"{kind} {model.title} {model.summary} {model.family}".lower():
            backend = kind.split(".")[0]
            groups.setdefault(_BACKENDS.get(backend, backend), []).append(model)
    return render(
        request,
        "catalogue/index.html",
        {
            "groups": [(title, [_tile(each) for each in found]) for title, found in groups.items()],
            "q": request.GET.get("q", "").strip(),
            "may_author": request.user.has_perm("experiments.author_experiment"),
        },
    )


@require_GET
def detail(request: HttpRequest, kind: str) -> HttpResponse:
    """Show one fault: its parameters, needs, traces in metrics, and how it ends."""
    catalogue = previewing.catalogue()
    model = catalogue.get(kind)
    if model is None:
        raise Http404
    action = drafts.item("method", "fault", catalogue=catalogue, fault=kind)
    action["name"] = kind.split(".")[-1].replace("_", "-")
    return render(
        request,
        "catalogue/detail.html",
        {
            "fault": _tile(model),
            "rows": faults.rows(model),
            "example": text.write([action]),
            "undo": previewing.undo(model),
            "dead_man": previewing.dead_man(model),
            "experiments": plans.usage(kind),
            "may_author": request.user.has_perm("experiments.author_experiment"),
        },
    )


def _tile(model: type[FaultParams]) -> dict[str, Any]:
    return {
        "kind": model.kind,
        "title": model.title,
        "summary": model.summary,
        "family": model.family,
        "undo": {"restores": "restores", "self_heals": "heals by itself", "none": "for good"}[
            model.undo
        ],
        "is_for_good": model.undo == "none",
        "needs": model.needs,
        "metrics": model.metrics,
        "has_dead_man": model.dead_man_s is not None,
    }
