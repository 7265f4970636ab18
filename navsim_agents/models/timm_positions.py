"""Tables of positions of timm's transformers, learnt for one grid of patches and resampled to another.

timm resamples with antialiasing, transformers without, so the two give one file different features at another size.
Transformers with rotary positions alone (DINOv3) have no table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor, nn

from navsim_agents.errors import CheckpointError
from navsim_agents.models.config import TIMMS, Grid, PositionReading

TABLE = "pos_embed"


class Fitted(NamedTuple):
    """Weights whose table of positions is of the network's grid."""

    weights: dict[str, Tensor]
    words: str  # what was done to the table; empty where nothing was


def fit_positions(network: Any, weights: Mapping[str, Tensor], how: PositionReading) -> Fitted:
    """``weights`` for ``network``, their table of positions resampled where it was learnt on another grid.

    Args:
        network: one of timm's transformers, or another network, whose weights stay as they are.
        weights: by timm's names.
        how: the table is resampled, and the grid that it was learnt on.

    Raises:
        CheckpointError: that grid is not told and cannot be guessed, or is not the table's.
    """
    table, wanted = weights.get(TABLE), getattr(network, TABLE, None)
    if table is None or wanted is None or not _are_alike(table, wanted):
        return Fitted(dict(weights), "")
    new: Grid = tuple(network.patch_embed.grid_size)
    num_prefix = wanted.shape[1] - math.prod(new)  # positions of the class token and the like
    old = _told(how.grid, table.shape[1] - num_prefix) or _guessed(table.shape[1] - num_prefix, new)
    if old == new:
        return Fitted(dict(weights), "")
    is_antialiased = how.resampling == TIMMS
    words = (
        f"its positions resampled from {_shown(old)} to {_shown(new)} patches as {how.resampling} does "
        f"(bicubic, with{'' if is_antialiased else 'out'} antialiasing)"
    )
    return Fitted({**weights, TABLE: resampled(table, num_prefix, old, new, is_antialiased=is_antialiased)}, words)


def resampled(table: Tensor, num_prefix: int, old: Grid, new: Grid, *, is_antialiased: bool) -> Tensor:
    """A table [1, prefix + rows * columns, D] on another grid, as ``timm.layers.resample_abs_pos_embed`` makes it.

    That function of timm 0.9 leaves a table as it is where 2 x 8 patches become 4 x 4, so it is not called.

    Args:
        table: row-major positions of patches, after those of ``num_prefix`` tokens, which are kept.
        num_prefix: see above.
        old: grid of ``table``.
        new: grid of the result.
        is_antialiased: as timm has it; else as transformers.
    """
    prefix, patches = table[:, :num_prefix], table[:, num_prefix:]
    planes = patches.float().transpose(1, 2).unflatten(2, old)  # [1, D, rows, columns]
    moved = nn.functional.interpolate(planes, size=new, mode="bicubic", antialias=is_antialiased)
    return torch.cat((prefix, moved.flatten(2).transpose(1, 2).to(table.dtype)), dim=1)


def _are_alike(table: Tensor, wanted: Tensor) -> bool:
    """Whether only the number of positions may differ."""
    return table.ndim == wanted.ndim == 3 and (table.shape[0], table.shape[2]) == (wanted.shape[0], wanted.shape[2])


def _told(grid: Optional[Grid], count: int) -> Optional[Grid]:
    if grid is not None and math.prod(grid) != count:
        raise CheckpointError(
            f"file_grid={list(grid)} are {math.prod(grid)} patches, but its table holds positions of {count}; correct "
            "agent.config.encoder.file_grid"
        )
    return grid


def _guessed(count: int, new: Grid) -> Grid:
    """The network's grid where the numbers agree, else a square; where both may be meant, neither."""
    side = math.isqrt(max(count, 0))
    is_square, fits = side > 0 and side**2 == count, count == math.prod(new)
    if is_square and (not fits or new == (side, side)):
        return side, side
    if fits and not is_square:
        return new
    rule = f"may be of {_shown((side, side))} or of {_shown(new)}" if fits else "is of no square"
    raise CheckpointError(
        f"its table holds positions of {count} patches, which {rule}; say the grid that it was made for, picture's "
        "height and width by the patch: agent.config.encoder.file_grid=[rows,columns]"
    )


def _shown(grid: Grid) -> str:
    return f"{grid[0]} x {grid[1]}"
