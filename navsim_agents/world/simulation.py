"""The loop that moves everybody through one drive, and its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.poses import HEADING, POSE, XY
from navsim_agents.world.curves import FloatArray, unit
from navsim_agents.world.expert import Whereabouts
from navsim_agents.world.fleet import EGO, BoolArray, Fleet
from navsim_agents.world.following import FollowRule, Lead, Obstacles, find_leads, limit_accel, wanted_accel
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.pedestrians import PEDESTRIAN_SIZE, WALKING_SPEED, People
from navsim_agents.world.right_of_way import RightOfWay
from navsim_agents.world.still_objects import StillScene
from navsim_agents.world.types import FOOTPRINT

_AWAKE_M = 150.0  # vehicles farther from the expert stand still, unseen
STANDING_MPS = 0.1  # who is slower stands
SPEED, ACCEL = 4, 5
"""Columns of ``Record.ego`` behind those of a path's point."""


@runtime_checkable
class EgoGuide(Protocol):
    """Whoever knows the ego's way, and keeps the fleet's plan of it."""

    graph: LaneGraph
    route: list[str]

    def update(
        self, fleet: Fleet, poses: Float64[np.ndarray, "K 4"], lead: Lead, ways: RightOfWay, step_s: float
    ) -> None:
        """Set another plan, where needed."""

    def wall_m(self, fleet: Fleet) -> float:
        """Room [m] before the front bumper that the way itself leaves."""

    def whereabouts(self, fleet: Fleet) -> Whereabouts:
        """Lane of the rear axle and its place on the route."""


@dataclass(frozen=True)
class Decision:
    """What everybody [K] sees at one moment, and is about to do."""

    poses: Float64[np.ndarray, "K 4"]
    lead: Lead
    walls_m: Float64[np.ndarray, " K"]  # ahead of the front bumpers
    accel_mps2: Float64[np.ndarray, " K"]
    reasons: dict[int, str]  # why a vehicle waits at a junction
    yielding: set[int]  # to people on foot


