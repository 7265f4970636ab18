"""Traffic that reacts to one plan's ego, slow and obvious: what devkit v2.2 simulates, vehicle by vehicle.

Everything here is in the frame of the scene, turned as the map is: where two are as near as each other, the search tree
decides by their place along the map's axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from navsim_agents.common.poses import HEADING, XY, FloatArray, poses_to_global, poses_to_local, wrap_angle
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.axes import POSE, State, Vehicle
from navsim_agents.scoring.scene_fields import SceneFields
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.scoring.traffic.following import Ahead, advance
from navsim_agents.scoring.traffic.rails import Rail, box_polygon, footprint, strip
from navsim_agents.scoring.traffic.roles import T0, TRAFFIC, VEHICLE_TYPE, Role, TrafficConfig

EGO = -1
"""Key of the ego among the occupants; vehicles have their row."""


@dataclass(frozen=True)
class Traffic:
    """Boxes of every track at each step: first the vehicles of t0, then the replayed tracks of other types."""

    token: tuple[str, ...]
    type: tuple[str, ...]  # nuPlan's names
    is_agent: Bool[np.ndarray, " K"]
    size: Float64[np.ndarray, "K 2"]  # length, width [m]
    speed: Float64[np.ndarray, " K"]  # m/s at its first appearance
    heading: Float64[np.ndarray, " K"]  # rad at its first appearance
    poses: Float64[np.ndarray, "K 41 3"]  # centre and heading, frame of the scene; NaN while it is not there
    valid: Bool[np.ndarray, "K 41"]


def reactive_traffic(
    scene: SceneFields, states: Float64[np.ndarray, "S 11"], config: TrafficConfig = TRAFFIC
) -> Traffic:
    """The traffic that one plan meets.

    Args:
        states: the ego's simulated states [41, 11] in the frame of the scene (m, rad, s), t0 first.

    Raises:
        SceneError: the scene was written without reactive traffic.
        TrajectoryError: the states are fewer or more than 41.
    """
    require_traffic(scene)
    if len(states) != config.num_states:
        raise TrajectoryError(
            f"states has {len(states)} rows, but traffic is simulated with {config.num_states}, 0.1 s apart; hand over "
            "the simulated states of one plan"
        )
    vehicles = _vehicle_poses(scene, states, config)
    return with_replayed(scene, vehicles, config.num_states)


def _vehicle_poses(scene: SceneFields, states: FloatArray, config: TrafficConfig) -> Float64[np.ndarray, "A 41 3"]:
    """Poses of the vehicles of t0; NaN while they are not there."""
    turn = np.array([0.0, 0.0, float(scene.ego_pose[HEADING])])
    fleet = Fleet.of(scene, turn, config)
    parked = Parked.of(scene, turn)
    poses = np.full((len(fleet.sizes), config.num_states, 3), np.nan)
    poses[:, T0] = poses_to_global(_array(scene.traffic_pose), turn)
    turned = states.copy()
    turned[:, POSE] = poses_to_global(states[:, POSE], turn)
    for step in range(1, config.num_states):
        fleet.step(turned[step - 1])  # the ego comes one step late
        active = {row: fleet.pose(row) for row in fleet.rows}
        kept = parked.kept(active, fleet.sizes)
        for row, pose in {**active, **kept}.items():
            poses[row, step] = pose
    return poses_to_local(poses, turn)


@dataclass
class Fleet:
    """The vehicles that react, and the ground that each claims."""

    ego_size: tuple[float, float]  # length, width [m]
    sizes: Float64[np.ndarray, "A 2"]
    rails: dict[int, Rail]
    wanted: dict[int, float]
    progress: dict[int, float]
    speed: dict[int, float]
    config: TrafficConfig
    occupants: dict[int, BaseGeometry] = field(default_factory=dict)  # in the order in which they came

    @property
    def rows(self) -> list[int]:
        """Who is still there, in the order of moving."""
        return list(self.progress)

    @staticmethod
    def of(scene: SceneFields, turn: FloatArray, config: TrafficConfig) -> Fleet:
        """The vehicles at t0, claiming no more than their boxes."""
        role, offsets = _array(scene.traffic_role), _array(scene.traffic_path_offsets)
        rows = [int(row) for row in np.flatnonzero(role == Role.REACTS)]
        poses = poses_to_global(_array(scene.traffic_path_poses), turn)
        along, sizes = _array(scene.traffic_path_progress), _array(scene.traffic_size)
        snapped = poses_to_global(_array(scene.traffic_snapped_pose), turn)
        pieces = {row: slice(int(offsets[row]), int(offsets[row + 1])) for row in rows}
        half = _array(scene.vehicle)[[Vehicle.HALF_LENGTH, Vehicle.HALF_WIDTH]]

        def of_rows(values: Any) -> dict[int, float]:
            return {row: float(values[row]) for row in rows}

        fleet = Fleet(
            ego_size=(2.0 * float(half[0]), 2.0 * float(half[1])),
            sizes=sizes,
            rails={row: Rail.of(poses[piece], along[piece]) for row, piece in pieces.items()},
            wanted=of_rows(scene.traffic_wanted_speed),
            progress=of_rows(scene.traffic_progress),
            speed=of_rows(scene.traffic_speed),
            config=config,
        )
        for row in rows:
            fleet._occupy(row, box_polygon(snapped[row], *sizes[row]))
        return fleet

    def step(self, ego: Float64[np.ndarray, "11"]) -> None:
        """Move everyone on, one after the other; each sees where those before it are by now."""
        self._occupy(EGO, box_polygon(ego[POSE], *self.ego_size))  # the rear axle is taken for the centre
        for row in self.rows:
            if np.hypot(*(self.pose(row)[XY] - ego[XY])) > self.config.radius_m:
                self._drop(row)
        for row in self.rows:
            ahead = self._ahead(row, ego)
            self.progress[row], self.speed[row] = advance(
                self.progress[row], self.speed[row], self.wanted[row], ahead, self.config
            )
            reach = self.speed[row] * self.config.headway_s
            self._occupy(row, footprint(self.rails[row], self.progress[row], reach, *self.sizes[row]))

    def pose(self, row: int) -> Float64[np.ndarray, "3"]:
        """Where a vehicle is; it stops at the end of its path, though its progress goes on."""
        return self.rails[row].pose_at(self.rails[row].clamp(self.progress[row]))

    def _occupy(self, key: int, ground: BaseGeometry) -> None:
        self.occupants[key] = ground.simplify(self.config.simplify_m, preserve_topology=True)

    def _drop(self, row: int) -> None:
        for table in (self.occupants, self.progress, self.speed):
            table.pop(row)

    def _ahead(self, row: int, ego: FloatArray) -> Ahead:
        """The nearest of those on the vehicle's way, else a wall at the end of it."""
        rail, (length, width) = self.rails[row], self.sizes[row]
        way = strip(rail.line_from(rail.clamp(self.progress[row])), width)
        keys, grounds = list(self.occupants), list(self.occupants.values())
        met = [keys[index] for index in STRtree(grounds).query(way) if grounds[index].intersects(way)]
        others = [key for key in met if key != row]
        if not others:
            return Ahead(rail.end - self.progress[row] - length / 2.0, 0.0)
        mine = self.occupants[row]
        lead = others[int(STRtree([self.occupants[key] for key in others]).nearest(mine))]
        heading = self.pose(row)[HEADING]
        speed, course = self._motion_of(lead, ego)
        return Ahead(float(mine.distance(self.occupants[lead])), float(speed * np.cos(wrap_angle(course - heading))))

    def _motion_of(self, key: int, ego: FloatArray) -> tuple[float, float]:
        """Speed [m/s] and heading of an occupant."""
        if key == EGO:
            return float(np.hypot(ego[State.VELOCITY_X], ego[State.VELOCITY_Y])), float(ego[HEADING])
        return self.speed[key], float(self.pose(key)[HEADING])


