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
from navsim_agents.scoring.traffic.fast.fleet import PROGRESS, Base, Figures, Fleet, Run
from navsim_agents.scoring.traffic.fast.plans import poses_at, simulate_plans
from navsim_agents.scoring.traffic.fast.ways import are_tame, ways_of
from navsim_agents.scoring.traffic.reactive import Traffic, with_replayed
from navsim_agents.scoring.traffic.roles import Role, TrafficConfig

KEPT_AS = "_prepared_traffic"


@dataclass(frozen=True)
class PlansRun:
    """What N plans change of R vehicles that react and Q that stand."""

    progress: Float64[np.ndarray, "N S R"]  # m
    until: Int64[np.ndarray, "N R"]  # the step at which a vehicle is dropped; S: never
    is_own: Bool[np.ndarray, "N R"]  # whether it is anywhere else than without an ego while it is there
    stands: Bool[np.ndarray, "N S Q"]
    is_sure: Bool[np.ndarray, " N"]  # False: a tie hangs on rounding, and the plan's answer is not to be used
    effort: Int64[np.ndarray, "3"]  # vehicles' steps that were simulated, ways and distances looked at in full


@dataclass(frozen=True)
class PreparedTraffic:
    """What all plans of a scene share."""

    config: TrafficConfig
    turn: Float64[np.ndarray, "3"]
    reacting: Int64[np.ndarray, " R"]  # rows of the scene's vehicles
    standing: Int64[np.ndarray, " Q"]
    fleet: Fleet
    base: Base
    shared: Traffic  # without an ego
    is_exact: bool  # False: an outline may be another than GEOS's, or a tie hangs on rounding

    @staticmethod
    def of(scene: SceneFields, config: TrafficConfig) -> PreparedTraffic:
        """Made at the scene's first use, and kept with it."""
        kept: Optional[PreparedTraffic] = vars(scene).get(KEPT_AS)
        if kept is None or kept.config != config:
            kept = _prepare(scene, config)
            object.__setattr__(scene, KEPT_AS, kept)
        return kept

    def run(self, states: Float64[np.ndarray, "N S 11"]) -> PlansRun:
        """What plans with these egos' states (frame of the scene) change."""
        count, base = len(states), self.base
        poses = poses_to_global(states[..., POSE], self.turn)
        speed = np.hypot(states[..., State.VELOCITY_X], states[..., State.VELOCITY_Y])
        ego = np.concatenate((_places(poses), speed[..., None]), axis=-1)
        work = Run.room_for(self.fleet)
        found = PlansRun(
            progress=np.tile(base.state[:, :, PROGRESS], (count, 1, 1)),
            until=np.full((count, len(self.reacting)), base.state.shape[0]),
            is_own=np.zeros((count, len(self.reacting)), dtype=bool),
            stands=np.tile(base.stands, (count, 1, 1)),
            is_sure=np.ones(count, dtype=bool),
            effort=work.effort,
        )
        out = (found.progress, found.until, found.is_own, found.stands, found.is_sure)
        simulate_plans(self.fleet, Figures.of(self.config), base, work, ego, *out)
        return found

    def poses_of(self, rows: Int64[np.ndarray, " O"], progress: Float64[np.ndarray, "O S"]) -> FloatArray:
        """Poses [O, S, 3] of reacting vehicles, frame of the scene; t0 is the logged one."""
        return _poses_of(self.fleet, self.turn, self.shared.poses[self.reacting], rows, progress)


def _prepare(scene: SceneFields, config: TrafficConfig) -> PreparedTraffic:
    turn = np.array([0.0, 0.0, float(scene.ego_pose[HEADING])])
    role = _array(scene.traffic_role)
    reacting, standing = np.flatnonzero(role == Role.REACTS), np.flatnonzero(role == Role.STANDS)
    fleet = _fleet_of(scene, turn, reacting, standing)
    base, is_sure = base_of(fleet, Figures.of(config), config.num_states)
    logged = _array(scene.traffic_pose)
    vehicles = np.full((len(role), config.num_states, 3), np.nan)
    vehicles[:, 0] = poses_to_local(poses_to_global(logged, turn), turn)
    progress = np.ascontiguousarray(base.state[:, :, PROGRESS].T)
    vehicles[reacting] = _poses_of(fleet, turn, vehicles[reacting], np.arange(len(reacting)), progress)
    stays = np.where(base.stands.T[..., None], vehicles[standing, :1], np.nan)
    vehicles[standing, 1:] = stays[:, 1:]
    return PreparedTraffic(
        config=config,
        turn=turn,
        reacting=reacting,
        standing=standing,
        fleet=fleet,
        base=base,
        shared=with_replayed(scene, vehicles, config.num_states),
        is_exact=is_sure and are_tame(fleet.ways, fleet.body[:-1, :2]),
    )


def _fleet_of(
    scene: SceneFields, turn: FloatArray, reacting: npt.NDArray[np.int64], standing: npt.NDArray[np.int64]
) -> Fleet:
    """The vehicles, with the paths of those that react."""
    offsets, half_size = _array(scene.traffic_path_offsets), _array(scene.traffic_size) / 2.0
    paths, along = poses_to_global(_array(scene.traffic_path_poses), turn), _array(scene.traffic_path_progress)
    pieces = [slice(int(offsets[row]), int(offsets[row + 1])) for row in reacting]
    wanted, vehicle = _array(scene.traffic_wanted_speed), _array(scene.vehicle)
    body = np.concatenate(
        (
            np.column_stack((half_size[reacting], wanted[reacting])),
            [[float(vehicle[Vehicle.HALF_LENGTH]), float(vehicle[Vehicle.HALF_WIDTH]), 0.0]],
        )
    )
    logged = poses_to_global(_array(scene.traffic_pose)[standing], turn)
    return Fleet(
        ways=ways_of([paths[piece] for piece in pieces], [along[piece] for piece in pieces], body[:-1, 1].copy()),
        body=body,
        start=np.column_stack((_array(scene.traffic_progress)[reacting], _array(scene.traffic_speed)[reacting])),
        snapped=_places(poses_to_global(_array(scene.traffic_snapped_pose)[reacting], turn)),
        standing=np.column_stack((_places(logged), half_size[standing])),
        nearby=np.zeros((len(standing), len(reacting)), dtype=np.bool_),
        common=np.zeros((len(reacting), len(reacting), 2), dtype=np.int64),
    )


def _poses_of(
    fleet: Fleet,
    turn: FloatArray,
    logged: Float64[np.ndarray, "R S 3"],
    rows: Int64[np.ndarray, " O"],
    progress: Float64[np.ndarray, "O S"],
) -> Float64[np.ndarray, "O S 3"]:
    """Poses at progresses, frame of the scene; ``logged`` holds those of t0."""
    poses = np.zeros((*progress.shape, 3))
    poses_at(fleet, Run.room_for(fleet), rows, progress, poses)
    poses[..., HEADING] = wrap_angle(poses[..., HEADING])
    poses = poses_to_local(poses, turn)
    poses[:, 0] = logged[rows, 0]
    return poses


def _places(poses: FloatArray) -> FloatArray:
    """x, y, cos, sin of poses of any batch shape."""
    heading = poses[..., HEADING]
    return np.concatenate((poses[..., XY], np.stack((np.cos(heading), np.sin(heading)), axis=-1)), axis=-1)


def _array(value: Any) -> npt.NDArray[Any]:
    """A field of the scene in NumPy."""
    return value if isinstance(value, np.ndarray) else value.cpu().numpy()
