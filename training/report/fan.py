"""Proposals fanned out, coloured by the score that the planner foresees, with the pseudo-teachers beneath."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from navsim_agents.poses import FloatArray
from training.report.views import SceneView, project_ground, smooth_path, upwards

SCORE_COLORS = colormaps["plasma"]
COLOR_RANGE = (0.0, 0.92)  # of the map: its last, pale yellow is lost on a light road
TEACHER_COLOR = "#7fb069"


def draw_fan_from_above(axes: Axes, view: SceneView) -> None:
    """Teachers, then proposals, worst first."""
    teachers = [upwards(smooth_path(poses)) for poses in view.teachers]
    axes.add_collection(LineCollection(teachers, colors=TEACHER_COLOR, linewidths=2.6, alpha=0.30, zorder=4.2))
    lines, colors = _fan(view)
    axes.add_collection(LineCollection([upwards(line) for line in lines], colors=colors, linewidths=1.1, zorder=4.4))


def draw_fan_on_camera(axes: Axes, view: SceneView) -> None:
    """Proposals on the road, worst first."""
    lines, colors = _fan(view)
    axes.add_collection(
        LineCollection([_seen(project_ground(view, line)) for line in lines], colors=colors, linewidths=1.3, zorder=1.5)
    )


def score_colors(foreseen: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, "N 4"]:
    """Colours from the lowest to the highest of ``foreseen``; all the highest's where they are equal."""
    lowest, highest = float(foreseen.min()), float(foreseen.max())
    share = (foreseen - lowest) / (highest - lowest) if highest > lowest else np.ones_like(foreseen)
    colors: FloatArray = SCORE_COLORS(COLOR_RANGE[0] + (COLOR_RANGE[1] - COLOR_RANGE[0]) * share)
    return colors


def _fan(view: SceneView) -> tuple[list[FloatArray], FloatArray]:
    if view.proposals is None or view.foreseen is None:
        return [], np.zeros((0, 4))
    order = np.argsort(view.foreseen, kind="stable")
    colors = score_colors(view.foreseen)[order]
    return [smooth_path(view.proposals[row]) for row in order], colors


def _seen(pixels: FloatArray) -> FloatArray:
    shown: FloatArray = pixels[np.isfinite(pixels).all(1)]
    return shown
