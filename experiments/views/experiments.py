"""Pages: experiments."""

from django.http import Http404, HttpRequest, HttpResponse


def index(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def new(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def preview(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def row(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def detail(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def edit(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404


def version(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Show it."""
    raise Http404
