"""A camera at one pose of the ego: from the global frame to pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import Numbers
from navsim_agents.world.camera.calibration import LIDAR_TO_EGO_ROTATION, LIDAR_TO_EGO_TRANSLATION
from navsim_agents.world.camera.model import DEPTH, PIXEL, CameraModel


@dataclass(frozen=True, eq=False)
class View:
    """Where a camera stands in the global frame; ground is z = 0."""

    camera: CameraModel
    position: Float64[np.ndarray, "3"]  # m, global
    rotation: Float64[np.ndarray, "3 3"]  # camera axes in global coordinates, one a column

    @property
    def ahead(self) -> Float64[np.ndarray, "3"]:
        """Optical axis, global."""
        return self.rotation[:, DEPTH]

    @property
    def focal_px(self) -> float:
        """Pixels a radian near the optical axis."""
        return float(self.camera.intrinsics[1, 1])

    def to_camera(self, points: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3"]:
        """Global points in camera axes."""
        return (points - self.position) @ self.rotation

    def sees(
        self, centres: Float64[np.ndarray, "F 3"], radii: Float64[np.ndarray, " F"], range_m: Numbers
    ) -> Bool[np.ndarray, " F"]:
        """Whether spheres about ``centres`` may show: in the picture and nearer than ``range_m``."""
        offsets = centres - self.position
        is_seen = (offsets**2).sum(axis=1) < (np.asarray(range_m) + radii) ** 2
        for normal in self._pyramid():
            is_seen &= offsets @ normal > -radii
        return np.asarray(is_seen)

    def _pyramid(self) -> Float64[np.ndarray, "4 3"]:
        """Inward unit normals, global, of the planes through the picture's left, right, top and bottom edge."""
        camera = self.camera
        across, down, depth = camera.intrinsics
        sides = (across + 0.5 * depth, (camera.width - 0.5) * depth - across)
        ends = (down + 0.5 * depth, (camera.height - 0.5) * depth - down)
        normals = np.stack((*sides, *ends))
        return np.asarray((normals / np.linalg.norm(normals, axis=1, keepdims=True)) @ self.rotation.T)

    def to_pixels(self, in_camera: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 2"]:
        """Pixels of points [..., 3] in camera axes whose depth is positive."""
        return (in_camera @ self.camera.intrinsics[PIXEL].T) / in_camera[..., DEPTH, None]


def view_from(camera: CameraModel, ego_pose: Float64[np.ndarray, "3"]) -> View:
    """``camera`` on an ego whose rear axle is at ``ego_pose`` (global x, y, heading)."""
    cos, sin = np.cos(ego_pose[HEADING]), np.sin(ego_pose[HEADING])
    global_from_ego = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    in_ego = LIDAR_TO_EGO_ROTATION @ camera.sensor2lidar_translation + LIDAR_TO_EGO_TRANSLATION
    position = global_from_ego @ in_ego + np.array([*ego_pose[XY], 0.0])
    return View(camera, position, global_from_ego @ LIDAR_TO_EGO_ROTATION @ camera.sensor2lidar_rotation)
