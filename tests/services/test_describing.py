"""Services are described; what experiments use of them is frozen into their versions."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from experiments.domain import text
from experiments.domain.errors import InvalidDocumentError
from experiments.models import Environment, Service
from experiments.selectors import authoring as plans
from experiments.services import authoring, describing, people, snapshots
from tests import factories
from tests.services.worlds import ENDED, document, fault, start

LOAD = {"name": "load", "title": "How busy", "value": "load", "limit": {"max": 100}}


def carts(*slis, **changes):
    return {"name": "carts", "slis": list(slis), **changes}


def using(**changes):
    sli = {"name": "busy", "use": "carts.load", **changes}
    rule = {"name": "too-much", "sli": "busy", "above": 50, "breaches": "2 of 3"}
    return document(
        fault(duration="2m"),
        slis=[sli],
        guardrails=[rule],
        timing={"baseline": "160s", "settle": "5s", "step": "5s"},
    )


@pytest.fixture
def bob(db):
    return factories.person("bob", people.AUTHOR)


@pytest.fixture
def service(bob):
    return describing.save(raw=carts(LOAD), user=bob)


def test_a_service_is_stored_as_it_was_described(bob):
    Environment.objects.create(name="staging")
    raw = carts(
        LOAD,
        title="Carts",
        description="What is in the basket.",
        owner="Orders team",
        contact="#orders",
        runbook="https://wiki/carts",
        dashboards=[{"title": "Latency", "url": "https://grafana/d/1"}],
        places={"staging": {"where": "namespace shop", "labels": {"app": "carts"}}},
    )
    stored = describing.save(raw=raw, user=bob)
    assert describing.to_json(Service.objects.get(pk=stored.pk)) == raw
    assert describing.save(raw=describing.to_json(stored), user=bob, service=stored) == stored


def test_a_viewer_describes_nothing(db):
    charlie = factories.person("charlie")
    with pytest.raises(PermissionDenied):
        describing.save(raw=carts(), user=charlie)
    assert not Service.objects.exists()


def test_a_name_is_taken_once_and_kept(bob, service):
    with pytest.raises(InvalidDocumentError, match="there is a service “carts” already"):
        describing.save(raw=carts(), user=bob)
    with pytest.raises(InvalidDocumentError, match="must stay “carts”"):
        describing.save(raw={"name": "baskets"}, user=bob, service=service)
    assert Service.objects.get().slis == [LOAD]


def test_only_what_was_changed_has_changed(bob, service, pump):
    other = {"name": "other", "value": "other"}
    before = describing.save(raw=carts(LOAD, other), user=bob, service=service).sli_changes
    pump.let_pass(60)
    after = describing.save(
        raw=carts(LOAD, other | {"value": "another"}), user=bob, service=service
    ).sli_changes
    assert after["load"] == before["load"]
    assert after["other"] > before["other"]


def test_a_version_keeps_a_copy_and_its_text_only_the_name(bob, service):
    version = authoring.save(raw=using(), author=bob)
    (sli,) = version.document["slis"]
    assert sli["use"] == "carts.load"
    assert sli["copied"] == {key: value for key, value in LOAD.items() if key != "name"}
    assert text.read(version.text)["slis"] == [{"name": "busy", "use": "carts.load"}]


def test_the_author_s_text_stays_his_own(bob, service):
    written = text.write(using()) + "# the end\n"
    version = authoring.save(raw=text.read(written), author=bob, written=written)
    assert version.text == written
    again = authoring.save(
        raw=text.read(written), author=bob, written=written, experiment=version.experiment
    )
    assert again == version


def test_a_copy_that_comes_along_is_taken_anew_and_leaves_the_text(bob, service):
    version = authoring.save(raw=using(), author=bob)
    foreign = text.read(text.write(version.document))
    foreign["slis"][0]["copied"] = {"value": "something_else"}
    written = text.write(foreign)
    saved = authoring.save(raw=foreign, author=bob, written=written, experiment=version.experiment)
    assert saved.document == version.document
    assert "copied" not in saved.text


def test_a_changed_service_changes_no_version_but_the_next(bob, service):
    first = authoring.save(raw=using(), author=bob)
    kept = first.document
    describing.save(raw=carts(LOAD | {"value": "other_load"}), user=bob, service=service)
    first.refresh_from_db()
    assert first.document == kept
    shown = authoring.validate(first.document).or_raise()
    assert shown.slis[0].measure.value == "load"
    (row,) = plans.watched(shown)
    assert row.use == "carts.load"
    assert row.news.startswith("carts.load was changed on ")
    assert row.news.endswith(": save a new version to take it over")
    second = authoring.save(raw=first.document, author=bob, experiment=first.experiment)
    assert second.number == 2
    assert second.text == first.text
    assert second.document["slis"][0]["copied"]["value"] == "other_load"
    assert plans.watched(authoring.validate(second.document).or_raise())[0].news == ""


def test_a_version_outlives_the_sli_that_it_uses(bob, service):
    version = authoring.save(raw=using(), author=bob)
    describing.save(raw=carts(), user=bob, service=service)
    shown = authoring.validate(version.document).or_raise()
    assert plans.watched(shown)[0].news == "carts.load is gone: this version keeps what it was"
    with pytest.raises(InvalidDocumentError, match="carts has no SLI “load”"):
        authoring.save(raw=version.document, author=bob, experiment=version.experiment)


def test_a_document_without_use_asks_no_service(bob, django_assert_num_queries):
    with django_assert_num_queries(0):
        authoring.validate(document())
    with django_assert_num_queries(1):
        authoring.validate(using())


def test_the_experiments_that_use_an_sli_are_known(bob, service):
    version = authoring.save(raw=using(), author=bob)
    assert plans.users_of("carts") == {"load": [version.experiment]}
    authoring.save(
        raw=using(use=None, value="load", limit={"max": 1}),
        author=bob,
        experiment=version.experiment,
    )
    assert plans.users_of("carts") == {}


@pytest.mark.django_db(transaction=True)
def test_a_run_measures_and_watches_the_copy_to_the_end(alice, environment, pump, control, metrics):
    control.deliver(1.0)
    described = describing.save(raw=carts(LOAD), user=alice)
    run = start(alice, environment, using())
    pump.run_until(run, "injecting")
    describing.save(raw=carts(), user=alice, service=described)
    pump.run_until(run, *ENDED)
    assert (run.status, run.verdict) == ("completed", "held")
    assert snapshots.spec_of(run).slis[0].measure.value == "load"
    (judged,) = run.judgement["slis"]
    assert judged["name"] == "busy"
    assert run.readings.filter(kind="guardrail").exists()


@pytest.mark.django_db(transaction=True)
def test_a_guardrail_on_a_copy_stops_its_run(alice, environment, pump, control, metrics):
    describing.save(raw=carts(LOAD), user=alice)
    run = start(alice, environment, using())
    pump.run_until(run, "injecting")
    metrics.value = lambda at: 80.0
    pump.run_until(run, *ENDED)
    assert (run.status, run.ended_by) == ("stopped", "guardrail")


measures = st.one_of(
    st.builds(lambda name: {"value": name}, st.sampled_from(["up", "load", "sum(x)"])),
    st.just({"ratio": {"bad": "bad_total", "total": "all_total"}, "limit": {"max": "5%"}}),
    st.builds(
        lambda q: {"quantile": {"histogram": "s_bucket", "q": q}}, st.sampled_from([0.5, 0.99])
    ),
)
changes = st.lists(st.none() | measures, min_size=1, max_size=4)


class FreezeTest(TestCase):
    """Whatever happens to the service, a version says what it said."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes)
    def test_no_change_of_a_service_changes_a_version(self, steps):
        bob = factories.person("bob", people.AUTHOR)
        service = describing.save(raw=carts(LOAD), user=bob)
        raw = using(limit={"max": 90})
        version = authoring.save(raw=raw, author=bob)
        kept, written = version.document, version.text
        before = authoring.validate(version.document)
        for step in steps:
            slis = [] if step is None else [{"name": "load", **step}]
            describing.save(raw=carts(*slis), user=bob, service=service)
            version.refresh_from_db()
            assert (version.document, version.text) == (kept, written)
            assert authoring.validate(version.document) == before
