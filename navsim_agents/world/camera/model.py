"""A pinhole camera on the ego vehicle, in NAVSIM's calibration convention.

Camera axes: x right, y down, z ahead. Lidar axes: x ahead, y left, z up. ``p_lidar = R p_camera + t``.
Pixel (0, 0) is the *centre* of the top left pixel, as in OpenCV, so a picture of width W spans [-0.5, W - 0.5].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX
from navsim_agents.errors import InputError
from navsim_agents.world.types import Z

FloatArray = npt.NDArray[np.float64]

DEPTH = 2
"""Column of a point in camera axes: how far ahead it lies. Column of an axis: the optical one."""
PIXEL = slice(0, 2)
"""Columns u and v of a homogeneous pixel."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Calibration of one camera without lens distortion. Raises ``InputError`` where a rule is broken."""

    name: str
    intrinsics: FloatArray  # [3, 3] pixels
    sensor2lidar_rotation: FloatArray  # [3, 3]
    sensor2lidar_translation: FloatArray  # [3] m: where the camera sits in the lidar frame
    width: int = CAMERA_WIDTH_PX
    height: int = CAMERA_HEIGHT_PX

    def __post_init__(self) -> None:
        _check_calibration(self)

    def project(self, points_lidar: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels [..., 2] and depths [...] (m along the optical axis) of points [..., 3] in the lidar frame.

        Pixels of points at or behind the camera's plane (depth <= 0) are NaN; pixels may lie outside the picture.
        """
        offsets = np.asarray(points_lidar, dtype=np.float64) - self.sensor2lidar_translation
        in_camera = offsets @ self.sensor2lidar_rotation
        depth = in_camera[..., DEPTH]
        with np.errstate(divide="ignore", invalid="ignore"):
            homogeneous = (in_camera / np.where(depth > 0.0, depth, np.nan)[..., None]) @ self.intrinsics.T
        return homogeneous[..., PIXEL], depth

    def rays(self, pixels: npt.ArrayLike) -> Float64[np.ndarray, "*batch 3"]:
        """Directions in the lidar frame, of unit depth (not of unit length), through ``pixels`` [..., 2]."""
        uv = np.asarray(pixels, dtype=np.float64)
        homogeneous = np.concatenate((uv, np.ones_like(uv[..., :1])), axis=-1)
        in_camera: FloatArray = homogeneous @ np.linalg.inv(self.intrinsics).T
        return np.asarray(in_camera @ self.sensor2lidar_rotation.T, dtype=np.float64)

    def pixels_to_ground(self, pixels: npt.ArrayLike, ground_z: float = 0.0) -> Float64[np.ndarray, "*batch 3"]:
        """Points of the plane z = ``ground_z`` (lidar frame) seen at ``pixels``; NaN above the horizon."""
        rays = self.rays(pixels)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = (ground_z - self.sensor2lidar_translation[Z]) / rays[..., Z]
        depth = np.where(np.isfinite(depth) & (depth > 0.0), depth, np.nan)
        return self.sensor2lidar_translation + depth[..., None] * rays

    def scaled(self, width: int, height: int) -> CameraModel:
        """The same camera with its picture resized to ``width`` x ``height``."""
        if width < 1 or height < 1:
            raise InputError(f"cannot scale {self.name} to {width}x{height}; both sides must be at least 1 pixel")
        across, down = width / self.width, height / self.height
        # Centres of pixels: (u + 0.5) scales, u does not.
        resize = np.array([[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5], [0.0, 0.0, 1.0]])
        return replace(self, width=width, height=height, intrinsics=resize @ self.intrinsics)


def _check_calibration(camera: CameraModel) -> None:
    shapes = {"intrinsics": (3, 3), "sensor2lidar_rotation": (3, 3), "sensor2lidar_translation": (3,)}
    for field, shape in shapes.items():
        found = np.shape(getattr(camera, field))
        if found != shape:
            raise InputError(f"{field} of {camera.name} has shape {found}, but must be {shape}")
    rotation = camera.sensor2lidar_rotation
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if error > 1e-6 or np.linalg.det(rotation) < 0.0:
        raise InputError(
            f"sensor2lidar_rotation of {camera.name} is no rotation (off by {error:.1e}, determinant "
            f"{np.linalg.det(rotation):.3f}); its columns must be orthonormal and right-handed"
        )
