"""“Was it us?”: which faults were live at a moment, for somebody in the middle of an incident."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from experiments.domain.errors import InvalidDocumentError
from experiments.selectors import was_it_us as selector
from experiments.services import faults

_QUICK = (("15m", "last 15 min"), ("1h", "last hour"), ("6h", "last 6 h"), ("24h", "last 24 h"))


@require_safe
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """Show the form and the answer to its address; without a question, what is live now."""
    query = request.GET.dict()
    given = {name: query.get(name, "").replace("\x00", "").strip() for name in _FIELDS}
    context = {
        "given": given,
        "quick": _quick(given),
        "services": selector.services(),
        "environments": selector.environments(),
        "known_environments": [name for name, _ in selector.environments()],
    }
    return render(request, "was_it_us/show.html", context)
