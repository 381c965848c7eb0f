"""The fragments with the last 15 minutes, of the form, the YAML and services; who may see them."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.core.cache import cache
from django.urls import reverse

from experiments import backends
from experiments.domain import text
from experiments.models import Experiment, Service
from experiments.services import describing, people
from tests import factories
from tests.views.editing import barred, fields_of

pytestmark = [pytest.mark.servers, pytest.mark.django_db]

SLI = {
    "name": "orders_p95",
    "title": "p95 of orders",
    "quantile": {"histogram": 'seconds_bucket{service="orders"}', "q": 0.95},
    "margin": {"relative": "20%"},
    "limit": {"max": "500ms"},
}
RAW = factories.document(
    slis=[SLI, {"name": "load", "value": "sum(queue_length", "limit": {"max": 60}}],
    guardrails=[{"name": "busy", "promql": "sum(queue_length)", "above": 40}],
    probes=[
        {
            "name": "fed",
            "at": ["start"],
            "promql": {"query": "queue_length"},
            "tolerance": {"min": 1},
        }
    ],
)
WHERE = "/experiments/preview/recent/"


@pytest.fixture
def author(client):
    sign_in(client, factories.person("bob", people.AUTHOR))
    return client


def sign_in(client, person):
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")


def ask(client, key, number, **changes):
    fields = fields_of(RAW) | {"view": "form", "environment": "staging"} | changes
    return client.post(WHERE, {**fields, "list": key, "number": str(number)})


def figure_of(response):
    found = re.search(r'data-figure="([^"]*)"', response.content.decode())
    return json.loads(html.unescape(found[1])) if found else None


def test_a_row_of_the_form_shows_its_sentence_what_is_wrong_and_a_figure(author, place):
    response = ask(author, "slis", 0)
    said = response.content.decode()
    assert response.status_code == 200
    assert "p95 of orders is 37.5 ms over the last 15 minutes" in said
    assert "the verdict could only be inconclusive" in said
    figure = figure_of(response)
    assert [each["name"] for each in figure["data"]] == ["p50", "p95", "p99"]
    assert barred(response) == []
    assert Experiment.objects.count() == 0, "nothing is stored"


def test_what_the_server_cannot_read_is_told_for_its_field(author, place):
    response = ask(author, "slis", 1)
    assert '<li data-field="id_slis-1-value">Prometheus cannot read it' in response.content.decode()
    assert figure_of(response) is None


def test_guardrails_and_probes_with_promql_are_shown(author, place):
    assert "it stops above 40" in ask(author, "guardrails", 0).content.decode()
    assert "A probe looks at the first series only" in ask(author, "probes", 0).content.decode()


def test_the_yaml_view_shows_an_item_by_its_place(author, place):
    fields = {"view": "yaml", "text": text.write(RAW), "environment": "staging"}
    response = author.post(WHERE, {**fields, "list": "slis", "number": "0"})
    assert "p95 of orders is 37.5 ms" in response.content.decode()
    broken = author.post(WHERE, {**fields, "text": "a: [", "list": "slis", "number": "0"})
    assert "Shown once the text can be read." in broken.content.decode()


def test_without_an_environment_one_is_to_be_picked(author, place):
    assert "Pick an environment" in ask(author, "slis", 0, environment="").content.decode()


@pytest.mark.parametrize(("key", "number"), [("slis", "9"), ("slis", "x"), ("nothing", "0")])
def test_a_row_that_there_is_not_is_not_found(author, place, key, number):
    assert ask(author, key, number).status_code == 404


def test_only_authors_may_look_at_drafts(client, place):
    assert ask(client, "slis", 0).status_code == 302
    sign_in(client, factories.person("vera"))
    assert ask(client, "slis", 0).status_code == 403
    assert client.get(WHERE).status_code == 405


def test_the_editor_has_a_button_in_each_row_that_measures(author, place):
    author.post("/experiments/new/", fields_of(RAW) | {"do": "save"})
    page = author.get("/experiments/new/").content.decode()
    assert 'data-recent-url="/experiments/preview/recent/"' in page
    fields = fields_of(RAW) | {"view": "form", "do": "check"}
    shown = author.post("/experiments/new/", fields).content.decode()
    assert shown.count("data-recent data-list") == 4, "two SLIs, a guardrail and a probe"
    assert 'data-promql="yes"' in shown
    fields = {"view": "yaml", "text": text.write(RAW), "do": "check"}
    listed = author.post("/experiments/new/", fields).content.decode()
    assert listed.count("data-recent data-recent-panel") == 4


class TestServices:
    @pytest.fixture
    def carts(self, place):
        service = Service.objects.create(name="carts")
        bob = factories.person("eve", people.AUTHOR)
        return describing.save(raw={"name": "carts", "slis": [SLI]}, user=bob, service=service)

    def posted(self, **changes):
        fields = {
            "dashboards-TOTAL_FORMS": "0",
            "dashboards-INITIAL_FORMS": "0",
            "slis-TOTAL_FORMS": "1",
            "slis-INITIAL_FORMS": "0",
            "slis-0-name": "load",
            "slis-0-value": "sum(queue_length)",
            "slis-0-limit_max": "60",
            "slis-0-direction": "lower_is_better",
            "slis-0-margin_of": "relative",
            "name": "carts",
            "environment": "staging",
            "number": "0",
        }
        return fields | {key.replace("__", "-"): value for key, value in changes.items()}

    def test_a_row_of_the_form_is_shown(self, author, place):
        where = reverse("service_form_recent")
        said = author.post(where, self.posted()).content.decode()
        assert "load is 42 over the last 15 minutes, on average; its limit is at most 60" in said
        wrong = author.post(where, self.posted(slis__0__value="sum(")).content.decode()
        assert '<li data-field="id_slis-0-value">Prometheus cannot read it' in wrong
        assert author.post(where, self.posted(number="7")).status_code == 404

    def test_saving_puts_what_the_server_cannot_read_at_its_field(self, author, place):
        response = author.post("/services/new/", self.posted(slis__0__value="sum("))
        assert response.status_code == 422
        assert "Prometheus cannot read it" in response.content.decode()
        assert not Service.objects.exists()
        saved = author.post("/services/new/", self.posted())
        assert saved.status_code == 302

    def test_a_silent_server_does_not_keep_a_service_from_being_saved(self, author, place):
        connection = place.aliases.get().connection
        connection.options = {"url": "http://127.0.0.1:1"}
        connection.save()
        response = author.post("/services/new/", self.posted(), follow=True)
        assert Service.objects.filter(name="carts").exists()
        assert "PromQL was not checked" in response.content.decode()

    def test_the_api_refuses_what_the_server_cannot_read(self, author, place):
        body = {"name": "carts", "slis": [{"name": "load", "value": "sum("}]}
        refused = author.post("/api/v1/services", body, content_type="application/json")
        assert refused.status_code == 400 or refused.status_code == 422
        assert "cannot read it" in refused.content.decode()

    def test_a_stored_sli_is_shown_to_everybody_who_is_signed_in(self, client, carts):
        where = reverse("service_recent", args=["carts", "orders_p95"])
        assert client.get(where).status_code == 302
        sign_in(client, factories.person("vera"))
        said = client.get(where, {"environment": "staging"}).content.decode()
        assert "p95 of orders is 37.5 ms" in said
        assert client.get(where.replace("orders_p95", "other")).status_code == 404

    def test_many_who_look_at_a_stored_sli_ask_its_source_once(self, client, carts, monkeypatch):
        sign_in(client, factories.person("vera"))
        where, asked = reverse("service_recent", args=["carts", "orders_p95"]), []
        ask = backends.prometheus
        monkeypatch.setattr(backends, "prometheus", lambda each: asked.append(each) or ask(each))
        first = client.get(where, {"environment": "staging"}).content
        count = len(asked)
        assert count
        assert client.get(where, {"environment": "staging"}).content == first
        assert len(asked) == count
        cache.clear()
        client.get(where, {"environment": "staging"})
        assert len(asked) == 2 * count

    def test_its_page_asks_for_it(self, client, carts):
        sign_in(client, factories.person("vera"))
        where = reverse("service_recent", args=["carts", "orders_p95"])
        page = client.get("/services/carts/").content.decode()
        assert f'data-recent-url="{where}"' in page
