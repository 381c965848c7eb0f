"""OpenSLO becomes services and SLIs, and says what it lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.domain import services
from experiments.domain import text as yaml
from experiments.importers import openslo, promql_of, reading
from tests.importers.openslo_documents import BROKEN, SHOP


def converted(text):
    return openslo.convert(reading.read("slo.yaml", text.encode()))


def slis(name):
    return {sli["name"]: sli for sli in converted(SHOP).services[name]["slis"]}


def words(notes):
    return " | ".join(note.words for note in notes)


def test_a_service_and_its_slis_are_kept():
    made = converted(SHOP)
    assert made.errors == ()
    assert list(made.services) == ["orders", "carts"]
    assert made.services["orders"]["title"] == "Orders"
    assert made.services["orders"]["description"] == "Takes orders and charges for them."
    for raw in made.services.values():
        assert services.read(raw, environments=[])[1] == ()
    assert "SLI “orders.orders-availability”" in words(made.kept)


def test_good_of_total_becomes_bad_of_total_where_one_matcher_tells_them_apart():
    assert slis("orders")["orders-availability"] == {
        "name": "orders-availability",
        "title": "Orders answers",
        "ratio": {
            "bad": 'http_requests_total{job="orders",code=~"5.."}',
            "total": 'http_requests_total{job="orders"}',
        },
        "limit": {"max": "0.5%"},
    }


def test_a_quantile_of_a_histogram_becomes_one():
    made = slis("orders")["orders-p95"]
    assert made["quantile"] == {"histogram": 'request_seconds_bucket{job="orders"}', "q": 0.95}
    assert made["limit"] == {"max": 0.5}
    assert "“Orders.P95” is called “orders-p95”" in words(converted(SHOP).changed)


def test_limits_and_directions_come_from_the_objectives():
    made = slis("carts")
    assert made["carts-errors"]["limit"] == {"max": "2%"}
    assert made["fresh"] | {"title": ""} == {
        "name": "fresh",
        "title": "",
        "value": "avg(carts_fresh_ratio)",
        "unit": "ratio",
        "direction": "higher_is_better",
        "limit": {"min": "90%"},
    }
    assert (made["queue"]["limit"], made["queue"]["direction"]) == ({"min": 3}, "higher_is_better")


def test_what_is_lost_is_told_with_its_line():
    made = converted(SHOP)
    assert "timeWindow, budgetingMethod" in words(made.lost)
    assert "the first of its 2 objectives" in words(made.lost)
    assert "Service “orders”: labels" in words(made.lost)
    assert "AlertPolicy “page”" in words(made.lost)
    lines = SHOP.splitlines()
    for note in made.lost:
        assert note.line is not None
        assert lines[note.line - 1].startswith("apiVersion")
    assert "service “carts”: only its name is known" in words(made.changed)


def test_everything_wrong_is_told_at_once():
    made = converted(BROKEN)
    told = [(error.message, error.line) for error in made.errors]
    assert ("is openslo/v2alpha; only openslo/v1 is read", 1) in told
    assert ("is no OpenSLO document", BROKEN.splitlines().index("apiVersion: v1") + 1) in told
    assert any("SLO “nobodys” names no service" in message for message, _ in told)
    assert "is read from Datadog, not from Prometheus" in words(made.lost)
    assert "its SLI “nowhere” is not in the file" in words(made.lost)
    assert "SLI “alone”: no SLO of the file says" in words(made.lost)
    assert made.services["carts"]["slis"] == []


@pytest.mark.parametrize(
    "text", ["", "just words", "[]", "apiVersion: chaosweb/v1\nkind: Experiment"]
)
def test_what_is_no_openslo_is_refused(text):
    assert converted(text).errors
    assert converted(text).services == {}


@pytest.mark.parametrize(
    ("query", "counter"),
    [
        ("sum(rate(a_total[5m]))", "a_total"),
        ("increase(a_total{b='c'}[1h])", "a_total{b='c'}"),
        ("sum( a_total )", "a_total"),
        ("sum(rate(a_total[5m])) + sum(rate(b_total[5m]))", None),
        ("sum by (job) (rate(a_total[5m]))", None),
        ("sum(a_total) / sum(b_total)", None),
    ],
)
def test_only_a_sum_of_one_counter_is_a_counter(query, counter):
    found = promql_of.counter_of(query)
    assert (found and found[0]) == counter


@pytest.mark.parametrize(
    ("good", "total", "bad"),
    [
        ('x{code!~"5.."}', "x", 'x{code=~"5.."}'),
        ('x{a="b",ok="yes"}', 'x{a="b"}', 'x{a="b",ok!="yes"}'),
        ("good_total", "x", None),
        ('x{a="b",c="d"}', "x", None),
        ('x{c="d"}', 'x{a="b"}', None),
    ],
)
def test_good_is_turned_into_bad_only_where_that_is_exact(good, total, bad):
    made, _ = promql_of.ratio({"good": good, "total": total}, is_raw_good=True)
    assert made is not None
    assert (made.sli.get("ratio") or {}).get("bad") == bad
    if bad is None:
        assert made.sli["value"] == f"1 - (sum(rate({good}[1m]))) / (sum(rate({total}[1m])))"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-2, 2)
    | st.text("abc{}.", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "spec",
                    "service",
                    "indicator",
                    "ratioMetric",
                    "good",
                    "total",
                    "metricSource",
                    "query",
                    "thresholdMetric",
                    "objectives",
                    "target",
                    "op",
                    "value",
                    "metadata",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.sampled_from(["Service", "SLI", "SLO", "x"]), anything, anything)
def test_nothing_makes_it_raise(kind, metadata, spec):
    raw = {"apiVersion": "openslo/v1", "kind": kind, "metadata": metadata, "spec": spec}
    made = converted(yaml.write(raw))
    for described in made.services.values():
        services.read(described, environments=[])
