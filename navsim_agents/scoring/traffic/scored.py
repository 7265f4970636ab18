"""Between the scorer and the traffic: the tracks that each trajectory meets, and who else is judged among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from navsim_agents.common.conventions import STEP_S
from navsim_agents.common.extras import require_extras
from navsim_agents.common.poses import XY
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import SceneBatch
from navsim_agents.scoring.sight import Sight

if TYPE_CHECKING:
    from navsim_agents.scoring.traffic.of_plans import PlansTraffic

SLACK_M = 0.1  # more than what rounding moves
OWN = ("own_plan", "own_track", "own_poses", "own_valid")
LARGEST_CHUNK = 512
"""Trajectories at once, at most: in a dense scene each may have most tracks as its own."""


def plans_traffic(scene: ScoringScene, states: Float64[np.ndarray, "N S 11"], threads: int = 1) -> PlansTraffic:
    """What each of N plans meets; shapely, which log replay does without, is imported here alone.

    Raises:
        SceneError: the scene was written without reactive traffic.
        MissingPackageError: shapely is not installed.
    """
    require_extras("traffic")
    from navsim_agents.scoring.traffic import engine

    return engine.plans_traffic(scene, states, threads=threads)


def batch_in_traffic(
    batch: SceneBatch,
    scene: ScoringScene,
    states: Float[Tensor, "1 N S 11"],
    reference: Float[Tensor, "1 1 S 11"],
    threads: int = 1,
) -> SceneBatch:
    """The batch of one scene with the tracks that N trajectories meet; steps beyond the traffic's are empty.

    Left out are tracks that one trajectory has for itself, far from it and from the reference driver at all times.

    Args:
        batch: of the scene alone.
        scene: its traffic, which is simulated on the CPU in float64.
        states: the trajectories' as simulated.
        reference: PDM-Closed's.
        threads: share the simulation.

    Raises:
        SceneError, MissingPackageError: as :func:`plans_traffic`.
    """
    egos = np.concatenate([one[0].double().cpu().numpy() for one in (states, reference)])
    traffic = plans_traffic(scene, egos[:-1], threads)
    near = _near_own_tracks(traffic, egos, batch.vehicle[0].double().cpu().numpy(), batch.metric)
    traffic = replace(traffic, **{name: getattr(traffic, name)[near] for name in OWN})
    shared, num_columns, like = traffic.shared, batch.track_valid.shape[2], batch.ego_state
    which = np.concatenate((np.arange(len(shared.token)), traffic.own_track))

    def tensor(values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(like.device)

    valid = np.zeros((len(which), num_columns), dtype=bool)
    poses = np.zeros((len(which), num_columns, 3))
    steps = min(num_columns, shared.valid.shape[1])
    valid[:, :steps] = np.concatenate((shared.valid, traffic.own_valid))[:, :steps]
    poses[:, :steps] = np.nan_to_num(np.concatenate((shared.poses, traffic.own_poses))[:, :steps])
    return replace(
        batch,
        track_size=tensor(shared.size[which]).to(like)[None],
        track_speed=tensor(shared.speed[which]).to(like)[None],
        track_is_agent=tensor(shared.is_agent[which])[None],
        collided_track=tensor(np.zeros(len(which), dtype=bool))[None],  # read by PDMS alone
        track_poses=tensor(poses).to(like)[None],
        track_valid=tensor(valid)[None],
        sight=Sight(*(tensor(values) for values in (traffic.until, traffic.own_plan, traffic.own_track))),
    )


def _near_own_tracks(
    traffic: PlansTraffic, egos: Float64[np.ndarray, "N1 S 11"], vehicle: Float64[np.ndarray, "4"], metric: MetricConfig
) -> Int[np.ndarray, " n"]:
    """Which own tracks a trajectory, or the last of the egos, may meet: boxes around all that each passes through."""
    speed = np.hypot(egos[..., State.VELOCITY_X], egos[..., State.VELOCITY_Y]).max(axis=1)
    reach = np.hypot(*vehicle[[Vehicle.HALF_LENGTH, Vehicle.HALF_WIDTH]]) + vehicle[Vehicle.REAR_AXLE_TO_CENTER]
    reach = (reach + STEP_S * max(metric.ttc_offsets) * speed + SLACK_M)[:, None]
    ego_low, ego_high = egos[..., XY].min(axis=1) - reach, egos[..., XY].max(axis=1) + reach
    half_size = 0.5 * np.hypot(*traffic.shared.size[traffic.own_track].T)[:, None]
    seen, place = traffic.own_valid[..., None], traffic.own_poses[..., XY]
    low, high = np.where(seen, place, np.inf).min(axis=1), np.where(seen, place, -np.inf).max(axis=1)
    near = np.zeros(len(low), dtype=bool)
    for ego in (traffic.own_plan, np.full_like(traffic.own_plan, -1)):
        near |= ((low - half_size <= ego_high[ego]) & (high + half_size >= ego_low[ego])).all(axis=1)
    return np.flatnonzero(near)


def with_blind(crowd: SceneBatch, at: int) -> SceneBatch:
    """The same for one more trajectory, at that place among the others, which sees no track."""
    return crowd if crowd.sight is None else replace(crowd, sight=crowd.sight.with_blind(at))
