"""The catalogue: a page for every fault, made from its model."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from experiments.domain import text
from experiments.forms import faults as fields
from experiments.services import authoring, library, people, previewing
from experiments.views import catalogue
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


def kinds_in(response):
    return set(re.findall(r'class="cw-kind">([^<]+)<', response.content.decode()))


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ({"q": "HTTP status", "family": "abort", "backend": "envoy"}, {"envoy.http_abort"}),
        ({"q": "fixed_delay"}, {"envoy.http_delay", "fake.delay"}),
        ({"q": "virtual host"}, {"envoy.http_abort", "envoy.http_delay"}),
        ({"q": "layered_runtime delay"}, {"envoy.http_delay"}),
        ({"backend": "fake"}, {"fake.abort", "fake.delay", "fake.wipe"}),
        (
            {"family": "kill", "backend": "kubernetes"},
            {"kubernetes.delete_pods", "kubernetes.delete_workload"},
        ),
        ({"family": "dns", "q": "patterns"}, {"chaosmesh.dns_error", "chaosmesh.dns_random"}),
        ({"backend": "envoy", "family": "abort"}, {"envoy.http_abort"}),
        ({"backend": "nothing"}, set()),
    ],
    ids=str,
)
def test_a_search_looks_at_sentences_and_fields_and_two_filters_narrow_it(
    client, viewer, asked, kinds
):
    response = client.get(reverse("catalogue"), asked)
    assert kinds_in(response) == kinds
    shown = re.sub(r"<[^>]+>", "", response.content.decode())
    assert f"{len(kinds)} of {len(KINDS)} faults" in shown


def test_the_filters_keep_what_was_asked_for(client, viewer):
    asked = {"q": 'a "quoted" word', "backend": "envoy", "family": "delay"}
    shown = client.get(reverse("catalogue"), asked).content.decode()
    assert 'value="a &quot;quoted&quot; word"' in shown
    assert '<option value="envoy" selected>' in shown
    assert "<option selected>delay</option>" in shown


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_every_fault_is_valid_as_it_stands_on_its_page(client, viewer, kind):
    response = client.get(reverse("fault_detail", args=[kind]))
    written = response.context["example"]
    raw = factories.document(method=text.read(written))
    assert authoring.validate(raw).errors == ()
    assert catalogue.example(previewing.catalogue()[kind]) == text.read(written)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_says_what_it_needs_shows_and_how_it_ends(client, viewer, kind):
    model = previewing.catalogue()[kind]
    response = client.get(reverse("fault_detail", args=[kind]))
    shown = html.unescape(response.content.decode())
    keys = ("needs", "metrics")
    assert all(response.context["fault"][key] == getattr(model, key) for key in keys)
    for row in fields.rows(model):
        assert f">{row['name']}</code>" in shown
        assert row["title"] in shown
    assert previewing.undo(model) in shown
    assert previewing.dead_man(model) in shown
    for starter in library.using(kind):
        assert reverse("starter_detail", args=[starter.name]) in shown


def test_bounds_units_and_defaults_are_shown(client, viewer):
    page = reverse("fault_detail", args=["envoy.http_abort"])
    shown = re.sub(r"<[^>]+>", " ", client.get(page).content.decode())
    assert "200 to 599" in shown
    assert "0 to 100 %" in shown
    assert "200 characters" in shown
    assert re.search(r"\b503\b", shown)


def test_the_two_tabs_lead_to_each_other(client, viewer):
    assert reverse("library") in client.get(reverse("catalogue")).content.decode()
    assert reverse("catalogue") in client.get(reverse("library")).content.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_has_its_page(client, viewer, kind):
    model = previewing.catalogue()[kind]
    response = client.get(reverse("fault_detail", args=[kind]))
    shown = response.content.decode()
    assert response.status_code == 200
    assert all(f">{row['name']}</code>" in shown for row in fields.rows(model))
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
