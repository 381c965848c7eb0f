"""What newcomers are proposed: aliases, times, starters and SLIs."""

from __future__ import annotations

import pytest

from drivers.units import Duration
from experiments.domain.presets import PRESETS
from experiments.models import Alias, Connection, Environment
from experiments.services import describing, previewing, proposing
from experiments.services.discovering import Ready
from tests import factories

pytestmark = pytest.mark.django_db


def connection(name: str, kind: str, **fields: float) -> Connection:
    return Connection.objects.create(name=name, kind=kind, **fields)


def test_each_connection_gets_the_alias_that_starters_use_for_its_kind():
    made = [
        connection("prometheus-eu", "prometheus"),
        connection("fleet", "envoy"),
        connection("eu-edge", "envoy"),
        connection("third", "envoy"),
        connection("stage", "fake"),
    ]
    assert {name: each.name for name, each in proposing.aliases(made)} == {
        "metrics": "prometheus-eu",
        "mesh": "fleet",
        "edge": "eu-edge",
        "third": "third",
        "rehearsal": "stage",
    }


def test_connections_that_no_environment_names_come_first():
    factories.environment()
    assert {each.name for each in proposing.unused()} == {"staging-mesh", "staging-metrics"}
    new = connection("new", "envoy")
    assert proposing.unused() == [new]


@pytest.mark.parametrize(
    ("scrape_s", "flush_s", "baseline"),
    [(15.0, 5.0, "39m25s"), (0.4, 0.4, "65s"), (5, 5, "13m10s")],
)
def test_the_times_are_long_enough_for_a_verdict_and_no_longer(scrape_s, flush_s, baseline):
    source = connection(
        "metrics", "prometheus", scrape_interval_s=scrape_s, flush_interval_s=flush_s
    )
    found = proposing.times([source])
    assert float(Duration(found["baseline"])) == float(Duration(baseline))
    assert float(Duration(found["lasts"])) >= 17 * max(5 * scrape_s, 2 * flush_s)
    assert float(Duration(proposing.longest_fault(found))) >= float(Duration(found["lasts"]))
    assert proposing.times([]) == {}
    assert proposing.longest_fault({}) == "15m"


@pytest.mark.parametrize("scrape_s", [0.4, 5.0, 15.0])
def test_with_these_times_the_previews_of_starters_warn_of_nothing(scrape_s):
    place = Environment.objects.create(name="place")
    kinds = {"metrics": "prometheus", "mesh": "envoy"}
    for name, kind in kinds.items():
        options = {"addresses": ["127.0.0.1:1"]} if kind == "envoy" else {"url": "http://a:1"}
        made = Connection.objects.create(
            name=name, kind=kind, options=options, scrape_interval_s=scrape_s, flush_interval_s=0.4
        )
        Alias.objects.create(environment=place, name=name, connection=made)
    place.parameters = proposing.times(list(Connection.objects.all()))
    place.save()
    fitting, count = proposing.starters(place)
    assert len(fitting) == 3 < count
    for each in fitting:
        shown = previewing.preview(raw=dict(each.starter.raw), environment=place)
        assert shown.errors == ()
        if "baseline" in each.starter.document.parameters:
            assert not [note for note in shown.warnings if "bins" in str(note)], each.starter.name


def test_what_breaks_something_goes_before_rehearsals_and_a_rehearsal_is_short():
    place = Environment.objects.create(name="place")
    stage = connection("stage", "fake")
    Alias.objects.create(environment=place, name="rehearsal", connection=stage)
    fitting, _ = proposing.starters(place)
    assert [each.starter.name for each in fitting] == ["rehearse-a-run"]
    planned = fitting[0].starter.schedule
    assert planned is not None
    assert planned.total_s <= 60
    for name, kind in (("mesh", "envoy"), ("metrics", "prometheus")):
        Alias.objects.create(environment=place, name=name, connection=connection(name, kind))
    assert not any(each.starter.is_rehearsal for each in proposing.starters(place)[0])


def test_proposed_slis_are_what_a_service_takes(alice):
    kind = Ready(
        "envoy-listener",
        "Envoy listener",
        "envoy_http_conn_manager_prefix",
        "listener",
        (PRESETS["envoy.edge_errors"], PRESETS["envoy.edge_latency"]),
        ("carts",),
        ("envoy",),
    )
    candidate = proposing.Candidate(kind, "carts", {"envoy.edge_errors": "0 %"})
    assert candidate.now == [("errors", "0 %"), ("p95", "")]
    slis = proposing.slis(candidate, title="carts", source="prom", wanted=["p95", "errors"])
    made = describing.save(raw={"name": "carts", "slis": slis}, user=alice)
    assert {sli["name"]: sli["source"] for sli in made.slis} == {"p95": "prom", "errors": "prom"}
    only = proposing.slis(candidate, title="carts", source="metrics", wanted=["p95"])
    assert [sli["name"] for sli in only] == ["p95"]
    assert "source" not in only[0]


@pytest.mark.parametrize(
    ("text", "name"), [("Carts_V2", "carts_v2"), ("shop/carts:80", "shop-carts-80"), ("—", "")]
)
def test_a_labels_value_becomes_a_name(text, name):
    assert proposing.slug(text) == name
