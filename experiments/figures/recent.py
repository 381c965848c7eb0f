"""The last minutes of one SLI or query, with the limit and the margin around its present value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.analysis.evidence import SliEvidence
from experiments.figures.frames import Figure, frame, iso
from experiments.figures.lines import (
    Scale,
    draw_band,
    draw_limits,
    has_values,
    line,
    scale_of,
    sli_figure,
    top_of,
)
from experiments.figures.scenes import Scene
from experiments.services.recent import Recent, Role

_GAP = 1.5
_WORDS: Mapping[Role, tuple[str, str]] = {
    "sli": ("limit", "least"),
    "guardrail": ("stops above", "stops below"),
    "probe": ("at most", "at least"),
}


def recent_figure(found: Recent) -> Figure | None:
    """Return the figure of what was seen; None where there is nothing to draw."""
    if not found.is_drawn or found.promise is None or found.sli is None:
        return None
    scene = Scene(found.start, found.end, (), ())
    promise, value = found.promise, found.value
    if found.lines:
        figure, scale = _lines(found, promise, scene)
    else:
        sli = found.sli.model_copy(update={"title": found.label})
        figure = sli_figure(sli, promise.series, scene, promise=promise, baseline=value)
        scale = _scale_like(figure, promise)
    if value is not None:
        draw_band(figure, (scene.start, scene.end), promise, value, scale)
    return figure


def _scale_like(figure: Figure, promise: SliEvidence) -> Scale:
    """Return the scale that the SLI's own figure has chosen."""
    unit = figure["layout"]["yaxis"]["title"]["text"]
    factor = {("ratio", "%"): 100.0, ("s", "ms"): 1000.0}.get((promise.unit, unit), 1.0)
    return Scale(factor, unit)


def _lines(found: Recent, promise: SliEvidence, scene: Scene) -> tuple[Figure, Scale]:
    finite = [each.values[np.isfinite(each.values)] for each in found.lines]
    peak = max((float(each.max()) for each in finite if len(each)), default=0.0)
    low = min((float(each.min()) for each in finite if len(each)), default=0.0)
    bounds = [each for each in (promise.limit_max, promise.limit_min) if each is not None]
    scale = scale_of(promise.unit, max([peak, *bounds]))
    top = top_of(peak, found.value, promise, bounds)
    many = len(found.lines) > 1
    data = [
        _one(each, index, scale, found.step_s, is_thin=many)
        for index, each in enumerate(found.lines)
        if has_values(each.values)
    ]
    figure = frame(
        data,
        scene,
        top=scale.of(top),
        bottom=scale.of(min(0.0, low)),
        unit=scale.unit,
        has_legend=many,
        empty="" if data else "no numbers",
    )
    draw_limits(figure, promise, scale, top, _WORDS[found.role])
    return figure, scale


def _one(each: Any, index: int, scale: Scale, step_s: float, *, is_thin: bool) -> dict[str, Any]:
    jumps = np.flatnonzero(np.diff(each.times) > _GAP * step_s) + 1
    times = np.insert(each.times, jumps, each.times[jumps] - step_s)
    values = np.insert(each.values, jumps, math.nan)
    made = line(
        each.label,
        [iso(float(at)) for at in times],
        scale.points(values),
        scale.unit,
        index,
        is_main=True,
    )
    made["line"]["width"] = 1.5 if is_thin else 1.75
    return made
