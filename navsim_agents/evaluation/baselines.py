"""Agents to compare with; all have NAVSIM's interface."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from navsim_agents.common.conventions import CAMERA_NAMES, NUM_POSES, POSE_INTERVAL_S, STEPS_PER_POSE
from navsim_agents.data.types import AgentInput, Trajectory
from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.axes import POSE


class ConstantVelocity:
    """Straight on at the present speed."""

    requires_scene = False

    def get_sensor_config(self) -> SimpleNamespace:
        """No camera."""
        return SimpleNamespace(**dict.fromkeys(CAMERA_NAMES, False))

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """Poses [8, 3] along the ego's x axis."""
        speed = float(np.hypot(*agent_input.ego_statuses[-1].ego_velocity))
        times = POSE_INTERVAL_S * np.arange(1, NUM_POSES + 1)
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


class ReferenceDriver:
    """The driver of the scoring scene's ``pdm_trajectory``: PDM-Closed, or the built-in world's rule-based driver."""

    requires_scene = True
    requires_scoring_scene = True

    def get_sensor_config(self) -> SimpleNamespace:
        """No camera."""
        return SimpleNamespace(**dict.fromkeys(CAMERA_NAMES, False))

    def compute_trajectory(self, agent_input: AgentInput, scene: Any, scoring_scene: ScoringScene) -> Trajectory:
        """Every fifth of its states, poses [8, 3]."""
        return Trajectory(scoring_scene.pdm_trajectory[STEPS_PER_POSE::STEPS_PER_POSE, POSE].cpu().numpy())


HUMAN = "human"
BASELINES = {"constant_velocity": ConstantVelocity, HUMAN: Human, "reference_driver": ReferenceDriver}
