"""State of everything that drives, as arrays over vehicles (K); number 0 is the expert's car."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from navsim_agents.common.conventions import EGO_HEIGHT_M, EGO_LENGTH_M, EGO_REAR_AXLE_TO_CENTER_M, EGO_WIDTH_M
from navsim_agents.world.curves import FloatArray, unit
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

    def path_poses(self, vehicles: npt.NDArray[np.int64], stations: FloatArray) -> FloatArray:
        """Path points [V, J, 4] of ``vehicles`` [V] at ``stations`` [V, J]; beyond the end the last point."""
        share = np.clip(stations / PATH_SPACING_M, 0.0, self.paths.shape[1] - 1.001)
        low = share.astype(np.int64)
        weight = (share - low)[..., None]
        rows = vehicles[:, None]
        return self.paths[rows, low] * (1.0 - weight) + self.paths[rows, low + 1] * weight

    def poses(self) -> FloatArray:
        """Reference poses with curvature [K, 4]."""
        everyone = np.arange(len(self))
        return self.path_poses(everyone, self.station[:, None])[:, 0]

    def centers(self, poses: FloatArray) -> FloatArray:
        """Box centres and headings [K, 3] for reference ``poses`` [K, 4]."""
        return np.column_stack((poses[:, :2] + self.center[:, None] * unit(poses[:, 2]), poses[:, 2]))

    def profile_at(self, stations: FloatArray) -> FloatArray:
        """Comfortable speed [K] at ``stations`` [K]."""
        low = np.clip(stations / PATH_SPACING_M, 0.0, self.paths.shape[1] - 1.001)
        index = low.astype(np.int64)
        rows = np.arange(len(self))
        weight = low - index
        return self.profiles[rows, index] * (1.0 - weight) + self.profiles[rows, index + 1] * weight

    def advance(self, accel: FloatArray, step_s: float) -> None:
        """Integrate one step of ``accel`` [K]; nobody drives backwards."""
        speed = np.maximum(self.speed + accel * step_s, 0.0)
        self.accel = np.where(speed > 0.0, accel, np.minimum((speed - self.speed) / step_s, 0.0))
        self.accel[(speed == 0.0) & (self.speed == 0.0)] = 0.0
        self.station = self.station + 0.5 * (speed + self.speed) * step_s * self.is_active
        self.speed = speed * self.is_active
