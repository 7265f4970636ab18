"""Where a point of the ego frame appears in a camera's picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from navsim_agents.errors import InputError

FloatArray = npt.NDArray[np.float64]
TURN, SHIFT = slice(3), 3
"""Rows and columns of a homogeneous matrix [4, 4] that turn, and the column that shifts."""


def camera_from_ego(camera: Any, name: str) -> FloatArray:
    """Matrix [4, 4] from homogeneous points (x, y, z, 1) [m] of the ego frame to (u d, v d, d, 1).

    u, v [px] lie in the camera's own picture of 1920 x 1080; d [m] is the depth. NAVSIM's devkits use the lidar's and
    the ego's frame as one (``navsim/visualization/camera.py``), so ``sensor2lidar`` places the camera on the ego.

    Raises:
        InputError: the camera called ``name`` has no calibration.
    """
    ego_from_camera = np.eye(4)
    ego_from_camera[TURN, TURN] = _calibration(camera, "sensor2lidar_rotation", name, (3, 3))
    ego_from_camera[TURN, SHIFT] = _calibration(camera, "sensor2lidar_translation", name, (3,))
    pixels = np.eye(4)
    pixels[TURN, TURN] = _calibration(camera, "intrinsics", name, (3, 3))
    return pixels @ np.linalg.inv(ego_from_camera)


def _calibration(camera: Any, field: str, name: str, shape: tuple[int, ...]) -> FloatArray:
    values = getattr(camera, field, None)
    array = np.asarray(np.nan if values is None else values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(
            f"{name} has {field} {values if values is None else array.tolist()}, but it must be {list(shape)} finite "
            "numbers; load the sensors of agent.get_sensor_config() and check the log's calibration"
        )
    return array
