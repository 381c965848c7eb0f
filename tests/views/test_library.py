"""The library: found, read and started from."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from experiments.models import Experiment
from experiments.services import library
from tests import factories
from tests.views.conftest import assert_sent_to_sign_in, client_of
from tests.views.editing import barred, fields_of

pytestmark = pytest.mark.django_db
NAMES = [each.name for each in library.starters()]


@pytest.fixture
def author(bob):
    return client_of(bob)


def known(name):
    found = library.one(name)
    assert found is not None
    return found


def start_url(name):
    return f"{reverse('experiment_new')}?from={name}"


def names_in(response):
    return set(re.findall(r'href="/library/([^/"]+)/"', response.content.decode()))


@pytest.mark.parametrize("url", ["/library/", "/library/slow-callee/", start_url("slow-callee")])
def test_a_stranger_is_sent_to_sign_in(outsider, url):
    assert_sent_to_sign_in(outsider.get(url))


def test_every_starter_is_listed_by_level(viewer):
    response = viewer.get(reverse("library"))
    assert names_in(response) == set(NAMES)
    assert not barred(response)
    shown = response.content.decode()
    places = [shown.index(f">{title}</h2>") for title in library.LEVELS.values()]
    assert places == sorted(places)
    assert f"{len(NAMES)} starter experiments" in shown


@pytest.mark.parametrize(
    "asked",
    [
        {"q": "storm retries"},
        {"backend": "fake"},
        {"family": "delay", "level": "game-day"},
        {"q": "nothing has all of this"},
    ],
    ids=str,
)
def test_search_and_filters_work_without_scripts(viewer, asked):
    response = viewer.get(reverse("library"), asked)
    text = asked.get("q", "")
    wanted = library.search(
        library.Filters(text=text, **{k: v for k, v in asked.items() if k != "q"})
    )
    assert names_in(response) == {each.name for each in wanted}
    shown = re.sub(r"<[^>]+>", "", response.content.decode())
    assert f"{len(wanted)} of {len(NAMES)} starter experiments" in shown
    assert ("No starter experiment matches" in shown) == (not wanted)


@pytest.mark.parametrize("name", NAMES)
def test_every_starter_has_its_page(viewer, name):
    starter = known(name)
    response = viewer.get(reverse("starter_detail", args=[name]))
    shown = html.unescape(response.content.decode())
    assert response.status_code == 200
    assert not barred(response)
    assert starter.document.hypothesis in shown
    assert starter.text.strip() in shown, "the document with its comments"
    for sli in starter.document.slis:
        assert sli.label in shown
    for alias, _ in starter.connections:
        assert f"<code>{alias}</code>" in shown
    for need in starter.needs:
        assert need in shown
    for kind in starter.faults:
        assert reverse("fault_detail", args=[kind]) in shown


def test_a_starter_that_nobody_knows_is_not_found(viewer):
    assert viewer.get("/library/no-such/").status_code == 404


def test_only_authors_may_start_from_one(viewer, author):
    url = reverse("starter_detail", args=["slow-callee"])
    assert "Start from this" not in viewer.get(url).content.decode()
    assert start_url("slow-callee") in author.get(url).content.decode()
    assert start_url("slow-callee") in author.get(reverse("library")).content.decode()
    assert viewer.get(start_url("slow-callee")).status_code == 403


@pytest.mark.parametrize("name", NAMES)
def test_the_editor_opens_with_the_whole_starter_and_no_problem(author, name):
    response = author.get(start_url(name))
    assert response.status_code == 200
    assert response.context["editor"].document == known(name).raw
    assert response.context["editor"].faults == []
    assert response.context["preview"].errors == ()
    assert not barred(response)


def test_an_unknown_starter_opens_an_empty_editor(author):
    response = author.get(start_url("no-such"))
    assert response.context["editor"].document["metadata"]["name"] == ""


def test_what_is_saved_keeps_the_comments_and_says_where_it_came_from(author):
    first = author.get(start_url("slow-callee"))
    raw = first.context["editor"].document
    posted = fields_of(raw, message=first.context["message"], hypothesis="Nobody notices.")
    saved = author.post(start_url("slow-callee"), {**posted, "do": "save"})
    assert saved.status_code == 302
    version = Experiment.objects.get(name="slow-callee").versions.get()
    assert version.document == raw | {"hypothesis": "Nobody notices."}
    assert version.message == "started from “One service answers more slowly”"
    starter = known("slow-callee")
    kept = [line for line in starter.text.splitlines() if "hypothesis:" not in line]
    found = [line for line in version.text.splitlines() if "hypothesis:" not in line]
    assert found == kept


def test_a_second_copy_gets_a_name_of_its_own(author, bob):
    factories.version(bob, library.fresh(known("slow-callee")))
    document = author.get(start_url("slow-callee")).context["editor"].document
    assert document["metadata"]["name"] == "slow-callee-2"


def test_a_new_version_does_not_go_back_to_the_starter(author, bob):
    version = factories.version(bob)
    url = reverse("experiment_edit", args=[version.experiment.name])
    response = author.get(f"{url}?from=slow-callee")
    assert response.context["editor"].document == version.document


def test_newcomers_are_led_to_the_library(author):
    assert reverse("library") in author.get(reverse("experiment_list")).content.decode()
    assert reverse("library") in author.get(reverse("overview")).content.decode()


def test_the_catalogue_is_the_current_section(viewer):
    shown = viewer.get(reverse("library")).content.decode()
    assert f'<a href="{reverse("catalogue")}" aria-current="page">Catalogue' in shown
