"""Where a planned pose looks in the pictures: corners of the ego's box, raised to pillars, projected into cameras.

Sizes and order are those that Drive-JEPA's released weights were trained with (paper and released code).
Frames: ``ego`` is the rear axle at t0, x ahead, y left, z up [m]; ``camera`` is the original picture [px], x right,
y down, as it leaves NAVSIM's cameras (1920 x 1080), however the planner crops or scales it afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from navsim_agents.common.boxes import box_corners
from navsim_agents.common.conventions import CAMERA_WIDTH_PX, EGO_LENGTH_M, EGO_REAR_AXLE_TO_CENTER_M, EGO_WIDTH_M

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
    direction = torch.stack((poses[..., 2].cos(), poses[..., 2].sin()), dim=-1)
    centre = poses[..., :2] + EGO_REAR_AXLE_TO_CENTER_M * direction
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
    rows = camera_from_ego[:, :, None, None, :3]  # [B, C, 1, 1, 3, 4]
    projected = (rows[..., :3] * points[:, None, :, :, None]).sum(-1) + rows[..., 3]  # [B, C, Q, P, 3]
    depth = projected[..., 2:]
    pixels = projected[..., :2] / depth.clamp(min=MIN_DEPTH_M)
    references = (pixels - pixels.new_tensor(region[:2])) / pixels.new_tensor(region[2:])
    is_inside = (depth > MIN_DEPTH_M) & (references > 0.0) & (references < 1.0)
    return Anchors(references, is_inside.all(-1).any(-1))
