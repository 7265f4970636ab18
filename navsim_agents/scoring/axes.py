"""Columns and layers by name."""

from __future__ import annotations

from enum import IntEnum

from navsim_agents.common.poses import POSE as POSE
from navsim_agents.common.poses import XY


class State(IntEnum):
    """Columns of an ego state; pose, velocity and acceleration belong to the rear axle (m, rad, s)."""

    X = 0
    Y = 1
    HEADING = 2
    VELOCITY_X = 3
    VELOCITY_Y = 4
    ACCELERATION_X = 5
    ACCELERATION_Y = 6
    STEERING_ANGLE = 7
    STEERING_RATE = 8
    ANGULAR_VELOCITY = 9
    ANGULAR_ACCELERATION = 10


MOTION = [State.VELOCITY_X, State.VELOCITY_Y, State.ACCELERATION_X, State.ACCELERATION_Y]
"""What logs say about a state besides its pose; an index into its columns."""
POSITION = XY
"""Columns x and y of poses and states."""


class Vehicle(IntEnum):
    """Columns of the ego vehicle's measures [m]."""

    HALF_LENGTH = 0
    HALF_WIDTH = 1
    REAR_AXLE_TO_CENTER = 2
    WHEEL_BASE = 3


class EgoArea(IntEnum):
    """Columns of the areas that an ego box is in."""

    MULTIPLE_LANES = 0
    NON_DRIVABLE = 1
    ONCOMING = 2


LANE_LAYERS = ("lane", "lane_connector")
DRIVABLE_LAYERS = ("roadblock", "intersection", "drivable_area", "carpark_area")
INTERSECTION_LAYERS = ("intersection",)
