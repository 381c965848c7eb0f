"""Environments and connections: admins edit, everybody else reads, secrets stay secret."""

from __future__ import annotations

import types

import pytest
from django.urls import reverse

from drivers.protocol import DriverError
from experiments import backends
from experiments.models import Connection, Environment
from experiments.services import people
from tests import factories
from tests.views.editing import barred, error_at

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


@pytest.mark.parametrize("kind", ["envoy", "kubernetes", "prometheus", "fake"])
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


RAIL = {
    "name": "pages",
    "promql": "sum(errors) or vector(0)",
    "side": "above",
    "bound": "5%",
    "unit": "ratio",
    "source": "metrics",
    "breaches": "2 of 3",
    "every": "10s",
    "no_data": "checkpoint",
}
STORED = {
    "name": "pages",
    "promql": "sum(errors) or vector(0)",
    "source": "metrics",
    "unit": "ratio",
    "above": "5%",
    "breaches": "2 of 3",
    "every": "10s",
    "no_data": "checkpoint",
}
EMPTY = {"side": "above", "source": "metrics", "breaches": "3 of 5", "every": "5s"}


def rails(*rows, initial=0):
    found = {
        "guardrails-TOTAL_FORMS": str(len(rows)),
        "guardrails-INITIAL_FORMS": str(initial),
    }
    for index, row in enumerate(rows):
        found |= {f"guardrails-{index}-{name}": text for name, text in row.items()}
    return found


class TestGuardrails:
    @pytest.fixture
    def place(self):
        return factories.environment()

    @pytest.fixture
    def bound(self, place):
        return {
            "name": "staging",
            **aliases(*((each.name, each.connection) for each in place.aliases.all())),
            "aliases-INITIAL_FORMS": "2",
        }

    @pytest.fixture
    def save(self, client, admin, place, bound):
        return lambda *rows, **changes: client.post(
            reverse("environment_edit", args=["staging"]), bound | rails(*rows) | changes
        )

    def test_an_admin_gives_every_run_one_and_takes_it_away(self, client, save, place):
        response = save(
            RAIL, EMPTY, RAIL | {"name": "two", "side": "below", "bound": "5"} | {"unit": ""}
        )
        assert response.status_code == 302
        place.refresh_from_db()
        assert place.guardrails[0] == STORED
        assert {**place.guardrails[1], "unit": ""}["below"] == 5
        html = client.get(reverse("environment_edit", args=["staging"])).content.decode()
        assert html.count("Another guardrail") == 2, "two empty rows are left"
        assert 'value="5%"' in html
        assert "sum(errors) or vector(0)" in html
        assert save(RAIL | {"DELETE": "on"}, EMPTY).status_code == 302
        place.refresh_from_db()
        assert place.guardrails == []

    def test_everything_wrong_is_told_at_its_field_and_nothing_is_lost(self, save, place):
        wrong = {
            "name": "Pages!",
            "bound": "5",
            "breaches": "9 of 2",
            "every": "now",
            "source": "mesh",
        }
        response = save(RAIL | wrong, RAIL | {"bound": "", "promql": ""})
        assert response.status_code == 422
        html = response.content.decode()
        assert "small letters" in error_at(html, "guardrails-0-name")
        assert "must be a percentage" in error_at(html, "guardrails-0-bound")
        assert "can never happen" in error_at(html, "guardrails-0-breaches")
        assert "now" in error_at(html, "guardrails-0-every")
        assert "no Prometheus of the environment" in error_at(html, "guardrails-0-source")
        assert "either above or below" in error_at(html, "guardrails-1-bound")
        assert "is missing" in error_at(html, "guardrails-1-promql")
        for text in ("Pages!", "9 of 2", "now"):
            assert f'value="{text}"' in html
        assert barred(response) == []
        place.refresh_from_db()
        assert place.guardrails == []

    def test_promql_that_the_server_cannot_read_is_told(self, save, place, monkeypatch):
        def cannot(query):
            raise DriverError("unexpected end of input")

        reader = types.SimpleNamespace(parse=cannot)
        monkeypatch.setattr(backends, "prometheus", lambda connection: reader)
        html = save(RAIL | {"promql": "sum("}).content.decode()
        assert "unexpected end of input" in error_at(html, "guardrails-0-promql")

    def test_more_rows_come_and_nothing_is_stored_or_lost(self, save, place):
        response = save(RAIL, EMPTY, more="guardrails", title="Not yet")
        assert response.status_code == 200
        html = response.content.decode()
        assert 'name="guardrails-TOTAL_FORMS" value="4"' in html
        assert html.count("Another guardrail") == 3
        assert "sum(errors) or vector(0)" in html
        place.refresh_from_db()
        assert (place.guardrails, place.title) == ([], "")

    def test_a_form_without_them_leaves_them(self, client, admin, place, bound):
        place.guardrails = [STORED]
        place.save()
        client.post(reverse("environment_edit", args=["staging"]), bound | {"title": "Stage"})
        place.refresh_from_db()
        assert (place.guardrails, place.title) == ([STORED], "Stage")

    def test_an_alias_that_one_needs_cannot_go(self, client, admin, place):
        fields = {"name": "staging", **aliases(), **rails(RAIL)}
        response = client.post(reverse("environment_edit", args=["staging"]), fields)
        assert response.status_code == 422
        assert "it has none" in error_at(response.content.decode(), "guardrails-0-source")
        assert place.aliases.count() == 2

    def test_everybody_reads_them(self, client, operator, place):
        place.guardrails = [STORED | {"promql": "<b>"}]
        place.save()
        html = client.get(reverse("environment_edit", args=["staging"])).content.decode()
        assert "pages" in html
        assert "&lt;b&gt; above 5%, 2 of 3 · without data it asks a person" in html
        shown = client.get("/api/v1/environments").json()["results"][0]["guardrails"]
        assert shown == place.guardrails

    def test_an_operator_may_not_write_them(self, client, operator, place, bound):
        response = client.post(reverse("environment_edit", args=["staging"]), bound | rails(RAIL))
        assert response.status_code == 403
        place.refresh_from_db()
        assert place.guardrails == []


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


@pytest.mark.parametrize(("written", "stored"), [("15m", 900.0), ("", None), ("90s", 90.0)])
def test_an_environment_may_limit_how_long_a_fault_lasts(client, admin, written, stored):
    place = factories.environment()
    fields = {"name": "staging", "longest_fault": written, **aliases()}
    client.post(reverse("environment_edit", args=["staging"]), fields)
    place.refresh_from_db()
    assert place.longest_fault_s == stored
    client.force_login(factories.person("victor", people.VIEWER))
    shown = client.get(reverse("environment_edit", args=["staging"])).content.decode()
    expected = {900.0: "15m", 90.0: "1m30s", None: "no limit"}[stored]
    assert f"<dt>Longest fault</dt><dd>{expected}</dd>" in shown


def test_a_limit_that_is_no_duration_is_told_at_its_field(client, admin):
    fields = {"name": "lab", "longest_fault": "soon", **aliases()}
    response = client.post(reverse("environment_new"), fields)
    assert "soon" in error_at(response.content.decode(), "longest_fault")
    assert not Environment.objects.exists()
