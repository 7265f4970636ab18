"""A plan driven by NAVSIM's tracker and vehicle model."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from navsim_agents.common.conventions import EGO_MEASURES_M, POSE_INTERVAL_S, STEP_S, STEPS_PER_POSE
from navsim_agents.common.poses import POSE
from navsim_agents.poses import poses_to_global
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.simulation.reference import exact_times_us, reference_poses
from navsim_agents.scoring.simulation.tracker import simulate


def tracked_states(
    plan: Float64[np.ndarray, "P 3"], start: Float64[np.ndarray, "11"], origin: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "S 11"]:
    """States 0.1 s apart, from ``start`` to the end of ``plan``.

    Args:
        plan: poses 0.5 s apart, in the frame of ``origin``.
        start: the state now, whose pose is that of ``origin`` in its own frame: zeros.
        origin: rear axle on the map; poses of the result are there too.
    """
    state = torch.from_numpy(start.copy())[None]
    reference = reference_poses(
        torch.from_numpy(plan.copy())[None, None],
        state[:, POSE],
        torch.from_numpy(origin.copy())[None],
        exact_times_us(len(plan) + 1, POSE_INTERVAL_S)[None],
        exact_times_us(len(plan) * STEPS_PER_POSE + 1, STEP_S)[None],
    )
    vehicle = torch.tensor([EGO_MEASURES_M], dtype=torch.float64)
    states: Float64[np.ndarray, "S 11"] = simulate(reference, state, vehicle, EPDMS.tracker)[0, 0].contiguous().numpy()
    states[:, POSE] = poses_to_global(states[:, POSE], origin)
    return states
