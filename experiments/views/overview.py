"""The overview: what is broken on purpose now, who asked for it, and how to stop it."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from experiments.selectors import first_steps, overview
from experiments.services import connecting, faults

log = logging.getLogger(__name__)


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the overview; with ``?part=live`` only the panel of what is broken now."""
    live = overview.live(faults.known())
    if request.GET.get("part") == "live":
        return _part(request, live)
    coverage = overview.coverage(faults.families(), faults.known())
    verdicts = overview.verdicts()
    backends = [kind for kind, _ in connecting.kinds()]
    steps = [] if verdicts else first_steps.steps(backends)
    context = {
        "live": live,
        "coverage": coverage,
        "verdicts": verdicts,
        "steps": [] if all(step.is_done for step in steps) else steps,
        "is_begun": any(step.is_done for step in steps),
        "admins": first_steps.admins() if steps else (),
    }
    return render(request, "overview/show.html", context)


def _part(request: HttpRequest, live: overview.Live) -> HttpResponse:
    response: HttpResponse
    if request.headers.get("If-None-Match") == live.etag:
        response = HttpResponseNotModified()
    else:
        response = render(request, "overview/_live.html", {"live": live, "oob": True})
    response["ETag"] = live.etag
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@never_cache
def live_badge(request: HttpRequest) -> HttpResponse:
    """Show the navigation's badge of live faults."""
    return render(request, "partials/live_badge.html", {"live_faults": overview.places()})


@login_not_required
@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer whether the web server reaches the database; for load balancers, without sign-in."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        log.exception("healthz: the database does not answer")
        return HttpResponse("the database does not answer", status=503, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")
