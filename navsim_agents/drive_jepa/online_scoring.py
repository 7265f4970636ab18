"""Labels of proposals, made in the training step by the batched scorer on the model's device.

What the released code's process pool returned for each proposal: the simulator's score, the areas that its simulated
states are in, and the two agents that spoil it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from navsim_agents.common.boxes import box_corners
from navsim_agents.scoring.aggregate import SCORE, SUB_SCORES
from navsim_agents.scoring.axes import POSITION, EgoArea, State
from navsim_agents.scoring.packed import unpack_scenes
from navsim_agents.scoring.scene_batch import SceneBatch
from navsim_agents.scoring.score import Scores, score_batch

AREAS = (EgoArea.NON_DRIVABLE, EgoArea.ONCOMING)
"""Order of the area head's two answers (released code)."""


@dataclass(frozen=True)
class ProposalLabels:
    """B scenes of N proposals; the S' = 40 steps after now are 0.1 s apart, A = 2 key agents."""

    sub_scores: dict[str, Tensor]  # [B, N] under the devkit's names
    score: Tensor  # [B, N] the simulator's score, 0 to 1
    areas: Tensor  # [B, N, S', 2] bool: off the drivable area, off the route
    corners: Tensor  # [B, N, A, S', 4, 2] corners of the agent's box [m], ego frame of now
    is_valid: Tensor  # [B, N, A, S'] bool: the agent is there, and its collision is not over


@torch.no_grad()
def label_proposals(packed: Tensor, proposals: Tensor, metric: str, interval_s: float) -> ProposalLabels:
    """Score proposals [B, N, T, 3] (m, rad, ego frame of now) in packed scenes, uint8 [B, bytes].

    Raises:
        TrajectoryError: a proposal is not finite, or T · ``interval_s`` is not the scorer's horizon.
        SceneError: the records are not scenes of this release.
    """
    batch = unpack_scenes(packed, metric, num_poses=proposals.shape[2], interval_s=interval_s)
    scores = score_batch(batch, proposals.detach().double())
    corners, is_valid = key_agents(scores, batch)
    return ProposalLabels(
        sub_scores={name: scores.columns[name] for name in SUB_SCORES[metric]},
        score=scores.columns[SCORE[metric]].float(),
        areas=scores.ego_areas[:, :, 1:, list(AREAS)],
        corners=corners.float(),
        is_valid=is_valid,
    )


def key_agents(scores: Scores, batch: SceneBatch) -> tuple[Tensor, Tensor]:
    """Boxes of the agents of the first at-fault collision and of the first time-to-collision infringement.

    An agent counts from the first step to that of the infringement, where it is observed.

    Returns:
        corners [B, N, 2, S', 4, 2] [m], 0 where not valid: front left, rear left, rear right, front right; validity
        [B, N, 2, S'].
    """
    track = torch.stack((scores.collision_track, scores.ttc_track), dim=-1)  # [B, N, 2]
    last_step = torch.stack((scores.collision_step, scores.ttc_step), dim=-1)
    steps = torch.arange(1, scores.ego_areas.shape[2], device=track.device)  # [S']
    scene = torch.arange(len(track), device=track.device)[:, None, None]
    if batch.track_valid.shape[1] == 0:
        shape = (*track.shape, len(steps))
        return batch.track_poses.new_zeros(*shape, 4, 2), torch.zeros(shape, dtype=torch.bool, device=track.device)
    chosen = track.clamp(min=0)
    in_time = (track >= 0)[..., None] & (steps <= last_step[..., None])
    is_valid = in_time & batch.track_valid[scene, chosen][..., steps]
    poses = batch.track_poses[scene, chosen][..., steps, :]  # [B, N, 2, S', 3]
    heading = poses[..., State.HEADING]
    half_size = 0.5 * batch.track_size[scene, chosen][..., None, :].expand(*heading.shape, 2)
    corners = box_corners(poses[..., POSITION], torch.stack((heading.cos(), heading.sin()), dim=-1), half_size)
    return corners * is_valid[..., None, None], is_valid
