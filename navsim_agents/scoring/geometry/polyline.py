"""Points against polylines."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def squared_distance_to_segment(
    point: Float[Tensor, "*#batch 2"], start: Float[Tensor, "*#batch 2"], end: Float[Tensor, "*#batch 2"]
) -> Float[Tensor, "*batch"]:
    """Squared distance [m^2] from points to closed segments; a segment may be a single point."""
    edge_x, edge_y = (end - start).unbind(-1)
    reach_x, reach_y = (point - start).unbind(-1)
    length_sq = edge_x * edge_x + edge_y * edge_y
    share = (reach_x * edge_x + reach_y * edge_y) / torch.where(length_sq > 0, length_sq, 1.0)
    share = share.clamp_(0.0, 1.0)
    gap_x, gap_y = reach_x - share * edge_x, reach_y - share * edge_y
    return gap_x * gap_x + gap_y * gap_y


def project_on_polyline(
    points: Float[Tensor, "*batch n 2"], polyline: Float[Tensor, "*batch m 2"]
) -> Float[Tensor, "*batch n"]:
    """Arc length [m] of the point of the polyline nearest to each point; the first one of several equally near."""
    start, edge = polyline[..., :-1, :], torch.diff(polyline, dim=-2)
    length = torch.linalg.vector_norm(edge, dim=-1)
    direction = edge / torch.where(length > 0, length, 1.0)[..., None]
    # Along and across each segment by matrix products: [*batch, n, m - 1] each.
    normal = torch.stack((-direction[..., 1], direction[..., 0]), dim=-1)
    along = points @ direction.transpose(-1, -2) - (start * direction).sum(-1)[..., None, :]
    across = points @ normal.transpose(-1, -2) - (start * normal).sum(-1)[..., None, :]
    beyond = along - torch.minimum(along.clamp(min=0.0), length[..., None, :])
    distance_sq = across.square_() + beyond.square_()
    # A segment without length has no direction, so its distance is not measured above.
    distance_sq = distance_sq.masked_fill_((length == 0)[..., None, :], float("inf"))
    nearest = distance_sq.argmin(-1, keepdim=True)
    covered = torch.cumsum(length, -1) - length
    along = along.gather(-1, nearest)[..., 0].clamp(min=0.0)
    nearest = nearest[..., 0]
    return covered.gather(-1, nearest) + torch.minimum(along, length.gather(-1, nearest))
