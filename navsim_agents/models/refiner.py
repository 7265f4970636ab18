"""One refinement stage: proposals from queries, and queries from what lies around their proposals.

The released planner runs the same refiner, with the same weights, in all of its stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.errors import InputError
from navsim_agents.models.deformable import (
    PADDED_PICTURE,
    Anchors,
    GridSelfAttention,
    PictureCrossAttention,
    PictureRegion,
    find_anchors,
    pillar_points,
)

POSE_DIM = 3
GRID_HALF_EXTENT_M = 32.0
"""Released code: half the side of the square of road that the grid of queries is laid over, the ego in its middle."""


def require_positive(**sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        InputError: one of them is.
    """
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name}={size} must be at least 1")


@dataclass(frozen=True)
class RefinerConfig:
    """Sizes and options of a refinement stage."""

    model_dim: int = 256
    num_heads: int = 8
    ffn_dim: int = 1024
    dropout: float = 0.0
    num_proposals: int = 32
    num_poses: int = NUM_POSES
    tiled_pillar: bool = True  # corner i at height i only, as released weights saw it; false: 4 corners x 4 heights
    padded_reference_picture: bool = False  # as released weights saw it: points lie in the uncropped, padded picture
    metres_per_unit: float = 1.0  # of the decoder's answer; more lets short trainings reach far poses, released: 1
    radians_per_unit: float = 1.0  # as metres_per_unit, of headings
    decodes_steps: bool = False  # the decoder answers with steps from pose to pose; released: with poses
    skip_when_invisible: bool = True  # a scene with no query in any picture gets nothing, not even the bias

    def __post_init__(self) -> None:
        require_positive(
            model_dim=self.model_dim,
            num_heads=self.num_heads,
            ffn_dim=self.ffn_dim,
            num_proposals=self.num_proposals,
            num_poses=self.num_poses,
        )
        if self.model_dim % self.num_heads or self.model_dim % 2:
            raise InputError(f"model_dim={self.model_dim} must be even and a multiple of num_heads={self.num_heads}")
        for name in ("metres_per_unit", "radians_per_unit"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"dropout={self.dropout} must be in [0, 1)")


def normalised_mlp(width: int, hidden_width: int, num_outputs: int) -> nn.Sequential:
    """Linear, norm, ReLU, twice, and a linear layer: the form of all heads of the released planner."""
    return nn.Sequential(
        nn.Linear(width, hidden_width),
        nn.LayerNorm(hidden_width),
        nn.ReLU(),
        nn.Linear(hidden_width, hidden_width),
        nn.LayerNorm(hidden_width),
        nn.ReLU(),
        nn.Linear(hidden_width, num_outputs),
    )


def chained(steps: Float[Tensor, "*batch T 3"]) -> Float[Tensor, "*batch T 3"]:
    """Poses (x, y, heading) that are reached by steps, each in the frame of the pose before; the first starts at 0."""
    headings = steps[..., 2].cumsum(dim=-1)
    before = headings - steps[..., 2]
    cos, sin = before.cos(), before.sin()
    forward, left = steps[..., 0], steps[..., 1]
    moved = torch.stack((cos * forward - sin * left, sin * forward + cos * left), dim=-1)
    return torch.cat((moved.cumsum(dim=-2), headings.unsqueeze(-1)), dim=-1)


class WaypointAttention(nn.Module):
    """Waypoint-anchored deformable attention: over the queries, into the pictures, feed-forward; each normed after."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__()
        width = config.model_dim
        self.self_attention = GridSelfAttention(width, config.num_heads)
        self.cross_attention = PictureCrossAttention(
            width, config.num_heads, skip_when_invisible=config.skip_when_invisible
        )
        self.ffn = nn.Sequential(
            nn.Linear(width, config.ffn_dim), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.ffn_dim, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        queries: Float[Tensor, "B N T D"],
        position_code: Float[Tensor, "N T D"],
        references: Float[Tensor, "B N T 2"],
        features: Float[Tensor, "B C h w D"],
        anchors: Anchors,
    ) -> Float[Tensor, "B N T D"]:
        """Queries of the next stage.

        Args:
            queries: one a proposal and waypoint.
            position_code: of the proposal and the waypoint.
            references: (x, y) in the unit square where each query looks on the grid of queries.
            features: of the pictures.
            anchors: where each query, row-major, looks in the pictures.
        """
        grid = (queries.shape[1], queries.shape[2])
        rows = queries.flatten(1, 2)  # [B, Q, D]
        added = self.self_attention(rows, position_code.flatten(0, 1), references.flatten(1, 2), grid)
        rows = self.norms[0](rows + self.dropout(added))
        rows = self.norms[1](rows + self.dropout(self.cross_attention(rows, features, anchors)))
        rows = self.norms[2](rows + self.dropout(self.ffn(rows)))
        return rows.unflatten(1, grid)


class Refiner(nn.Module):
    """Decodes proposals, and refines queries around them."""

    def __init__(self, config: RefinerConfig, region: PictureRegion) -> None:
        """Make the stage.

        Args:
            config: sizes and options.
            region: the part of a camera's picture that a feature map covers.
        """
        super().__init__()
        self.tiled_pillar = config.tiled_pillar
        self.region = PADDED_PICTURE if config.padded_reference_picture else region
        self.decoder = normalised_mlp(config.model_dim, config.ffn_dim, POSE_DIM)
        self.metres_per_unit, self.radians_per_unit = config.metres_per_unit, config.radians_per_unit
        self.decodes_steps = config.decodes_steps
        self.row_embedding = nn.Parameter(torch.randn(config.num_proposals, config.model_dim // 2))
        self.column_embedding = nn.Parameter(torch.randn(config.num_poses, config.model_dim // 2))
        self.attention = WaypointAttention(config)

    def decode(self, queries: Float[Tensor, "*batch T D"]) -> Float[Tensor, "*batch T 3"]:
        """Poses (x, y [m], heading [rad]) of the queries of whole proposals."""
        answers = self.decoder(queries)
        poses = torch.cat((answers[..., :2] * self.metres_per_unit, answers[..., 2:] * self.radians_per_unit), dim=-1)
        return chained(poses) if self.decodes_steps else poses

    def position_code(self) -> Float[Tensor, "N T D"]:
        """Learned code of each query: its column (waypoint), then its row (proposal)."""
        num_rows, num_columns = len(self.row_embedding), len(self.column_embedding)
        columns = self.column_embedding.expand(num_rows, -1, -1)  # [N, T, D / 2]
        rows = self.row_embedding.unsqueeze(1).expand(-1, num_columns, -1)
        return torch.cat((columns, rows), dim=-1)

    def forward(
        self,
        queries: Float[Tensor, "B N T D"],
        features: Float[Tensor, "B C h w D"],
        camera_from_ego: Float[Tensor, "B C 4 4"],
    ) -> tuple[Float[Tensor, "B N T 3"], Float[Tensor, "B N T D"]]:
        """Proposals (x, y, heading) [m, m, rad] in ``ego``, headings not wrapped, and the queries of the next stage.

        Where a query looks teaches nothing: no gradient flows from the attention into the proposals.
        """
        proposals = self.decode(queries)
        poses = proposals.detach().flatten(1, 2)  # [B, Q, 3]
        anchors = find_anchors(pillar_points(poses, tiled=self.tiled_pillar), camera_from_ego, self.region)
        references = (proposals.detach()[..., :2] + GRID_HALF_EXTENT_M) / (2.0 * GRID_HALF_EXTENT_M)
        return proposals, self.attention(queries, self.position_code(), references, features, anchors)
