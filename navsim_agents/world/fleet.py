"""State of everything that drives, as arrays over vehicles (K); number 0 is the expert's car."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, Int64

from navsim_agents.common.conventions import EGO_HEIGHT_M, EGO_LENGTH_M, EGO_REAR_AXLE_TO_CENTER_M, EGO_WIDTH_M
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.world.curves import unit
from navsim_agents.world.motion import PATH_SPACING_M, MotionPlan, PathCrossing, PathGate

BoolArray = npt.NDArray[np.bool_]
EGO = 0


@dataclass(frozen=True)
class Body:
    """A vehicle's box; its reference point (which follows the path) lies ``center_m`` behind the middle."""

    length_m: float
    width_m: float
    height_m: float
    center_m: float = 0.0

    @property
    def front_m(self) -> float:
        """From the reference point to the front bumper."""
        return self.center_m + self.length_m / 2

    @property
    def rear_m(self) -> float:
        """From the reference point back to the rear bumper."""
        return self.length_m / 2 - self.center_m


EGO_BODY = Body(EGO_LENGTH_M, EGO_WIDTH_M, EGO_HEIGHT_M, EGO_REAR_AXLE_TO_CENTER_M)


class Fleet:
    """Paths (padded) and longitudinal state of K vehicles."""

    def __init__(self, bodies: list[Body], max_points: int) -> None:
        count = len(bodies)
        self.bodies = bodies
        self.length = np.array([body.length_m for body in bodies])
        self.width = np.array([body.width_m for body in bodies])
        self.center = np.array([body.center_m for body in bodies])
        self.front = np.array([body.front_m for body in bodies])
        self.rear = np.array([body.rear_m for body in bodies])
        self.paths = np.zeros((count, max_points, 4))
        self.profiles = np.zeros((count, max_points))
        self.path_length = np.zeros(count)
        self.gates: list[tuple[PathGate, ...]] = [()] * count
        self.crossings: list[tuple[PathCrossing, ...]] = [()] * count
        self.station = np.zeros(count)
        self.speed = np.zeros(count)
        self.accel = np.zeros(count)
        self.is_active = np.ones(count, dtype=bool)
        self.ego_pose: Optional[Float64[np.ndarray, "4"]] = None  # where something else than its path moves the ego

    def __len__(self) -> int:
        return len(self.bodies)

    def set_plan(self, vehicle: int, plan: MotionPlan, station_m: float) -> None:
        """Let ``vehicle`` follow ``plan`` from ``station_m`` on."""
        points = min(len(plan.path), self.paths.shape[1])
        self.paths[vehicle, :points] = plan.path[:points]
        self.paths[vehicle, points:] = plan.path[points - 1]
        self.profiles[vehicle, :points] = plan.speeds[:points]
        self.profiles[vehicle, points:] = 0.0
        self.path_length[vehicle] = (points - 1) * PATH_SPACING_M
        self.gates[vehicle], self.crossings[vehicle] = plan.gates, plan.crossings
        self.station[vehicle] = station_m

    def path_poses(
        self, vehicles: Int64[np.ndarray, " V"], stations: Float64[np.ndarray, "V J"]
    ) -> Float64[np.ndarray, "V J 4"]:
        """Path points of ``vehicles`` at ``stations``; beyond the end the last point."""
        share = np.clip(stations / PATH_SPACING_M, 0.0, self.paths.shape[1] - 1.001)
        low = share.astype(np.int64)
        weight = (share - low)[..., None]
        rows = vehicles[:, None]
        return self.paths[rows, low] * (1.0 - weight) + self.paths[rows, low + 1] * weight

    def poses(self) -> Float64[np.ndarray, "K 4"]:
        """Reference poses with curvature."""
        everyone = np.arange(len(self))
        poses: Float64[np.ndarray, "K 4"] = self.path_poses(everyone, self.station[:, None])[:, 0]
        if self.ego_pose is not None:
            poses[EGO] = self.ego_pose
        return poses

    def centers(self, poses: Float64[np.ndarray, "K 4"]) -> Float64[np.ndarray, "K 3"]:
        """Box centres and headings for reference ``poses``."""
        return np.column_stack((poses[:, XY] + self.center[:, None] * unit(poses[:, HEADING]), poses[:, HEADING]))

    def profile_at(self, stations: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
        """Comfortable speed at ``stations``."""
        low = np.clip(stations / PATH_SPACING_M, 0.0, self.paths.shape[1] - 1.001)
        index = low.astype(np.int64)
        rows = np.arange(len(self))
        weight = low - index
        return self.profiles[rows, index] * (1.0 - weight) + self.profiles[rows, index + 1] * weight

    def advance(self, accel: Float64[np.ndarray, " K"], step_s: float) -> None:
        """Integrate one step of ``accel``; nobody drives backwards."""
        speed = np.maximum(self.speed + accel * step_s, 0.0)
        self.accel = np.where(speed > 0.0, accel, np.minimum((speed - self.speed) / step_s, 0.0))
        self.accel[(speed == 0.0) & (self.speed == 0.0)] = 0.0
        self.station = self.station + 0.5 * (speed + self.speed) * step_s * self.is_active
        self.speed = speed * self.is_active
