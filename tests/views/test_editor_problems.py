"""The editor's list of problems: what blocks a run stands first, is counted, and stays."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from drivers import fake
from drivers.protocol import Problem
from experiments import backends
from experiments.domain import text as yaml
from experiments.services import people, previewing
from tests import factories
from tests.views.editing import barred, fields_of

pytestmark = pytest.mark.django_db

NEW = "/experiments/new/"


@pytest.fixture
def author(client):
    person = factories.person("alice", people.AUTHOR)
    client.force_login(person)
    return client


def text_of(response):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_what_a_backend_has_against_an_action_stands_first_and_is_counted(author, monkeypatch):
    place = factories.environment()
    told = Problem(message="There is no route “front”.", hint="There are: carts.", where="mesh")
    monkeypatch.setattr(fake.FakeDriver, "check", lambda self, request: [told])
    fields = {**fields_of(factories.document()), "environment": place.name, "do": "reach"}
    response = author.post(reverse("experiment_preview"), fields)
    (mark,) = [each for each in response.context["warned"] if "no route" in each.message]
    assert (mark.target, mark.severity, mark.hint) == (
        "id_method-0-via",
        "error",
        "There are: carts.",
    )
    assert response.context["error_count"] == 1
    shown = response.content.decode()
    assert shown.index("There is no route") < shown.index("What it hits now")
    assert re.search(r'href="#id_method-0-via">[^<]*</a>: There is no route', shown)
    assert "1 error, " in text_of(response)


def test_warnings_alone_are_counted_as_such(author):
    place = factories.environment()
    fields = {
        **fields_of(factories.document(timing={"baseline": "20s"})),
        "environment": place.name,
    }
    response = author.post(reverse("experiment_preview"), fields)
    assert response.context["error_count"] == 0
    count = response.context["warning_count"]
    assert count > 0
    assert f"{count} warning" in text_of(response)
    assert "in the document" not in text_of(response)


class Answering:
    """A Prometheus that answers and cannot read one query."""

    def parse(self, query):
        if "carts" in query:
            raise previewing.DriverError("1:3: parse error: unexpected end of input")
        return query


def test_promql_that_cannot_be_read_is_told_on_check_and_stays_in_the_other_view(
    author, monkeypatch
):
    place = factories.environment()
    monkeypatch.setattr(backends, "prometheus", lambda connection: Answering())
    fields = {**fields_of(factories.document()), "environment": place.name}
    checked = author.post(NEW, {**fields, "do": "check"})
    assert "parse error" in text_of(checked)
    assert 'name="promql_was_read"' in checked.content.decode()
    turned = author.post(NEW, {**fields, "promql_was_read": "yes", "do": "view:yaml"})
    assert "parse error" in text_of(turned)
    assert len(turned.context["marks"]) == len(checked.context["marks"])
    assert "parse error" not in text_of(author.post(NEW, {**fields, "do": "view:yaml"}))


def test_a_refused_save_in_the_view_preview_tells_each_problem_once(author):
    raw = factories.document()
    raw["method"][0]["duration"] = "-3m"
    sent = {"view": "preview", "came": "yaml", "text": yaml.write(raw), "do": "save"}
    response = author.post(NEW, sent)
    assert response.status_code == 422
    shown = text_of(response)
    assert "Nothing was saved" in shown
    assert shown.count("must be longer than 0s, not -3m") - _hidden(response) == 1


def _hidden(response) -> int:
    listed = re.search(r'<ul hidden id="editor-marks">.*?</ul>', response.content.decode(), re.S)
    return listed[0].count("must be longer than 0s, not -3m") if listed else 0


def test_a_margin_that_is_missing_is_told_at_the_margin(author):
    raw = factories.document()
    raw["slis"] = [{"name": "queue", "value": "sum(queue)", "expect": "holds"}]
    raw["guardrails"] = []
    response = author.post(NEW, {**fields_of(raw), "do": "check"})
    (fault,) = response.context["editor"].faults
    assert (fault.target, fault.where) == ("id_slis-0-margin-value", "queue · Margin")


@pytest.mark.parametrize("kind", ["preset", "ratio", "quantile", "value"])
def test_a_new_sli_has_a_margin_to_begin_with(author, kind):
    url = reverse("editor_row", args=["slis"])
    row = author.get(url, {"variant": kind, "number": 3}).context["row"]
    assert row.form["slis-3-margin-value"].value() in ("0.5%", "20%")
    assert row.form["slis-3-margin-of"].value() in ("absolute", "relative")


def test_a_row_added_without_javascript_is_led_to(author):
    response = author.post(NEW, {**fields_of(factories.document()), "do": "add:slis:ratio"})
    assert not barred(response)
    link = re.search(r'<a href="#(row-slis-\d+)" autofocus>', response.content.decode())
    assert link
    assert f'id="{link[1]}"' in response.content.decode()


def test_an_archived_experiment_says_that_saving_does_not_bring_it_back(author):
    version = factories.version(factories.person("bob", people.AUTHOR))
    url = reverse("experiment_edit", args=[version.experiment.name])
    assert "It is archived" not in text_of(author.get(url))
    author.post(reverse("experiment_archive", args=[version.experiment.name]))
    assert "It is archived; saving does not bring it back." in text_of(author.get(url))


def test_a_new_experiment_guesses_no_alias_and_no_target_while_nothing_is_connected(author):
    url = f"{NEW}?fault=envoy.http_delay"
    action = author.get(url).context["editor"].by_key["method"].rows[0].form
    assert (action["method-0-via"].value(), action["method-0-with-route"].value()) == ("", "")
    assert action["method-0-via"].field.widget.attrs["placeholder"] == "mesh"
    factories.environment()
    action = author.get(url).context["editor"].by_key["method"].rows[0].form
    assert action["method-0-via"].value() == "mesh"
    assert action["method-0-with-route"].value()


def test_the_only_version_is_compared_with_nothing(author):
    version = factories.version(factories.person("bob", people.AUTHOR))
    shown = text_of(author.get(reverse("version_diff", args=[version.experiment.name])))
    assert "There is only one version yet." in shown
    assert "They are the same" not in shown
