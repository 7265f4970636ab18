"""Small stand-ins for a trained planner, and what a leaderboard would send them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.driver import RoutePlan
from navsim_agents.bench2drive.frames import FRONT, FRONT_LEFT
from navsim_agents.bench2drive.inputs import Bench2DriveInput, InputProposals
from navsim_agents.bench2drive.localisation import EARTH_RADIUS_M

TIMES_S = 0.5 * np.arange(1, 7)


def straight(speed_mps: float, sideways_m: float = 0.0) -> Float64[np.ndarray, "6 3"]:
    """A plan at one speed; at its end it is ``sideways_m`` to the left."""
    return np.stack((speed_mps * TIMES_S, sideways_m * TIMES_S / TIMES_S[-1], np.zeros(6)), axis=1)


def arc(speed_mps: float, radius_m: float) -> Float64[np.ndarray, "6 3"]:
    """A plan on a circle to the left; a negative radius is to the right."""
    angle = speed_mps * TIMES_S / radius_m
    return np.stack((radius_m * np.sin(angle), radius_m * (1.0 - np.cos(angle)), angle), axis=1)


class StandIn:
    """Drives to the target point at a given speed, and remembers what it saw; no network."""

    def __init__(self, speed_mps: float = 5.0, num_input_frames: int = 2, cameras: tuple[str, ...] = (FRONT,)) -> None:
        self.input_cameras, self.num_input_frames = cameras, num_input_frames
        self.speed_mps, self.seen = speed_mps, list[Bench2DriveInput]()

    def initialize(self) -> None:
        """As NAVSIM's agents have it."""

    def plan_input(self, seen: Bench2DriveInput) -> Float64[np.ndarray, "6 3"]:
        self.seen.append(seen)
        heading = math.atan2(float(seen.target_point[1]), float(seen.target_point[0]))
        way = self.speed_mps * TIMES_S
        return np.stack((way * math.cos(heading), way * math.sin(heading), np.full(6, heading)), axis=1)

    def propose_input(self, seen: Bench2DriveInput) -> InputProposals:
        return InputProposals(self.plan_input(seen)[None], np.ones(1))


class OfNavsim:
    """An agent that plans for NAVSIM."""

    def initialize(self) -> None:
        """As NAVSIM's agents have it."""


class Proposer(StandIn):
    """Proposes plans with scores, the better one in turns."""

    def __init__(self, *plans: Float64[np.ndarray, "6 3"], scores: tuple[tuple[float, ...], ...]) -> None:
        super().__init__(num_input_frames=1)
        self.plans, self.scores = np.stack(plans), scores

    def propose_input(self, seen: Bench2DriveInput) -> InputProposals:
        self.seen.append(seen)
        return InputProposals(self.plans, np.array(self.scores[(len(self.seen) - 1) % len(self.scores)]))


LEFT_AND_FRONT = (FRONT_LEFT, FRONT)


def gps(x: float, y: float, latitude_deg: float = 0.0, longitude_deg: float = 0.0) -> tuple[float, float]:
    """Latitude and longitude of a place of CARLA's world, by the leaderboard's formula."""
    scale = math.cos(math.radians(latitude_deg))
    mercator_x = scale * math.radians(longitude_deg) * EARTH_RADIUS_M + x
    mercator_y = scale * EARTH_RADIUS_M * math.log(math.tan((90.0 + latitude_deg) * math.pi / 360.0)) - y
    latitude = 360.0 * math.atan(math.exp(mercator_y / (EARTH_RADIUS_M * scale))) / math.pi - 90.0
    return latitude, math.degrees(mercator_x / (EARTH_RADIUS_M * scale))


def route(*places: tuple[float, float], options: tuple[int, ...] = ()) -> RoutePlan:
    """A route through places of CARLA's world, on a map whose origin is 42/2."""
    return RoutePlan(np.array(places), options or (4,) * len(places), *gps(*places[0], 42.0, 2.0))


def sensor_data(
    x: float, y: float, yaw_deg: float, speed_mps: float, cameras: tuple[str, ...] = (FRONT,), **changes: Any
) -> dict[str, Any]:
    """A tick of a car whose GNSS is at x, y of CARLA's world; ``changes`` by name: ``compass``, ``imu``, ``fix``, …"""
    compass = changes.get("compass", math.radians(yaw_deg + 90.0) % (2.0 * math.pi))
    imu = np.array([*changes.get("imu", (0.0,) * 6), compass])
    fix = np.array([*changes.get("fix", gps(x, y, 42.0, 2.0)), 0.0])
    picture = np.full((9, 16, 4), changes.get("grey", 100), np.uint8)
    frame = changes.get("frame", 1)
    pictures = dict.fromkeys(cameras, (frame, picture))
    return {"IMU": (frame, imu), "GPS": (frame, fix), "SPEED": (frame, {"speed": speed_mps}), **pictures}
