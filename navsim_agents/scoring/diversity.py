"""How far a scene's proposals spread: overlap of their corridors, rasterised (paper, appendix; released evaluation).

A corridor is everything within 1 m of the polyline through a trajectory's planned positions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from navsim_agents.scoring.axes import POSITION

CELL_M = 0.2  # released evaluation
CORRIDOR_HALF_WIDTH_M = 1.0  # paper: a 2 m wide buffer


class Diversity(NamedTuple):
    """Both definitions, 0 (all corridors alike) to 1."""

    union: Float[Tensor, ""]  # paper: 1 - mean over corridors of area / area of their union
    pairwise: Float[Tensor, ""]  # released code: 1 - mean over pairs of intersection / union


def diversity(trajectories: Float[Tensor, "N T 3"]) -> Diversity:
    """Diversity of the N proposals of one scene (x, y [m] in any one frame); 0 for a single proposal."""
    covered = corridors(trajectories[..., POSITION].float()).float()  # [N, cells]
    areas = covered.sum(-1)
    shared = covered @ covered.mT  # [N, N]
    overlap = shared / (areas[:, None] + areas[None] - shared)
    count = len(trajectories)
    pairs = overlap.triu(diagonal=1).sum() / max(1, count * (count - 1) // 2)
    return Diversity(1.0 - areas.mean() / covered.shape[1], 1.0 - pairs if count > 1 else torch.zeros_like(pairs))


def corridors(polylines: Float[Tensor, "N T 2"]) -> Bool[Tensor, "N cells"]:
    """Cells whose centres lie within ``CORRIDOR_HALF_WIDTH_M`` of each polyline; only cells in some corridor count."""
    start, step = polylines[:, :-1], polylines.diff(dim=1)  # [N, T - 1, 2]
    lowest = polylines.flatten(0, 1).amin(0) - CORRIDOR_HALF_WIDTH_M
    # Each segment is compared with the cells of a square patch around it, not with the whole plane.
    corner = torch.floor((torch.minimum(start, start + step) - CORRIDOR_HALF_WIDTH_M - lowest) / CELL_M)
    reach = int(torch.ceil((step.abs().max() + 2.0 * CORRIDOR_HALF_WIDTH_M) / CELL_M)) + 1
    offsets = torch.arange(reach, device=polylines.device, dtype=polylines.dtype)
    column, row = (low[..., None] + offsets for low in corner.unbind(-1))  # [N, T - 1, reach]
    x, y = (low + (cell + 0.5) * CELL_M for low, cell in zip(lowest, (column, row)))
    near = _is_near(x, y, start, step)
    number = row.long()[..., :, None] * int(column.max() + 2) + column.long()[..., None, :]
    polyline = torch.arange(len(polylines), device=polylines.device)[:, None, None, None].expand_as(near)
    cells, cell = torch.unique(number[near], return_inverse=True)
    covered = torch.zeros(len(polylines), len(cells), dtype=torch.bool, device=polylines.device)
    covered[polyline[near], cell] = True
    return covered


def _is_near(
    x: Float[Tensor, "N segments columns"],
    y: Float[Tensor, "N segments rows"],
    start: Float[Tensor, "N segments 2"],
    step: Float[Tensor, "N segments 2"],
) -> Bool[Tensor, "N segments rows columns"]:
    """Whether the points (x, y) of each segment's patch lie within the corridor; one of no length is a point."""
    length = step.square().sum(-1).clamp(min=torch.finfo(step.dtype).tiny)[..., None]
    (start_x, start_y), (along, across) = start.split(1, dim=-1), step.split(1, dim=-1)
    x, y = x - start_x, y - start_y
    share = ((x * along / length)[..., None, :] + (y * across / length)[..., :, None]).clamp(0.0, 1.0)
    x = x[..., None, :] - share * along[..., None]
    y = y[..., :, None] - share * across[..., None]
    return x * x + y * y <= CORRIDOR_HALF_WIDTH_M**2
