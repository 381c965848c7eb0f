"""The frame of a figure: axes, shaded phases, vertical moments with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from experiments.figures.scenes import GREEN, RED, SLATE, Moment, Scene

Figure = dict[str, Any]
LINES = ("#3f51d1", "#0f766e", "#7c3aed", "#c2410c", "#b45309", "#be185d")
_SHADES = {"baseline": (LINES[0], 0.05), "fault": (RED, 0.11), "recovery": (GREEN, 0.07)}
_LETTER = 0.014
"""Share of the width that a letter of a label takes, about: two labels must not meet."""


def iso(at: float) -> str:
    """Return unix seconds as plotly reads a moment of UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def plain(text: str) -> str:
    """Escape a label: plotly reads a little HTML in texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def frame(
    data: list[dict[str, Any]],
    scene: Scene,
    *,
    top: float,
    unit: str,
    bottom: float = 0.0,
    has_legend: bool = False,
    empty: str = "",
) -> Figure:
    """Return a figure of these lines in the run's scene; ``empty`` says why there are none."""
    shapes: list[dict[str, Any]] = []
    for phase in scene.phases:
        colour, opacity = _SHADES[phase.name]
        shapes.append(_shade(phase.start, phase.end, colour, opacity))
    if scene.planned is not None:
        shapes.append(_shade(*scene.planned, RED, 0.04))
    shapes += [_vertical(moment) for moment in scene.moments]
    annotations = [_label(group, scene) for group in _groups(scene)]
    if empty:
        annotations.append(
            {
                "xref": "paper",
                "yref": "paper",
                "x": 0.5,
                "y": 0.5,
                "text": plain(empty),
                "showarrow": False,
                "font": {"color": SLATE, "size": 13},
            }
        )
    return {
        "data": data,
        "layout": {
            "xaxis": {
                "type": "date",
                "range": [iso(scene.start), iso(scene.end)],
                "showgrid": False,
                "hoverformat": "%H:%M:%S",
            },
            "yaxis": {
                "range": [bottom, top],
                "title": {"text": unit, "standoff": 6},
                "nticks": 5,
                "automargin": True,
                "zeroline": False,
            },
            "showlegend": has_legend,
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": -0.16,
                "xanchor": "left",
                "yanchor": "top",
            },
            "margin": {"l": 56, "r": 14, "t": 22, "b": 42 if has_legend else 26},
            "shapes": shapes,
            "annotations": annotations,
            "hovermode": "x unified",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
        },
        "config": {"displayModeBar": False},
    }


def _shade(start: float, end: float, colour: str, opacity: float) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": iso(start),
        "x1": iso(end),
        "y0": 0,
        "y1": 1,
        "fillcolor": colour,
        "opacity": opacity,
        "line": {"width": 0},
        "layer": "below",
    }


def _vertical(moment: Moment) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": iso(moment.at),
        "x1": iso(moment.at),
        "y0": 0,
        "y1": 1,
        "line": {"color": moment.colour, "width": 1.25},
    }


def _groups(scene: Scene) -> list[list[Moment]]:
    """Return the moments in order, those together whose labels would meet."""
    span = scene.end - scene.start
    groups: list[list[Moment]] = []
    for moment in sorted(scene.moments, key=lambda each: each.at):
        if groups and moment.at - groups[-1][0].at < _LETTER * len(groups[-1][0].text) * span:
            groups[-1].append(moment)
        else:
            groups.append([moment])
    return groups


def _label(group: Sequence[Moment], scene: Scene) -> dict[str, Any]:
    share = (group[0].at - scene.start) / (scene.end - scene.start)
    texts = dict.fromkeys(moment.label for moment in group) if len(group) > 1 else [group[0].text]
    return {
        "xref": "x",
        "yref": "paper",
        "x": iso(group[0].at),
        "y": 1,
        "xanchor": "right" if share > 0.82 else "left",
        "yanchor": "bottom",
        "text": " · ".join(map(plain, texts)),
        "showarrow": False,
        "font": {"color": group[0].colour, "size": 11},
    }
