"""What every view of the API shares: who asks, how much may be sent, how lists are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from experiments.api import errors
from experiments.api.parsing import JsonParser
from experiments.models import User

M = TypeVar("M", bound=Model)


class Pages(LimitOffsetPagination):
    """Lists come in pages: ``limit`` (at most 200) and ``offset``."""

    max_limit = 200


class ApiView(APIView):
    """One address. Only who has signed in gets in (see REST_FRAMEWORK in the settings)."""

    parser_classes: Sequence[type[BaseParser]] = (JsonParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a huge body before reading it, then anyone who may not come in."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        # A body without a length is empty to WSGI, so that the length is all there is to check.
        if most is not None and _length_of(request) > most:
            raise errors.TooLargeError(f"The body is larger than {most} bytes.")
        super().initial(request, *args, **kwargs)

    def get_exception_handler(self) -> Any:
        """Return what turns exceptions into answers."""
        return errors.answer


class ListView(ApiView):
    """An address that lists."""

    pagination_class = Pages

    def page_of(
        self, request: Request, rows: QuerySet[M], shape: type[BaseSerializer[Any]]
    ) -> Response:
        """Answer the page of the rows that the request asks for."""
        pages = self.pagination_class()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(shape(page, many=True).data)


class Nowhere(ApiView):
    """Every address that there is not, so that a mistyped one is answered in JSON too."""

    @extend_schema(exclude=True)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Say that there is nothing."""
        raise Http404("There is nothing at this address: see /api/v1/openapi.json.")

    post = put = patch = delete = get


def _length_of(request: Request) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def person(request: Request) -> User:
    """Return who asks; the permission classes let nobody else come this far."""
    return cast(User, request.user)


def one(rows: QuerySet[M], noun: str, **by: Any) -> M:
    """Return the row. Raises Http404, saying what there is not."""
    row = rows.filter(**by).first()
    if row is None:
        raise Http404(f"There is no {noun} “{next(iter(by.values()))}”.")
    return row
