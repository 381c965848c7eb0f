"""The first steps, from an empty installation to the first run."""

from __future__ import annotations

import contextlib
import html
import re
import socket

import pytest
from django.urls import reverse

from experiments.models import Alias, Connection, Environment, Experiment, Run, Service
from experiments.services import connecting, halting, proposing, rehearsing
from tests import factories
from tests.views.conftest import assert_sent_to_sign_in
from tests.views.editing import barred, error_at
from tests.views.newcomers import DEAD, fleet_fields, source_fields, text

pytestmark = pytest.mark.django_db
PAGES = [
    "first_steps",
    "first_steps_source",
    "first_steps_backend",
    "first_steps_environment",
    "first_steps_service",
    "first_steps_experiment",
    "first_steps_rehearsal",
]


def environment_fields(**changes):
    bound = [("mesh", "mesh"), ("metrics", "metrics")]
    fields = {
        "name": "staging",
        "longest_fault": "10m",
        "aliases-TOTAL_FORMS": "2",
        "aliases-INITIAL_FORMS": "0",
    }
    for index, (name, connection) in enumerate(bound):
        fields[f"aliases-{index}-name"] = name
        fields[f"aliases-{index}-connection"] = str(Connection.objects.get(name=connection).pk)
    return fields | changes


@pytest.mark.parametrize("name", PAGES)
def test_an_outsider_is_sent_to_sign_in(outsider, name):
    assert_sent_to_sign_in(outsider.get(reverse(name)))


@pytest.mark.parametrize("name", PAGES)
def test_a_viewer_reads_on_and_is_told_whom_to_ask(viewer, admin, name):
    response = viewer.get(reverse(name))
    assert response.status_code == 200
    assert not barred(response)
    assert "Ask admin" in text(response) or name == "first_steps_experiment"
    assert 'method="post" novalidate' not in response.content.decode()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("first_steps_source", source_fields(DEAD)),
        ("first_steps_backend", fleet_fields("127.0.0.1:1")),
        ("first_steps_environment", {"name": "staging"}),
        ("first_steps_rehearsal", {"url": DEAD}),
    ],
)
def test_who_may_not_is_refused_and_nothing_is_stored(operator, viewer, name, fields):
    for who in (operator, viewer):
        # An operator's rehearsal, too, before the server asks an address that no admin has named.
        assert who.post(reverse(name), fields).status_code == 403
    assert not Connection.objects.exists()
    assert not Environment.objects.exists()


def test_the_overview_of_an_empty_installation_leads_here(boss, viewer):
    shown = boss.get("/").content.decode()
    assert f'href="{reverse("first_steps")}">Begin</a>' in shown
    assert reverse("first_steps_rehearsal") in shown
    assert "for an admin: admin" in text(viewer.get("/"))


def test_admins_find_it_again_on_the_page_of_environments(boss, viewer):
    assert reverse("first_steps") in boss.get(reverse("environment_list")).content.decode()
    assert reverse("first_steps") not in viewer.get(reverse("environment_list")).content.decode()


def test_every_kind_that_can_inject_is_offered_and_no_other(boss):
    shown = text(boss.get(reverse("first_steps")))
    listed = boss.get(reverse("first_steps_backend")).content.decode()
    for kind, title in Connection.KINDS:
        assert (title in shown) == (kind != "prometheus") or kind == "prometheus"
        assert (f"?kind={kind}&amp;new" in listed) == (kind != "prometheus")


def test_what_a_kind_that_comes_later_points_at_is_said_without_its_secrets():
    later = Connection(name="fis", kind="fis", options={"region": "eu-1"}, secrets={"key": "x"})
    assert connecting.summary(later) == "region eu-1"


def test_progress_is_what_there_is(boss, place, version):
    response = boss.get(reverse("first_steps"))
    states = {step.name: step.state for step in response.context["steps"]}
    assert states == {
        "source": "done",
        "backend": "done",
        "environment": "done",
        "service": "optional",
        "experiment": "done",
        "run": "next",
    }
    assert "saved: staging-metrics" in text(response)
    assert 'aria-current="step"' in response.content.decode()
    Alias.objects.all().delete()
    Environment.objects.all().delete()
    again = boss.get(reverse("first_steps")).context["steps"]
    assert [step.name for step in again if step.state == "next"] == ["environment"]


