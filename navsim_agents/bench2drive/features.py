"""What the full planner is given of a :class:`Bench2DriveInput`: pictures, status and projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from navsim_agents.bench2drive.frames import BACK, FRONT, FRONT_LEFT, FRONT_RIGHT, calibration
from navsim_agents.bench2drive.inputs import COMMANDS, Bench2DriveInput
from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX
from navsim_agents.data.resize import Image, resize_bilinear
from navsim_agents.devkit.bases import AbstractFeatureBuilder
from navsim_agents.drive_jepa.cameras import camera_from_ego
from navsim_agents.drive_jepa.config import ImageConfig
from navsim_agents.drive_jepa.features import FRONT_VIDEO
from navsim_agents.drive_jepa.proposal_config import FOUR_CAMERAS_SOURCE, FRAMES_OF_SOURCE, FRONT_VIDEO_SOURCE
from navsim_agents.drive_jepa.proposal_features import EGO, PROJECTION, SURROUND_PICTURES
from navsim_agents.errors import InputError
from navsim_agents.models.picture_backbone import CROPPED_ROWS

CAMERAS_OF_SOURCE = {FRONT_VIDEO_SOURCE: (FRONT,), FOUR_CAMERAS_SOURCE: (BACK, FRONT, FRONT_LEFT, FRONT_RIGHT)}
"""In the order of NAVSIM's cameras in the same backbone: back, front, left, right. (The second camera of Bench2Drive's
own order is the front *left* one.)"""
FEATURE_OF_SOURCE = {FRONT_VIDEO_SOURCE: FRONT_VIDEO, FOUR_CAMERAS_SOURCE: SURROUND_PICTURES}
SHAPE = (CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX)
"""Rows and columns in which projections count; Bench2Drive's 900 x 1600 have the same form."""


class InputBuilder(AbstractFeatureBuilder):
    """All features of the planner: pictures uint8 [F, 3, H, W] RGB, ``ego`` [11], ``projection`` [C, 4, 4]."""

    def __init__(self, config: ImageConfig, source: str) -> None:
        super().__init__()
        self._width, self._height, self._source = config.width, config.height, source

    def get_unique_name(self) -> str:
        """Name of the cached file; says pictures and size."""
        return f"drive_jepa_bench2drive_{self._source}_{self._width}x{self._height}"

    def compute_features(self, agent_input: Any) -> dict[str, Tensor]:
        """Resize the pictures, put the status together and look the projection up.

        Raises:
            InputError: it is no input of Bench2Drive, or a camera or a frame is missing.
        """
        if not isinstance(agent_input, Bench2DriveInput):
            raise InputError(
                f"the agent is given {type(agent_input).__name__}, but sees Bench2DriveInput alone; drive it through "
                "plan_input, and train it on Bench2Drive's clips"
            )
        cameras = CAMERAS_OF_SOURCE[self._source]
        pictures = [picture for name in cameras for picture in self._pictures(agent_input, name)]
        projection = [camera_from_ego(_calibrated(name), name) for name in cameras]
        return {
            FEATURE_OF_SOURCE[self._source]: torch.from_numpy(np.stack(pictures)),
            EGO: torch.from_numpy(status(agent_input)),
            PROJECTION: torch.from_numpy(np.stack(projection).astype(np.float32)),
        }

    def _pictures(self, seen: Bench2DriveInput, name: str) -> list[Image]:
        wanted = FRAMES_OF_SOURCE[self._source]
        frames = seen.pictures.get(name)
        if frames is None or len(frames) < wanted:
            found = "no pictures" if frames is None else f"{len(frames)} pictures"
            raise InputError(f"{name} comes with {found}, but the agent sees {wanted} of it, 0.5 s apart, now the last")
        is_cropped = self._source == FRONT_VIDEO_SOURCE
        return [self._resized(frame, is_cropped) for frame in frames[-wanted:]]

    def _resized(self, picture: Image, is_cropped: bool) -> Image:
        """As the backbone has it of NAVSIM's cameras: whole, or the same part of it."""
        rows = round(CROPPED_ROWS * len(picture) / CAMERA_HEIGHT_PX) if is_cropped else 0
        kept = picture[rows : len(picture) - rows]
        return resize_bilinear(kept, self._width, self._height).transpose(2, 0, 1)


def _calibrated(name: str) -> Any:
    height, width = SHAPE
    return calibration(name, width, height).camera(np.zeros((1, 1, 3), np.uint8))


def status(seen: Bench2DriveInput) -> Float32[np.ndarray, "11"]:
    """Speed, two zeros in the place of the acceleration, target point, one-hot command.

    The released code puts the acceleration there and then zeroes it: what the IMU says differs too much between clips
    and the leaderboard.
    """
    command = np.eye(len(COMMANDS))[seen.command]
    return np.concatenate(([seen.speed_mps], np.zeros(2), seen.target_point, command)).astype(np.float32)
