"""What an agent is given, with NAVSIM's own field names, for runs without the devkit.

Feature and target builders read these by attribute only, so the devkit's objects of the same names
(``navsim/common/dataclasses.py``) serve them just as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np
import numpy.typing as npt

from navsim_agents.common.conventions import POSE_INTERVAL_S


@dataclass(frozen=True)
class Camera:
    """One picture and its calibration; every field is None for a camera that was not asked for."""

    image: Optional[npt.NDArray[np.uint8]] = None  # [H, W, 3] RGB
    sensor2lidar_rotation: Optional[npt.NDArray[np.float64]] = None  # [3, 3]
    sensor2lidar_translation: Optional[npt.NDArray[np.float64]] = None  # [3] m
    intrinsics: Optional[npt.NDArray[np.float64]] = None  # [3, 3] pixels
    distortion: Optional[npt.NDArray[np.float64]] = None  # [5]
    camera_path: Optional[Path] = None


@dataclass(frozen=True)
class Cameras:
    """The eight cameras of one frame."""

    cam_f0: Camera = field(default_factory=Camera)
    cam_l0: Camera = field(default_factory=Camera)
    cam_l1: Camera = field(default_factory=Camera)
    cam_l2: Camera = field(default_factory=Camera)
    cam_r0: Camera = field(default_factory=Camera)
    cam_r1: Camera = field(default_factory=Camera)
    cam_r2: Camera = field(default_factory=Camera)
    cam_b0: Camera = field(default_factory=Camera)


@dataclass(frozen=True)
class EgoStatus:
    """Ego state of one frame; poses relative to the current frame (rear axle, x ahead, y left)."""

    ego_pose: npt.NDArray[np.floating]  # [3] m, m, rad
    ego_velocity: npt.NDArray[np.float32]  # [2] m/s, own frame
    ego_acceleration: npt.NDArray[np.float32]  # [2] m/s^2, own frame
    driving_command: npt.NDArray[np.int64]  # [4] one-hot: left, straight, right, unknown
    in_global_frame: bool = False


@dataclass(frozen=True)
class AgentInput:
    """Four history frames at 2 Hz, the last of which is now."""

    ego_statuses: list[EgoStatus]
    cameras: list[Cameras]


@dataclass(frozen=True)
class Trajectory:
    """Planned or driven poses [T, 3] in the ego frame of now, the first one interval after it."""

    poses: npt.NDArray[np.floating]
    interval_length: float = POSE_INTERVAL_S


@dataclass(frozen=True)
class SceneMetadata:
    """Where a scene comes from; ``initial_token`` names its current frame."""

    log_name: str
    scene_token: str
    map_name: str
    initial_token: str
    num_history_frames: int
    num_future_frames: int