class TestEnvironment:
    pytestmark = pytest.mark.servers

    def test_aliases_and_times_are_proposed_and_it_is_saved(self, connected):
        url = reverse("first_steps_environment")
        page = connected.get(url)
        proposed = {row["name"].value() for row in page.context["rows"]}
        assert {"mesh", "metrics"} <= proposed
        assert "baseline:" in page.context["form"]["parameters"].value()
        response = connected.post(url, environment_fields(allowed_hosts="front:8080"))
        assert response["Location"] == reverse("first_steps_service")
        made = Environment.objects.get()
        assert (made.longest_fault_s, made.allowed_hosts) == (600.0, ["front:8080"])
        assert set(made.aliases.values_list("name", flat=True)) == {"mesh", "metrics"}

    def test_production_wants_a_word_and_a_limit(self, connected):
        url = reverse("first_steps_environment")
        fields = environment_fields(name="prod-eu", longest_fault="")
        response = connected.post(url, fields)
        shown = response.content.decode()
        assert response.status_code == 422
        assert "This sounds like production" in shown
        assert "Tick this" in error_at(shown, "is_understood")
        assert "Give production a limit" in error_at(shown, "longest_fault")
        assert not Environment.objects.exists()
        again = fields | {"is_understood": "on", "longest_fault": "5m"}
        assert connected.post(url, again).status_code == 302

    @pytest.mark.parametrize("wrong", ["soon", "0s", "-1m"])
    def test_a_limit_that_is_none_is_told(self, connected, wrong):
        response = connected.post(
            reverse("first_steps_environment"), environment_fields(longest_fault=wrong)
        )
        assert response.status_code == 422
        assert error_at(response.content.decode(), "longest_fault")
        assert f'value="{wrong}"' in response.content.decode()


class TestService:
    pytestmark = pytest.mark.servers

    def test_what_prometheus_has_is_proposed_with_its_present_value_and_saved(self, connected):
        connected.post(reverse("first_steps_environment"), environment_fields())
        url = reverse("first_steps_service")
        response = connected.get(url)
        assert not barred(response)
        assert re.search(r"carts 0 % [\d.]+ ms", text(response))
        assert "orders no request no request" in text(response)
        fields = {"of": "envoy-listener:carts", "take": ["p95", "errors"], "contact": "#carts"}
        assert connected.post(url, fields)["Location"] == reverse("first_steps_experiment")
        made = Service.objects.get()
        assert (made.name, made.contact) == ("carts", "#carts")
        assert {sli["name"]: sli["preset"] for sli in made.slis} == {
            "p95": "envoy.edge_latency",
            "errors": "envoy.edge_errors",
        }
        assert all(sli["with"]["listener"] == "carts" for sli in made.slis)

    def test_nothing_chosen_and_a_name_that_is_taken_are_told(self, connected):
        url = reverse("first_steps_service")
        response = connected.post(url, {"take": ["p95"], "owner": "me"})
        assert response.status_code == 422
        assert "Choose what it is measured by" in text(response)
        assert 'value="me"' in response.content.decode()
        Service.objects.create(name="carts")
        fields = {"of": "envoy-listener:carts", "take": ["p95"]}
        response = connected.post(url, fields)
        assert response.status_code == 422
        assert "there is a service “carts” already" in error_at(response.content.decode(), "name")
        assert 'value="envoy-listener:carts" checked' in response.content.decode()


def test_without_a_prometheus_that_answers_a_service_says_so(boss):
    assert "No Prometheus is connected" in text(boss.get(reverse("first_steps_service")))
    boss.post(reverse("first_steps_source"), source_fields(DEAD))
    response = boss.get(reverse("first_steps_service"))
    assert "cannot be reached" in text(response)
    assert f'href="{reverse("first_steps_source")}?connection=metrics"' in response.content.decode()
    assert f'href="{reverse("service_new")}"' in response.content.decode()


def test_nothing_is_proposed_from_a_prometheus_that_does_not_answer(boss):
    boss.post(reverse("first_steps_source"), source_fields(DEAD))
    response = boss.get(reverse("first_steps_environment"))
    assert response.context["form"]["parameters"].value() == ""
    assert "Nothing is proposed: the Prometheus does not answer." in text(response)


@pytest.mark.servers
def test_starters_that_fit_open_in_the_editor_with_their_environment(connected):
    connected.post(reverse("first_steps_environment"), environment_fields())
    response = connected.get(reverse("first_steps_experiment"))
    fitting = response.context["fitting"]
    assert len(fitting) == 3
    assert not any(each.starter.is_rehearsal for each in fitting)
    assert "Here a fault can hit carts orders" in text(response)
    url = f"{reverse('experiment_new')}?from={fitting[0].starter.name}&environment=staging"
    assert html.escape(url) in response.content.decode()
    editor = connected.get(url)
    assert editor.context["environment"].name == "staging"
    assert editor.context["preview"].errors == ()


