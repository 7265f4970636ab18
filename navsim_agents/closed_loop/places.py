"""Places and motion as Bench2Drive's files say them: in CARLA's left-handed world, x as ours, y to the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.records import TickInfo
from navsim_agents.common.poses import HEADING, X, Y

TICKS_PER_STEP = 2  # the benchmark's ticks last 0.05 s, the world's steps 0.1 s
ACCEL, YAW_RATE = slice(3, 5), 5  # columns of a motion behind the pose


def place(location: Float64[np.ndarray, "2"]) -> str:
    """A location as messages say it."""
    return f"(x={location[X]:.3f}, y={-location[Y]:.3f}, z=0.0)"


def tick_infos(motions: Sequence[Float64[np.ndarray, "6"]]) -> dict[int, TickInfo]:
    """Ticks of 0.05 s from what the car's middle did every 0.1 s, those in between by linear interpolation.

    Args:
        motions: of each step x, y, heading, acceleration in both axes of the map [m/s²] and yaw rate [rad/s].
    """
    table = np.array(motions).reshape(-1, 6)
    table[:, HEADING] = np.unwrap(table[:, HEADING])
    steps = np.arange(TICKS_PER_STEP * (len(table) - 1) + 1) / TICKS_PER_STEP
    columns = [np.interp(steps, np.arange(len(table)), column) for column in table.T]
    return {tick: _tick_info(row) for tick, row in enumerate(np.column_stack(columns))}


def _tick_info(motion: Float64[np.ndarray, "6"]) -> TickInfo:
    x, y, heading = motion[: HEADING + 1]
    accel_x, accel_y = motion[ACCEL]
    cos, sin = float(np.cos(heading)), float(np.sin(heading))
    return TickInfo(
        acceleration=(float(accel_x), -float(accel_y), 0.0),
        angular_velocity=(0.0, 0.0, -float(np.rad2deg(motion[YAW_RATE]))),
        forward_vector=(cos, -sin, 0.0),
        right_vector=(sin, cos, 0.0),
        location=(float(x), -float(y), 0.0),
        rotation=(0.0, 0.0, -float(np.rad2deg(heading))),
    )
