"""Deformable attention by bilinear sampling: over the planner's own grid of queries, and into pictures.

Layers return what is to be added to the queries. Starting weights and layouts of the projections are those of
Deformable DETR (arXiv 2010.04159) and BEVFormer (arXiv 2203.17270), which Drive-JEPA's planner builds upon.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from navsim_agents.models.anchors import POINTS_PER_PILLAR, Anchors

NUM_QUEUES = 2
"""BEVFormer attends to a queue of the last and the present grid; here both are the present one."""
SELF_POINTS = 4
"""Points that a head reads in each entry of the queue."""


def sample_and_mix(
    values: Float[Tensor, "B h w heads d"],
    locations: Float[Tensor, "B Q heads P 2"],
    weights: Float[Tensor, "B Q heads P"],
) -> Float[Tensor, "B Q D"]:
    """Weighted sum of ``values`` read bilinearly at ``locations``, heads side by side.

    Args:
        values: a grid of vectors.
        locations: (x, y) along w and h; (0, 0) is the outer corner of the first cell, (1, 1) that of the last.
            Outside, all values are zero.
        weights: of every point.
    """
    planes = values.permute(0, 3, 4, 1, 2).flatten(0, 1)  # [B heads, d, h, w]
    grid = (2.0 * locations - 1.0).transpose(1, 2).flatten(0, 1)  # [B heads, Q, P, 2]
    sampled = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    mixed = (sampled * weights.transpose(1, 2).flatten(0, 1).unsqueeze(1)).sum(-1)  # [B heads, d, Q]
    return mixed.unflatten(0, (len(values), -1)).permute(0, 3, 1, 2).flatten(2)


class GridSelfAttention(nn.Module):
    """Every query reads the grid of queries around the place that its pose has in it.

    The released code lays the grid of proposals (rows) and waypoints (columns) over a square of the road. Its doubled
    query is the plain query followed by the query with its positional code; the values carry no code.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        num_points = num_heads * NUM_QUEUES * SELF_POINTS
        self.sampling_offsets = nn.Linear(2 * width, 2 * num_points)
        self.attention_weights = nn.Linear(2 * width, num_points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        reset_sampling(self, num_heads, NUM_QUEUES, SELF_POINTS)

    def forward(
        self,
        queries: Float[Tensor, "B Q D"],
        position_code: Float[Tensor, "Q D"],
        references: Float[Tensor, "B Q 2"],
        grid: tuple[int, int],
    ) -> Float[Tensor, "B Q D"]:
        """What each query learns from the others.

        Args:
            queries: row-major over ``grid``.
            position_code: of each query's row and column.
            references: (x, y) in the unit square where each query looks.
            grid: rows and columns.
        """
        values = self.value_proj(queries).unflatten(-1, (self.num_heads, -1)).unflatten(1, grid)
        doubled = torch.cat((queries, queries + position_code), dim=-1)  # [B, Q, 2 D]
        points = (self.num_heads, NUM_QUEUES * SELF_POINTS, 2)
        offsets = self.sampling_offsets(doubled).unflatten(-1, points)  # [B, Q, heads, P, 2]
        logits = self.attention_weights(doubled).unflatten(-1, (self.num_heads, NUM_QUEUES, SELF_POINTS))
        weights = (logits.softmax(-1) / NUM_QUEUES).flatten(-2)  # [B, Q, heads, P]
        cells = offsets.new_tensor((grid[1], grid[0]))
        mixed = sample_and_mix(values, references[:, :, None, None] + offsets / cells, weights)
        return self.output_proj(mixed)


class PictureCrossAttention(nn.Module):
    """Every query reads the pictures around the points of its pillar, and averages over the cameras that see it."""

    def __init__(self, width: int, num_heads: int, *, skip_when_invisible: bool) -> None:
        """Make the layer.

        Args:
            width: channels of a query and of the pictures' features.
            num_heads: heads.
            skip_when_invisible: a scene none of whose queries is seen by a camera gets nothing added; otherwise it
                gets the bias of the output projection, as an unseen query of another scene does.
        """
        super().__init__()
        self.num_heads = num_heads
        self.skip_when_invisible = skip_when_invisible
        self.sampling_offsets = nn.Linear(width, 2 * num_heads * POINTS_PER_PILLAR)
        self.attention_weights = nn.Linear(width, num_heads * POINTS_PER_PILLAR)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        reset_sampling(self, num_heads, 1, POINTS_PER_PILLAR)

    def forward(
        self, queries: Float[Tensor, "B Q D"], features: Float[Tensor, "B C h w D"], anchors: Anchors
    ) -> Float[Tensor, "B Q D"]:
        """What each query learns from its scene's pictures."""
        num_cameras, height, width = features.shape[1:4]
        points = (self.num_heads, POINTS_PER_PILLAR)
        offsets = self.sampling_offsets(queries).unflatten(-1, (*points, 2)) / queries.new_tensor((width, height))
        locations = anchors.references.unsqueeze(3) + offsets.unsqueeze(1)  # [B, C, Q, heads, P, 2]
        weights = self.attention_weights(queries).unflatten(-1, points).softmax(-1)
        weights = weights.unsqueeze(1).expand(-1, num_cameras, -1, -1, -1)  # [B, C, Q, heads, P]
        values = self.value_proj(features).unflatten(-1, (self.num_heads, -1))
        mixed = sample_and_mix(values.flatten(0, 1), locations.flatten(0, 1), weights.flatten(0, 1))
        seen = anchors.is_visible.unsqueeze(-1).to(mixed.dtype)  # [B, C, Q, 1]
        mean = (mixed.unflatten(0, (-1, num_cameras)) * seen).sum(1) / seen.sum(1).clamp(min=1.0)
        added = self.output_proj(mean)
        if self.skip_when_invisible:
            added = added * seen.amax(dim=(1, 2)).unsqueeze(1)
        return added


@torch.no_grad()
def reset_sampling(layer: nn.Module, num_heads: int, num_queues: int, num_points: int) -> None:
    """Start of a deformable layer: head i looks in direction i, its points 1, 2, … cells away, all of one weight."""
    angles = torch.arange(num_heads) * (2.0 * math.pi / num_heads)
    directions = torch.stack((angles.cos(), angles.sin()), dim=-1)
    directions = directions / directions.abs().amax(-1, keepdim=True)  # on the unit square
    distances = torch.arange(1, num_points + 1)
    ring = directions[:, None, None] * distances[:, None]  # [heads, 1, P, 2]
    for name, parameter in layer.named_parameters():
        if name.endswith("_proj.weight"):
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
        if name == "sampling_offsets.bias":
            parameter.copy_(ring.expand(-1, num_queues, -1, -1).flatten())
