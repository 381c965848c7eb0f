from __future__ import annotations

from typing import Any

import pytest

from experiments.domain import presets, promql
from experiments.domain.presets import PRESETS, PresetError

ENOUGH: dict[str, Any] = {"listener": "ingress", "cluster": "catalogue", "service": "orders"}


def enough_for(name: str) -> dict[str, Any]:
    return {field.name: ENOUGH[field.name] for field in PRESETS[name].fields if field.required}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_expands_to_selectors_that_are_well_formed(name: str) -> None:
    assert presets.problems(name, enough_for(name)) == []
    made = presets.expand(name, enough_for(name))
    if PRESETS[name].kind == "ratio":
        assert made.keys() == {"ratio", "unit"}
        assert made["unit"] == "ratio"
        assert promql.check_selector(made["ratio"]["bad"]) is None
        assert promql.check_selector(made["ratio"]["total"]) is None
    else:
        assert made.keys() == {"quantile", "unit"}
        assert made["unit"] in ("s", "ms")
        assert made["quantile"]["q"] == 0.95
        assert promql.check_histogram(made["quantile"]["histogram"]) is None


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_and_field_explains_itself(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.title
    assert preset.description
    for field in preset.fields:
        assert field.title
        assert field.description
        assert not (field.required and field.default != "")


def test_the_table_is_frozen() -> None:
    with pytest.raises(TypeError):
        PRESETS["mine"] = PRESETS["envoy.edge_errors"]  # type: ignore[index]


def test_envoy_upstream_latency_is_in_milliseconds() -> None:
    assert presets.expand("envoy.upstream_latency", {"cluster": "catalogue", "q": 0.5}) == {
        "quantile": {
            "histogram": 'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="catalogue"}',
            "q": 0.5,
        },
        "unit": "ms",
    }


def test_envoy_edge_errors_counts_class_5_of_one_listener_and_no_fault_label() -> None:
    total = 'envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="ingress"'
    assert presets.expand("envoy.edge_errors", {"listener": "ingress"}) == {
        "ratio": {"bad": total + ',envoy_response_code_class="5"}', "total": total + "}"},
        "unit": "ratio",
    }


def test_more_matchers_narrow_both_selectors() -> None:
    made = presets.expand(
        "sock_shop.errors", {"service": "carts", "matchers": 'pod=~"carts-.*", zone="a"'}
    )
    inside = 'service="carts",pod=~"carts-.*",zone="a"'
    assert made["ratio"]["total"] == f"request_duration_seconds_count{{{inside}}}"
    assert made["ratio"]["bad"] == (
        f'request_duration_seconds_count{{{inside},status_code=~"5.."}}'
    )


def test_a_value_is_escaped_not_interpreted() -> None:
    made = presets.expand("envoy.edge_latency", {"listener": 'in"} or vector(1) #\\'})
    assert made["quantile"]["histogram"].endswith(
        r'{envoy_http_conn_manager_prefix="in\"} or vector(1) #\\"}'
    )
    assert promql.check_histogram(made["quantile"]["histogram"]) is None


def test_an_empty_optional_field_leaves_its_matcher_out() -> None:
    total = presets.expand("istio.errors", {"service": "orders"})["ratio"]["total"]
    assert total == 'istio_requests_total{reporter="source",destination_service_name="orders"}'


def test_an_unknown_preset_names_the_nearest() -> None:
    assert presets.problems("envoy.upstream_latancy", {}) == [
        (
            ("preset",),
            "there is no preset “envoy.upstream_latancy”; did you mean “envoy.upstream_latency”?",
        )
    ]
    with pytest.raises(PresetError, match="there is no preset"):
        presets.expand("zzz", {})


def test_all_problems_are_reported_at_once() -> None:
    given = {"clster": "catalogue", "q": 95, "matchers": "pod=x"}
    found = presets.problems("envoy.upstream_latency", given)
    assert {path for path, _ in found} == {
        ("with", "clster"),
        ("with", "cluster"),
        ("with", "q"),
        ("with", "matchers"),
    }
    assert "did you mean “cluster”" in dict(found)["with", "clster"]
    with pytest.raises(PresetError) as caught:
        presets.expand("envoy.upstream_latency", given)
    assert all(message in str(caught.value) for _, message in found)


@pytest.mark.parametrize(
    ("name", "given", "field", "says"),
    [
        ("envoy.edge_errors", {"listener": "admin"}, "listener", "own admin interface"),
        ("envoy.edge_errors", {"listener": "  "}, "listener", "is needed"),
        ("envoy.edge_errors", {"listener": ["a"]}, "listener", "not a list"),
        ("envoy.edge_errors", {"listener": True}, "listener", "not true"),
        ("istio.errors", {"service": "a", "reporter": "both"}, "reporter", "is none of"),
        ("http.request_duration", {"q": "p95"}, "q", "for example 0.95"),
        ("http.request_duration", {"q": 1}, "q", "for example 0.95"),
        ("http.request_duration", {"q": "nan"}, "q", "for example 0.95"),
        ("http.request_duration", {"metric": "a{b='c'}"}, "metric", "belong into matchers"),
        ("http.request_duration", {"metric": "a_bucket"}, "metric", "without its _bucket"),
        ("http.request_duration", {"metric": "a b"}, "metric", "may not follow"),
        ("http.request_duration", {"matchers": 'le="1"'}, "matchers", "leaves out buckets"),
        ("http.request_errors", {"label": "a-b"}, "label", "is no label"),
    ],
)
def test_a_wrong_value_says_what_would_be_right(
    name: str, given: dict[str, Any], field: str, says: str
) -> None:
    [(path, message)] = presets.problems(name, given)
    assert path == ("with", field)
    assert says in message
