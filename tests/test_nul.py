"""A NUL in an address or a field: no page breaks, whatever the database says of it."""

from __future__ import annotations

import psycopg
import pytest
from django.core.exceptions import BadRequest
from django.db import DataError, connection
from django.http import HttpResponse
from django.test import RequestFactory
from psycopg import sql

from chaosweb.nul import NulMiddleware
from experiments.services import people
from tests import factories
from tests.views.conftest import client_of


def _refusal() -> DataError:
    """Return what the database's driver says of a NUL, as Django hands it on."""
    with pytest.raises(psycopg.DataError) as caught:
        sql.Literal("\0").as_string(None)
    return DataError(*caught.value.args)


def _answer(_request):
    return HttpResponse("fine")


@pytest.mark.parametrize(
    "request_",
    [
        RequestFactory().get("/experiments/?q=%00"),
        RequestFactory().get("/environments/a%00b/"),
        RequestFactory().post("/experiments/new/", {"environment": "a\0"}),
    ],
    ids=["query", "path", "field"],
)
def test_the_databases_refusal_of_what_was_sent_is_a_bad_request(request_):
    with pytest.raises(BadRequest):
        NulMiddleware(_answer).process_exception(request_, _refusal())


def test_every_other_error_stays_what_it_is():
    nul, plain = (RequestFactory().get("/", {"q": text}) for text in ("\0", "a"))
    middleware = NulMiddleware(_answer)
    assert middleware(plain).content == b"fine"
    middleware.process_exception(plain, _refusal())
    middleware.process_exception(nul, DataError("value too long"))
    middleware.process_exception(nul, ValueError("NUL (0x00)"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "url", "fields"),
    [
        ("get", "/experiments/", {"q": "\0"}),
        ("get", "/experiments/suggest/", {"what": "fake:targets", "environment": "\0"}),
        ("post", "/experiments/preview/", {"view": "yaml", "text": "", "environment": "\0"}),
    ],
)
def test_no_page_breaks(method, url, fields):
    client = client_of(factories.person("ada", people.ADMIN))
    expected = {"postgresql": {400, 200}}.get(connection.vendor, {200})
    assert getattr(client, method)(url, fields).status_code in expected
