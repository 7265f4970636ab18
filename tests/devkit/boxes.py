"""The boxes of the devkit's reactive traffic."""

from __future__ import annotations

from typing import Any

import numpy as np

from navsim_agents.devkit.scoring import reactive_agents
from navsim_agents.poses import poses_to_global, poses_to_local
from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.axes import POSE


def devkit_boxes(cached: Any, scene: ScoringScene, states: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Per step, track to pose in the frame of the scene."""
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    on_map = states.copy()
    origin = scene.ego_pose.numpy()
    on_map[:, POSE] = poses_to_global(states[:, POSE], origin)
    agents = reactive_agents(TrajectorySampling(num_poses=40, interval_length=0.1))
    steps = [step.tracked_objects for step in agents.simulate_environment(on_map, cached)]
    boxes = [{item.track_token: np.array(item.center.serialize(), dtype=float) for item in step} for step in steps]
    return [{token: poses_to_local(pose, origin) for token, pose in step.items()} for step in boxes]
