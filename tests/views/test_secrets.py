"""The secrets of an environment on its page: they go in, and never come out again."""

from __future__ import annotations

import pytest
from django.db import connection
from django.urls import reverse

from experiments.models import Environment
from experiments.services import secrets
from tests import factories
from tests.views.conftest import assert_sent_to_sign_in, client_of
from tests.views.editing import barred, error_at

pytestmark = pytest.mark.django_db
URL = "/environments/staging/secrets/"
TOKEN = "hunter2-hunter2"


@pytest.fixture
def adele(place, admin):
    return client_of(admin)


def kept():
    return [each.name for each in secrets.kept(Environment.objects.get(name="staging"))]


def stored(name):
    return Environment.objects.get(name="staging").secrets[name]["text"]


def add(client, name="api-token", value=TOKEN, **more):
    return client.post(URL, {"new_name-0": name, "new_value-0": value, **more}, follow=True)


def test_an_admin_sets_replaces_and_removes_one(adele):
    html = add(adele).content.decode()
    assert kept() == ["api-token"]
    assert "Set: api-token." in html
    assert "by admin" in html
    adele.post(URL, {"value-api-token": "  replaced-by-this\n"})
    assert stored("api-token") == "replaced-by-this"
    adele.post(URL, {})
    assert stored("api-token") == "replaced-by-this"
    html = adele.post(URL, {"remove-api-token": "on"}, follow=True).content.decode()
    assert kept() == []
    assert "Removed: api-token." in html


def test_no_page_shows_a_value(adele, operator, author_page):
    add(adele)
    for client in (adele, operator):
        for path in ("/environments/staging/", "/environments/", "/api/v1/environments"):
            response = client.get(path)
            assert response.status_code == 200
            assert TOKEN not in response.content.decode()
    assert barred(adele.get("/environments/staging/")) == []


@pytest.fixture
def author_page(bob):
    raw = factories.document()
    raw["probes"][0]["http"]["headers"] = {"X-Token": "${secret:api-token}", "Y": "${secret:gone}"}
    return factories.version(bob, raw)


def test_the_card_names_the_experiments_that_send_each(adele, author_page):
    add(adele)
    html = adele.get("/environments/staging/").content.decode()
    card = html[html.index('id="secrets"') :]
    assert reverse("experiment_detail", args=[author_page.experiment.name]) in card
    assert "not set here" in card
    assert "<code>gone</code>" in card


@pytest.mark.parametrize(
    ("fields", "where", "told"),
    [
        (
            {"new_name-0": "Api Token", "new_value-0": TOKEN},
            "new_name-0",
            "cannot be the name of a secret",
        ),
        ({"new_name-0": "a", "new_value-0": ""}, "new_value-0", "Enter what a stands for"),
        ({"new_name-0": "", "new_value-0": TOKEN}, "new_name-0", "Give it the name"),
        ({"new_name-0": "a", "new_value-0": "short"}, "new_value-0", "8 to 4096"),
        ({"new_name-0": "a", "new_value-0": "two\nlines-of-it"}, "new_value-0", "one line"),
        ({"new_name-0": "a", "new_value-0": "naïve-token"}, "new_value-0", "ASCII"),
        ({"new_name-0": "there", "new_value-0": TOKEN}, "new_name-0", "there already"),
        (
            {"value-there": TOKEN, "remove-there": "on"},
            "value-there",
            "either replaced or removed",
        ),
    ],
)
def test_what_cannot_be_kept_is_said_beside_its_field(adele, fields, where, told):
    add(adele, "there")
    response = adele.post(URL, fields)
    html = response.content.decode()
    assert response.status_code == 422
    assert told in error_at(html.replace("id_secret_", "id_"), where)
    assert TOKEN not in html
    assert "naïve" not in html
    assert kept() == ["there"]
    assert barred(response) == []


def test_nobody_else_may(operator, viewer, outsider, place):
    for client in (operator, viewer):
        assert add(client).status_code == 403
        assert 'id="secrets"' not in client.get("/environments/staging/").content.decode()
    assert_sent_to_sign_in(outsider.post(URL, {}))
    assert kept() == []


def test_unreadable_ones_are_said_to_be_and_entered_anew(adele):
    add(adele)

    with connection.cursor() as cursor:
        cursor.execute("update experiments_environment set secrets = %s", ['{"api-token": "gA"}'])
    html = adele.get("/environments/staging/").content.decode()
    assert "CHAOSWEB_FIELD_KEY" in html
    add(adele, "api-token", "entered-anew")
    assert stored("api-token") == "entered-anew"
