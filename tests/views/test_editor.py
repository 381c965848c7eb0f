"""The editor: who may save, what is refused and where it says so, what the preview shows."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from experiments.models import Experiment, ExperimentVersion
from experiments.services import people, previewing
from tests import factories
from tests.views.editing import barred, error_at, fields_of

pytestmark = pytest.mark.django_db

NEW = "/experiments/new/"


@pytest.fixture
def author(client):
    person = factories.person("alice", people.AUTHOR)
    client.force_login(person)
    return person


@pytest.fixture
def viewer(client):
    person = factories.person("victor", people.VIEWER)
    client.force_login(person)
    return person


def post(client, fields, do="save", url=NEW):
    return client.post(url, {**fields, "do": do})


def text_of(response):
    return html.unescape(response.content.decode())


def test_a_new_experiment_starts_with_one_sli_and_one_fault(client, author):
    response = client.get(f"{NEW}?fault=envoy.http_abort")
    editor = response.context["editor"]
    assert [row.badge for row in editor.by_key["method"].rows] == ["envoy.http_abort"]
    assert len(editor.by_key["slis"].rows) == 1
    assert not editor.faults
    assert not barred(response)


def test_an_author_saves_a_first_version_with_its_message(client, author):
    response = post(client, {**fields_of(factories.document()), "message": "first"})
    assert response.status_code == 302
    version = ExperimentVersion.objects.get()
    assert (version.number, version.author, version.message) == (1, author, "first")
    assert version.document == factories.document()


def test_an_edit_makes_the_next_version_and_leaves_the_old_one(client, author):
    factories.version(author)
    url = reverse("experiment_edit", args=["only-carts-feels-it"])
    fields = fields_of(factories.document(), **{"method-0-duration": "5m"})
    assert post(client, fields, url=url).status_code == 302
    newest, old = ExperimentVersion.objects.all()
    assert (newest.number, newest.document["method"][0]["duration"]) == (2, "5m")
    assert old.document == factories.document()


@pytest.mark.parametrize(
    "url", [NEW, "/experiments/only-carts-feels-it/edit/", "/experiments/preview/"]
)
def test_a_viewer_is_refused_to_write(client, viewer, url):
    factories.version(factories.person("alice", people.AUTHOR))
    assert post(client, fields_of(factories.document("another")), url=url).status_code == 403
    assert Experiment.objects.count() == 1


@pytest.mark.parametrize("url", [NEW, "/experiments/preview/"])
def test_a_stranger_is_sent_to_sign_in(client, url):
    response = post(client, {}, url=url)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign_in"))


def test_every_error_is_told_at_its_field_all_at_once_and_nothing_is_stored(client, author):
    raw = factories.document()
    raw["method"] = [
        {"name": "one", "fault": "envoy.nonsense", "via": "mesh", "duration": "3m"},
        {
            "name": "two",
            "fault": "envoy.http_abort",
            "via": "mesh",
            "with": {"percentage": "150%", "http_status": 99},
            "duration": "-3m",
        },
        {"name": "two", "fault": "fake.abort", "via": "mesh", "duration": "1m"},
        {"name": "four", "wait": "1m", "start": {"after": ["nobody"]}},
    ]
    fields = fields_of(raw, **{"slis-2-margin-of": "", "slis-2-margin-value": "20%"})
    response = post(client, fields)
    shown = text_of(response)
    assert response.status_code == 422
    assert not Experiment.objects.exists()
    assert "is not a fault that ChaosWeb knows" in error_at(shown, "method-0-fault")
    assert "150% is outside 0–100 %" in error_at(shown, "method-1-with-percentage")
    assert "must be at least 200, not 99" in error_at(shown, "method-1-with-http_status")
    assert "must be longer than 0s, not -3m" in error_at(shown, "method-1-duration")
    assert "already the name of number 2" in error_at(shown, "method-2-name")
    assert "is ambiguous" in error_at(shown, "slis-2-margin-value")
    assert "there is no action “nobody”" in error_at(shown, "method-3-start-names")
    assert len(response.context["editor"].faults) == 7
    for fault in response.context["editor"].faults:
        assert f'href="#{fault.target}"' in shown
        assert f'id="{fault.target}"' in shown


def test_a_circle_is_told_at_the_start_of_an_action(client, author):
    raw = factories.document()
    raw["method"][0]["start"] = {"after": ["look"]}
    raw["method"].append({"name": "look", "wait": "1m", "start": {"after": ["slow-carts"]}})
    shown = text_of(post(client, fields_of(raw)))
    assert "goes round in a circle" in error_at(shown, "method-0-start-mode")


def test_neither_sli_nor_probe_is_told_at_its_section(client, author):
    fields = fields_of(factories.document(slis=[], probes=[], guardrails=[]))
    response = post(client, fields)
    assert response.status_code == 422
    assert "at least one SLI or probe" in text_of(response)
    assert [fault.target for fault in response.context["editor"].faults] == ["section-slis"]


def test_two_parameters_of_one_name_are_told_and_neither_is_lost(client, author):
    raw = factories.document()
    raw["parameters"]["size"] = {"type": "integer", "default": 5}
    fields = fields_of(raw, **{"parameters-1-name": "delay"})
    response = post(client, fields)
    shown = text_of(response)
    assert response.status_code == 422
    assert "already the name of number 1" in error_at(shown, "parameters-1-name")
    assert 'value="5"' in shown
    assert not Experiment.objects.exists()


def test_what_was_written_is_never_lost(client, author):
    changes = {
        "metadata-title": "Kept & shown <b>",
        "method-0-with-percentage": "150 %",
        "slis-0-limit-max": "lots",
        "hypothesis": "",
        "message": "why",
    }
    response = post(client, fields_of(factories.document(), **changes))
    assert response.status_code == 422
    form = response.content.decode()
    for text in ("Kept &amp; shown &lt;b&gt;", "150 %", "lots", "why"):
        assert f'value="{text}"' in form


def test_a_taken_name_is_told_at_the_name(client, author):
    factories.version(author)
    response = post(client, fields_of(factories.document()))
    assert "is taken" in error_at(text_of(response), "metadata-name")


def test_a_name_cannot_change_after_the_first_version(client, author):
    factories.version(author)
    fields = fields_of(factories.document(), **{"metadata-name": "renamed"})
    response = post(client, fields, url="/experiments/only-carts-feels-it/edit/")
    assert "must stay" in error_at(text_of(response), "metadata-name")


@pytest.mark.parametrize(
    ("do", "count"),
    [("add:slis:ratio", 5), ("remove:slis:1", 3), ("up:slis:1", 4), ("remove:slis:99", 4)],
)
def test_rows_come_and_go_without_javascript_and_nothing_is_stored(client, author, do, count):
    response = post(client, fields_of(factories.document()), do=do)
    assert response.status_code == 200
    assert len(response.context["editor"].document["slis"]) == count
    assert not Experiment.objects.exists()


def test_a_row_can_be_moved(client, author):
    response = post(client, fields_of(factories.document()), do="up:slis:1")
    names = [sli["name"] for sli in response.context["editor"].document["slis"]]
    assert names[:2] == ["orders_p95", "carts_p95"]


@pytest.mark.parametrize("kind", ["slis", "method", "guardrails", "probes", "parameters"])
def test_an_empty_row_can_be_asked_for(client, author, kind):
    response = client.get(reverse("editor_row", args=[kind]), {"number": "7"})
    assert response.status_code == 200
    assert f'name="{kind}-rows" value="7"' in response.content.decode()
    assert not barred(response)


@pytest.mark.parametrize(
    ("kind", "number"), [("nonsense", "0"), ("slis", "x"), ("slis", "99999999")]
)
def test_a_row_of_no_list_is_not_found(client, author, kind, number):
    url = reverse("editor_row", args=[kind])
    assert client.get(url, {"number": number}).status_code == 404


def test_a_row_of_a_fault_has_that_faults_fields(client, author):
    response = client.get(
        reverse("editor_row", args=["method"]), {"number": "1", "fault": "envoy.http_abort"}
    )
    assert 'name="method-1-with-http_status"' in response.content.decode()


def test_another_fault_redraws_the_row_and_keeps_what_was_written(client, author):
    fields = fields_of(factories.document(), **{"method-0-fault": "fake.abort"})
    response = client.post(f"{reverse('editor_row', args=['method'])}?number=0", fields)
    shown = response.content.decode()
    assert 'name="method-0-with-http_status"' in shown
    assert re.search(r'type="hidden" name="method-0-with-fixed_delay" value="\$\{delay\}"', shown)


def test_a_guardrail_that_watches_promql_of_its_own_has_its_fields(client, author):
    fields = fields_of(factories.document(), **{"guardrails-0-kind": "promql"})
    shown = client.post(f"{reverse('editor_row', args=['guardrails'])}?number=0", fields)
    for name in ("promql", "unit", "source"):
        assert f'name="guardrails-0-{name}"' in shown.content.decode()
    assert not barred(shown)
    without_js = client.post(NEW, {**fields, "do": "redraw"}).content.decode()
    assert 'name="guardrails-0-promql"' in without_js


def test_everything_wrong_with_guardrails_is_told_at_its_field(client, author):
    own = {"name": "own", "promql": "up", "unit": "ratio", "above": "2s", "no_data": "checkpoint"}
    raw = factories.document()
    raw["guardrails"] += [own, {"name": "lost", "sli": "nobody", "above": 1}]
    raw["probes"][0]["tolerance"] = {"jsonpath": "status"}
    response = post(client, fields_of(raw, **{"guardrails-1-promql": ""}))
    assert response.status_code == 422
    html = response.content.decode()
    assert "is missing" in error_at(html, "guardrails-1-promql")
    assert "must be a percentage" in error_at(html, "guardrails-1-above")
    assert "there is no SLI" in error_at(html, "guardrails-2-sli")
    assert "must begin with $" in error_at(html, "probes-0-tolerance-jsonpath")
    assert not Experiment.objects.exists()


def test_a_guardrail_on_promql_of_its_own_is_saved(client, author):
    raw = factories.document()
    own = {"name": "own", "promql": "up", "unit": "ratio", "below": "99%", "no_data": "checkpoint"}
    raw["guardrails"].append(own)
    assert post(client, fields_of(raw)).status_code == 302
    assert ExperimentVersion.objects.get().document["guardrails"] == raw["guardrails"]


def test_the_preview_names_the_guardrails_that_will_watch_and_those_too_fast(client, author):
    place = factories.environment()
    place.guardrails = [{"name": "pages", "promql": "up", "below": 1, "every": "2s"}]
    place.save()
    fields = {**fields_of(factories.document()), "environment": place.name}
    shown = text_of(client.post(reverse("experiment_preview"), fields))
    assert "Guardrails that will watch" in shown
    assert "of the environment" in shown
    assert "up below 1, 3 of 5 · no data stops the run" in shown
    assert "pages reads every 2s but its source gives a new value every 5s" in shown
    assert 'data-field="id_guardrails-0-breaches"' not in shown, "nothing was written there"
    fields = fields_of(factories.document(), **{"guardrails-0-breaches": "2 of 4"})
    shown = text_of(client.post(reverse("experiment_preview"), fields))
    assert "reads as 2 of the newest 4 readings" in shown


def test_the_preview_shows_what_will_be_sent_and_stores_nothing(client, author):
    place = factories.environment()
    fields = {**fields_of(factories.document()), "environment": place.name}
    response = client.post(reverse("experiment_preview"), fields)
    shown = text_of(response)
    assert "set carts:fake.delay" in shown
    assert "90ms" in shown
    assert "The old value is put back." in shown
    assert "7 min in all" in shown
    assert not barred(response)
    text = client.post(reverse("experiment_preview"), {**fields, "do": "text"})
    assert text.headers["Content-Type"].startswith("text/plain")
    assert text.content.decode().startswith("apiVersion: chaosweb/v1\n")
    assert not Experiment.objects.exists()


def test_the_preview_says_how_units_are_read_and_what_is_wrong(client, author):
    fields = fields_of(
        factories.document(),
        **{"method-0-with-fixed_delay": "1500us", "timing-settle": "-1s", "timing-step": "30s"},
    )
    shown = text_of(client.post(reverse("experiment_preview"), fields))
    assert 'data-field="id_method-0-with-fixed_delay" data-kind="note">reads as 0.0015 s' in shown
    assert 'data-field="id_timing-step" data-kind="note"' not in shown, "30s says it itself"
    assert 'data-field="id_timing-settle" data-kind="error">must not be negative' in shown


def test_the_preview_warns_of_what_cannot_be_judged_and_says_what_can(client, author):
    place = factories.environment()
    raw = factories.document(timing={"baseline": "1m", "settle": "1m", "step": "10s"})
    raw["method"][0]["duration"] = "2m"
    found = previewing.preview(raw=raw, environment=place).warnings
    assert ["6 bins of 10 s" in found[0].message, "10 bins of 10 s" in found[1].message] == [
        True
    ] * 2
    assert found[0].hint == "It can with at least 5 min.", "no step so short can be filled"
    assert "at least 2 min 50 s, or with a step of 7.06 s" in found[1].hint


def test_a_check_against_the_environment_shows_targets_claims_and_their_holder(client, author):
    place = factories.environment()
    version = factories.version(author)
    run = factories.run(version, place, author, status="injecting")
    key = f"fake:{place.name}-mesh:carts:fake.delay"
    run.claims.create(key=key, reserved_at=run.requested_at)
    fields = {**fields_of(factories.document()), "environment": place.name, "do": "reach"}
    shown = text_of(client.post(reverse("experiment_preview"), fields))
    assert "What it hits now" in shown
    assert key in shown
    assert f"run {run.pk}" in shown
    assert "PromQL was not checked" in shown


def test_a_preview_names_what_the_environment_lacks(client, author):
    factories.Environment.objects.create(name="bare")
    fields = {**fields_of(factories.document()), "environment": "bare"}
    shown = text_of(client.post(reverse("experiment_preview"), fields))
    assert "bare has no connection “mesh”" in shown
    assert "is no connection of bare" in shown


class Answering:
    """A Prometheus that answers and cannot read one query."""

    def parse(self, query):
        if "carts" in query:
            raise previewing.DriverError("1:3: parse error: unexpected end of input")
        return query


def test_promql_that_the_server_cannot_read_is_refused_at_its_field(client, author, monkeypatch):
    place = factories.environment()
    monkeypatch.setattr(previewing.backends, "prometheus", lambda connection: Answering())
    fields = {**fields_of(factories.document()), "environment": place.name}
    response = post(client, fields)
    assert response.status_code == 422
    assert "parse error" in error_at(text_of(response), "slis-0-quantile-histogram")
    assert not Experiment.objects.exists()


def test_a_server_out_of_reach_does_not_keep_an_author_from_saving(client, author):
    place = factories.environment()
    fields = {**fields_of(factories.document()), "environment": place.name}
    response = client.post(NEW, {**fields, "do": "save"}, follow=True)
    assert Experiment.objects.exists()
    assert "PromQL was not checked" in text_of(response)


@pytest.mark.parametrize("junk", [{}, {"base": "[1"}, {"slis-rows": ["a", "b"], "base": "3"}])
def test_junk_is_answered_with_errors_not_with_a_failure(client, author, junk):
    assert post(client, junk).status_code == 422
    assert client.post(reverse("experiment_preview"), junk).status_code == 200
    assert not Experiment.objects.exists()
