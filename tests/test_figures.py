"""Figures: valid for plotly, honest about gaps, phases, limits and margins."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from django.utils import timezone

from experiments import figures
from experiments.analysis.evidence import Phase
from experiments.analysis.series import HistogramSeries, RatioSeries, ValueSeries
from experiments.domain import spec
from experiments.services import faults, sofar
from tests import factories

NAMES = ("carts_p95", "orders_p95", "orders_errors", "queue_length", "requests")
TIMING = {"step_s": 5.0, "window_s": 5.0}
T0 = 1_700_000_000.0


def bins(count: int) -> Any:
    return T0 + np.arange(1, count + 1) * 5.0


@pytest.fixture(scope="module")
def document():
    return spec.parse(factories.document(), faults=faults.known()).or_raise()


def scene(**changes: Any) -> figures.Scene:
    phases = (Phase("baseline", T0, T0 + 60), Phase("fault", T0 + 60, T0 + 120))
    moments = (figures.Moment(T0 + 60, "inject", "#c92a2a"),)
    given: dict[str, Any] = {"phases": phases, "moments": moments}
    return figures.Scene(**{"start": T0, "end": T0 + 180, **given, **changes})


def drawn(document: Any, name: str, series: Any, **kw: Any) -> figures.Figure:
    sli, promise = document.sli(name), sofar.promises(document)[name]
    figure = figures.sli_figure(sli, series, kw.pop("scene", scene()), promise=promise, **kw)
    go.Figure(figure["data"], figure["layout"])
    return figure


def texts(figure: figures.Figure) -> list[str]:
    return [each["text"] for each in figure["layout"]["annotations"]]


@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", [factories.live, factories.finished, factories.unconfirmed])
def test_plotly_accepts_every_figure(make, name):
    alice, place = factories.person("alice", "operator"), factories.environment()
    run = make(factories.version(alice), place, alice)
    raw = spec.parse(run.version.document, faults=faults.known()).or_raise()
    figure = figures.build(run, raw, name, timezone.now())
    made = go.Figure({key: figure[key] for key in ("data", "layout")})
    assert len(made.data) >= 1
    assert {"inject"} <= set(texts(figure))


@pytest.mark.django_db
def test_a_finished_run_is_marked_from_inject_to_verdict(document):
    alice, place = factories.person("alice", "operator"), factories.environment()
    run = factories.finished(factories.version(alice), place, alice)
    figure = figures.build(run, document, "carts_p95", timezone.now())
    assert [text for text in texts(figure) if not text.startswith("limit")] == [
        "inject",
        "recover",
        "verdict",
    ]
    shades = [s for s in figure["layout"]["shapes"] if s["yref"] == "paper" and "fillcolor" in s]
    assert len(shades) == 3


def histogram() -> HistogramSeries:
    times = bins(24)
    counts = np.tile([10.0, 60.0, 95.0, 100.0], (24, 1))
    return HistogramSeries(
        times, bounds=np.array([0.05, 0.1, 0.2, np.inf]), counts=counts, **TIMING
    )


def test_a_quantile_shows_three_lines_and_its_own_stands_out(document):
    figure = drawn(document, "carts_p95", histogram())
    widths = {line["name"]: line["line"]["width"] for line in figure["data"]}
    assert set(widths) == {"p50", "p95", "p99"}
    assert widths["p95"] > widths["p50"] == widths["p99"]


def test_seconds_below_two_are_shown_in_milliseconds(document):
    figure = drawn(document, "carts_p95", histogram())
    assert figure["layout"]["yaxis"]["title"]["text"] == "ms"
    p95 = next(line for line in figure["data"] if line["name"] == "p95")
    assert p95["y"][0] == pytest.approx(200)
    assert "limit 500 ms" in texts(figure)


def test_a_ratio_is_a_percentage_with_its_limit_and_margin(document):
    times = bins(24)
    series = RatioSeries(times, bad=np.full(24, 2.0), total=np.full(24, 400.0), **TIMING)
    figure = drawn(document, "orders_errors", series, baseline=0.005)
    assert figure["layout"]["yaxis"]["title"]["text"] == "%"
    assert figure["data"][0]["y"][0] == pytest.approx(0.5)
    shapes = [shape for shape in figure["layout"]["shapes"] if shape["yref"] == "y"]
    heights = [(round(shape["y0"], 6), round(shape["y1"], 6)) for shape in shapes]
    assert heights == [(0.0, 1.0), (0.5, 0.5), (1.0, 1.0)]
    assert "limit 1 %" in texts(figure)


def test_missing_bins_are_gaps(document):
    times = T0 + np.array([5.0, 10, 15, 40, 45])
    values = np.array([1.0, np.nan, 3, 4, 5])
    figure = drawn(document, "queue_length", ValueSeries(times, values=values, **TIMING))
    line = figure["data"][0]
    assert line["y"] == [1.0, None, 3.0, None, 4.0, 5.0]
    assert line["connectgaps"] is False
    assert len(line["x"]) == len(line["y"])


def test_a_limit_far_above_the_data_is_named_and_does_not_flatten_it(document):
    times = bins(4)
    figure = drawn(document, "queue_length", ValueSeries(times, values=np.ones(4), **TIMING))
    assert "limit 60 messages ↑" in texts(figure)
    assert figure["layout"]["yaxis"]["range"][1] < 2


def test_no_data_is_said_in_words(document):
    assert "no data yet" in texts(drawn(document, "carts_p95", None))
    told = drawn(document, "carts_p95", None, why="<query> returned nothing")
    assert "&lt;query&gt; returned nothing" in texts(told)


def test_request_rates_come_from_every_sli_that_counts(document):
    times = bins(24)
    ratio = RatioSeries(times, bad=np.full(24, 2.0), total=np.full(24, 400.0), **TIMING)
    values = ValueSeries(times, values=np.ones(24), **TIMING)
    series: dict[str, Any] = {
        "carts_p95": histogram(),
        "orders_errors": ratio,
        "queue_length": values,
    }
    figure = figures.requests_figure(document, series, scene())
    go.Figure(figure["data"], figure["layout"])
    rates = {line["name"]: line["y"][0] for line in figure["data"]}
    assert rates == {"carts_p95": 20.0, "orders_errors": 80.0}


def test_labels_that_would_meet_are_put_together(document):
    both = (
        figures.Moment(T0 + 100, "stop", "#e67700"),
        figures.Moment(T0 + 101, "recover", "#2b8a3e"),
    )
    figure = drawn(document, "carts_p95", None, scene=scene(moments=both))
    assert "stop · recover" in texts(figure)
    lines = [s for s in figure["layout"]["shapes"] if s["type"] == "line"]
    assert len(lines) == 2


def test_the_fault_still_to_come_is_shaded_faintly(document):
    figure = drawn(document, "carts_p95", None, scene=scene(planned=(T0 + 120, T0 + 170)))
    shades = [s["opacity"] for s in figure["layout"]["shapes"] if s["type"] == "rect"]
    assert len(shades) == 3
    assert shades[-1] < shades[-2]
