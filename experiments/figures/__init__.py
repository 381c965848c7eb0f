"""Figures as plain dictionaries, for plotly in the browser.

A run, its document and a name enter; ``{data, layout, config}`` leaves. Times are UTC on a date
axis. The plain colours are those that ``charts.js`` knows: it puts the theme's own in their place.
"""

from experiments.figures.frames import Figure
from experiments.figures.lines import REQUESTS, build, requests_figure, sli_figure
from experiments.figures.scenes import Moment, Scene, scene_of

__all__ = [
    "REQUESTS",
    "Figure",
    "Moment",
    "Scene",
    "build",
    "requests_figure",
    "scene_of",
    "sli_figure",
]
