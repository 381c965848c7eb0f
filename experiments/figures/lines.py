"""The lines: one figure for each SLI, and one for the request rates. Missing bins are gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from experiments.analysis import wording
from experiments.analysis.bins import QuantileOfSums, columns
from experiments.analysis.evidence import SliEvidence
from experiments.analysis.series import Floats, HistogramSeries, RatioSeries, Series
from experiments.domain.slis import Sli
from experiments.domain.spec import Experiment
from experiments.figures.frames import LINES, Figure, frame, iso, plain
from experiments.figures.scenes import AMBER, GREEN, SLATE, Scene, scene_of
from experiments.models import Run
from experiments.services import measuring, sofar

REQUESTS = "requests"
"""The name of the figure that shows every SLI's request rate."""

_QUANTILES = (0.5, 0.95, 0.99)
_HEADROOM = 1.12
_FAR_LIMIT = 4.0
"""A limit further above the data than this is told in words: drawn, it would flatten them."""
_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Scale:
    """By what values are multiplied to be shown in a unit that people read."""

    factor: float
    unit: str

    def of(self, value: float) -> float:
        """Return one value as it is shown."""
        return value * self.factor

    def points(self, values: Floats) -> list[float | None]:
        """Return the points of a line, gaps as None."""
        return [float(f"{v * self.factor:.5g}") if math.isfinite(v) else None for v in values]


def build(run: Run, document: Experiment, name: str, now: datetime) -> Figure:
    """Return the figure of one SLI, or that of the request rates. Raises KeyError."""
    scene = scene_of(run, document, now)
    if name == REQUESTS and all(sli.name != REQUESTS for sli in document.slis):
        series, _ = sofar.read(run, document)
        return requests_figure(document, series, scene)
    sli = document.sli(name)
    series, problems = sofar.read(run, document, [name])
    baseline = _baseline(run, document, sli, series, scene)
    promise = sofar.promises(document)[name]
    return sli_figure(
        sli, series.get(name), scene, promise=promise, baseline=baseline, why=problems.get(name, "")
    )


def _baseline(
    run: Run, document: Experiment, sli: Sli, series: Mapping[str, Series], scene: Scene
) -> float | None:
    """Return the SLI's value in the baseline: as judged, or as it reads so far."""
    for judged in (run.judgement or {}).get("slis", ()):
        if judged["name"] == sli.name:
            value = (judged.get("phases", {}).get("baseline") or {}).get("value")
            return None if value is None else float(value)
    only = document.model_copy(update={"slis": (sli,)})
    seen = sofar.slis(
        run,
        only,
        pace=sofar.pace_of(run, only),
        phases=scene.phases,
        series=series,
        problems={},
    )
    return seen[0].baseline.value


def sli_figure(
    sli: Sli,
    series: Series | None,
    scene: Scene,
    *,
    promise: SliEvidence,
    baseline: float | None = None,
    why: str = "",
) -> Figure:
    """Return the lines of one SLI over phases, moments, limit and margin."""
    if series is None or not len(series.times):
        return frame([], scene, top=1.0, unit="", empty=why or "no data yet")
    times, rows = _with_gaps(series)
    if isinstance(series, HistogramSeries):
        own = promise.q or 0.95
        levels = sorted({*_QUANTILES, own})
        values = {f"p{q * 100:g}": QuantileOfSums(series.bounds, q).value(rows) for q in levels}
        main = f"p{own * 100:g}"
    else:
        main = sli.label
        values = {main: measuring.measure_of(sli, series).value(rows)}
    peak = max(
        (float(np.nanmax(each)) for each in values.values() if has_values(each)), default=0.0
    )
    bounds = [each for each in (promise.limit_max, promise.limit_min) if each is not None]
    scale = scale_of(promise.unit, max([peak, *bounds]))
    data = [
        line(label, times, scale.points(each), scale.unit, index, is_main=label == main)
        for index, (label, each) in enumerate(values.items())
    ]
    top = top_of(peak, baseline, promise, bounds)
    figure = frame(
        data,
        scene,
        top=scale.of(top),
        bottom=scale.of(
            min([0.0, *(float(np.nanmin(v)) for v in values.values() if has_values(v))])
        ),
        unit=scale.unit,
        has_legend=len(data) > 1,
    )
    _draw_margin(figure, scene, promise, baseline, scale)
    draw_limits(figure, promise, scale, top)
    return figure


def requests_figure(document: Experiment, series: Mapping[str, Series], scene: Scene) -> Figure:
    """Return the request rate that each SLI counts, one line for each."""
    data: list[dict[str, Any]] = []
    peak = 0.0
    scale = Scale(1.0, "/s")
    for sli in document.slis:
        found = series.get(sli.name)
        if not isinstance(found, RatioSeries | HistogramSeries) or not len(found.times):
            continue
        times, rows = _with_gaps(found)
        rate = rows[:, -1] / found.window_s
        if not has_values(rate):
            continue
        peak = max(peak, float(np.nanmax(rate)))
        data.append(line(sli.label, times, scale.points(rate), "/s", len(data), is_main=True))
    empty = "" if data else "no SLI has counted a request"
    return frame(
        data,
        scene,
        top=(peak or 1.0) * _HEADROOM,
        unit="requests/s",
        has_legend=len(data) > 1,
        empty=empty,
    )


