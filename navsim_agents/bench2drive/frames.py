"""CARLA's left-handed frames and Bench2Drive's cameras, in the right-handed frames of this package.

CARLA: x ahead, y *right*, z up; metres and degrees; yaw grows to the right. Here: x ahead, y *left*, z up; radians,
counter-clockwise. ``M_right = L · M_left · L`` with ``L = diag(1, -1, 1, 1)``: y and all turns about z change sign.

Two places on the car: CARLA's own ``location`` (the *origin*, on the ground near the middle), and 1.4 m behind it the
*rear axle*, where Bench2Drive mounts GNSS and IMU. The ``ego`` frame is at the rear axle, as in all of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, FloatArray, Numbers, Y, points_to_local, wrap_angle
from navsim_agents.data.types import Camera
from navsim_agents.errors import InputError

REAR_AXLE_M = 1.4
"""From the rear axle forward to CARLA's origin of the car (Bench2Drive's mounts of GNSS and IMU: x = -1.4)."""
WHEEL_BASE_M = 2.85  # Lincoln MKZ 2020, the leaderboard's car; the maker's figure
EGO_LENGTH_M, EGO_WIDTH_M, EGO_HEIGHT_M = 4.9016, 2.1284, 1.5108
"""CARLA's box of that car; its middle lies above the origin within centimetres."""

WIDTH_PX, HEIGHT_PX = 1600, 900
"""Of a picture of the data set."""
FRONT, FRONT_LEFT, FRONT_RIGHT = "CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT"
BACK, BACK_LEFT, BACK_RIGHT = "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT"


@dataclass(frozen=True)
class Mount:
    """A camera on the car, in CARLA's words."""

    x_m: float  # ahead of the origin
    y_m: float  # to the right
    z_m: float  # above the ground
    yaw_deg: float  # to the right
    fov_deg: float  # of the whole width


MOUNTS: dict[str, Mount] = {
    FRONT: Mount(0.80, 0.0, 1.60, 0.0, 70.0),
    FRONT_LEFT: Mount(0.27, -0.55, 1.60, -55.0, 70.0),
    FRONT_RIGHT: Mount(0.27, 0.55, 1.60, 55.0, 70.0),
    BACK: Mount(-2.0, 0.0, 1.60, 180.0, 110.0),
    BACK_LEFT: Mount(-0.32, -0.55, 1.60, -110.0, 70.0),
    BACK_RIGHT: Mount(-0.32, 0.55, 1.60, 110.0, 70.0),
}
CAMERAS = tuple(MOUNTS)
"""Names of the six cameras, in the order of the sensors of the usual agents."""


def folder_of(camera: str) -> str:
    """Where a clip has its pictures, below ``camera/``: ``rgb_front`` of ``CAM_FRONT``."""
    return f"rgb_{camera[len('CAM_') :].lower()}"


