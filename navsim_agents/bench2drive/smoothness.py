"""Driving smoothness: the share of a route's stretches of 20 ticks in which all of nuPlan's comfort bounds are kept.

The benchmark's script (``tools/efficiency_smoothness_benchmark.py``, the same in 0.0.3 and 0.0.4) differs from the
definition that it implements in four ways, so there are two figures:

1. ticks are 0.05 s apart, the script takes 0.1 s: jerk counts half;
2. CARLA gives angular velocity in deg/s, the script compares it with rad/s: 1 deg/s is too fast;
3. the bound on yaw acceleration is applied to the yaw rate a second time;
4. the rate is unwrapped as if it were an angle: within a stretch a jump by 2 pi does not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

import numpy as np
from jaxtyping import Bool, Float

from navsim_agents.bench2drive.records import TickInfo
from navsim_agents.bench2drive.ticks import TICKS_PER_S
from navsim_agents.scoring.rules.comfort import savitzky_golay

TICK_S = 1.0 / TICKS_PER_S
SCRIPTED_TICK_S = 0.1
STRETCH_TICKS = 20
WINDOW, ORDER = 7, 2
LEAST_TICKS = ORDER + 1
# Bounds of nuPlan's comfort metric, as the script has them; a value on a bound is outside.
LEAST_LON_ACCELERATION, MOST_LON_ACCELERATION = -4.05, 2.40  # m/s²
MOST_LAT_ACCELERATION = 4.89  # m/s²
MOST_JERK, MOST_LON_JERK = 8.37, 4.13  # m/s³
MOST_YAW_ACCELERATION = 1.93  # rad/s²
MOST_YAW_RATE = 0.95  # rad/s

Array = Float[np.ndarray, "C n"]  # stretches, ticks


@dataclass(frozen=True)
class Motion:
    """What the bounds look at, by stretches."""

    acceleration: Array  # m/s², its size in the plane
    lon_acceleration: Array
    lat_acceleration: Array  # to the right
    yaw_rate: Array  # as CARLA gives it, deg/s


def smoothness_as_scripted(ticks: Sequence[TickInfo]) -> Optional[float]:
    """Share of smooth stretches as the benchmark's script computes it; None of fewer than three ticks, on which the
    script ends with an error."""
    return _share(ticks, _is_smooth_as_scripted)


def smoothness_as_defined(ticks: Sequence[TickInfo], tick_s: float = TICK_S) -> Optional[float]:
    """The same by the definition: true tick, rad/s, the derivative of the yaw rate as yaw acceleration, no unwrapping.

    Args:
        ticks: of one route, in order.
        tick_s: time between two of them.
    """
    return _share(ticks, partial(_is_smooth_as_defined, tick_s=tick_s))


def _share(ticks: Sequence[TickInfo], is_smooth: Callable[[Motion], Bool[np.ndarray, " C"]]) -> Optional[float]:
    if len(ticks) < LEAST_TICKS:
        return None
    return float(is_smooth(_motion(ticks)).mean())


def _motion(ticks: Sequence[TickInfo]) -> Motion:
    """A route of more than one stretch loses the rest behind the last whole one; a shorter one is a stretch itself."""
    length = min(STRETCH_TICKS, len(ticks))
    kept = ticks[: len(ticks) // length * length]
    acceleration = np.array([tick.acceleration[:2] for tick in kept])
    ahead = np.array([tick.forward_vector[:2] for tick in kept])
    right = np.array([tick.right_vector[:2] for tick in kept])
    columns = (
        np.hypot(acceleration[:, 0], acceleration[:, 1]),
        (acceleration * ahead).sum(1),
        (acceleration * right).sum(1),
        np.array([tick.angular_velocity[2] for tick in kept]),
    )
    return Motion(*(column.reshape(-1, length) for column in columns))


def _is_smooth_as_scripted(motion: Motion) -> Bool[np.ndarray, " C"]:
    rate = _filtered(_unwrapped(motion.yaw_rate))
    return _keeps_bounds(motion, SCRIPTED_TICK_S) & _within(rate, MOST_YAW_ACCELERATION) & _within(rate, MOST_YAW_RATE)


def _is_smooth_as_defined(motion: Motion, tick_s: float) -> Bool[np.ndarray, " C"]:
    rate = _filtered(np.radians(motion.yaw_rate))
    turning = _within(_derivative(rate, tick_s), MOST_YAW_ACCELERATION) & _within(rate, MOST_YAW_RATE)
    return _keeps_bounds(motion, tick_s) & turning


def _keeps_bounds(motion: Motion, tick_s: float) -> Bool[np.ndarray, " C"]:
    """Whether acceleration and jerk are within bounds; jerk is of the filtered acceleration."""
    lon, size = _filtered(motion.lon_acceleration), _filtered(motion.acceleration)
    lon_kept = ((lon > LEAST_LON_ACCELERATION) & (lon < MOST_LON_ACCELERATION)).all(1)
    return (
        lon_kept
        & _within(_filtered(motion.lat_acceleration), MOST_LAT_ACCELERATION)
        & _within(_derivative(size, tick_s), MOST_JERK)
        & _within(_derivative(lon, tick_s), MOST_LON_JERK)
    )


def _within(values: Array, most: float) -> Bool[np.ndarray, " C"]:
    return (np.abs(values) < most).all(1)


def _filtered(values: Array) -> Array:
    return values @ savitzky_golay(values.shape[1], WINDOW, ORDER, 0, 1.0).numpy().T


def _derivative(values: Array, tick_s: float) -> Array:
    return values @ savitzky_golay(values.shape[1], WINDOW, ORDER, 1, tick_s).numpy().T


def _unwrapped(rates: Array) -> Array:
    """Whole turns of 2 pi taken out of the differences between neighbours."""
    turns = np.cumsum(np.round(np.diff(rates, axis=1) / (2.0 * math.pi)), axis=1)
    return rates - 2.0 * math.pi * np.pad(turns, ((0, 0), (1, 0)))
