"""Pages: runs."""

from django.http import Http404, HttpRequest, HttpResponse


def start(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def index(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def detail(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def live(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def stop(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def checkpoint(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def figure(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404
