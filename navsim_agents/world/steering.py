"""The expert's path: a kinematic bicycle steered by pure pursuit along a reference, independent of speed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64

from navsim_agents.world.curves import arc_lengths
from navsim_agents.world.motion import (
    CURVATURE,
    PATH_SPACING_M,
    MotionPlan,
    PathCrossing,
    PathGate,
    Reference,
    SpeedRule,
    speed_profile,
)

_Item = TypeVar("_Item", PathGate, PathCrossing)
_STEP_M = 0.25
_REFERENCE_STEP_M = 0.25


@dataclass(frozen=True)
class SteeringRule:
    """How the bicycle follows its reference."""

    lookahead_m: float = 4.5
    lag_m: float = 1.2  # curvature follows its demand over this distance
    max_curvature_per_m: float = 0.19  # about 0.53 rad of steering at a wheel base of 3.09 m


def drive_along(
    reference: Reference, start: Float64[np.ndarray, "3"], curvature: float, steering: SteeringRule, speed: SpeedRule
) -> tuple[MotionPlan, Float64[np.ndarray, " M"]]:
    """Plan of a rear axle that sets out from pose ``start``; also the reference's arc length per path point."""
    travelled = arc_lengths(reference.curve)
    marks = np.arange(0.0, travelled[-1], _REFERENCE_STEP_M)
    target_x, target_y = (np.interp(marks, travelled, reference.curve[:, i]) for i in (0, 1))
    path, progress = _pursue(target_x.tolist(), target_y.tolist(), start, curvature, steering)
    every = round(PATH_SPACING_M / _STEP_M)
    path, progress = path[::every], progress[::every] * _REFERENCE_STEP_M
    limits = np.interp(progress, travelled, reference.limits_mps)
    gates = tuple(_along_path(gate, ("stop_m", "clear_m"), progress) for gate in reference.gates)
    marks_of_crossing = ("wait_m", "start_m", "end_m")
    crossings = tuple(_along_path(crossing, marks_of_crossing, progress) for crossing in reference.crossings)
    return MotionPlan(path, speed_profile(path[:, CURVATURE], limits, speed), gates, crossings), progress


def _along_path(item: _Item, names: tuple[str, ...], progress: Float64[np.ndarray, " M"]) -> _Item:
    """``item`` with the marks ``names`` moved from the reference to the path, whose points have made ``progress``.

    What lies behind the path's start keeps its distance.
    """
    stations = np.arange(len(progress)) * PATH_SPACING_M
    marks = {name: float(getattr(item, name)) for name in names}
    moved: dict[str, Any] = {
        name: float(np.interp(mark, progress, stations)) + min(mark - float(progress[0]), 0.0)
        for name, mark in marks.items()
    }
    return replace(item, **moved)


def _pursue(
    target_x: list[float], target_y: list[float], start: Float64[np.ndarray, "3"], curvature: float, rule: SteeringRule
) -> tuple[Float64[np.ndarray, "M 4"], Float64[np.ndarray, " M"]]:
    """Poses with curvature [M, 4] every ``_STEP_M``, and the index of the nearest target per pose [M]."""
    x, y, heading = (float(value) for value in start)
    ahead = round(rule.lookahead_m / _REFERENCE_STEP_M)
    blend = 1.0 - math.exp(-_STEP_M / rule.lag_m)
    nearest, last = 0, len(target_x) - 1 - ahead
    rows, progress = [], []
    while True:
        while nearest < last and _closer(target_x, target_y, nearest, x, y):
            nearest += 1
        rows.append((x, y, heading, curvature))
        progress.append(nearest)
        if nearest >= last:
            return np.array(rows), np.array(progress, dtype=np.float64)
        dx, dy = target_x[nearest + ahead] - x, target_y[nearest + ahead] - y
        lateral = -math.sin(heading) * dx + math.cos(heading) * dy
        demand = 2.0 * lateral / max(dx * dx + dy * dy, 1.0)
        demand = max(-rule.max_curvature_per_m, min(rule.max_curvature_per_m, demand))
        curvature += blend * (demand - curvature)
        middle = heading + 0.5 * curvature * _STEP_M
        x, y = x + _STEP_M * math.cos(middle), y + _STEP_M * math.sin(middle)
        heading += curvature * _STEP_M


def _closer(target_x: list[float], target_y: list[float], i: int, x: float, y: float) -> bool:
    """Whether the next target is nearer than target ``i``."""
    here = (target_x[i] - x) ** 2 + (target_y[i] - y) ** 2
    there = (target_x[i + 1] - x) ** 2 + (target_y[i + 1] - y) ** 2
    return there < here