@dataclass(frozen=True)
class Calibration:
    """A camera in the ``ego`` frame. Pixel coordinates count from the picture's edge: its middle is (W/2, H/2)."""

    rotation: Float64[np.ndarray, "3 3"]  # ego from camera (x right, y down, z ahead)
    translation: Float64[np.ndarray, "3"]  # m
    intrinsics: Float64[np.ndarray, "3 3"]  # pixels
    width: int
    height: int

    def project(self, points: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3"]:
        """Columns u, v [px] and depth [m] of ``points`` [m] of the ego frame; a point behind has a depth below 0."""
        in_camera = (points - self.translation) @ self.rotation
        depth = in_camera[..., -1:]
        pixels = (in_camera @ self.intrinsics.T)[..., :2] / depth
        return np.concatenate((pixels, depth), axis=-1)

    def camera(self, image: npt.NDArray[np.uint8]) -> Camera:
        """``image`` and this calibration in NAVSIM's form."""
        return Camera(
            image=image,
            sensor2lidar_rotation=self.rotation,
            sensor2lidar_translation=self.translation,
            intrinsics=self.intrinsics,
            distortion=np.zeros(5),
        )


def calibration(camera: str, width: int = WIDTH_PX, height: int = HEIGHT_PX) -> Calibration:
    """The camera of that name with a picture of ``width`` x ``height``: the whole view, scaled.

    Raises:
        InputError: there is no such camera.
    """
    if camera not in MOUNTS:
        raise InputError(f"camera {camera!r} is none of Bench2Drive's; they are {', '.join(MOUNTS)}")
    mount = MOUNTS[camera]
    focal_px = WIDTH_PX / (2.0 * np.tan(np.deg2rad(mount.fov_deg) / 2.0))
    across, down = width / WIDTH_PX, height / HEIGHT_PX
    intrinsics = np.array([[focal_px * across, 0.0, width / 2], [0.0, focal_px * down, height / 2], [0.0, 0.0, 1.0]])
    yaw = -np.deg2rad(mount.yaw_deg)
    ahead, right = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    rotation = np.stack((right, np.array([0.0, 0.0, -1.0]), ahead), axis=1)
    translation = np.array([mount.x_m + REAR_AXLE_M, -mount.y_m, mount.z_m])
    return Calibration(rotation, translation, intrinsics, width, height)


def heading_of_yaw(yaw_deg: Numbers) -> FloatArray:
    """Heading [rad] in [-pi, pi) of CARLA's yaw [deg]."""
    return wrap_angle(-np.deg2rad(yaw_deg))


def heading_of_compass(compass: Numbers) -> FloatArray:
    """Heading [rad] in [-pi, pi) of CARLA's compass [rad], which is 0 at world -y; NaN stays NaN."""
    return wrap_angle(np.pi / 2 - np.asarray(compass, dtype=np.float64))


def other_hand(points: npt.NDArray[np.floating]) -> FloatArray:
    """``points`` [..., 2 or 3] of one hand in the other: y changes its sign; velocities and accelerations too."""
    flipped = np.array(points, dtype=np.float64)
    flipped[..., Y] *= -1.0
    return flipped


def matrix_of_other_hand(matrix: npt.NDArray[np.floating]) -> Float64[np.ndarray, "*batch 4 4"]:
    """A rigid motion [4, 4] of one hand in the other."""
    sign = np.array([1.0, -1.0, 1.0, 1.0])
    return np.asarray(matrix, dtype=np.float64) * sign * sign[:, None]


def pose_of_world2actor(world2actor: npt.NDArray[np.floating]) -> Float64[np.ndarray, "3"]:
    """Pose (x, y, heading) [m, m, rad] of a car's origin, right-handed, from CARLA's matrix world to car [4, 4]."""
    world = matrix_of_other_hand(np.linalg.inv(np.asarray(world2actor, dtype=np.float64)))
    return np.array([*world[XY, 3], wrap_angle(np.arctan2(world[Y, 0], world[0, 0]))])


def world2actor_of_pose(pose: Float64[np.ndarray, "3"], z_m: float = 0.0) -> Float64[np.ndarray, "4 4"]:
    """CARLA's matrix world to car of an origin at the right-handed ``pose``, level with the ground at ``z_m``."""
    cos, sin = np.cos(pose[HEADING]), np.sin(pose[HEADING])
    world = np.array([[cos, -sin, 0.0, pose[0]], [sin, cos, 0.0, pose[Y]], [0.0, 0.0, 1.0, z_m], [0.0, 0.0, 0.0, 1.0]])
    return np.linalg.inv(matrix_of_other_hand(world))


def shifted_ahead(poses: Float64[np.ndarray, "*batch 3"], distance_m: float) -> Float64[np.ndarray, "*batch 3"]:
    """Poses of the point that lies ``distance_m`` ahead on the same car."""
    heading = poses[..., HEADING]
    step = distance_m * np.stack((np.cos(heading), np.sin(heading), np.zeros_like(heading)), axis=-1)
    return poses + step


def rear_axle_of_origin(poses: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3"]:
    """Poses of the rear axle of a car whose origin is at ``poses``, in the same frame."""
    return shifted_ahead(poses, -REAR_AXLE_M)


def origin_of_rear_axle(poses: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3"]:
    """Inverse of :func:`rear_axle_of_origin`."""
    return shifted_ahead(poses, REAR_AXLE_M)


def plan_of_origin(plan: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3"]:
    """A plan of the rear axle in the ``ego`` frame as that of the origin in the origin's own frame of now."""
    moved = origin_of_rear_axle(plan)
    return moved - np.array([REAR_AXLE_M, 0.0, 0.0])


def target_in_ego(
    target_xy: npt.NDArray[np.floating], rear_axle: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "*batch 2"]:
    """A place [m] of CARLA's world (left-handed) in the ``ego`` frame of the right-handed pose ``rear_axle``."""
    return points_to_local(other_hand(target_xy), rear_axle)


def box_corners_of_extent(
    center: npt.NDArray[np.floating], yaw_deg: float, extent: npt.NDArray[np.floating]
) -> Float64[np.ndarray, "4 2"]:
    """Corners [m], right-handed, of CARLA's box: front right, front left, rear right, rear left of the car.

    ``center`` and ``yaw_deg`` are CARLA's; ``extent`` is *half* of length and width.
    """
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    yaw = np.deg2rad(yaw_deg)
    along, across = (signs * np.asarray(extent, dtype=np.float64)[XY]).T
    x = center[0] + np.cos(yaw) * along - np.sin(yaw) * across
    y = center[1] + np.sin(yaw) * along + np.cos(yaw) * across
    return np.stack((x, -y), axis=-1)
