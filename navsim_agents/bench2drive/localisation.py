"""Where the car is and how it moves, from the leaderboard's sensors alone.

Position: GNSS (1 sigma of 0.56 m an axis and tick) blended with what speed and heading say of the way since the last
tick; the mean of the first ticks, then a weight of ``gnss_weight`` for each new fix, which leaves 0.13 m. Heading: the
compass; while it is NaN, as it is in the first ticks, the last heading and the gyroscope, and before there is any, the
route's direction. Speed, acceleration and yaw rate are taken as they are, each for itself: a speed that is NaN or
missing is the last one, an acceleration or a yaw rate that is NaN is 0, and a fix that is NaN is passed over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.frames import heading_of_compass, other_hand
from navsim_agents.common.planar import unit
from navsim_agents.common.poses import HEADING, XY, wrap_angle
from navsim_agents.errors import InputError

EARTH_RADIUS_M = 6378137.0  # CARLA's and the leaderboard's
GNSS_SIGMA_M = 0.5566  # the leaderboard's noise of 5e-6 degrees
JUMP_M = 10.0 * GNSS_SIGMA_M
"""A fix farther off than this is no noise: the car was put elsewhere."""
ACCELERATION, GYROSCOPE, COMPASS = slice(0, 3), slice(3, 6), 6
"""In the seven numbers of the IMU."""
MOST_LATITUDE_DEG = 85.0  # Mercator's projection has no poles
NEWTON_STEPS = 20

Vector = Float64[np.ndarray, "2"]
Pose = Float64[np.ndarray, "3"]


def _mercator(latitude_deg: float) -> float:
    return math.log(math.tan((90.0 + latitude_deg) * math.pi / 360.0))


@dataclass(frozen=True)
class GeoOrigin:
    """Latitude and longitude of the map's origin; CARLA projects with Mercator, scaled to be true there."""

    latitude_deg: float
    longitude_deg: float

    def place(self, latitude_deg: float, longitude_deg: float) -> Vector:
        """x, y [m] in CARLA's world (left-handed) of a fix; NaN where the fix is."""
        if not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg)):
            return np.full(2, np.nan)
        true_radius = EARTH_RADIUS_M * math.cos(math.radians(self.latitude_deg))
        x = true_radius * math.radians(longitude_deg - self.longitude_deg)
        y = true_radius * (_mercator(self.latitude_deg) - _mercator(latitude_deg))
        return np.array([x, y])

    @classmethod
    def of_point(cls, place: Vector, latitude_deg: float, longitude_deg: float) -> GeoOrigin:
        """The origin by one point that is known in both ways, as the route's first one is.

        The usual agents' solver takes the origin's latitude for the factor of the longitude, and is off by the start's
        x, or by kilometres where the map's origin is not 0/0.

        Raises:
            InputError: the point has no such origin.
        """
        origin = latitude_deg
        for _ in range(NEWTON_STEPS):
            if not abs(origin) < MOST_LATITUDE_DEG:
                break
            cos, sin = math.cos(math.radians(origin)), math.sin(math.radians(origin))
            difference = _mercator(origin) - _mercator(latitude_deg)
            error = EARTH_RADIUS_M * cos * difference - float(place[1])
            if abs(error) < 1e-9:
                break
            origin -= math.degrees(error / (EARTH_RADIUS_M * (1.0 - sin * difference)))
        if not abs(origin) < MOST_LATITUDE_DEG or not np.isfinite([*place, latitude_deg, longitude_deg]).all():
            raise InputError(
                f"the route begins at {np.asarray(place).tolist()} m and {latitude_deg}, {longitude_deg} degrees, but "
                f"no origin between {-MOST_LATITUDE_DEG:g} and {MOST_LATITUDE_DEG:g} degrees makes one of the other; "
                "give set_global_plan both forms of one route"
            )
        true_radius = EARTH_RADIUS_M * math.cos(math.radians(origin))
        return cls(origin, longitude_deg - math.degrees(float(place[0]) / true_radius))


@dataclass(frozen=True)
class Reading:
    """One tick of the sensors that say how the car moves."""

    latitude_deg: float
    longitude_deg: float
    imu: Float64[np.ndarray, "7"]  # acceleration [m/s^2] and gyroscope [rad/s], left-handed, compass [rad]
    speed_mps: Optional[float]


@dataclass(frozen=True)
class EgoState:
    """Of the rear axle, where GNSS and IMU sit; right-handed."""

    pose: Pose  # x, y, heading [m, m, rad] in CARLA's world with y turned
    odometry: Pose  # the same by speed and heading alone from the first tick on: smooth, but it drifts
    speed_mps: float
    acceleration: Vector  # m/s^2 in the ego frame: ahead, to the left
    yaw_rate: float  # rad/s, to the left


class Localiser:
    """Follows the car tick by tick."""

    def __init__(self, origin: GeoOrigin, heading: float, gnss_weight: float) -> None:
        """Before the first tick.

        Args:
            origin: of the map.
            heading: of the route's first stretch [rad], right-handed, for as long as the compass says nothing.
            gnss_weight: of a new fix, above 0, at most 1.
        """
        self._origin, self._heading, self._weight = origin, heading, gnss_weight
        self._state: Optional[EgoState] = None
        self._num_fixes = 0

    def update(self, reading: Reading, elapsed_s: float) -> EgoState:
        """The state ``elapsed_s`` after the one before."""
        gyro = float(reading.imu[GYROSCOPE][2])
        yaw_rate = -gyro if math.isfinite(gyro) else 0.0
        heading = self._next_heading(float(reading.imu[COMPASS]), yaw_rate * elapsed_s)
        acceleration = other_hand(reading.imu[ACCELERATION][XY])
        if not np.isfinite(acceleration).all():
            acceleration = np.zeros(2)
        last = self._state
        speed = reading.speed_mps
        if speed is None or not math.isfinite(speed):
            speed = 0.0 if last is None else last.speed_mps
        fix = other_hand(self._origin.place(reading.latitude_deg, reading.longitude_deg))
        if last is None:
            place, odometry = np.zeros(2), np.array([0.0, 0.0, heading])
        else:
            middle = last.pose[HEADING] + wrap_angle(heading - last.pose[HEADING]) / 2.0
            way = 0.5 * (last.speed_mps + speed) * elapsed_s * unit(middle)
            place = last.pose[XY] + way
            odometry = np.array([*(last.odometry[XY] + way), heading])
        place = self._blended(place, fix)
        self._state = EgoState(np.array([*place, heading]), odometry, float(speed), acceleration, yaw_rate)
        return self._state

    def _next_heading(self, compass: float, turned: float) -> float:
        self._heading = (
            float(heading_of_compass(compass)) if math.isfinite(compass) else float(wrap_angle(self._heading + turned))
        )
        return self._heading

    def _blended(self, place: Vector, fix: Vector) -> Vector:
        """``place``, moved towards a fix; a jump is believed at once."""
        if not np.isfinite(fix).all():
            return place
        if self._num_fixes == 0 or float(np.linalg.norm(fix - place)) > JUMP_M:
            self._num_fixes = 1
            return fix
        self._num_fixes += 1
        weight = max(1.0 / self._num_fixes, self._weight)
        return place + weight * (fix - place)
