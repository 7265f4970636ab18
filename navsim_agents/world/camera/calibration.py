"""The eight cameras of the built-in world's ego vehicle.

The lidar frame *is* the ego frame here: origin on the ground below the rear axle, x ahead, y left, z up. NAVSIM's logs
carry a ``lidar2ego`` transform, but its devkits never apply it: boxes, lidar points and camera poses are all used in
one frame whose x-y origin is the rear axle (``navsim/visualization/bev.py`` draws the ego there and the boxes beside
it; ``camera.py`` projects those same boxes with ``sensor2lidar``). An identity keeps both readings true.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.world.camera.model import CameraModel, FloatArray

LIDAR_TO_EGO_ROTATION: FloatArray = np.eye(3)
LIDAR_TO_EGO_TRANSLATION: FloatArray = np.zeros(3)  # m

FOCAL_LENGTH_PX = 1545.0
PRINCIPAL_POINT_PX = (960.0, 560.0)

# name: (x ahead [m], y left [m], z up [m], yaw [deg, counter-clockwise], pitch [deg, positive looks down])
MOUNTS: dict[str, tuple[float, float, float, float, float]] = {
    "cam_f0": (1.66, 0.00, 1.55, 0.0, 0.0),
    "cam_l0": (1.60, 0.49, 1.52, 55.0, 0.0),
    "cam_l1": (1.25, 0.56, 1.50, 108.0, 1.5),
    "cam_l2": (0.32, 0.54, 1.52, 142.0, 1.0),
    "cam_r0": (1.60, -0.49, 1.52, -55.0, 0.0),
    "cam_r1": (1.25, -0.56, 1.50, -108.0, 1.5),
    "cam_r2": (0.32, -0.54, 1.52, -142.0, 1.0),
    "cam_b0": (-0.52, 0.00, 1.54, 180.0, 1.0),
}


def camera_rotation(yaw_deg: float, pitch_deg: float) -> Float64[np.ndarray, "3 3"]:
    """``sensor2lidar_rotation`` [3, 3] of a camera without roll; yaw counter-clockwise, pitch positive downwards."""
    yaw, pitch = np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
    ahead = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    return np.stack((right, np.cross(ahead, right), ahead), axis=1)


def default_cameras() -> dict[str, CameraModel]:
    """NAVSIM's eight cameras by name, 1920x1080, 63.7 degrees wide."""
    return {name: _mounted(name, mount) for name, mount in MOUNTS.items()}


def _mounted(name: str, mount: tuple[float, float, float, float, float]) -> CameraModel:
    x, y, z, yaw_deg, pitch_deg = mount
    u, v = PRINCIPAL_POINT_PX
    return CameraModel(
        name=name,
        intrinsics=np.array([[FOCAL_LENGTH_PX, 0.0, u], [0.0, FOCAL_LENGTH_PX, v], [0.0, 0.0, 1.0]]),
        sensor2lidar_rotation=camera_rotation(yaw_deg, pitch_deg),
        sensor2lidar_translation=np.array([x, y, z]),
    )
