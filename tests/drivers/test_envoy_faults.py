"""The parameters of Envoy's faults, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.envoy.config import read_config, select
from drivers.envoy.faults import FAULTS, HttpAbort, HttpDelay
from drivers.envoy.payload import modify_path, percent_value, read_runtime, read_stats
from drivers.units import Percentage


@pytest.mark.parametrize(
    ("percentage", "value"),
    [
        ("0%", "0"),
        ("100%", "100"),
        ("0.5%", {"numerator": 50, "denominator": "TEN_THOUSAND"}),
        ("1.9%", {"numerator": 190, "denominator": "TEN_THOUSAND"}),
        ("0.0125%", {"numerator": 125, "denominator": "MILLION"}),
        ("33.3333%", {"numerator": 333333, "denominator": "MILLION"}),
    ],
)
def test_percentages_are_sent_as_envoy_reads_them(percentage: str, value: Any) -> None:
    sent = percent_value(HttpAbort(percentage=Percentage(percentage)).percentage)
    assert (json.loads(sent) if isinstance(value, dict) else sent) == value


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"percentage": "101%"}, "0–100"),
        ({"percentage": -1}, "0–100"),
        ({"percentage": "0.00001%"}, "finer"),
        ({"percentage": "half"}, "50%"),
        ({"percentage": True}, "50%"),
        ({"http_status": 99}, "200"),
        ({"http_status": 600}, "599"),
        ({"fixed_delay": "1s"}, "not permitted"),
    ],
)
def test_aborts_refuse_what_envoy_would_take_silently(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HttpAbort.model_validate(fields)


@pytest.mark.parametrize("delay", ["0s", "-1s", "0.4ms", "1.5ms", "61m", "soon"])
def test_delays_are_whole_milliseconds_up_to_an_hour(delay: str) -> None:
    with pytest.raises(ValidationError):
        HttpDelay.model_validate({"fixed_delay": delay})


def test_sentences_say_what_happens() -> None:
    slow = HttpDelay.model_validate({"route": " carts ", "fixed_delay": "90ms"})
    assert slow.sentence() == "holds every request to carts back by 90ms"
    half = HttpAbort.model_validate({"percentage": "50%", "route": ""})
    assert half.sentence() == "answers 50% of the requests with HTTP 503"


def test_every_field_describes_itself_and_survives_json() -> None:
    for fault in FAULTS:
        for name, field in fault.model_json_schema()["properties"].items():
            assert field.get("title"), name
            assert field.get("description"), name
    slow = HttpDelay.model_validate({"fixed_delay": "90ms"})
    assert HttpDelay.model_validate_json(slow.model_dump_json()) == slow


def test_the_admin_layer_is_found_by_name_and_an_empty_text_is_absence() -> None:
    answer = {
        "layers": ["base", "us", "top"],
        "entries": {
            "a": {"layer_values": ["1", "2", ""], "final_value": "2"},
            "b": {"layer_values": ["1", "", "3"], "final_value": "3"},
        },
    }
    runtime = read_runtime(answer, "us")
    assert (dict(runtime.admin), dict(runtime.shadows)) == ({"a": "2"}, {"b": "top"})
    assert dict(read_runtime(answer, None).admin) == {}
    assert dict(runtime.final) == {"a": "2", "b": "3"}


def test_odd_keys_are_escaped() -> None:
    assert modify_path({"a:b/c d&": "x+y"}) == "/runtime_modify?a%3Ab%2Fc%20d%26=x%2By"


def test_only_numbers_are_counters() -> None:
    text = "http.a.rq: 3\nhttp.a.time: No recorded values\n\nodd"
    assert read_stats(text) == {"http.a.rq": 3.0}


def test_discovered_routes_filters_and_wrapped_settings_are_found() -> None:
    kind = "type.googleapis.com/envoy.extensions.filters."
    abort = {"@type": kind + "http.fault.v3.HTTPFault", "abort": {"header_abort": {}}}
    wrapped = {
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
        "config": {**abort, "abort": {"grpc_status": 14}, "abort_percent_runtime": "pay"},
    }
    manager = {
        "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "a:b",
        "rds": {"route_config_name": "r"},
        "http_filters": [{"name": "chaos", "config_discovery": {}}],
    }
    chain = {"filters": [{"typed_config": manager}]}
    host = {"name": "pay", "typed_per_filter_config": {"chaos": wrapped}}
    config = read_config(
        [
            {"@type": "x.EcdsConfigDump", "ecds_filters": [
                {"ecds_filter": {"name": "chaos", "typed_config": abort}}]},
            {"@type": "x.RoutesConfigDump", "dynamic_route_configs": [
                {"route_config": {"name": "r", "virtual_hosts": [host]}}]},
            {"@type": "x.ListenersConfigDump", "dynamic_listeners": [
                {"active_state": {"listener": {"name": "l", "default_filter_chain": chain}}}]},
        ]
    )  # fmt: skip
    assert [(each.level, each.abort) for each in config.points] == [
        ("filter", "header"),
        ("virtual host", "grpc"),
    ]
    assert config.points[0].requests_stat == "http.a_b.downstream_rq_total"
    assert select(config.points, "pay", "abort") == [config.points[1]]
    assert select(config.points, None, "abort") == [config.points[0]]
