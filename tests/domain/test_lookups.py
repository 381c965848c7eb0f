"""Where the values of ready-made SLIs are looked for."""

from __future__ import annotations

import pytest

from experiments.domain import promql, suggests
from experiments.domain.lookups import Lookup, label_of
from experiments.domain.presets import PRESETS
from experiments.domain.promql import SelectorError

LOOKED_UP = [
    (preset, field)
    for preset in PRESETS.values()
    for field in preset.fields
    if field.lookup is not None
]


def test_fields_that_name_something_in_the_system_are_looked_up() -> None:
    assert {field.name for _, field in LOOKED_UP} == {
        "listener",
        "cluster",
        "service",
        "namespace",
        "metric",
        "label",
    }


@pytest.mark.parametrize(("preset", "field"), LOOKED_UP)
def test_every_lookup_reads_the_metric_that_its_preset_measures(preset, field) -> None:
    given = preset.texts({"listener": "ingress", "cluster": "carts", "service": "carts"})
    selectors = [str(each) for each in preset.write(given).values()]
    if field.lookup.metric:
        family = field.lookup.metric.format_map(given).partition("_")[0]
        assert all(selector.startswith(f"{family}_") for selector in selectors)
        assert promql.check_selector(field.lookup.selector(given)) is None
    if field.lookup.asks == "values" and field.lookup.label != "__name__":
        assert any(f"{field.lookup.label}=" in text for text in selectors) or not given[field.name]
    assert field.lookup.says(given)


def test_other_fields_narrow_it_once_they_are_written() -> None:
    lookup = label_of("istio_requests_total", "destination_service_name", namespace="place")
    assert lookup.selector({"place": ""}) == "istio_requests_total"
    assert lookup.selector({"place": "shop"}) == 'istio_requests_total{namespace="shop"}'
    assert lookup.selector({"place": "${where}"}) == "istio_requests_total"
    assert lookup.selector({"place": 'a"b'}) == 'istio_requests_total{namespace="a\\"b"}'


def test_a_metric_that_is_half_written_makes_no_selector() -> None:
    lookup = Lookup("labels", "{metric}_count")
    assert lookup.selector({"metric": "seconds"}) == "seconds_count"
    for wrong in ('x{a="b"} or y', "1x", "x y", '"}'):
        with pytest.raises(SelectorError):
            lookup.selector({"metric": wrong})


def test_values_are_what_the_field_takes() -> None:
    histograms = Lookup("values", label="__name__", ending="_bucket")
    assert histograms.selector({}) == '{__name__=~".+_bucket"}'
    assert histograms.values(["b_bucket", "a_bucket", "other"]) == ["a", "b"]
    labels = Lookup("labels", "x", without=frozenset({"le"}), first=("code", "status"))
    assert labels.values(["zone", "status", "le", "app", ""]) == ["status", "app", "zone"]


def test_words_say_who_is_asked_for_what() -> None:
    assert suggests.of_fault("envoy.http_abort", "routes") == "envoy:routes"
    assert suggests.of_preset("istio.errors", "service") == "preset:istio.errors:service"
    assert suggests.of_alias("prometheus") == "alias:prometheus"
    assert suggests.of_alias() == "alias:"
