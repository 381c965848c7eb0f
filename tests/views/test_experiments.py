"""The list of experiments, one experiment, one version."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments.services import people
from tests import factories
from tests.views.editing import barred

pytestmark = pytest.mark.django_db


@pytest.fixture
def people_by_role(db):
    return {role: factories.person(f"{role}-1", role) for role in people.ROLES}


@pytest.fixture
def version(people_by_role):
    return factories.version(people_by_role["author"])


@pytest.fixture
def page(client, people_by_role):
    def get(url, role="viewer"):
        client.force_login(people_by_role[role])
        return client.get(url)

    return get


def detail_url(version):
    return reverse("experiment_detail", args=[version.experiment.name])


@pytest.mark.parametrize("name", ["experiment_list", "experiment_new", "catalogue"])
def test_a_stranger_is_sent_to_sign_in(client, name):
    response = client.get(reverse(name))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign_in"))


def test_the_empty_list_shows_authors_the_way_and_viewers_why(page):
    shown = page(reverse("experiment_list"), "author").content.decode()
    assert "No experiment yet" in shown
    assert reverse("experiment_new") in shown
    assert reverse("experiment_new") not in page(reverse("experiment_list")).content.decode()


def test_the_list_shows_version_last_run_and_last_verdict(page, version, people_by_role):
    place = factories.environment()
    factories.run(version, place, people_by_role["operator"], status="completed", verdict="held")
    newest = factories.run(version, place, people_by_role["operator"], status="refused")
    shown = page(reverse("experiment_list")).content.decode()
    assert "Only carts feels 90 ms" in shown
    assert "held" in shown
    assert f"Run {newest.pk}" in shown
    assert "refused" in shown


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("q=carts", True),
        ("q=nothing-like-it", False),
        ("service=carts", True),
        ("service=orders", False),
        ("tag=latency", True),
        ("tag=abort", False),
    ],
)
def test_the_list_can_be_narrowed(page, version, query, is_found):
    response = page(f"{reverse('experiment_list')}?{query}")
    assert (detail_url(version) in response.content.decode()) == is_found


def test_the_list_costs_the_same_however_long_it_is(client, people_by_role):
    client.force_login(people_by_role["viewer"])
    place = factories.environment()

    def cost(name):
        version = factories.version(people_by_role["author"], factories.document(name))
        factories.run(version, place, people_by_role["operator"], status="completed")
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("experiment_list"))
        return len(queries)

    cost("warm")
    assert cost("one") == cost("two")


def test_an_experiment_shows_what_it_watches_and_does(page, version):
    shown = page(detail_url(version)).content.decode()
    for text in ("carts_p95", "0.95 quantile", "≤ 500ms", "20% of the baseline", "0.5% (points)"):
        assert text in shown
    assert "too-many-errors" in shown
    assert "GET http://front/health" in shown
    assert "7 min in all" in shown
    assert "as planned" in shown


def test_operators_get_the_run_form_and_others_the_reason(page, version):
    place = factories.environment()
    factories.Environment.objects.create(name="bare")
    operator = page(detail_url(version), "operator").content.decode()
    assert reverse("run_start", args=[version.experiment.name]) in operator
    for name in ("environment", "version", "idempotency_key", "param_delay"):
        assert f'name="{name}"' in operator
    assert f'value="{place.name}"' in operator
    assert "<strong>bare</strong> cannot run it" in operator
    assert "through mesh for 3m" in operator
    for role in ("viewer", "author"):
        shown = page(detail_url(version), role).content.decode()
        assert "idempotency_key" not in shown
        assert "Only operators and admins launch runs" in shown


def test_each_look_at_the_run_form_has_a_key_of_its_own(page, version):
    factories.environment()
    keys = {page(detail_url(version), "operator").context["idempotency_key"] for _ in range(2)}
    assert len(keys) == 2


def test_what_cannot_be_undone_wants_a_confirmation(page, people_by_role):
    factories.environment()
    wipe = {"name": "wipe", "fault": "fake.wipe", "via": "mesh", "duration": "1m"}
    version = factories.version(people_by_role["author"], factories.document(method=[wipe]))
    assert "wipe cannot be undone" in page(detail_url(version), "operator").content.decode()


def test_only_authors_get_the_way_to_the_editor(page, version):
    url = reverse("experiment_edit", args=[version.experiment.name])
    assert url in page(detail_url(version), "author").content.decode()
    assert url not in page(detail_url(version)).content.decode()


def test_a_version_is_shown_as_it_was_saved(page, version):
    factories.version(version.author, factories.document(hypothesis="Another one."))
    response = page(reverse("version_detail", args=[version.experiment.name, 1]))
    shown = response.content.decode()
    assert "apiVersion: chaosweb/v1" in shown
    assert "version 2 is the newest" in shown
    assert "Another one." not in shown


def test_a_version_that_no_longer_validates_is_still_shown(page, version):
    raw = {**version.document, "method": [{"name": "x", "fault": "gone.fault"}]}
    old = factories.ExperimentVersion.objects.create(
        experiment=version.experiment, number=2, document=raw, text="kept", author=version.author
    )
    for url in (
        detail_url(version),
        reverse("version_detail", args=[version.experiment.name, old.number]),
    ):
        response = page(url, "operator")
        assert response.status_code == 200
        assert "cannot be read by this ChaosWeb any more" in response.content.decode()


@pytest.mark.parametrize("args", [["nothing"], ["only-carts-feels-it", 9]])
def test_what_is_not_there_is_not_found(page, version, args):
    name = "experiment_detail" if len(args) == 1 else "version_detail"
    assert page(reverse(name, args=args)).status_code == 404


def test_html_in_any_text_is_shown_as_text(page, people_by_role):
    factories.environment()
    evil = "<script>alert(1)</script>"
    raw = factories.document(title=evil, hypothesis=evil)
    raw["metadata"] |= {"description": evil, "service": evil}
    raw["slis"][0] |= {"title": evil}
    raw["slis"][3] |= {"value": evil, "unit": evil}
    raw["parameters"]["delay"]["description"] = evil
    raw["method"].append({"name": "look", "checkpoint": evil})
    version = factories.version(people_by_role["author"], raw)
    name = version.experiment.name
    for url in (
        reverse("experiment_list"),
        detail_url(version),
        reverse("version_detail", args=[name, 1]),
        reverse("experiment_edit", args=[name]),
    ):
        response = page(url, "operator")
        assert response.status_code == 200
        assert evil not in response.content.decode()
        assert not barred(response)