@dataclass
class Record:
    """What happened at every recorded step."""

    centers: list[FloatArray] = field(default_factory=list)  # [K, 3]
    speeds: list[FloatArray] = field(default_factory=list)  # [K]
    awake: list[BoolArray] = field(default_factory=list)  # [K]
    people: list[FloatArray] = field(default_factory=list)  # [M, 4]
    ego: list[FloatArray] = field(default_factory=list)  # [6]: pose, curvature, speed, acceleration
    whereabouts: list[Whereabouts] = field(default_factory=list)
    events: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class Simulation:
    """Everybody in one drive."""

    fleet: Fleet
    expert: EgoGuide
    ways: RightOfWay
    people: People
    still: StillScene
    rule: FollowRule
    record: Record = field(default_factory=Record)

    def __post_init__(self) -> None:
        blocking = [item for item in self.still.objects if _is_in_lane(item.pose, self.still, self.expert)]
        self._still_centers = np.array([item.pose for item in blocking]).reshape(-1, 3)
        self._still_sizes = np.array([item.size[FOOTPRINT] for item in blocking]).reshape(-1, 2)

    def run(self, num_warmup: int, num_steps: int) -> Record:
        """Let everybody move; record the last ``num_steps`` steps."""
        for step in range(num_warmup + num_steps):
            self._step(step, step - num_warmup)
        return self.record

    def _step(self, step: int, recorded: int) -> None:
        decision = self.decide(step)
        if recorded >= 0:
            self.remember(decision)
            self._note_events(recorded, decision)
        self.move(decision, step)

    def decide(self, step: int) -> Decision:
        """What everybody does from ``step`` to the next."""
        fleet = self.fleet
        poses = fleet.poses()
        fleet.is_active = self._awake(poses)
        lead = find_leads(fleet, poses, self.obstacles(poses), self.rule)
        self.expert.update(fleet, poses, lead, self.ways, WORLD_STEP_S)
        gates, reasons = self.ways.walls(fleet, lead, step)
        crosswalks, yielding = self.people.walls(fleet)
        walls = np.minimum(gates, crosswalks)
        walls[EGO] = min(walls[EGO], self.expert.wall_m(fleet))
        wanted = wanted_accel(fleet, lead, walls, self.rule)
        accel = limit_accel(fleet, wanted, lead, walls, self.rule, WORLD_STEP_S)
        return Decision(fleet.poses(), lead, walls, accel, reasons, yielding)

    def move(self, decision: Decision, step: int) -> None:
        """Let everybody do it."""
        self.fleet.advance(decision.accel_mps2, WORLD_STEP_S)
        self.people.step(self.fleet, step, WORLD_STEP_S)

    def _awake(self, poses: Float64[np.ndarray, "K 4"]) -> Bool[np.ndarray, " K"]:
        distance = np.hypot(*(poses[:, XY] - poses[EGO, XY]).T)
        has_arrived = self.fleet.station > self.fleet.path_length - 12.0
        is_awake = (distance < _AWAKE_M) & ~has_arrived
        is_awake[EGO] = True
        for vehicle in np.nonzero(has_arrived & self.fleet.is_active)[0]:
            if vehicle != EGO:
                self.ways.forget(int(vehicle))
        return is_awake

    def obstacles(self, poses: Float64[np.ndarray, "K 4"]) -> Obstacles:
        """All boxes in the way: the fleet's first, then people on the road, then what stands in a lane."""
        fleet = self.fleet
        centers, people = fleet.centers(poses), self.people.poses()[self.people.on_road()]
        sizes = np.column_stack((fleet.length, fleet.width))
        person = np.tile(PEDESTRIAN_SIZE[FOOTPRINT], (len(people), 1))
        velocities = fleet.speed[:, None] * unit(poses[:, HEADING])
        walking = people[:, WALKING_SPEED, None] * unit(people[:, HEADING])
        still = np.zeros((len(self._still_centers), 2))
        return Obstacles(
            np.concatenate((centers, people[:, POSE], self._still_centers)),
            np.concatenate((sizes, person, self._still_sizes)),
            np.concatenate((velocities, walking, still)),
        )

    def remember(self, decision: Decision) -> None:
        """Add the present to the record."""
        fleet, record, poses = self.fleet, self.record, decision.poses
        record.centers.append(fleet.centers(poses))
        record.speeds.append(fleet.speed.copy())
        record.awake.append(fleet.is_active.copy())
        record.people.append(self.people.poses())
        record.ego.append(np.array([*poses[EGO], fleet.speed[EGO], fleet.accel[EGO]]))
        record.whereabouts.append(self.expert.whereabouts(fleet))

    def _note_events(self, step: int, decision: Decision) -> None:
        lead, reasons, yielding = decision.lead, decision.reasons, decision.yielding
        speed = float(self.fleet.speed[EGO])
        is_behind = bool(lead.gap_m[EGO] < 5.0 + 2.0 * speed and lead.obstacle[EGO] < len(self.fleet))
        facts = {
            "stopped_at_red": reasons.get(EGO) == "red" and speed < STANDING_MPS,
            "yield": (reasons.get(EGO) == "yield" or EGO in yielding) and self.fleet.accel[EGO] < 0.1 and speed < 6.0,
            "follow_lead": is_behind and speed > 1.0,
            "standing": speed < STANDING_MPS,
        }
        for name, is_true in facts.items():
            if is_true:
                self.record.events.setdefault(name, []).append(step)


def _is_in_lane(pose: Float64[np.ndarray, "3"], still: StillScene, expert: EgoGuide) -> bool:
    """Whether something still stands in a lane's middle, so that it must not be passed within that lane."""
    lanes = expert.graph.town.lanes
    curves = [lanes[lane_id].centerline for lane_id in still.closed_lanes]
    return any(float(np.hypot(*(curve[:, XY] - pose[XY]).T).min()) < 2.0 for curve in curves)
