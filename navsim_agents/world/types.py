"""The vocabulary of the built-in driving world: a town that stands still, and a drive through it.

Frames: ``global`` is the town's map frame (x east, y north, z up, metres); headings are radians, counter-clockwise
from x. Poses of vehicles in ``Track`` are box centres; poses of the ego are its rear axle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64, Int64

from navsim_agents.common.agent_types import AgentType as AgentType

FloatArray = npt.NDArray[np.float64]

Z = 2
"""Column of a point in space behind x and y."""
LENGTH, WIDTH, HEIGHT = 0, 1, 2
FOOTPRINT = slice(LENGTH, WIDTH + 1)
"""Columns of a size."""


class Turn(str, Enum):
    """Where a lane connector leads; a plain lane is STRAIGHT."""

    LEFT = "left"
    STRAIGHT = "straight"
    RIGHT = "right"
    U_TURN = "u_turn"


class Light(str, Enum):
    """State of the signal that governs a lane connector."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True)
class Lane:
    """A lane, or a connector through an intersection. Ids are decimal strings, unique in the town over all kinds."""

    lane_id: str
    roadblock_id: str
    is_connector: bool
    turn: Turn
    centerline: Float64[np.ndarray, "M 3"]  # x, y, heading, about 0.5 m apart, in driving direction
    left_boundary: Float64[np.ndarray, "M 2"]
    right_boundary: Float64[np.ndarray, "M 2"]
    speed_limit_mps: float
    predecessors: tuple[str, ...]
    successors: tuple[str, ...]
    left_neighbor: Optional[str] = None  # same driving direction
    right_neighbor: Optional[str] = None
    intersection_id: Optional[str] = None  # connectors
    signal_group: Optional[int] = None  # connectors of a signalised intersection: which phase lets them go

    @property
    def polygon(self) -> Float64[np.ndarray, "V 2"]:
        """Closed outline without the repeated first point."""
        return np.concatenate((self.left_boundary, self.right_boundary[::-1]))


@dataclass(frozen=True)
class Roadblock:
    """Neighbouring lanes of one direction (or all connectors between two roadblocks)."""

    roadblock_id: str
    is_connector: bool
    lane_ids: tuple[str, ...]  # left to right
    polygon: Float64[np.ndarray, "_ 2"]
    predecessors: tuple[str, ...]
    successors: tuple[str, ...]
    intersection_id: Optional[str] = None


@dataclass(frozen=True)
class Intersection:
    """Area where roads meet."""

    intersection_id: str
    polygon: Float64[np.ndarray, "_ 2"]
    is_signalised: bool
    num_phases: int = 0


@dataclass(frozen=True)
class StopLine:
    """Where vehicles of ``lane_ids`` (incoming lanes) wait before an intersection."""

    stop_id: str
    intersection_id: str
    lane_ids: tuple[str, ...]
    polygon: Float64[np.ndarray, "_ 2"]  # thin box across the lanes


@dataclass(frozen=True)
class Area:
    """A named polygon: crosswalk, walkway, car park, or a building's footprint."""

    area_id: str
    polygon: Float64[np.ndarray, "_ 2"]
    height_m: float = 0.0  # buildings only
    heading: float = 0.0  # car parks: direction of the stalls


@dataclass(frozen=True)
class TrafficLightPole:
    """A signal head seen by the camera."""

    signal_group: int
    intersection_id: str
    position: Float64[np.ndarray, "3"]  # of the head
    facing: float  # heading of the light's face


@dataclass(frozen=True)
class Town:
    """One map. ``location`` is one of nuPlan's four names, since the devkit knows no others."""

    location: str
    lanes: dict[str, Lane]
    roadblocks: dict[str, Roadblock]
    intersections: dict[str, Intersection]
    stop_lines: dict[str, StopLine]
    crosswalks: dict[str, Area]
    walkways: dict[str, Area]
    carparks: dict[str, Area]
    buildings: dict[str, Area]
    light_poles: tuple[TrafficLightPole, ...]


@dataclass(frozen=True)
class Track:
    """One road user or object over a whole drive, at the simulator's 0.1 s steps."""

    track_token: str  # 16 hexadecimal digits
    agent_type: AgentType
    size: Float64[np.ndarray, "3"]  # length, width, height, m
    poses: Float64[np.ndarray, "S 3"]  # box centre and heading, global
    velocities: Float64[np.ndarray, "S 2"]  # m/s, global
    valid: Bool[np.ndarray, " S"]
    color: tuple[int, int, int] = (120, 120, 120)


@dataclass(frozen=True)
class EgoStates:
    """The expert's drive at 0.1 s steps; rear axle, global pose, velocity and acceleration in its own frame."""

    poses: Float64[np.ndarray, "S 3"]
    velocities: Float64[np.ndarray, "S 2"]  # m/s; y is 0 for a rear axle that does not slip
    accelerations: Float64[np.ndarray, "S 2"]  # m/s^2: along, and lateral = speed * yaw rate
    steering: Float64[np.ndarray, " S"]  # rad
    commands: Int64[np.ndarray, " S"]  # index into DRIVING_COMMANDS


@dataclass(frozen=True)
class Drive:
    """One log: an expert drive of S steps of 0.1 s through a town, with everything around it."""

    log_name: str
    location: str
    start_time_us: int
    ego: EgoStates
    tracks: tuple[Track, ...]
    lights: dict[str, tuple[Light, ...]]  # connector id -> state per step [S]
    route_roadblock_ids: tuple[tuple[str, ...], ...]  # per step [S]: from the current roadblock on, all of one route
    events: dict[str, tuple[int, ...]] = field(default_factory=dict)  # name of what happens -> steps, for tests
