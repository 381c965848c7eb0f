"""Every query that experiments.domain.promql writes, on a real Prometheus with a known history."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from drivers.prometheus import Prometheus
from drivers.protocol import ConnectionConfig
from experiments.domain import presets, promql
from experiments.domain.promql import PhaseTotal, SeriesKey, series_key
from tests.servers.prometheus import prometheus

# One sample a second for ten minutes. The phase is [PHASE_AT, PHASE_AT + 60].
LENGTH_S = 600
START = (int(time.time()) - 7200) // 60 * 60
PHASE_AT, PHASE_S = START + 360, 60


def history() -> str:
    """Return counters whose every value is known: ``name{labels} value time``."""
    counters: dict[str, dict[int, float]] = {
        'all_total{pod="a"}': {s: 5.0 * s for s in range(LENGTH_S)},
        # Restarts between the last sample before the phase and the first within it, then
        # overtakes its start: 0 at second 361, 590 at second 420.
        'all_total{pod="restarts"}': {
            s: s * 1.0 if s <= 360 else 10.0 * (s - 361) for s in range(LENGTH_S)
        },
        # Restarts before the phase only: no reset of the phase.
        'all_total{pod="early"}': {s: s % 300 * 2.0 for s in range(LENGTH_S - 1)},
        'all_total{pod="killed"}': {s: 3.0 * s for s in range(391)},
        'all_total{pod="new"}': {s: 7.0 * (s - 380) for s in range(381, LENGTH_S)},
        # Not scraped for the last 30 s before the phase, as if the target had been down.
        'all_total{pod="gap"}': {s: 1.0 * s for s in range(LENGTH_S) if not 330 < s <= 362},
        'bad_total{pod="a"}': {s: 1.0 * s for s in range(LENGTH_S)},
        'seconds_bucket{service="orders",le="0.1"}': {s: 6.0 * s for s in range(LENGTH_S)},
        'seconds_bucket{service="orders",le="0.5"}': {s: 9.0 * s for s in range(LENGTH_S)},
        'seconds_bucket{service="orders",le="+Inf"}': {s: 10.0 * s for s in range(LENGTH_S)},
    }
    lines = []
    for series, values in counters.items():
        lines += [f"{series} {value} {START + s}" for s, value in values.items()]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def metrics() -> Iterator[Prometheus]:
    with (
        prometheus(openmetrics=history()) as url,
        Prometheus(ConnectionConfig("prometheus", "m", {"url": url})) as opened,
    ):
        yield opened


def only(metrics: Prometheus, query: str, at: float) -> float:
    assert metrics.parse(query)
    [sample] = metrics.instant(query, at)
    return sample.value


def edges(metrics: Prometheus, query: str, at: float) -> dict[SeriesKey, float]:
    assert metrics.parse(query)
    return {series_key(sample.labels): sample.value for sample in metrics.instant(query, at)}


def total_of(metrics: Prometheus, selector: str, with_resets: bool = True) -> PhaseTotal:
    end_at = PHASE_AT + PHASE_S
    start = edges(metrics, promql.edge_start(selector), PHASE_AT)
    end = edges(metrics, promql.edge_end(selector, PHASE_S), end_at)
    resets = edges(metrics, promql.edge_resets(selector, PHASE_S), end_at)
    return promql.phase_total(start, end, resets if with_resets else None)


def test_increase_counts_the_events_of_a_window(metrics: Prometheus) -> None:
    query = promql.increase('all_total{pod="a"}', 10)
    assert only(metrics, query, START + 100) == pytest.approx(50)
    [series] = metrics.range(query, START + 100, START + 150, 10)
    assert series.values == pytest.approx([50] * 6)


def test_bucket_increase_keeps_the_bounds(metrics: Prometheus) -> None:
    query = promql.bucket_increase('seconds_bucket{service="orders"}', 60)
    metrics.parse(query)
    found = {sample.labels["le"]: sample.value for sample in metrics.instant(query, START + 300)}
    assert found == pytest.approx({"0.1": 360, "0.5": 540, "+Inf": 600})


def test_ratio_divides_bad_by_total(metrics: Prometheus) -> None:
    query = promql.ratio("bad_total", 'all_total{pod="a"}', 30)
    assert only(metrics, query, START + 300) == pytest.approx(0.2)


def test_ratio_is_zero_when_only_bad_is_absent(metrics: Prometheus) -> None:
    query = promql.ratio("never_total", 'all_total{pod="a"}', 30)
    assert only(metrics, query, START + 300) == 0


def test_ratio_is_missing_when_total_is_absent(metrics: Prometheus) -> None:
    assert metrics.instant(promql.ratio("bad_total", "never_total", 30), START + 300) == []


def test_quantile_is_in_the_unit_of_the_buckets(metrics: Prometheus) -> None:
    query = promql.quantile("seconds_bucket", 0.75, 60)
    # 60 % lie below 0.1 and 90 % below 0.5: 75 % is half of the way.
    assert only(metrics, query, START + 300) == pytest.approx(0.3)


def test_quantile_of_an_absent_histogram_is_missing(metrics: Prometheus) -> None:
    assert metrics.instant(promql.quantile("never_bucket", 0.95, 60), START + 300) == []


def test_a_value_query_is_asked_as_it_is(metrics: Prometheus) -> None:
    assert only(metrics, promql.value(" max(bad_total) "), START + 50) == 50


def test_the_phase_total_of_a_steady_counter_is_exact(metrics: Prometheus) -> None:
    total = total_of(metrics, 'all_total{pod="a"}')
    assert (total.count, total.is_exact) == (300, True)


def test_the_phase_total_of_a_killed_pod_ends_with_its_last_sample(metrics: Prometheus) -> None:
    total = total_of(metrics, 'all_total{pod="killed"}')
    assert (total.count, total.is_exact) == (90, True)


def test_the_phase_total_of_a_new_pod_counts_from_zero(metrics: Prometheus) -> None:
    total = total_of(metrics, 'all_total{pod="new"}')
    assert (total.count, total.is_exact) == (7 * 40, True)
    assert total.appeared == {series_key({"pod": "new"})}


def test_the_phase_total_looks_past_a_gap_before_the_phase(metrics: Prometheus) -> None:
    total = total_of(metrics, 'all_total{pod="gap"}')
    assert (total.count, total.is_exact) == (420 - 330, True)


def test_a_restart_before_the_phase_is_none_of_it(metrics: Prometheus) -> None:
    total = total_of(metrics, 'all_total{pod="early"}')
    assert (total.count, total.is_exact) == (120, True)


def test_a_restart_between_two_scrapes_at_the_edge_is_found(metrics: Prometheus) -> None:
    selector = 'all_total{pod="restarts"}'
    assert total_of(metrics, selector, with_resets=False).is_exact
    total = total_of(metrics, selector)
    assert (total.count, total.is_exact) == (590, False)
    assert total.reset == {series_key({"pod": "restarts"})}
    # All raw samples of the phase make it exact: 360 at the edge, then 0, 10, … 590.
    [series] = metrics.raw(selector, PHASE_AT + PHASE_S, PHASE_S - 0.5)
    assert len(series.values) == 60
    assert promql.series_total(series.values.tolist(), start=360) == 590


def test_the_phase_total_sums_over_all_pods(metrics: Prometheus) -> None:
    total = total_of(metrics, "all_total")
    assert total.count == 300 + 590 + 120 + 90 + 280 + 90
    assert len(total.reset) == 1


def test_the_phase_buckets_are_exact(metrics: Prometheus) -> None:
    selector, end_at = "seconds_bucket", PHASE_AT + PHASE_S
    found = promql.phase_buckets(
        edges(metrics, promql.edge_start(selector), PHASE_AT),
        edges(metrics, promql.edge_end(selector, PHASE_S), end_at),
        edges(metrics, promql.edge_resets(selector, PHASE_S), end_at),
    )
    assert {bound: total.count for bound, total in found.items()} == {
        0.1: 360,
        0.5: 540,
        math.inf: 600,
    }


def test_escaped_and_quoted_matchers_parse(metrics: Prometheus) -> None:
    hostile = promql.with_matchers("up", promql.matcher("a", 'x"}\\\n{'), "b='it\\'s',c=`}`")
    assert metrics.parse(promql.increase(hostile, 2.5))


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_gives_queries_that_parse(metrics: Prometheus, name: str) -> None:
    some = {"listener": "ingress", "cluster": "c", "service": "orders"}
    given = {
        field.name: some[field.name] for field in presets.PRESETS[name].fields if field.required
    }
    made = presets.expand(name, given)
    if "ratio" in made:
        assert metrics.parse(promql.ratio(made["ratio"]["bad"], made["ratio"]["total"], 10))
    else:
        measure = made["quantile"]
        assert metrics.parse(promql.quantile(measure["histogram"], measure["q"], 10))


@pytest.mark.parametrize("selector", ["up", 'up{a="1",}', "up{a=`x`}", "up { a != '1' }", "up{}"])
def test_what_the_check_passes_prometheus_parses(metrics: Prometheus, selector: str) -> None:
    assert promql.check_selector(selector) is None
    assert metrics.parse(selector)
