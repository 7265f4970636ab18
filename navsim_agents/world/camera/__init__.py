"""The built-in world's cameras: calibrations, projection, and a software renderer on NumPy and Pillow alone."""

from navsim_agents.world.camera.calibration import (
    LIDAR_TO_EGO_ROTATION,
    LIDAR_TO_EGO_TRANSLATION,
    camera_rotation,
    default_cameras,
)
from navsim_agents.world.camera.lighting import Lighting, lighting_of
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.camera.renderer import Renderer, textured_renderer

__all__ = [
    "LIDAR_TO_EGO_ROTATION",
    "LIDAR_TO_EGO_TRANSLATION",
    "CameraModel",
    "Lighting",
    "Renderer",
    "camera_rotation",
    "default_cameras",
    "lighting_of",
    "textured_renderer",
]
