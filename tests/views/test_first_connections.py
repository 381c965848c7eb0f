"""The first connections: real Envoys and a real Prometheus answer, and dead and wrong addresses."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from django.views.debug import SafeExceptionReporterFilter

from experiments.models import Connection
from experiments.services import connecting, rehearsing
from tests.servers.prometheus import SCRAPE_INTERVAL_S
from tests.views.editing import barred, error_at
from tests.views.newcomers import DEAD, fleet_fields, source_fields, text

pytestmark = pytest.mark.django_db


class TestSource:
    pytestmark = pytest.mark.servers

    def test_it_says_at_once_what_the_server_is_good_for(self, boss, systems):
        response = boss.post(reverse("first_steps_source"), source_fields(systems.prometheus))
        assert response.status_code == 200
        assert not barred(response)
        shown = text(response)
        assert "metrics answers" in shown
        assert "300ms , as its list of targets says of job envoy. Taken over." in shown
        assert re.search(r"Envoy listener : \d+ [^:]*carts, orders", shown)
        made = Connection.objects.get()
        assert made.scrape_interval_s == pytest.approx(SCRAPE_INTERVAL_S)
        assert made.flush_interval_s == 5.0
        assert "Go on: connect something to break" in shown

    def test_an_interval_that_was_written_stays_and_the_difference_is_told(self, boss, systems):
        fields = source_fields(systems.prometheus, scrape_interval_s="15")
        shown = text(boss.post(reverse("first_steps_source"), fields))
        assert "It is set to 15s" in shown
        assert Connection.objects.get().scrape_interval_s == 15.0
        emptied = source_fields(systems.prometheus, scrape_interval_s="")
        boss.post(reverse("first_steps_source") + "?connection=metrics", emptied)
        assert Connection.objects.get().scrape_interval_s == pytest.approx(SCRAPE_INTERVAL_S)

    def test_an_interval_left_open_at_a_wrong_address_is_still_found_at_the_right_one(
        self, boss, systems
    ):
        url = reverse("first_steps_source")
        shown = boss.post(url, source_fields(f"http://{systems.envoy}"))
        field = shown.context["form"]["scrape_interval_s"]
        assert field.value() is None
        answer = boss.post(
            url + "?connection=metrics",
            source_fields(systems.prometheus, scrape_interval_s=field.value() or ""),
        )
        assert "Taken over." in text(answer)
        assert Connection.objects.get().scrape_interval_s == pytest.approx(SCRAPE_INTERVAL_S)

    def test_an_envoy_is_no_prometheus(self, boss, systems):
        fields = source_fields(f"http://{systems.envoy}")
        shown = text(boss.post(reverse("first_steps_source"), fields))
        assert "metrics is saved, but cannot be used yet" in shown
        assert "Prometheus" in shown
        assert "Go on nonetheless" in shown


def test_a_dead_prometheus_is_saved_told_and_mended_without_losing_anything(boss):
    response = boss.post(reverse("first_steps_source"), source_fields(DEAD, bearer="s3cret"))
    shown = response.content.decode()
    assert "cannot be reached" in shown
    assert "Go on nonetheless" in shown
    assert f'value="{DEAD}"' in shown
    assert "s3cret" not in shown
    assert 'action="?connection=metrics"' in shown
    step = response.context["steps"][0]
    assert (step.is_done, step.says) == (False, "saved, not answering")
    assert "saved, not answering" in text(response)
    assert not re.search(r'btn-primary"[^>]*>Go on', shown)
    assert response.context["form"]["scrape_interval_s"].value() is None
    made = Connection.objects.get()
    assert (made.scrape_interval_s, made.secrets) == (15.0, {"bearer": "s3cret"})
    boss.post(reverse("first_steps_source") + "?connection=metrics", source_fields(DEAD + "/prom"))
    made.refresh_from_db()
    assert (made.options["url"], made.secrets) == (DEAD + "/prom", {"bearer": "s3cret"})


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"name": "Metrics!"}, "name", "small letters"),
        ({"url": ""}, "url", "required"),
        ({"scrape_interval_s": "often"}, "scrape_interval_s", "number"),
    ],
)
def test_what_cannot_be_saved_is_told_at_its_field_and_kept(boss, changes, field, said):
    response = boss.post(reverse("first_steps_source"), source_fields(DEAD) | changes)
    assert response.status_code == 422
    shown = response.content.decode()
    assert said in error_at(shown, field)
    assert "Nothing was saved" in shown
    for value in changes.values():
        assert not value or f'value="{value}"' in shown
    assert not Connection.objects.exists()


def test_a_refused_change_keeps_the_address_of_its_connection(boss):
    boss.post(reverse("first_steps_source"), source_fields(DEAD))
    url = reverse("first_steps_source") + "?connection=metrics"
    response = boss.post(url, source_fields(DEAD, name="Metrics!"))
    assert response.status_code == 422
    assert 'action="?connection=metrics"' in response.content.decode()


def test_the_same_again_after_back_is_the_same_connection_and_another_place_is_not(boss):
    for _ in range(2):
        assert boss.post(reverse("first_steps_source"), source_fields(DEAD)).status_code == 200
    assert Connection.objects.count() == 1
    response = boss.post(reverse("first_steps_source"), source_fields("http://127.0.0.1:2"))
    assert response.status_code == 422
    assert "already exists" in error_at(response.content.decode(), "name")
    assert Connection.objects.get().options["url"] == DEAD


def test_a_name_that_another_connection_has_is_refused_and_that_one_stays(boss):
    url = reverse("first_steps_backend") + "?kind=fake"
    first = {"name": "twin", "kind": "fake", "targets": "one\r\ntwo", "state": "/tmp/first"}
    assert boss.post(url, first).status_code == 200
    stored = Connection.objects.get().options
    assert boss.post(url, first).status_code == 200, "after the browser's Back"
    response = boss.post(url, first | {"targets": "three"})
    assert response.status_code == 422
    assert "already exists" in error_at(response.content.decode(), "name")
    assert Connection.objects.get().options == stored


@pytest.mark.parametrize(
    ("page", "arguments"),
    [
        ("first_steps_source", []),
        ("first_steps_backend", []),
        ("connection_new", []),
        ("connection_edit", ["metrics"]),
    ],
)
def test_no_error_report_shows_what_was_sent_to_a_connections_page(boss, page, arguments):
    boss.post(reverse("first_steps_source"), source_fields(DEAD))
    fields = source_fields(DEAD, name="Wrong!", password="hunter2-hunter2")
    response = boss.post(reverse(page, args=arguments), fields)
    assert response.status_code == 422
    hidden = SafeExceptionReporterFilter().get_post_parameters(response.wsgi_request)
    assert hidden
    assert "hunter2" not in f"{hidden}"


class TestBackend:
    pytestmark = pytest.mark.servers

    def test_a_fleet_says_who_answers_what_it_is_and_what_can_be_hit(self, boss, systems):
        response = boss.post(reverse("first_steps_backend"), fleet_fields(systems.envoy))
        shown = text(response)
        assert not barred(response)
        assert "mesh is ready" in shown
        assert "1 of 1 ready" in shown
        assert re.search(r"Envoy \d+\.\d+\.\d+ ready", shown)
        assert "A fault can hit carts (filter: delay and abort) orders (filter: delay" in shown
        assert Connection.objects.get().flush_interval_s == pytest.approx(0.2)

    def test_what_is_missing_comes_with_the_yaml_to_add(self, boss, systems):
        fields = fleet_fields(systems.envoy, systems.bare, "127.0.0.1:1")
        shown = text(boss.post(reverse("first_steps_backend"), fields))
        assert "not all of it is ready" in shown
        assert "1 of 3 ready" in shown
        assert "The runtime has no admin layer" in shown
        assert "- {name: admin, admin_layer: {}}" in shown
        assert "No listener has the fault filter" in shown
        assert "- name: envoy.filters.http.fault" in shown
        assert "127.0.0.1:1 cannot be reached" in shown
        assert "Go on nonetheless" in shown

    def test_a_source_takes_the_flush_interval_over(self, connected):
        url = reverse("first_steps_backend") + "?connection=mesh"
        shown = text(connected.post(url, {"do": "again"}))
        assert "Its flush interval is 5s, but these Envoys flush every 200ms." in shown
        shown = text(connected.post(url, {"do": "flush", "source": "metrics"}))
        assert "Its flush interval" not in shown
        assert Connection.objects.get(name="metrics").flush_interval_s == pytest.approx(0.2)

    def test_a_prometheus_is_no_envoy(self, boss, systems):
        address = systems.prometheus.removeprefix("http://")
        shown = text(boss.post(reverse("first_steps_backend"), fleet_fields(address)))
        assert "Is this an Envoy's admin address?" in shown


def test_a_rehearsal_is_a_backend_like_any_other_and_its_environment_can_rehearse(boss):
    url = reverse("first_steps_backend") + "?kind=fake&new"
    state = boss.get(url).context["form"]["state"].value()
    assert state == rehearsing.folder(), "shared by every process"
    fields = {"name": "stage", "kind": "fake", "targets": "one\r\ntwo", "state": state}
    shown = text(boss.post(url, fields | {"do": "check"}))
    assert "stage is ready" in shown
    assert Connection.objects.get().options == {"targets": ["one", "two"], "state": state}
    form = boss.get(reverse("first_steps_environment")).context["form"]
    assert form["allowed_hosts"].value() == rehearsing.asked().host
    assert f"url: {rehearsing.asked().url}" in form["parameters"].value()


@pytest.mark.parametrize("kind", [kind for kind, _ in connecting.kinds()])
def test_every_kind_has_its_page_with_its_own_fields(boss, kind):
    response = boss.get(reverse("first_steps_backend") + f"?kind={kind}&new")
    assert response.status_code == 200
    assert not barred(response)
    form = response.context["form"]
    shown = {field.name for field, _ in [*form.main, *form.spared]} | {
        field.name for field in form.sign_in
    }
    assert shown == set(form.fields)
    assert form["name"].value()


def test_a_checked_again_connection_is_not_changed_and_a_viewer_may_not(boss, operator, viewer):
    boss.post(reverse("first_steps_source"), source_fields(DEAD))
    before = Connection.objects.get().updated_at
    url = reverse("first_steps_source") + "?connection=metrics"
    assert "cannot be reached" in text(operator.post(url, {"do": "again"}))
    assert viewer.post(url, {"do": "again"}).status_code == 403
    assert Connection.objects.get().updated_at == before
    assert boss.get(reverse("first_steps_source") + "?connection=nobody").status_code == 404
