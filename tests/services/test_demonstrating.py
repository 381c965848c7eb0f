"""The demo's rows: its services are described, and what somebody changed of them stays."""

from __future__ import annotations

import pytest

from demo.scenarios import SCENARIOS, SERVICES
from experiments.models import ExperimentVersion, Service, User
from experiments.services import demonstrating, describing

pytestmark = pytest.mark.django_db

PLACE = demonstrating.Place(
    edge_admin="127.0.0.1:1",
    mesh_admin="127.0.0.1:2",
    prometheus_url="http://127.0.0.1:3",
    edge_url="http://127.0.0.1:4",
    scrape_interval_s=0.4,
    flush_interval_s=0.2,
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
