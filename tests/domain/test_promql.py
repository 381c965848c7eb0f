from __future__ import annotations

import math

import pytest

from experiments.domain import promql
from experiments.domain.promql import SelectorError, phase_buckets, phase_total, series_key

A = series_key({"__name__": "hits", "pod": "a"})
B = series_key({"__name__": "hits", "pod": "b"})

BUCKET = 'seconds_bucket{service="orders"}'


@pytest.mark.parametrize(
    "text",
    [
        "requests_total",
        "job:requests:rate5m",
        "up{}",
        ' requests_total { service = "orders" , code =~ "5.." , } ',
        "up{a='it\\'s'}",
        "up{a=`}\\`}",
        'up{a="}{[("}',
        'up{a!="x",b!~"y"}',
    ],
)
def test_a_bare_selector_passes(text: str) -> None:
    assert promql.check_selector(text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("  ", "is empty"),
        ("5xx", "begin with a metric's name"),
        ('{job="a"}', "begin with a metric's name"),
        ("rate(up[5m])", "“rate” is a function"),
        ("sum by (job) (up)", "“sum” is a function"),
        ("up[5m]", "leave it out"),
        ('up{job="a"}[5m]', "leave it out"),
        ("up offset 5m", "may not follow the name"),
        ('up{job="a"} / 2', "may not follow the braces"),
        ('up{job="a"', "never closed"),
        ('up{job="a}', "the quote before “a}” is never closed"),
        ("up{job=a}", "is no label matcher"),
        ('up{job=="a"}', "is no label matcher"),
        ('up{job="a" pod="b"}', "needs a comma"),
        ('up{,job="a"}', "is no label matcher"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    assert says in (promql.check_selector(text) or "")
    with pytest.raises(SelectorError):
        promql.increase(text, 10)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seconds_count", "ends in _bucket"),
        ('seconds_bucket{le="1"}', "remove it"),
        ("", "is empty"),
    ],
)
def test_a_histogram_must_be_all_buckets_of_a_classic_one(text: str, says: str) -> None:
    assert says in (promql.check_histogram(text) or "")
    with pytest.raises(SelectorError):
        promql.bucket_increase(text, 10)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "500ms"),
        (2, "2s"),
        (2.5, "2s500ms"),
        (90, "1m30s"),
        (3600, "1h"),
        (90061.001, "1d1h1m1s1ms"),
        (0.0009, "1ms"),
    ],
)
def test_durations_are_written_as_prometheus_reads_them(seconds: float, text: str) -> None:
    assert promql.duration(seconds) == text


@pytest.mark.parametrize("seconds", [0, -1, 0.0004, math.nan, math.inf])
def test_what_is_no_duration_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        promql.duration(seconds)


def test_matchers_are_escaped_and_joined() -> None:
    assert promql.matcher("a", 'b"\\\n') == r'a="b\"\\\n"'
    assert promql.with_matchers("up", 'a="1"') == 'up{a="1"}'
    assert promql.with_matchers('up{a="1",}', 'b=~"2", c!="3"', "") == 'up{a="1",b=~"2",c!="3"}'
    assert promql.check_matchers("") is None
    assert "is no label matcher" in (promql.check_matchers("a") or "")
    for label, operator in (("a-b", "="), ("é", "="), ("a", "==")):
        with pytest.raises(SelectorError):
            promql.matcher(label, "x", operator)


def test_a_value_is_passed_through_and_needs_a_query() -> None:
    assert promql.value(" max(up) ") == "max(up)"
    with pytest.raises(ValueError, match="needs a PromQL query"):
        promql.value(" ")


@pytest.mark.parametrize("q", [0, 1, 95, math.nan])
def test_a_quantile_lies_between_0_and_1(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        promql.quantile(BUCKET, q, 10)


def test_a_phase_total_is_the_difference_of_the_counters() -> None:
    total = phase_total({A: 10, B: 5}, {A: 17, B: 5})
    assert (total.count, total.is_exact) == (7, True)


def test_a_series_that_begins_within_the_phase_counts_from_zero() -> None:
    total = phase_total({A: 10}, {A: 11, B: 3})
    assert (total.count, total.is_exact, total.appeared) == (4, True, frozenset({B}))


def test_a_drop_is_a_reset_and_makes_the_total_a_lower_bound() -> None:
    total = phase_total({A: 10, B: 1}, {A: 4, B: 2})
    assert (total.count, total.is_exact, total.reset) == (5, False, frozenset({A}))


def test_a_reset_hidden_by_growth_is_found_by_its_count() -> None:
    assert phase_total({A: 10}, {A: 50}).count == 40
    total = phase_total({A: 10}, {A: 50}, {A: 1})
    assert (total.count, total.is_exact, total.reset) == (50, False, frozenset({A}))


def test_no_series_within_the_phase_is_missing_never_zero() -> None:
    assert phase_total({}, {}).count is None
    total = phase_total({A: 10}, {})
    assert (total.count, total.is_exact, total.vanished) == (None, False, frozenset({A}))
    assert phase_total({A: 10}, {A: math.nan}).count is None


def test_a_series_not_scraped_in_the_phase_makes_the_total_inexact() -> None:
    total = phase_total({A: 10, B: 4}, {A: 12})
    assert (total.count, total.is_exact, total.vanished) == (2, False, frozenset({B}))


def test_buckets_are_totalled_per_bound_over_all_pods() -> None:
    def key(le: str, pod: str) -> promql.SeriesKey:
        return series_key({"le": le, "pod": pod})

    start = {key("+Inf", "a"): 10, key("0.5", "a"): 4, key("1", "a"): 6}
    end = {
        key("+Inf", "a"): 20,
        key("0.5", "a"): 5,
        key("1", "a"): 9,
        key("1.0", "b"): 2,
        key("+Inf", "b"): 3,
        key("0.5", "b"): 1,
        series_key({"le": "wide"}): 99,
        A: 99,
    }
    found = phase_buckets(start, end)
    assert [(bound, total.count) for bound, total in found.items()] == [
        (0.5, 2),
        (1.0, 5),
        (math.inf, 13),
    ]


def test_a_series_total_counts_across_restarts() -> None:
    assert promql.series_total([12, 15, 2, 4, 1], start=10) == 5 + 2 + 2 + 1
    assert promql.series_total([3, 7]) == 7
    assert promql.series_total([], start=10) == 0
