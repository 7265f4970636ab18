"""Waypoint-anchored deformable attention: where a planned pose looks in the pictures, and what it reads there.

Corners of the ego's box are raised to pillars and projected into cameras; attention samples bilinearly, over the
planner's own grid of queries and into pictures. Layers return what is to be added to the queries.

Sizes and order of the pillars are those that Drive-JEPA's released weights were trained with (paper and released code);
starting weights and layouts of the projections are those of Deformable DETR (arXiv 2010.04159) and BEVFormer
(arXiv 2203.17270), which Drive-JEPA's planner builds upon.

Frames: ``ego`` is the rear axle at t0, x ahead, y left, z up [m]; ``camera`` is the original picture [px], x right,
y down, as it leaves NAVSIM's cameras (1920 x 1080), however the planner crops or scales it afterwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from navsim_agents.common.boxes import box_corners
from navsim_agents.common.conventions import CAMERA_WIDTH_PX, EGO_LENGTH_M, EGO_REAR_AXLE_TO_CENTER_M, EGO_WIDTH_M
from navsim_agents.common.poses import HEADING, XY

HALF_LENGTH_M = EGO_LENGTH_M / 2 + 0.25
HALF_WIDTH_M = EGO_WIDTH_M / 2 + 0.1
"""Released code: half the car's box, with a small margin."""
LOWEST_M, HIGHEST_M = -2.0, 6.0
NUM_CORNERS = 4
NUM_HEIGHTS = 4
POINTS_PER_PILLAR = NUM_CORNERS * NUM_HEIGHTS
MIN_DEPTH_M = 1e-5
"""Released code: nearer points count as behind the camera."""


class PictureRegion(NamedTuple):
    """The part of a camera's picture that becomes the unit square of sampling, in ``camera`` pixels."""

    left: float
    top: float
    width: float
    height: float


PADDED_PICTURE = PictureRegion(0.0, 0.0, float(CAMERA_WIDTH_PX), 1120.0)
"""Released code: the uncropped picture scaled by 0.4 and padded below to whole multiples of 32 px (768 x 448)."""


class Anchors(NamedTuple):
    """Where every query looks in every camera."""

    references: Float[Tensor, "B C Q P 2"]  # (x, y) in the picture, the unit square is inside
    is_visible: Bool[Tensor, "B C Q"]  # at least one point of the pillar falls into the picture


def ego_corners(poses: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4 2"]:
    """Corners (x, y) [m] of the ego's box with its rear axle at ``poses``, clockwise from front left, same frame.

    That is the released code's order, in which the pillar's heights are dealt to the corners.
    """
    direction = torch.stack((poses[..., HEADING].cos(), poses[..., HEADING].sin()), dim=-1)
    centre = poses[..., XY] + EGO_REAR_AXLE_TO_CENTER_M * direction
    half_size = poses.new_tensor((HALF_LENGTH_M, HALF_WIDTH_M)).expand_as(centre)
    return box_corners(centre, direction, half_size).flip(-2).roll(1, -2)


def pillar_points(poses: Float[Tensor, "*batch 3"], *, tiled: bool) -> Float[Tensor, "*batch P 3"]:
    """Points (x, y, z) [m] over the corners of the box at each pose, in the frame of ``poses``.

    Args:
        poses: (x, y, heading).
        tiled: as the released code has it: corner i at height i only, those four points four times over. Otherwise
            every corner at every height, as the paper means it; corners change fastest.
    """
    corners = torch.cat((ego_corners(poses),) * NUM_HEIGHTS, dim=-2)  # [*batch, P, 2]
    heights = torch.linspace(LOWEST_M, HIGHEST_M, NUM_HEIGHTS, dtype=poses.dtype, device=poses.device)
    heights = heights.repeat(NUM_CORNERS) if tiled else heights.repeat_interleave(NUM_CORNERS)
    return torch.cat((corners, heights.expand(*corners.shape[:-2], -1).unsqueeze(-1)), dim=-1)


def find_anchors(
    points: Float[Tensor, "B Q P 3"], camera_from_ego: Float[Tensor, "B C 4 4"], region: PictureRegion
) -> Anchors:
    """Project pillars into every camera of their own scene.

    Args:
        points: (x, y, z) [m] in ``ego``.
        camera_from_ego: homogeneous projection; row 2 gives the depth [m] by which rows 0 and 1 are divided.
        region: what the planner's feature map is taken to cover.

    Returns:
        A point behind a camera keeps a place far outside, so it reads nothing.
    """
    # Multiplied out rather than by matmul, which may round to bfloat16 or TF32: that is an error of pixels.
    turn, shift = camera_from_ego[:, :, None, None].narrow(-2, 0, 3).split((3, 1), dim=-1)  # [B, C, 1, 1, 3, 3 and 1]
    projected = (turn * points[:, None, :, :, None]).sum(-1) + shift.squeeze(-1)  # [B, C, Q, P, 3]
    scaled, depth = projected.split((2, 1), dim=-1)
    pixels = scaled / depth.clamp(min=MIN_DEPTH_M)
    corner, size = pixels.new_tensor((region.left, region.top)), pixels.new_tensor((region.width, region.height))
    references = (pixels - corner) / size
    is_inside = (depth > MIN_DEPTH_M) & (references > 0.0) & (references < 1.0)
    return Anchors(references, is_inside.all(-1).any(-1))


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
