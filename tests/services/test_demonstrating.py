"""The demo's rows: its services are described, and what somebody changed of them stays."""

from __future__ import annotations

import pytest

from demo.scenarios import SCENARIOS, SERVICES
from experiments.models import ExperimentVersion, Service, User
from experiments.selectors import schedule
from experiments.services import (
    demonstrating,
    describing,
    drafts,
    launching,
    library,
    previewing,
)

pytestmark = pytest.mark.django_db

PLACE = demonstrating.Place(
    edge_admin="127.0.0.1:1",
    mesh_admin="127.0.0.1:2",
    prometheus_url="http://127.0.0.1:3",
    edge_url="http://127.0.0.1:4",
    scrape_interval_s=0.4,
    flush_interval_s=0.2,
    own_url="http://127.0.0.1:5",
    rehearsals="/nowhere",
)


def seed():
    texts = [each.text for each in SCENARIOS]
    return demonstrating.seed(place=PLACE, documents=texts, services=SERVICES)


def test_every_service_has_an_owner_a_place_and_named_slis():
    seed()
    assert set(Service.objects.values_list("name", flat=True)) == set(SERVICES)
    carts = Service.objects.get(name="carts")
    assert (carts.owner, carts.contact) == ("Orders team", "#orders")
    assert [sli["name"] for sli in carts.slis] == ["p95", "errors"]
    assert "listener carts" in carts.places["sandbox"]["where"]


def test_seeding_again_changes_nothing_and_keeps_what_somebody_wrote():
    _, versions, _ = seed()
    carts = Service.objects.get(name="carts")
    mine = describing.to_json(carts) | {"owner": "me", "slis": [{"name": "own", "value": "up"}]}
    describing.save(raw=mine, user=User.objects.get(username="demo"), service=carts)
    _, again, _ = seed()
    assert [version.pk for version in again] == [version.pk for version in versions]
    assert ExperimentVersion.objects.count() == len(SCENARIOS)
    assert describing.to_json(Service.objects.get(name="carts")) == mine


def test_starters_that_fit_the_sandbox_run_in_about_two_minutes_and_have_what_they_ask():
    place, *_ = seed()
    fitting = [each for each in library.starters() if not launching.fits(each.document, place)]
    assert "rehearse-a-run" in {each.name for each in fitting}
    for starter in fitting:
        shown = previewing.preview(raw=dict(starter.raw), environment=place)
        assert shown.errors == (), starter.name
        taken = set(starter.document.parameters) & {"baseline", "lasts", "settle"}
        if len(taken) == 3 and len(starter.document.faults) == 1:
            planned = schedule.plan(drafts.settled(starter.raw, place))
            assert planned is not None
            assert planned.total_s <= 130, starter.name
