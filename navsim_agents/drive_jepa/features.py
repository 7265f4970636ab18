"""Features of the agents, cached by NAVSIM under each builder's unique name.

Builders read NAVSIM's ``AgentInput`` by attribute only, so the devkits' objects and our own serve alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from navsim_agents.common.conventions import FRONT_CAMERA, NUM_HISTORY_FRAMES
from navsim_agents.data.resize import Image, resize_bilinear
from navsim_agents.devkit.bases import AbstractFeatureBuilder
from navsim_agents.drive_jepa.checks import checked_command, checked_image, checked_vector
from navsim_agents.drive_jepa.config import ImageConfig
from navsim_agents.models.picture_backbone import CROPPED_ROWS

FRAMES_FROM_NOW = {-2: "the frame 0.5 s ago", -1: "the current frame"}
HISTORY_FRAMES = tuple(NUM_HISTORY_FRAMES + frame for frame in FRAMES_FROM_NOW)
"""Indices of t - 0.5 s and t in NAVSIM's four history frames."""

FRONT_VIDEO = "front_video"
STATUS = "status"


class FrontVideoBuilder(AbstractFeatureBuilder):
    """``front_video``: uint8 [2, 3, H, W] RGB of the front camera, the previous frame first."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self._width, self._height = config.width, config.height

    def get_unique_name(self) -> str:
        """Name of the cached file; says the size, so that another size gets another cache."""
        return f"drive_jepa_front_video_{self._width}x{self._height}"

    def compute_features(self, agent_input: Any) -> dict[str, Tensor]:
        """Crop and resize both frames.

        Raises:
            InputError: a frame is missing or has the wrong shape.
        """
        frames = [
            front_picture(checked_image(agent_input.cameras[index], FRONT_CAMERA, name), self._width, self._height)
            for index, name in FRAMES_FROM_NOW.items()
        ]
        return {FRONT_VIDEO: torch.from_numpy(np.stack(frames))}


class StatusBuilder(AbstractFeatureBuilder):
    """``status``: float32 [8] = one-hot command 4, velocity 2 [m/s], acceleration 2 [m/s^2] of the current frame."""

    def get_unique_name(self) -> str:
        """Name of the cached file."""
        return "drive_jepa_status"

    def compute_features(self, agent_input: Any) -> dict[str, Tensor]:
        """Join the three.

        Raises:
            InputError: the command is not one-hot, or a number is not finite.
        """
        now = agent_input.ego_statuses[-1]
        parts = (
            checked_command(now),
            checked_vector(now.ego_velocity, "ego_velocity", 2),
            checked_vector(now.ego_acceleration, "ego_acceleration", 2),
        )
        return {STATUS: torch.from_numpy(np.concatenate(parts))}


def front_picture(image: Image, width: int, height: int) -> Image:
    """Camera picture [1080, 1920, 3] as the planner sees it: [3, ``height``, ``width``]."""
    return resize_bilinear(image[CROPPED_ROWS:-CROPPED_ROWS], width, height).transpose(2, 0, 1)
