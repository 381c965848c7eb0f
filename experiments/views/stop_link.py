"""The page behind a stop link: shows without sign-in what would stop, and stops on POST."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from experiments.selectors import stop_links as selector
from experiments.services import faults, stop_links

_REFRESH_S = 3


def _private(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Keep the address, which is all the authority there is, out of logs, caches and indexes."""

    @wraps(view)
    def answer(request: HttpRequest, token: str) -> HttpResponse:
        response = view(request, token)
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return answer


# Exempt from the CSRF check: no cookie or session gives this page any power that another site could
# borrow. Whoever knows the token may stop; whoever does not cannot forge a request that carries it.
# And browsers inside chat apps often keep no cookies at all.
@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@_private
def show(request: HttpRequest, token: str) -> HttpResponse:
    """Show what the link stops, and how the removal goes; only POST changes anything."""
    try:
        link = stop_links.read(token)
    except stop_links.BrokenLinkError:
        return render(request, "halting/link_useless.html", {"why": "broken"}, status=404)
    why = stop_links.why_useless(link, timezone.now())
    if why:
        return render(request, "halting/link_useless.html", {"why": why, "link": link}, status=410)
    if request.method == "POST":
        stop_links.press(link)
        return redirect(request.path)
    found = selector.state_of(link, faults.known())
    response = render(request, "halting/link.html", {"link": link, "state": found})
    if found.is_moving:
        response["Refresh"] = str(_REFRESH_S)
    return response
