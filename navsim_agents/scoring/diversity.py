"""How far a scene's proposals spread: overlap of their corridors, rasterised (paper, appendix; released evaluation).

A corridor is everything within 1 m of the polyline through a trajectory's planned positions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

CELL_M = 0.2  # released evaluation
CORRIDOR_HALF_WIDTH_M = 1.0  # paper: a 2 m wide buffer


class Diversity(NamedTuple):
    """Both definitions, 0 (all corridors alike) to 1."""

    union: Float[Tensor, ""]  # paper: 1 - mean over corridors of area / area of their union
    pairwise: Float[Tensor, ""]  # released code: 1 - mean over pairs of intersection / union


def diversity(trajectories: Float[Tensor, "N T 3"]) -> Diversity:
    """Diversity of the N proposals of one scene (x, y [m] in any one frame); 0 for a single proposal."""
    covered = corridors(trajectories[..., :2].double()).flatten(1).double()  # [N, cells]
    areas = covered.sum(-1)
    union = (covered.amax(0)).sum()
    shared = covered @ covered.mT  # [N, N]
    overlap = shared / (areas[:, None] + areas[None] - shared)
    count = len(trajectories)
    pairs = overlap.triu(diagonal=1).sum() / max(1, count * (count - 1) // 2)
    return Diversity(1.0 - (areas / union).mean(), 1.0 - pairs if count > 1 else torch.zeros_like(pairs))


def corridors(polylines: Float[Tensor, "N T 2"]) -> Bool[Tensor, "N rows columns"]:
    """Cells of one grid whose centres lie within ``CORRIDOR_HALF_WIDTH_M`` of each polyline."""
    start, step = polylines[:, :-1], polylines.diff(dim=1)  # [N, T - 1, 2]
    lowest = polylines.flatten(0, 1).amin(0) - CORRIDOR_HALF_WIDTH_M
    size = polylines.flatten(0, 1).amax(0) + CORRIDOR_HALF_WIDTH_M - lowest
    columns, rows = (int(cells) for cells in torch.ceil(size / CELL_M).clamp(min=1.0).tolist())
    # Each segment is compared with the cells of a square patch around it, not with the whole grid.
    corner = torch.floor((torch.minimum(start, start + step) - CORRIDOR_HALF_WIDTH_M - lowest) / CELL_M)
    reach = int(torch.ceil((step.abs().max() + 2.0 * CORRIDOR_HALF_WIDTH_M) / CELL_M)) + 1
    offsets = torch.arange(reach, device=polylines.device, dtype=polylines.dtype)
    x, y = corner[..., 0, None] + offsets, corner[..., 1, None] + offsets  # [N, T - 1, reach]
    centers = torch.stack(torch.broadcast_tensors(x[..., None, :], y[..., :, None]), dim=-1)
    near = _distance(lowest + (centers + 0.5) * CELL_M, start, step) <= CORRIDOR_HALF_WIDTH_M
    inside = (x[..., None, :] < columns) & (y[..., :, None] < rows)
    cell = (centers[..., 1] * columns + centers[..., 0]).long().clamp(max=rows * columns - 1)
    grid = torch.zeros(len(polylines), rows * columns, dtype=torch.uint8, device=polylines.device)
    grid.scatter_reduce_(1, cell.flatten(1), (near & inside).flatten(1).to(torch.uint8), "amax")
    return grid.bool().unflatten(1, (rows, columns))


def _distance(
    points: Float[Tensor, "N segments rows columns 2"], start: Float[Tensor, "N segments 2"], step: Tensor
) -> Float[Tensor, "N segments rows columns"]:
    """Distance [m] of points from segments; a segment of no length is a point."""
    start, step = start[:, :, None, None], step[:, :, None, None]
    length = step.square().sum(-1).clamp(min=torch.finfo(step.dtype).tiny)
    share = (((points - start) * step).sum(-1) / length).clamp(0.0, 1.0)
    return torch.linalg.vector_norm(points - start - share[..., None] * step, dim=-1)
