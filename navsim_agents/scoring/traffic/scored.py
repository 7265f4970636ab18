"""Between the scorer and the traffic: the tracks that each trajectory meets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import SceneBatch
from navsim_agents.scoring.sight import Sight
from navsim_agents.scoring.traffic.of_plans import traffic_one_by_one as plans_traffic

LARGEST_CHUNK = 512
"""Trajectories at once, at most: in a dense scene each may have most tracks as its own."""


def batch_in_traffic(batch: SceneBatch, scene: ScoringScene, states: Float[Tensor, "1 N S 11"]) -> SceneBatch:
    """The batch of one scene with the tracks that N trajectories meet; steps beyond the traffic's are empty.

    ``states`` are theirs as simulated; the traffic around them is simulated on the CPU in float64.

    Raises:
        SceneError: the scene was written without reactive traffic.
    """
    traffic = plans_traffic(scene, states[0].double().cpu().numpy())
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