@dataclass(frozen=True)
class Parked:
    """Vehicles that stand where they were, at the steps at which nobody is there."""

    poses: dict[int, FloatArray]

    @staticmethod
    def of(scene: SceneFields, turn: FloatArray) -> Parked:
        """Those whom the scene's roles say to stand."""
        poses = poses_to_global(_array(scene.traffic_pose), turn)
        return Parked({int(row): poses[row] for row in np.flatnonzero(_array(scene.traffic_role) == Role.STANDS)})

    def kept(self, active: dict[int, FloatArray], sizes: Float64[np.ndarray, "A 2"]) -> dict[int, FloatArray]:
        """Those who touch neither an active vehicle nor one kept before them."""
        boxes = [box_polygon(pose, *sizes[row]) for row, pose in active.items()]
        kept = {}
        for row, pose in self.poses.items():
            box = box_polygon(pose, *sizes[row])
            if not any(box.intersects(other) for other in boxes):
                kept[row] = pose
                boxes.append(box)
        return kept


def with_replayed(scene: SceneFields, vehicles: Float64[np.ndarray, "A 41 3"], num_states: int) -> Traffic:
    """The vehicles, then the log's tracks of other types, those too that log replay leaves out."""
    others = np.array([kind != VEHICLE_TYPE for kind in scene.track_type], dtype=bool)
    valid = _array(scene.track_valid).copy()
    valid[:, T0] &= ~_array(scene.traffic_early_track)
    seen = np.concatenate((valid[others], _array(scene.ignored_track_valid)))[:, :num_states]
    replayed = np.concatenate((_array(scene.track_poses)[others], _array(scene.ignored_track_poses)))[:, :num_states]
    poses = np.concatenate((vehicles, np.where(seen[..., None], replayed, np.nan)))
    names, kinds = np.array(scene.track_token), np.array(scene.track_type)
    is_vehicle = np.ones(len(vehicles), dtype=bool)

    def joined(traffic: Any, tracks: Any, ignored: Any) -> Any:
        return np.concatenate((_array(traffic), _array(tracks)[others], _array(ignored)))

    return Traffic(
        token=(*scene.traffic_token, *names[others].tolist(), *scene.ignored_track_token),
        type=(*[VEHICLE_TYPE] * len(vehicles), *kinds[others].tolist(), *scene.ignored_track_type),
        is_agent=joined(is_vehicle, scene.track_is_agent, scene.ignored_track_is_agent),
        size=joined(scene.traffic_size, scene.track_size, scene.ignored_track_size),
        speed=joined(scene.traffic_speed, scene.track_speed, scene.ignored_track_speed),
        heading=joined(_array(scene.traffic_pose)[:, HEADING], scene.track_heading, scene.ignored_track_heading),
        poses=poses,
        valid=np.isfinite(poses).all(axis=-1),
    )


def _array(value: Any) -> npt.NDArray[Any]:
    """A field of the scene in NumPy."""
    return value if isinstance(value, np.ndarray) else value.cpu().numpy()
