"""Environments and connections: admins edit, everybody else reads, secrets stay secret."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.models import Connection, Environment
from experiments.services import people
from tests import factories
from tests.views.editing import barred

pytestmark = pytest.mark.django_db
PROMETHEUS = {
    "name": "prom",
    "kind": "prometheus",
    "url": "http://127.0.0.1:1",
    "scrape_interval_s": "5",
    "flush_interval_s": "5",
}


@pytest.fixture
def admin(client):
    client.force_login(factories.person("adele", people.ADMIN))


@pytest.fixture
def operator(client):
    client.force_login(factories.person("otto", people.OPERATOR))


def aliases(*pairs):
    found = {"aliases-TOTAL_FORMS": str(len(pairs)), "aliases-INITIAL_FORMS": "0"}
    for index, (name, connection) in enumerate(pairs):
        found[f"aliases-{index}-name"] = name
        found[f"aliases-{index}-connection"] = str(connection.pk) if connection else ""
    return found


def test_a_stranger_is_sent_to_sign_in(client):
    assert client.get(reverse("environment_list")).status_code == 302


def test_everybody_reads_and_only_admins_edit(client, operator):
    factories.environment()
    shown = client.get(reverse("environment_list")).content.decode()
    assert "staging-mesh" in shown
    assert reverse("environment_new") not in shown
    page = client.get(reverse("environment_edit", args=["staging"])).content.decode()
    assert "Admins change environments" in page
    page = client.get(reverse("connection_edit", args=["staging-metrics"])).content.decode()
    assert "http://127.0.0.1:1" in page


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("environment_new", []),
        ("environment_edit", ["staging"]),
        ("connection_new", []),
        ("connection_edit", ["staging-mesh"]),
    ],
)
def test_an_operator_is_refused_to_write(client, operator, name, args):
    factories.environment()
    assert client.post(reverse(name, args=args), PROMETHEUS).status_code == 403
    assert Connection.objects.count() == 2
    assert Environment.objects.count() == 1


@pytest.mark.parametrize("kind", ["envoy", "prometheus", "fake"])
def test_each_kind_has_its_own_fields_and_no_inline_style(client, admin, kind):
    response = client.get(reverse("connection_new"), {"kind": kind})
    shown = response.content.decode()
    assert ('name="addresses"' in shown) == (kind == "envoy")
    assert ('name="bearer"' in shown) == (kind == "prometheus")
    assert not barred(response)


def test_an_admin_describes_an_envoy_fleet(client, admin):
    fields = {
        "name": "mesh",
        "kind": "envoy",
        "addresses": "127.0.0.1:9901\r\n127.0.0.1:9902\r\n",
        "timeout_s": "1.5",
        "flush_interval_s": "5",
    }
    assert client.post(reverse("connection_new"), fields).status_code == 302
    made = Connection.objects.get()
    assert made.options == {"addresses": ["127.0.0.1:9901", "127.0.0.1:9902"], "timeout_s": 1.5}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": ""}, "This field is required"),
        ({"url": "not a url"}, "url"),
        ({"name": "Not A Slug"}, "small letters"),
        ({"name": "new"}, "is taken"),
        ({"scrape_interval_s": "x"}, "number"),
    ],
)
def test_a_connection_that_cannot_be_used_is_refused(client, admin, changes, said):
    response = client.post(reverse("connection_new"), PROMETHEUS | changes)
    assert response.status_code == 422
    assert said.lower() in response.content.decode().lower()
    assert not Connection.objects.exists()


def test_a_secret_is_stored_kept_taken_away_and_never_shown(client, admin):
    client.post(reverse("connection_new"), PROMETHEUS | {"bearer": "s3cr3t-token"})
    assert Connection.objects.get().secrets == {"bearer": "s3cr3t-token"}
    page = reverse("connection_edit", args=["prom"])
    assert "s3cr3t-token" not in client.get(page).content.decode()
    client.post(page, PROMETHEUS | {"timeout_s": "2"})
    assert Connection.objects.get().secrets == {"bearer": "s3cr3t-token"}
    refused = client.post(page, PROMETHEUS | {"url": "", "bearer": "an0ther-token"})
    assert "an0ther-token" not in refused.content.decode()
    client.post(page, PROMETHEUS | {"forget_bearer": "on"})
    assert Connection.objects.get().secrets == {}


def test_options_that_no_field_shows_are_kept(client, admin):
    Connection.objects.create(
        name="prom", kind="prometheus", options={"url": "http://x:1", "ca_file": "/etc/ca.pem"}
    )
    client.post(reverse("connection_edit", args=["prom"]), PROMETHEUS)
    assert Connection.objects.get().options["ca_file"] == "/etc/ca.pem"


def test_an_admin_describes_an_environment(client, admin):
    mesh = Connection.objects.create(name="mesh-1", kind="fake")
    fields = {
        "name": "lab",
        "title": "Lab",
        "parameters": "delay: 90ms\r\nusers=5",
        "allowed_hosts": "front\r\n*.shop:8080",
        **aliases(("mesh", mesh), ("", None)),
    }
    assert client.post(reverse("environment_new"), fields).status_code == 302
    made = Environment.objects.get()
    assert made.parameters == {"delay": "90ms", "users": 5}
    assert made.allowed_hosts == ["front", "*.shop:8080"]
    assert list(made.aliases.values_list("name", flat=True)) == ["mesh"]


def test_an_alias_is_bound_anew_and_an_emptied_one_goes(client, admin):
    place = factories.environment()
    other = Connection.objects.create(name="other", kind="fake")
    fields = {"name": "staging", **aliases(("mesh", other), ("", None))}
    client.post(reverse("environment_edit", args=["staging"]), fields)
    bound = place.aliases.values_list("name", "connection__name")
    assert list(bound) == [("mesh", "other")]


@pytest.mark.parametrize(
    ("changes", "pairs", "said"),
    [
        ({"parameters": "- a"}, [], "one value a line"),
        ({"parameters": "a: [1]"}, [], "must be one value"),
        ({"allowed_hosts": "http://front"}, [], "without http://"),
        ({"name": "new"}, [], "is taken"),
        ({}, [("mesh", None)], "Choose what"),
        ({}, ["mesh", "mesh"], "is there twice"),
    ],
)
def test_a_wrong_environment_is_refused_with_its_reason(client, admin, changes, pairs, said):
    mesh = Connection.objects.create(name="mesh-1", kind="fake")
    rows = [(pair, mesh) if isinstance(pair, str) else pair for pair in pairs]
    fields = {"name": "lab", **changes, **aliases(*rows)}
    response = client.post(reverse("environment_new"), fields)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not Environment.objects.exists()


def test_a_check_says_what_is_in_the_way(client, admin):
    factories.environment()
    answer = client.post(reverse("connection_check", args=["staging-metrics"]))
    assert "cannot be reached" in answer.content.decode()
    answer = client.post(reverse("connection_check", args=["staging-mesh"]))
    assert "It answers" in answer.content.decode()


def test_a_check_by_htmx_answers_with_the_result_alone(client, admin):
    factories.environment()
    url = reverse("connection_check", args=["staging-mesh"])
    answer = client.post(url, headers={"HX-Request": "true"}).content.decode()
    assert "It answers" in answer
    assert "<html" not in answer


def test_a_viewer_may_not_ask_connections(client):
    factories.environment()
    client.force_login(factories.person("victor", people.VIEWER))
    url = reverse("connection_check", args=["staging-mesh"])
    assert client.post(url).status_code == 403


def test_html_in_names_and_descriptions_is_shown_as_text(client, admin):
    evil = "<script>alert(1)</script>"
    Environment.objects.create(name="evil", title=evil, description=evil, parameters={"a": evil})
    for url in (reverse("environment_list"), reverse("environment_edit", args=["evil"])):
        response = client.get(url)
        assert evil not in response.content.decode()
        assert not barred(response)
