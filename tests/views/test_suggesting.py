"""The address that answers what a field may hold, and the form's fields that ask it."""

from __future__ import annotations

import json
import re

import pytest
from django.core.cache import cache

from drivers.fake import forget
from experiments import backends
from tests.views.conftest import assert_sent_to_sign_in, client_of

URL = "/experiments/suggest/"
ASKED = {"what": "fake:targets", "environment": "staging", "alias": "mesh"}


@pytest.fixture(autouse=True)
def _nothing_is_kept():
    forget()
    backends.forget()
    cache.clear()


@pytest.fixture
def browser(bob):
    return client_of(bob)


def test_an_author_is_answered(browser, place):
    answer = browser.get(URL, {**ASKED, "typed": "ca"})
    assert answer.status_code == 200
    assert answer.json() == {
        "options": [{"value": "carts", "detail": "target"}],
        "note": "",
        "origin": "targets of mesh",
        "left_out": 0,
    }
    assert "no-store" in answer["Cache-Control"]


def test_an_outsider_and_a_reader_are_refused(outsider, viewer, place):
    assert_sent_to_sign_in(outsider.get(URL, ASKED))
    assert viewer.get(URL, ASKED).status_code == 403


def test_it_only_reads(browser, place):
    assert browser.post(URL, ASKED).status_code == 405


def test_a_system_out_of_reach_is_no_error_of_the_page(browser, place):
    asked = {"what": "preset:envoy.edge_errors:listener", "environment": "staging"}
    answer = browser.get(URL, asked)
    assert answer.status_code == 200
    assert answer.json()["options"] == []
    assert "127.0.0.1:1" in answer.json()["note"]


@pytest.mark.parametrize(
    "more",
    [
        {"environment": "nowhere"},
        {"environment": ""},
    ],
)
def test_no_environment_is_a_note(browser, place, more):
    assert "Pick an environment" in browser.get(URL, {**ASKED, **more}).json()["note"]


@pytest.mark.parametrize(
    "given",
    ["", "{", "[1]", "null", '"text"', "9" * 9000, "[" * 7999, json.dumps({"percentage": ["${x"]})],
)
def test_whatever_the_row_holds_is_taken(browser, place, given):
    answer = browser.get(URL, {**ASKED, "given": given})
    assert [each["value"] for each in answer.json()["options"]] == ["carts", "orders"]


def test_nothing_at_all_is_asked_for_nothing(browser, place):
    assert (
        browser.get(URL).json()["note"]
        == "Pick an environment under “Preview in” to see what it has."
    )
    assert browser.get(URL, {"environment": "staging"}).json()["options"] == []


def asks(html, name):
    """Return what the field's input asks for."""
    tag = re.search(rf'<input[^>]*name="{name}"[^>]*>', html)
    assert tag, name
    found = re.search(r'data-suggest="([^"]*)"', tag[0])
    return found[1] if found else ""


def test_fields_ask_for_what_their_models_say(browser, place):
    html = browser.get("/experiments/new/?fault=envoy.http_abort").content.decode()
    assert asks(html, "method-0-via") == "alias:envoy"
    assert asks(html, "method-0-with-route") == "envoy:routes"
    assert asks(html, "method-0-with-percentage") == ""
    assert asks(html, "slis-0-with-listener") == "preset:envoy.edge_errors:listener"
    assert asks(html, "slis-0-source") == "alias:prometheus"
    assert f'data-suggest-url="{URL}"' in html


def test_without_a_script_the_aliases_are_a_plain_list(browser, place):
    html = browser.get("/experiments/new/?fault=envoy.http_abort").content.decode()
    assert re.search(r'<input[^>]*name="method-0-via"[^>]*list="aliases"', html)


def test_a_row_that_comes_later_asks_too(browser, place):
    html = browser.get(
        "/experiments/row/method/", {"variant": "fault", "fault": "fake.abort", "number": "7"}
    ).content.decode()
    assert asks(html, "method-7-with-target") == "fake:targets"


def test_the_yaml_view_knows_what_ready_made_slis_ask_for(browser, place):
    page = browser.get("/experiments/new/?view=yaml")
    words = json.loads(page.context["words_json"])
    fields = words["presets"]["envoy.edge_errors"]["fields"]
    assert fields["listener"]["suggests"] == "preset:envoy.edge_errors:listener"
    assert fields["matchers"]["suggests"] == ""
    assert {"envoy": "envoy", "fake": "fake"}.items() <= words["backends"].items()


def test_no_experiment_may_have_the_name_of_the_address(browser, place):
    answer = browser.post("/experiments/new/", {"metadata-name": "suggest", "do": "save"})
    assert answer.status_code == 422
    assert "suggest" in answer.content.decode()
