"""Features of the full planner, beside the front video that it shares with the perception-free one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from navsim_agents.data.resize import resize_bilinear
from navsim_agents.data.types import AgentInput
from navsim_agents.devkit.bases import AbstractFeatureBuilder
from navsim_agents.drive_jepa.cameras import camera_from_ego
from navsim_agents.drive_jepa.checks import checked_command, checked_image, checked_vector
from navsim_agents.drive_jepa.config import ImageConfig
from navsim_agents.poses import poses_to_local

EGO = "ego"
PROJECTION = "projection"
SURROUND_PICTURES = "surround_pictures"

NOW = "the current frame"


class EgoBuilder(AbstractFeatureBuilder):
    """``ego``: float32 [11] of the current frame.

    Pose 3 [m, m, rad], velocity 2 [m/s], acceleration 2 [m/s^2], one-hot command 4.
    """

    def get_unique_name(self) -> str:
        """Name of the cached file."""
        return "drive_jepa_ego"

    def compute_features(self, agent_input: Any) -> dict[str, Tensor]:
        """Join the four.

        Raises:
            InputError: the command is not one-hot, or a number is not finite.
        """
        now = agent_input.ego_statuses[-1]
        parts = (
            checked_vector(now.ego_pose, "ego_pose", 3),
            checked_vector(now.ego_velocity, "ego_velocity", 2),
            checked_vector(now.ego_acceleration, "ego_acceleration", 2),
            checked_command(now),
        )
        # A frame is the origin of itself; adding 0 makes a -0 of the host's arithmetic the same zero.
        return {EGO: torch.from_numpy(np.concatenate(parts) + 0.0)}


class ProjectionBuilder(AbstractFeatureBuilder):
    """``projection``: float32 [C, 4, 4] from the ego frame to pixels of each camera's original picture, now."""

    def __init__(self, cameras: tuple[str, ...]) -> None:
        super().__init__()
        self._cameras = cameras

    def get_unique_name(self) -> str:
        """Name of the cached file; says the cameras, so that other ones get another cache."""
        return f"drive_jepa_projection_{'_'.join(self._cameras)}"

    def compute_features(self, agent_input: Any) -> dict[str, Tensor]:
        """Read the calibration.

        Raises:
            InputError: a camera was not loaded.
        """
        cameras = agent_input.cameras[-1]
        matrices = [camera_from_ego(getattr(cameras, name, None), name) for name in self._cameras]
        return {PROJECTION: torch.from_numpy(np.stack(matrices).astype(np.float32))}


class SurroundPicturesBuilder(AbstractFeatureBuilder):
    """``surround_pictures``: uint8 [C, 3, H, W] RGB: whole pictures of several cameras now, resized."""

    def __init__(self, config: ImageConfig, cameras: tuple[str, ...]) -> None:
        super().__init__()
        self._width, self._height = config.width, config.height
        self._cameras = cameras

    def get_unique_name(self) -> str:
        """Name of the cached file; says size and cameras."""
        return f"drive_jepa_surround_{self._width}x{self._height}_{'_'.join(self._cameras)}"

    def compute_features(self, agent_input: Any) -> dict[str, Tensor]:
        """Resize.

        Raises:
            InputError: a picture is missing or has the wrong shape.
        """
        pictures = []
        for name in self._cameras:
            image = checked_image(agent_input.cameras[-1], name, NOW)
            pictures.append(resize_bilinear(image, self._width, self._height).transpose(2, 0, 1))
        return {SURROUND_PICTURES: torch.from_numpy(np.stack(pictures))}


def previous_input(agent_input: Any) -> AgentInput:
    """What an agent saw one frame (0.5 s) earlier, as far as the history of ``agent_input`` reaches.

    Poses are expressed again in the ego frame of that earlier frame; velocities and accelerations have always been in
    the ego frame of their own frame.
    """
    statuses = agent_input.ego_statuses[:-1]
    origin = np.asarray(statuses[-1].ego_pose, dtype=np.float64)
    poses = poses_to_local(np.stack([np.asarray(status.ego_pose, dtype=np.float64) for status in statuses]), origin)
    moved = [
        dataclasses.replace(status, ego_pose=pose.astype(np.asarray(status.ego_pose).dtype))
        for status, pose in zip(statuses, poses)
    ]
    return AgentInput(ego_statuses=moved, cameras=list(agent_input.cameras[:-1]))
