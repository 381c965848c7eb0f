"""Pages: catalogue."""

from django.http import Http404, HttpRequest, HttpResponse


def index(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def detail(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404
