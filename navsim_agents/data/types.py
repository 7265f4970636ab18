"""What an agent is given, with NAVSIM's own field names, for runs without the devkit.

Feature and target builders read these by attribute only, so the devkit's objects of the same names
(``navsim/common/dataclasses.py``) serve them just as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from navsim_agents.common.conventions import POSE_INTERVAL_S

AsLogged = npt.NDArray[Any]
"""What a log or a picture's file holds; feature builders refuse it where it is not as the comment says."""


@dataclass(frozen=True)
class Camera:
    """One picture and its calibration; every field is None for a camera that was not asked for."""

    image: Optional[AsLogged] = None  # [H, W, 3] RGB, 8 bits a channel
    sensor2lidar_rotation: Optional[AsLogged] = None  # [3, 3]
    sensor2lidar_translation: Optional[AsLogged] = None  # [3] m
    intrinsics: Optional[AsLogged] = None  # [3, 3] pixels
    distortion: Optional[AsLogged] = None  # [5]
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

    ego_pose: Float[np.ndarray, "3"]  # m, m, rad
    ego_velocity: AsLogged  # [2] m/s, own frame
    ego_acceleration: AsLogged  # [2] m/s^2, own frame
    driving_command: AsLogged  # [4] one-hot: left, straight, right, unknown
    in_global_frame: bool = False


@dataclass(frozen=True)
class AgentInput:
    """Four history frames at 2 Hz, the last of which is now."""

    ego_statuses: list[EgoStatus]
    cameras: list[Cameras]


@dataclass(frozen=True)
class Trajectory:
    """Planned or driven poses [T, 3] in the ego frame of now, the first one interval after it."""

    poses: Float[np.ndarray, "T 3"]
    interval_length: float = POSE_INTERVAL_S


@dataclass(frozen=True)
class SceneMetadata:
    """Where a scene comes from; ``initial_token`` names its current frame."""

    log_name: str
    scene_token: Optional[str]  # this and the map are None where a log does not say
    map_name: Optional[str]
    initial_token: str
    num_history_frames: int
    num_future_frames: int
    corresponding_original_scene: Optional[str] = None  # of a synthetic scene: last frame of the one that it follows
    corresponding_original_initial_token: Optional[str] = None  # and that one's current frame
