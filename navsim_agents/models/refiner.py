"""One refinement stage: proposals from queries, and queries from what lies around their proposals.

The released planner runs the same refiner, with the same weights, in all of its stages.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.models.config import ProposalConfig, Quirks
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
    headings = steps[..., HEADING].cumsum(dim=-1)
    before = headings - steps[..., HEADING]
    cos, sin = before.cos(), before.sin()
    forward, left = steps[..., X], steps[..., Y]
    moved = torch.stack((cos * forward - sin * left, sin * forward + cos * left), dim=-1)
    return torch.cat((moved.cumsum(dim=-2), headings.unsqueeze(-1)), dim=-1)


class WaypointAttention(nn.Module):
    """Waypoint-anchored deformable attention: over the queries, into the pictures, feed-forward; each normed after."""

    def __init__(self, config: ProposalConfig, quirks: Quirks) -> None:
        super().__init__()
        width = config.model_dim
        self.self_attention = GridSelfAttention(width, config.num_heads)
        self.cross_attention = PictureCrossAttention(
            width, config.num_heads, skip_when_invisible=quirks.skip_when_invisible
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

    def __init__(self, config: ProposalConfig, region: PictureRegion, quirks: Quirks, num_poses: int) -> None:
        """Make the stage.

        Args:
            config: sizes and options.
            region: the part of a camera's picture that a feature map covers.
            quirks: of released weights.
            num_poses: waypoints of a proposal.
        """
        super().__init__()
        self.tiled_pillar = quirks.tiled_pillar
        self.region = PADDED_PICTURE if quirks.padded_reference_picture else region
        self.decoder = normalised_mlp(config.model_dim, config.ffn_dim, POSE_DIM)
        self.metres_per_unit, self.radians_per_unit = config.metres_per_unit, config.radians_per_unit
        self.decodes_steps = config.decodes_steps
        self.row_embedding = nn.Parameter(torch.randn(config.num_proposals, config.model_dim // 2))
        self.column_embedding = nn.Parameter(torch.randn(num_poses, config.model_dim // 2))
        self.attention = WaypointAttention(config, quirks)

    def decode(self, queries: Float[Tensor, "*batch T D"]) -> Float[Tensor, "*batch T 3"]:
        """Poses (x, y [m], heading [rad]) of the queries of whole proposals."""
        answers = self.decoder(queries)
        poses = torch.cat(
            (answers[..., XY] * self.metres_per_unit, answers[..., HEADING:] * self.radians_per_unit), dim=-1
        )
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
        references = (proposals.detach()[..., XY] + GRID_HALF_EXTENT_M) / (2.0 * GRID_HALF_EXTENT_M)
        return proposals, self.attention(queries, self.position_code(), references, features, anchors)
