"""The ego's states: poses as they are logged, their derivatives from parabolas through half a second of way."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float64

from navsim_agents.argoverse.log import EgoWay
from navsim_agents.common.conventions import EGO_WHEEL_BASE_M
from navsim_agents.common.poses import HEADING, POSE, XY, rotate
from navsim_agents.scoring.axes import State

HALF_WINDOW_S = 0.25
NUM_SAMPLES = 11
MIN_STEERED_MPS = 1.0  # below it a yaw rate says little of the wheels


@cache
def _parabola() -> tuple[Float64[np.ndarray, " W"], Float64[np.ndarray, "3 W"]]:
    """Samples around now [s], and what makes value, slope and half the bend of values there."""
    offsets = np.linspace(-HALF_WINDOW_S, HALF_WINDOW_S, NUM_SAMPLES)
    return offsets, np.linalg.pinv(np.vander(offsets, 3, increasing=True))


def states_at(way: EgoWay, times: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n 11"]:
    """States at ``times`` [s], poses on the map, headings unwrapped.

    The way must be known ``HALF_WINDOW_S`` before and after them. The steering angle is that by which nuPlan's car
    would turn as the logged one did.
    """
    offsets, fit = _parabola()
    samples = way.at(times[:, None] + offsets)
    poses = way.at(times)
    # About the pose itself, so that far from the map's origin no digits are lost.
    _, slopes, bends = np.einsum("fw,nwc->fnc", fit, samples - poses[:, None])
    states = np.zeros((len(times), len(State)))
    states[:, POSE] = poses
    states[:, [State.VELOCITY_X, State.VELOCITY_Y]] = rotate(slopes[:, XY], -poses[:, HEADING])
    states[:, [State.ACCELERATION_X, State.ACCELERATION_Y]] = rotate(2.0 * bends[:, XY], -poses[:, HEADING])
    states[:, State.ANGULAR_VELOCITY] = slopes[:, HEADING]
    states[:, State.ANGULAR_ACCELERATION] = 2.0 * bends[:, HEADING]
    speeds = np.maximum(states[:, State.VELOCITY_X], MIN_STEERED_MPS)
    states[:, State.STEERING_ANGLE] = np.arctan(EGO_WHEEL_BASE_M * slopes[:, HEADING] / speeds)
    return states
