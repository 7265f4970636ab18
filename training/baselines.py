"""Two agents to compare with; both have NAVSIM's interface."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from navsim_agents.data.types import CAMERA_NAMES, FRAME_INTERVAL_S, AgentInput, Trajectory

NUM_POSES = 8


class ConstantVelocity:
    """Straight on at the present speed."""

    requires_scene = False

    def get_sensor_config(self) -> SimpleNamespace:
        """No camera."""
        return SimpleNamespace(**dict.fromkeys(CAMERA_NAMES, False))

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """Poses [8, 3] along the ego's x axis."""
        speed = float(np.hypot(*agent_input.ego_statuses[-1].ego_velocity))
        times = FRAME_INTERVAL_S * np.arange(1, NUM_POSES + 1)
        poses = np.stack((speed * times, np.zeros(NUM_POSES), np.zeros(NUM_POSES)), axis=-1)
        return Trajectory(poses.astype(np.float32))


class Human:
    """What was driven: the upper bound of an imitating agent."""

    requires_scene = True

    def get_sensor_config(self) -> SimpleNamespace:
        """No camera."""
        return SimpleNamespace(**dict.fromkeys(CAMERA_NAMES, False))

    def compute_trajectory(self, agent_input: AgentInput, scene: Any) -> Trajectory:
        """The scene's own future [8, 3]."""
        trajectory: Trajectory = scene.get_future_trajectory(NUM_POSES)
        return trajectory


BASELINES = {"constant_velocity": ConstantVelocity, "human": Human}
