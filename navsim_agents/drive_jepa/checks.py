"""What an agent refuses to plan or learn from: each message says the value, the rule and the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX, DRIVING_COMMANDS
from navsim_agents.errors import InputError

CAMERA_SHAPE = (CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX, 3)
"""NAVSIM's cameras: rows, columns, RGB."""

FloatArray = npt.NDArray[np.float32]


def checked_image(cameras: Any, name: str, frame: str) -> npt.NDArray[np.uint8]:
    """Picture [1080, 1920, 3] of camera ``name`` in a history frame called ``frame``.

    Raises:
        InputError: it was not loaded, or is no 8-bit RGB picture of that size.
    """
    camera = getattr(cameras, name, None)
    image = getattr(camera, "image", None)
    if image is None:
        raise InputError(
            f"{name} of {frame} has no image, but the agent needs it; load the sensors of agent.get_sensor_config() "
            "and check that the sensor blobs of this split are complete"
        )
    if image.shape != CAMERA_SHAPE or image.dtype != np.uint8:
        path = getattr(camera, "camera_path", None)
        raise InputError(
            f"{name} of {frame}{f' ({path})' if path else ''} is {image.dtype} {list(image.shape)}, but NAVSIM's "
            f"cameras give uint8 {list(CAMERA_SHAPE)}; use the original pictures, neither resized nor cropped"
        )
    return image


def checked_command(status: Any) -> FloatArray:
    """One-hot driving command [4]: left, straight, right, unknown.

    Raises:
        InputError: it is not one-hot.
    """
    command = np.asarray(status.driving_command, dtype=np.float32)
    if command.shape != (len(DRIVING_COMMANDS),) or set(command.tolist()) != {0.0, 1.0} or command.sum() != 1.0:
        raise InputError(
            f"driving_command is {command.tolist()}, but must be one-hot over ({', '.join(DRIVING_COMMANDS)}); "
            "check the log that this frame comes from"
        )
    return command


def checked_vector(values: Any, name: str, length: int) -> FloatArray:
    """Finite float32 [``length``] of an ego state.

    Raises:
        InputError: a wrong length, or a value that is not finite.
    """
    vector = np.asarray(values, dtype=np.float32)
    if vector.shape != (length,) or not np.isfinite(vector).all():
        raise InputError(
            f"{name} is {vector.tolist()}, but must be {length} finite numbers; "
            "check the log that this frame comes from"
        )
    return vector


def checked_future(scene: Any, num_poses: int) -> FloatArray:
    """Driven poses [``num_poses``, 3] in the ego frame of now, half a second apart.

    Raises:
        InputError: the scene ends too early, or a pose is not finite.
    """
    metadata = scene.scene_metadata
    origin = f"scene {metadata.initial_token} of log {metadata.log_name}"
    if metadata.num_future_frames < num_poses:
        raise InputError(
            f"{origin} has {metadata.num_future_frames} future frames, but num_poses={num_poses}; "
            f"set the scene filter's num_future_frames to {num_poses} or more"
        )
    poses = np.asarray(scene.get_future_trajectory(num_trajectory_frames=num_poses).poses, dtype=np.float64)
    if poses.shape != (num_poses, 3) or not np.isfinite(poses).all():
        raise InputError(
            f"{origin} has the future poses {poses.tolist()}, but they must be {num_poses} finite (x, y, heading); "
            "leave this scene out"
        )
    return poses.astype(np.float32)