def has_values(values: Floats) -> bool:
    """Return whether there is anything to draw."""
    return bool(np.isfinite(values).any())


def _with_gaps(series: Series) -> tuple[list[str], Floats]:
    """Return times and columns with an empty row where bins are missing altogether."""
    rows, times = columns(series), series.times
    jumps = np.flatnonzero(np.diff(times) > _GAP * series.step_s) + 1
    empty = np.full(rows.shape[1], np.nan)
    rows = np.insert(rows, jumps, empty, axis=0)
    times = np.insert(times, jumps, times[jumps] - series.step_s)
    return [iso(float(at)) for at in times], rows


def scale_of(unit: str, peak: float) -> Scale:
    """Return how values of a unit up to a peak are shown."""
    if unit == "ratio":
        return Scale(100.0, "%")
    if unit == "s" and peak < 2.0:
        return Scale(1000.0, "ms")
    return Scale(1.0, unit)


def line(
    label: str,
    times: Sequence[str],
    values: Sequence[float | None],
    unit: str,
    index: int,
    *,
    is_main: bool,
) -> dict[str, Any]:
    """Return one line of a figure; that of the SLI itself is the main one."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(label),
        "x": list(times),
        "y": list(values),
        "connectgaps": False,
        "line": {"color": LINES[index % len(LINES)], "width": 2.25 if is_main else 1.25},
        "opacity": 1.0 if is_main else 0.55,
        "hovertemplate": f"%{{y:.4~g}} {plain(unit)}<extra>{plain(label)}</extra>".replace(
            "  ", " "
        ),
    }


def top_of(
    peak: float, baseline: float | None, promise: SliEvidence, bounds: Sequence[float]
) -> float:
    """Return the top of the value axis: above data and margin, and above a limit that is near."""
    margin = _margin(promise, baseline)
    top = max(peak, (baseline or 0.0) + (margin or 0.0))
    near = [bound for bound in bounds if top == 0 or bound <= _FAR_LIMIT * top]
    return max([top, *near]) * _HEADROOM or 1.0


def _margin(promise: SliEvidence, baseline: float | None) -> float | None:
    """Return the larger of the declared margins, in the SLI's unit."""
    found = [promise.margin_absolute]
    if promise.margin_relative is not None and baseline is not None:
        found.append(promise.margin_relative * baseline)
    known = [each for each in found if each is not None]
    return max(known) if known else None


def _draw_margin(
    figure: Figure, scene: Scene, promise: SliEvidence, baseline: float | None, scale: Scale
) -> None:
    """Draw the baseline's value on through the fault, with the margin around it."""
    after = [phase.start for phase in scene.phases if phase.name == "fault"]
    if baseline is not None and after:
        draw_band(figure, (min(after), scene.end), promise, baseline, scale)


def draw_band(
    figure: Figure,
    between: tuple[float, float],
    promise: SliEvidence,
    baseline: float,
    scale: Scale,
) -> None:
    """Draw a value as a line between two moments, with the margin around it."""
    span = {"xref": "x", "x0": iso(between[0]), "x1": iso(between[1]), "yref": "y"}
    middle = scale.of(baseline)
    shapes = figure["layout"]["shapes"]
    margin = _margin(promise, baseline)
    if margin is not None:
        low = scale.of(max(0.0, baseline - margin) if baseline >= 0 else baseline - margin)
        shapes.append(
            {
                "type": "rect",
                **span,
                "y0": low,
                "y1": scale.of(baseline + margin),
                "fillcolor": GREEN,
                "opacity": 0.16,
                "line": {"width": 0},
                "layer": "below",
            }
        )
    shapes.append(
        {
            "type": "line",
            **span,
            "y0": middle,
            "y1": middle,
            "line": {"color": SLATE, "width": 1, "dash": "dot"},
        }
    )


def draw_limits(
    figure: Figure,
    promise: SliEvidence,
    scale: Scale,
    top: float,
    words: tuple[str, str] = ("limit", "least"),
) -> None:
    """Draw each limit as a line; one far above the data is only named."""
    for bound, word in zip((promise.limit_max, promise.limit_min), words, strict=True):
        if bound is None:
            continue
        text = f"{word} {wording.amount(bound, promise.unit)}"
        is_far = bound > top
        label = {
            "xref": "paper",
            "x": 0,
            "xanchor": "left",
            "yref": "paper" if is_far else "y",
            "y": 1 if is_far else scale.of(bound),
            "yanchor": "top" if is_far else "bottom",
            "text": f"{text} ↑" if is_far else text,
            "showarrow": False,
            "font": {"color": AMBER, "size": 11},
        }
        figure["layout"]["annotations"].append(label)
        if not is_far:
            figure["layout"]["shapes"].append(
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "yref": "y",
                    "y0": scale.of(bound),
                    "y1": scale.of(bound),
                    "line": {"color": AMBER, "width": 1.5, "dash": "dash"},
                }
            )
