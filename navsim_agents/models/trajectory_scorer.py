"""A scorer of given trajectories: what a trajectory is worth in a scene, whoever planned it.

The released planner reads scores off its own refined queries, so it can be taught by its own proposals alone. This one
takes poses: the planner's, pseudo-teachers or any of the vocabulary. Poses are constants to it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.models.config import ProposalConfig, Quirks
from navsim_agents.models.deformable import (
    PADDED_PICTURE,
    Anchors,
    PictureCrossAttention,
    PictureRegion,
    find_anchors,
    pillar_points,
)
from navsim_agents.models.refiner import GRID_HALF_EXTENT_M, normalised_mlp

EGO_DIM = 11
"""Pose 3 (x, y, heading; 0 now), velocity 2 [m/s], acceleration 2 [m/s^2], one-hot driving command 4."""
STEP_SCALE_M = 4.0
"""Makes steps of half a second numbers around 1."""
POSE_NUMBERS = 9


class SceneView(NamedTuple):
    """What a scene looks like to the planner; frame ``ego``."""

    features: Float[Tensor, "B C h w D"]  # of the pictures
    ego: Float[Tensor, "B 11"]
    camera_from_ego: Float[Tensor, "B C 4 4"]

    def detached(self) -> SceneView:
        """The same as constants."""
        return SceneView(*(value.detach() for value in self))


def pose_numbers(trajectories: Float[Tensor, "*batch T 3"]) -> Float[Tensor, "*batch T 9"]:
    """Of each pose: place, heading, and the step to it and the change of that step, both in the pose before's frame.

    The car stands at the origin before the first pose, where no step led to it.
    """
    before = torch.cat((torch.zeros_like(trajectories[..., :1, :]), trajectories[..., :-1, :]), dim=-2)
    moved = trajectories[..., XY] - before[..., XY]  # [*batch, T, 2]
    cos, sin = before[..., HEADING].cos(), before[..., HEADING].sin()
    ahead = cos * moved[..., 0] + sin * moved[..., 1]
    left = cos * moved[..., 1] - sin * moved[..., 0]
    turned = trajectories[..., HEADING] - before[..., HEADING]
    gained = torch.cat((torch.zeros_like(ahead[..., :1]), ahead.diff(dim=-1)), dim=-1)
    heading = trajectories[..., HEADING]
    x, y = (trajectories[..., XY] / GRID_HALF_EXTENT_M).unbind(-1)
    steps = (ahead / STEP_SCALE_M, left / STEP_SCALE_M, gained / STEP_SCALE_M)
    return torch.stack((x, y, heading.cos(), heading.sin(), *steps, turned.sin(), 1.0 - turned.cos()), dim=-1)


class ScorerLayer(nn.Module):
    """Waypoints of one trajectory look at one another, at the pictures around them, and at the pictures as a whole."""

    def __init__(self, config: ProposalConfig, quirks: Quirks) -> None:
        super().__init__()
        width, heads = config.model_dim, config.num_heads
        self.along = nn.MultiheadAttention(width, heads, batch_first=True)
        self.around = PictureCrossAttention(width, heads, skip_when_invisible=quirks.skip_when_invisible)
        self.over = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, config.ffn_dim), nn.ReLU(), nn.Linear(config.ffn_dim, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, rows: Float[Tensor, "B Q D"], num_poses: int, features: Float[Tensor, "B C h w D"], anchors: Anchors
    ) -> Float[Tensor, "B Q D"]:
        """The next layer's rows, ``num_poses`` of them a trajectory."""
        chains = rows.reshape(-1, num_poses, rows.shape[-1])  # [B K, T, D]
        along = self.along(chains, chains, chains, need_weights=False)[0].reshape(rows.shape)
        rows = self.norms[0](rows + self.dropout(along))
        rows = self.norms[1](rows + self.dropout(self.around(rows, features, anchors)))
        tokens = features.flatten(1, 3)
        rows = self.norms[2](rows + self.dropout(self.over(rows, tokens, tokens, need_weights=False)[0]))
        return self.norms[3](rows + self.dropout(self.ffn(rows)))


class TrajectoryScorer(nn.Module):
    """Logits of any trajectories of a scene; each is judged alone, so the others beside it change nothing."""

    def __init__(
        self, config: ProposalConfig, region: PictureRegion, quirks: Quirks, num_poses: int, num_logits: int
    ) -> None:
        """Make the scorer.

        Args:
            config: sizes, and how many layers.
            region: the part of a camera's picture that a feature map covers.
            quirks: of released weights.
            num_poses: waypoints of a trajectory.
            num_logits: answers a trajectory.
        """
        super().__init__()
        self.tiled_pillar = quirks.tiled_pillar
        self.region = PADDED_PICTURE if quirks.padded_reference_picture else region
        self.pose_encoder = normalised_mlp(POSE_NUMBERS, config.ffn_dim, config.model_dim)
        self.ego_projector = nn.Linear(EGO_DIM, config.model_dim)
        self.time_embedding = nn.Parameter(torch.randn(num_poses, config.model_dim))
        self.layers = nn.ModuleList(ScorerLayer(config, quirks) for _ in range(config.scorer_layers))
        self.head = normalised_mlp(config.model_dim, config.ffn_dim, num_logits)

    def forward(self, trajectories: Float[Tensor, "B K T 3"], scene: SceneView) -> Float[Tensor, "B K logits"]:
        """Judge ``trajectories`` (x, y, heading) [m, m, rad] in ``ego``; no gradient flows into them."""
        poses = trajectories.detach()
        anchors = find_anchors(
            pillar_points(poses.flatten(1, 2), tiled=self.tiled_pillar), scene.camera_from_ego, self.region
        )
        ego = self.ego_projector(scene.ego)[:, None, None]
        rows = (self.pose_encoder(pose_numbers(poses)) + self.time_embedding + ego).flatten(1, 2)  # [B, K T, D]
        for layer in self.layers:
            rows = layer(rows, poses.shape[2], scene.features, anchors)
        return self.head(rows.unflatten(1, poses.shape[1:3]).amax(2))
