"""The route as NAVSIM's driving command, by the rule of AlpaSim's own drivers (``alpasim_driver/navigation.py``)."""

from __future__ import annotations

from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.conventions import DRIVING_COMMANDS
from navsim_agents.common.poses import X, Y

LEFT, STRAIGHT, RIGHT, UNKNOWN = range(len(DRIVING_COMMANDS))
LOOK_AHEAD_M = 5.0  # distance of the point that counts
TURN_M = 2.0  # to the side of it that makes a turn


def driving_command(route: Optional[Float64[np.ndarray, "points 2"]]) -> int:
    """Which of NAVSIM's commands a route [m, rig frame of now] asks for.

    The first finite point that is 5 m away or more and not behind the ego counts: more than 2 m to the left, more than
    2 m to the right, or straight on. Straight on, too, where the route ends before; unknown without a finite point.
    """
    if route is None:
        return UNKNOWN
    finite = route[np.isfinite(route).all(axis=1)]
    if not len(finite):
        return UNKNOWN
    far = finite[(np.hypot(finite[:, X], finite[:, Y]) >= LOOK_AHEAD_M) & (finite[:, X] >= 0.0)]
    if not len(far):
        return STRAIGHT
    aside = far[0, Y]
    return LEFT if aside > TURN_M else RIGHT if aside < -TURN_M else STRAIGHT


def one_hot(command: int) -> npt.NDArray[np.int64]:
    """As NAVSIM's logs have it [4]."""
    return np.eye(len(DRIVING_COMMANDS), dtype=np.int64)[command]
