"""A scene's traffic without an ego, kept with the scene, and that of many plans against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64, Int64

from navsim_agents.common.poses import HEADING, XY, FloatArray, poses_to_global, poses_to_local, wrap_angle
from navsim_agents.scoring.axes import POSE, State, Vehicle
from navsim_agents.scoring.scene_fields import SceneFields
from navsim_agents.scoring.traffic.fast.base import base_of
from navsim_agents.scoring.traffic.fast.columns import BEGIN, END
from navsim_agents.scoring.traffic.fast.common import find_common
from navsim_agents.scoring.traffic.fast.fleet import (
    HALF_LENGTH,
    HALF_WIDTH,
    PROGRESS,
    UNKNOWN,
    Base,
    Figures,
    Fleet,
    Last,
    Neighbours,
    Run,
)
from navsim_agents.scoring.traffic.fast.plans import poses_at, simulate_plans
from navsim_agents.scoring.traffic.fast.ways import are_tame, ways_of
from navsim_agents.scoring.traffic.reactive import Traffic, with_replayed
from navsim_agents.scoring.traffic.roles import T0, Role, TrafficConfig

IntArray = npt.NDArray[np.int64]
KEPT_AS = "_prepared_traffic"
MOST_SHARED = 8  # kept with a scene


@dataclass(frozen=True)
class PlansRun:
    """What N plans change of R vehicles that react and Q that stand."""

    where: Int64[np.ndarray, "M 3"]  # plan, row and step of each place that is another than without an ego
    progress: Float64[np.ndarray, " M"]  # m
    until: Int64[np.ndarray, "N R"]  # the step at which a vehicle is dropped; S: never
    is_own: Bool[np.ndarray, "N R"]  # whether it is anywhere else than without an ego while it is there
    stands: Bool[np.ndarray, "N S Q"]
    is_sure: Bool[np.ndarray, " N"]  # False: a tie hangs on rounding, and the plan's answer is not to be used
    effort: Int64[np.ndarray, "3"]  # vehicles' steps that were simulated, ways and distances looked at in full


@dataclass(frozen=True)
class SharedTraffic:
    """The traffic without an ego, for plans that begin at one place."""

    base: Base
    traffic: Traffic
    is_sure: bool  # False: a tie hangs on rounding


@dataclass(frozen=True)
class PreparedTraffic:
    """What all plans of a scene share."""

    config: TrafficConfig
    turn: Float64[np.ndarray, "3"]
    reacting: Int64[np.ndarray, " R"]  # rows of the scene's vehicles
    standing: Int64[np.ndarray, " Q"]
    fleet: Fleet
    logged: Float64[np.ndarray, "A 3"]  # poses of all vehicles at t0, frame of the scene
    start: Float64[np.ndarray, "R 2"]  # m, where those that react are on their paths at t0, turned as the map
    is_tame: bool  # False: an outline may be another than GEOS's
    shared: dict[bytes, SharedTraffic]  # by who is gone at once

    @staticmethod
    def of(scene: SceneFields, config: TrafficConfig) -> PreparedTraffic:
        """Made at the scene's first use, and kept with it."""
        kept: Optional[PreparedTraffic] = vars(scene).get(KEPT_AS)
        if kept is None or kept.config != config:
            kept = _prepare(scene, config)
            object.__setattr__(scene, KEPT_AS, kept)
        return kept

    def groups(self, states: Float64[np.ndarray, "N S 11"]) -> list[tuple[Bool[np.ndarray, " R"], IntArray]]:
        """Who is too far away at t0, and the plans [n] of which that holds; most of them first.

        In practice it is one group: all plans of a scene begin where the ego is.
        """
        starts = states[:, 0, POSE]
        if (starts == starts[0]).all():
            starts = starts[:1]
        ego = poses_to_global(starts, self.turn)[:, None, XY]
        is_gone = np.hypot(*np.moveaxis(self.start - ego, -1, 0)) > self.config.radius_m
        if len(starts) < len(states):
            return [(is_gone[0], np.arange(len(states)))]
        kinds, kind = np.unique(is_gone, axis=0, return_inverse=True)
        groups = [(kinds[number], np.flatnonzero(kind.reshape(-1) == number)) for number in range(len(kinds))]
        return sorted(groups, key=lambda group: -len(group[1]))

    def shared_by(self, scene: SceneFields, gone: Bool[np.ndarray, " R"]) -> SharedTraffic:
        """The traffic without an ego, simulated once for each group."""
        key = gone.tobytes()
        if key not in self.shared:
            if len(self.shared) >= MOST_SHARED:
                self.shared.clear()
            self.shared[key] = _simulate_shared(scene, self, gone)
        return self.shared[key]

    def run(self, base: Base, states: Float64[np.ndarray, "N S 11"]) -> PlansRun:
        """What plans with these egos' states (frame of the scene) change."""
        count = len(states)
        poses = poses_to_global(states[..., POSE], self.turn)
        speed = np.hypot(states[..., State.VELOCITY_X], states[..., State.VELOCITY_Y])
        ego = np.concatenate((_places(poses), speed[..., None]), axis=-1)
        work = Run.room_for(self.fleet)
        room = count * base.state.shape[0] * len(self.reacting)
        where, progress = np.empty((room, 3), dtype=np.int64), np.empty(room)  # takes no memory before it is filled
        until = np.full((count, len(self.reacting)), base.state.shape[0])
        is_own, is_sure = np.zeros((count, len(self.reacting)), dtype=bool), np.ones(count, dtype=bool)
        stands = np.tile(base.stands, (count, 1, 1))
        out = (until, is_own, where, progress, stands, is_sure)
        num_places = np.zeros(1, dtype=np.int64)
        simulate_plans(self.fleet, Figures.of(self.config), base, work, ego, *out, num_places)
        filled = int(num_places[0])
        return PlansRun(where[:filled], progress[:filled], until, is_own, stands, is_sure, work.effort)

    def poses_of(
        self, rows: Int64[np.ndarray, " M"], progress: Float64[np.ndarray, " M"]
    ) -> Float64[np.ndarray, "M 3"]:
        """Poses of reacting vehicles at progresses, frame of the scene."""
        poses = np.zeros((len(rows), 3))
        poses_at(self.fleet, Run.room_for(self.fleet), rows, progress, poses)
        poses[:, HEADING] = wrap_angle(poses[:, HEADING])
        return poses_to_local(poses, self.turn)


