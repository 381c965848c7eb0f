"""The endpoint that completes PromQL: what a real Prometheus has, bounded, kept, and soft."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.services import people, vocabulary
from tests import factories
from tests.recent.conftest import bound

pytestmark = [pytest.mark.servers, pytest.mark.django_db]


@pytest.fixture
def author(client):
    client.force_login(
        factories.person("bob", people.AUTHOR),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def ask(client, name, alias="metrics", query=None, **path):
    where = reverse(f"promql_{name}", kwargs={"name": "staging", "alias": alias, **path})
    return client.get(where, query or {})


def test_metrics_are_the_values_of_their_name(author, place):
    answer = ask(author, "values", label="__name__").json()
    assert answer["status"] == "success"
    assert {"requests_total", "seconds_bucket", "queue_length"} <= set(answer["data"])


def test_labels_and_values_are_those_of_the_selected_series(author, place):
    query = {"match[]": 'requests_total{service="orders"}'}
    assert ask(author, "labels", query=query).json()["data"] == ["__name__", "code", "service"]
    assert ask(author, "values", query=query, label="code").json()["data"] == ["200", "500"]


def test_series_are_listed_and_none_without_a_selector(author, place):
    found = ask(author, "series", query={"match[]": "queue_length"}).json()["data"]
    assert sorted(each["pod"] for each in found) == ["a", "b"]
    assert ask(author, "series").json() == {"status": "success", "data": []}


def test_metadata_is_a_mapping(author, place):
    assert isinstance(ask(author, "metadata").json()["data"], dict)


def test_what_the_server_refuses_is_an_error_under_200(author, place):
    response = ask(author, "labels", query={"match[]": "requests_total{"})
    assert response.status_code == 200
    assert response.json()["status"] == "error"
    assert "parse error" in response.json()["error"]
    wrong = ask(author, "values", label="no-label").json()
    assert wrong["error"] == "“no-label” is not a label's name."


def test_an_alias_that_is_none_is_told(author, place):
    answer = ask(author, "labels", alias="mesh").json()
    assert answer["error"] == "staging has no Prometheus called “mesh”."


def test_a_silent_server_is_asked_once_and_then_left_alone(author, mute, monkeypatch):
    monkeypatch.setattr(vocabulary, "_TIMEOUT_S", 0.3)
    bound(mute.url)
    for _ in range(3):
        assert ask(author, "labels").json()["status"] == "error"
        assert ask(author, "values", label="job").json()["status"] == "error"
    assert mute.asked == 1


def test_the_same_question_is_asked_once(author, place, monkeypatch):
    first = ask(author, "values", label="pod").json()
    connection = place.aliases.get().connection
    # Whatever is asked anew now fails: only what was kept can be answered.
    type(connection).objects.filter(pk=connection.pk).update(options={"url": "http://127.0.0.1:1"})
    assert (
        ask(author, "values", label="pod").json()
        == first
        == {
            "status": "success",
            "data": ["a", "b"],
        }
    )
    assert ask(author, "labels").json()["status"] == "error"


def test_many_selectors_are_cut(author, place):
    query = {"match[]": ["queue_length"] * 50}
    assert ask(author, "labels", query=query).json()["data"] == ["__name__", "pod"]


@pytest.mark.parametrize("name", ["labels", "series", "metadata"])
def test_only_authors_may_ask_and_nobody_may_post(client, place, name):
    where = reverse(f"promql_{name}", kwargs={"name": "staging", "alias": "metrics"})
    assert client.get(where).status_code == 302
    client.force_login(
        factories.person("vera"), backend="django.contrib.auth.backends.ModelBackend"
    )
    assert client.get(where).status_code == 403
    assert client.post(where).status_code == 405


def test_an_environment_that_is_none_is_not_found(author, place):
    where = reverse("promql_labels", kwargs={"name": "nowhere", "alias": "metrics"})
    assert author.get(where).status_code == 404
