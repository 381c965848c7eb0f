"""What every page shows: filled in with the pages."""

from typing import Any

from django.http import HttpRequest


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Return what the navigation shows."""
    return {}
