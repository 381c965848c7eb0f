"""The catalogue: a page for every fault, made from its model."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.services import people, previewing
from tests import factories
from tests.views.editing import barred

pytestmark = pytest.mark.django_db
KINDS = sorted(previewing.catalogue())


@pytest.fixture
def viewer(client):
    client.force_login(factories.person("victor", people.VIEWER))


def test_a_stranger_is_sent_to_sign_in(client):
    assert client.get(reverse("catalogue")).status_code == 302


def test_every_fault_is_listed(client, viewer):
    response = client.get(reverse("catalogue"))
    shown = response.content.decode()
    assert all(reverse("fault_detail", args=[kind]) in shown for kind in KINDS)
    assert not barred(response)


def test_the_catalogue_can_be_searched(client, viewer):
    shown = client.get(reverse("catalogue"), {"q": "delay"}).content.decode()
    assert "envoy.http_delay" in shown
    assert "envoy.http_abort" not in shown
    assert "No fault matches" in client.get(reverse("catalogue"), {"q": "<x>"}).content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_has_its_page(client, viewer, kind):
    model = previewing.catalogue()[kind]
    response = client.get(reverse("fault_detail", args=[kind]))
    shown = response.content.decode()
    assert response.status_code == 200
    assert all(f"<code>{name}</code>" in shown for name in model.model_fields)
    assert f"fault: {kind}" in shown
    assert not barred(response)


def test_what_cannot_be_undone_says_so(client, viewer):
    shown = client.get(reverse("fault_detail", args=["fake.wipe"])).content.decode()
    assert "It cannot be undone." in shown


def test_only_authors_are_led_to_the_editor(client, viewer):
    url = f"{reverse('experiment_new')}?fault=envoy.http_delay"
    page = reverse("fault_detail", args=["envoy.http_delay"])
    assert url not in client.get(page).content.decode()
    client.force_login(factories.person("alice", people.AUTHOR))
    assert url in client.get(page).content.decode()


def test_a_fault_names_the_experiments_that_use_it(client, viewer):
    factories.version(factories.person("alice", people.AUTHOR))
    page = reverse("fault_detail", args=["fake.delay"])
    assert "Only carts feels 90 ms" in client.get(page).content.decode()


def test_a_fault_that_nobody_knows_is_not_found(client, viewer):
    assert client.get(reverse("fault_detail", args=["no.such"])).status_code == 404