def test_an_environment_that_nothing_fits_says_why(boss):
    Environment.objects.create(name="bare")
    shown = text(boss.get(reverse("first_steps_experiment")))
    assert "No starter experiment fits yet" in shown


def test_backends_that_hang_are_asked_at_once_and_left_out(boss, monkeypatch):
    monkeypatch.setattr(connecting, "PATIENCE_S", 0.5)
    place = Environment.objects.create(name="staging")
    silents: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for number in range(3):
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            known = Connection.objects.create(
                name=f"fleet-{number}", kind="envoy", options={"addresses": [address]}
            )
            Alias.objects.create(environment=place, name=known.name, connection=known)
            silents.append(silent)
        response = boss.get(reverse("first_steps_experiment"))
        assert response.context["targets"] == []
        for silent in silents:
            silent.settimeout(10)
            silent.accept()[0].close()


def test_starters_are_held_against_an_environment_that_is_read_once(django_assert_max_num_queries):
    place = factories.environment()
    with django_assert_max_num_queries(1):
        proposing.starters(place)


class TestRehearsal:
    pytestmark = pytest.mark.django_db

    @pytest.fixture
    def well(self, live_server):
        return f"{live_server.url}/healthz"

    @pytest.mark.django_db(transaction=True)
    def test_one_button_prepares_saves_and_starts_it(self, boss, well):
        url = reverse("first_steps_rehearsal")
        response = boss.post(url, {"url": well, "key": "once"})
        run = Run.objects.get()
        assert response["Location"] == reverse("run_detail", args=[run.pk])
        assert run.version.experiment.name == "rehearse-a-run"
        assert run.parameters["url"] == well
        assert run.environment.allowed_hosts == [well.split("/")[2]]
        assert Connection.objects.get().options["state"] == rehearsing.folder()
        again = boss.post(url, {"url": well, "key": "once"})
        assert again["Location"] == response["Location"], "pressed twice"
        boss.post(url, {"url": well, "key": "twice"})
        assert (Run.objects.count(), Experiment.objects.count()) == (2, 1)
        assert Environment.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_an_operator_starts_it_where_an_admin_has_prepared_it(self, boss, operator, well):
        url = reverse("first_steps_rehearsal")
        assert "An admin prepares the first rehearsal" in text(operator.get(url))
        boss.post(url, {"url": well, "key": "a"})
        page = operator.get(url)
        assert "Rehearse now" in text(page)
        assert re.search(r'name="url"[^>]* disabled', page.content.decode())
        assert operator.post(url, {"url": well, "key": "b"}).status_code == 302
        assert Run.objects.count() == 2

    @pytest.mark.django_db(transaction=True)
    def test_while_everything_is_halted_it_says_so_and_starts_nothing(self, boss, well):
        halting.halt(environment=None, actor="alerts", reason="checkout fails")
        response = boss.post(reverse("first_steps_rehearsal"), {"url": well, "key": "k"})
        assert response.status_code == 422
        assert "checkout fails" in text(response)
        assert "Rehearse now" in text(response)
        assert not Run.objects.exists()

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("nowhere", "Write an address"),
            (DEAD + "/healthz", "cannot be reached"),
            ("", "required"),
        ],
    )
    def test_an_address_that_does_not_answer_is_told_before_anything_is_stored(
        self, boss, url, said
    ):
        response = boss.post(reverse("first_steps_rehearsal"), {"url": url, "key": "k"})
        assert response.status_code == 422
        assert said in error_at(response.content.decode(), "url")
        assert not Environment.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_an_address_that_answers_something_else_is_told(self, boss, live_server):
        fields = {"url": f"{live_server.url}/no-such", "key": "k"}
        response = boss.post(reverse("first_steps_rehearsal"), fields)
        assert "It answered" in error_at(response.content.decode(), "url")
        assert not Run.objects.exists()


def test_names_are_shown_as_text(boss):
    evil = "<script>alert(1)</script>"
    Environment.objects.create(name="evil", title=evil)
    for name in ("first_steps_environment", "first_steps_experiment"):
        response = boss.get(reverse(name))
        assert evil not in response.content.decode()
        assert not barred(response)


def test_half_done_goes_on_where_it_was(boss):
    factories.environment()
    response = boss.get(reverse("first_steps_environment"))
    assert "staging-metrics" in text(response)
    assert not response.context["shows_form"]
    assert boss.get(reverse("first_steps_environment") + "?new").context["shows_form"]
