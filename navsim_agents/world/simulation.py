"""The loop that moves everybody through one drive, and its record."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.poses import HEADING, POSE, XY
from navsim_agents.world.curves import FloatArray, unit
from navsim_agents.world.expert import Expert, Whereabouts
from navsim_agents.world.fleet import EGO, BoolArray, Fleet
from navsim_agents.world.following import FollowRule, Lead, Obstacles, find_leads, limit_accel, wanted_accel
from navsim_agents.world.pedestrians import PEDESTRIAN_SIZE, WALKING_SPEED, People
from navsim_agents.world.right_of_way import RightOfWay
from navsim_agents.world.still_objects import StillScene
from navsim_agents.world.types import FOOTPRINT

_AWAKE_M = 150.0  # vehicles farther from the expert stand still, unseen
_STANDING_MPS = 0.1


SPEED = 4
"""Column of ``Record.ego`` behind those of a path's point."""


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
    expert: Expert
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
        fleet = self.fleet
        poses = fleet.poses()
        fleet.is_active = self._awake(poses)
        obstacles = self._obstacles(poses)
        lead = find_leads(fleet, poses, obstacles, self.rule)
        self.expert.update(fleet, poses, lead, self.ways, WORLD_STEP_S)
        gates, reasons = self.ways.walls(fleet, lead, step)
        crosswalks, yielding = self.people.walls(fleet)
        walls = np.minimum(gates, crosswalks)
        walls[EGO] = min(walls[EGO], self.expert.wall_m(fleet))
        wanted = wanted_accel(fleet, lead, walls, self.rule)
        accel = limit_accel(fleet, wanted, lead, walls, self.rule, WORLD_STEP_S)
        if recorded >= 0:
            self._remember(fleet.poses(), accel)
            self._note_events(recorded, lead, reasons, yielding)
        fleet.advance(accel, WORLD_STEP_S)
        self.people.step(fleet, step, WORLD_STEP_S)

    def _awake(self, poses: Float64[np.ndarray, "K 4"]) -> Bool[np.ndarray, " K"]:
        distance = np.hypot(*(poses[:, XY] - poses[EGO, XY]).T)
        has_arrived = self.fleet.station > self.fleet.path_length - 12.0
        is_awake = (distance < _AWAKE_M) & ~has_arrived
        is_awake[EGO] = True
        for vehicle in np.nonzero(has_arrived & self.fleet.is_active)[0]:
            if vehicle != EGO:
                self.ways.forget(int(vehicle))
        return is_awake

    def _obstacles(self, poses: Float64[np.ndarray, "K 4"]) -> Obstacles:
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

    def _remember(self, poses: Float64[np.ndarray, "K 4"], accel: Float64[np.ndarray, " K"]) -> None:
        fleet, record = self.fleet, self.record
        record.centers.append(fleet.centers(poses))
        record.speeds.append(fleet.speed.copy())
        record.awake.append(fleet.is_active.copy())
        record.people.append(self.people.poses())
        record.ego.append(np.array([*poses[EGO], fleet.speed[EGO], fleet.accel[EGO]]))
        record.whereabouts.append(self.expert.whereabouts(fleet))

    def _note_events(self, step: int, lead: Lead, reasons: dict[int, str], yielding: set[int]) -> None:
        speed = float(self.fleet.speed[EGO])
        is_behind = bool(lead.gap_m[EGO] < 5.0 + 2.0 * speed and lead.obstacle[EGO] < len(self.fleet))
        facts = {
            "stopped_at_red": reasons.get(EGO) == "red" and speed < _STANDING_MPS,
            "yield": (reasons.get(EGO) == "yield" or EGO in yielding) and self.fleet.accel[EGO] < 0.1 and speed < 6.0,
            "follow_lead": is_behind and speed > 1.0,
            "standing": speed < _STANDING_MPS,
        }
        for name, is_true in facts.items():
            if is_true:
                self.record.events.setdefault(name, []).append(step)


def _is_in_lane(pose: Float64[np.ndarray, "3"], still: StillScene, expert: Expert) -> bool:
    """Whether something still stands in a lane's middle, so that it must not be passed within that lane."""
    lanes = expert.graph.town.lanes
    curves = [lanes[lane_id].centerline for lane_id in still.closed_lanes]
    return any(float(np.hypot(*(curve[:, XY] - pose[XY]).T).min()) < 2.0 for curve in curves)