def _prepare(scene: SceneFields, config: TrafficConfig) -> PreparedTraffic:
    turn = np.array([0.0, 0.0, float(scene.ego_pose[HEADING])])
    role = _array(scene.traffic_role)
    reacting, standing = np.flatnonzero(role == Role.REACTS), np.flatnonzero(role == Role.STANDS)
    fleet = _fleet_of(scene, turn, reacting, standing)
    work, start = Run.room_for(fleet), np.zeros((len(reacting), 3))
    find_common(fleet, work, fleet.common)
    is_near = fleet.common[..., BEGIN] < fleet.common[..., END]
    np.fill_diagonal(is_near, False)
    fleet = fleet._replace(around=Neighbours.of(is_near), beside=Neighbours.of(is_near.T))
    poses_at(fleet, work, np.arange(len(reacting)), fleet.start[:, PROGRESS].copy(), start)
    return PreparedTraffic(
        config=config,
        turn=turn,
        reacting=reacting,
        standing=standing,
        fleet=fleet,
        logged=poses_to_local(poses_to_global(_array(scene.traffic_pose), turn), turn),
        start=start[:, XY],
        is_tame=are_tame(fleet.ways, fleet.body[:-1, [HALF_LENGTH, HALF_WIDTH]]),
        shared={},
    )


def _simulate_shared(scene: SceneFields, prepared: PreparedTraffic, gone: Bool[np.ndarray, " R"]) -> SharedTraffic:
    num_states, reacting, standing = prepared.config.num_states, prepared.reacting, prepared.standing
    base, is_sure = base_of(prepared.fleet, Figures.of(prepared.config), num_states, gone)
    vehicles = np.full((len(prepared.logged), num_states, 3), np.nan)
    rows, progress = np.repeat(np.arange(len(reacting)), num_states), base.state[:, :, PROGRESS].T.flatten()
    vehicles[reacting] = prepared.poses_of(rows, progress).reshape(-1, num_states, 3)
    vehicles[reacting[gone], 1:] = np.nan
    vehicles[standing, 1:] = np.where(base.stands.T[:, 1:, None], prepared.logged[standing, None], np.nan)
    vehicles[:, T0] = prepared.logged
    return SharedTraffic(base, with_replayed(scene, vehicles, num_states), is_sure)


def _fleet_of(
    scene: SceneFields, turn: FloatArray, reacting: npt.NDArray[np.int64], standing: npt.NDArray[np.int64]
) -> Fleet:
    """The vehicles, with the paths of those that react."""
    offsets, half_size = _array(scene.traffic_path_offsets), _array(scene.traffic_size) / 2.0
    paths, along = poses_to_global(_array(scene.traffic_path_poses), turn), _array(scene.traffic_path_progress)
    pieces = [slice(int(offsets[row]), int(offsets[row + 1])) for row in reacting]
    wanted, vehicle = _array(scene.traffic_wanted_speed), _array(scene.vehicle)
    longest = [np.hypot(*np.diff(paths[piece, XY], axis=0).T).max() for piece in pieces]
    body = np.concatenate(
        (
            np.column_stack((half_size[reacting], wanted[reacting], longest)),
            [[float(vehicle[Vehicle.HALF_LENGTH]), float(vehicle[Vehicle.HALF_WIDTH]), 0.0, 0.0]],
        )
    )
    logged, half_widths = poses_to_global(_array(scene.traffic_pose)[standing], turn), body[:-1, HALF_WIDTH].copy()
    ways = ways_of([paths[piece] for piece in pieces], [along[piece] for piece in pieces], half_widths)
    nobody = Neighbours.of(np.zeros((len(reacting), len(reacting)), dtype=np.bool_))
    return Fleet(
        ways=ways,
        body=body,
        start=np.column_stack((_array(scene.traffic_progress)[reacting], _array(scene.traffic_speed)[reacting])),
        snapped=_places(poses_to_global(_array(scene.traffic_snapped_pose)[reacting], turn)),
        standing=np.column_stack((_places(logged), half_size[standing])),
        nearby=np.zeros((len(standing), len(reacting)), dtype=np.bool_),
        is_beside=np.zeros(len(reacting), dtype=np.bool_),
        common=np.zeros((len(reacting), len(reacting), 2), dtype=np.int64),
        around=nobody,
        beside=nobody,
        last=Last(*(np.full((len(reacting), len(ways.vertex)), UNKNOWN, dtype=np.int32) for _ in Last._fields)),
    )


def _places(poses: FloatArray) -> FloatArray:
    """x, y, cos, sin of poses of any batch shape."""
    heading = poses[..., HEADING]
    return np.concatenate((poses[..., XY], np.stack((np.cos(heading), np.sin(heading)), axis=-1)), axis=-1)


def _array(value: Any) -> npt.NDArray[Any]:
    """A field of the scene in NumPy."""
    return value if isinstance(value, np.ndarray) else value.cpu().numpy()
