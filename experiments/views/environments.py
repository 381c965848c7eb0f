"""Pages: environments."""

from django.http import Http404, HttpRequest, HttpResponse


def index(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def new(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def edit(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def connection_new(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def connection_edit(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def connection_check(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404
