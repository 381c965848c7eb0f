"""What browsers post of an experiment's form, read the same way by every page that takes it."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.utils.datastructures import MultiValueDict

from experiments.forms.mapping import Fields

_MOST_FIELDS = 4000


def fields(request: HttpRequest) -> Fields:
    """Return the posted fields, to change. Raises Http404 for more than any form has."""
    if sum(len(texts) for _, texts in request.POST.lists()) > _MOST_FIELDS:
        raise Http404
    return MultiValueDict({name: list(texts) for name, texts in request.POST.lists()})
