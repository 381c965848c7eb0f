"""Pages: overview."""

from django.http import Http404, HttpRequest, HttpResponse


def show(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def live_badge(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def healthz(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404
