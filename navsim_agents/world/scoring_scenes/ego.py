"""The ego of a scene in the devkit's terms, from NAVSIM's frames: steering and yaw rates are unknown to it, so 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from navsim_agents.common.conventions import STEP_US
from navsim_agents.common.poses import POSE
from navsim_agents.data.scene import LogFrame, global_ego_pose
from navsim_agents.scoring.axes import MOTION, State

NUM_STATE_COLUMNS = len(State)


def global_states(frames: Sequence[LogFrame]) -> Float64[np.ndarray, "F 11"]:
    """Ego states, poses on the map; velocity and acceleration pass through NAVSIM's float32."""
    states = np.zeros((len(frames), NUM_STATE_COLUMNS))
    states[:, POSE] = [global_ego_pose(frame) for frame in frames]
    states[:, MOTION] = np.array([frame["ego_dynamic_state"] for frame in frames], dtype=np.float32)
    return states


def history_states(
    states: Float64[np.ndarray, "F 11"], times_us: Int64[np.ndarray, " F"]
) -> Float64[np.ndarray, "H 11"]:
    """States 0.1 s apart between logged ``states``, the last of which is now and left out.

    NAVSIM v2.2 also leaves out the last sample before now, so 1.5 s make 14 states.
    """
    samples = np.arange(times_us[0], times_us[-1], STEP_US)[:-1]
    smooth = states.copy()
    smooth[:, State.HEADING] = np.unwrap(states[:, State.HEADING])
    return np.stack([np.interp(samples, times_us, column) for column in smooth.T], axis=1)
