"""Which tokens of a clip the encoder sees, and which the predictor has to guess.

A family of masks places a few blocks of one size on every clip of a batch: the tokens under them are the targets, the
others the context. The size is drawn once a batch, the places once a clip. Tensors need equal lengths, so every clip is
cut to the fewest tokens that one of the batch has. The reference keeps the first ids and so starves the late time
steps of targets; a random cut keeps them alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.transformer import TokenGrid

CUTS = ("random", "first")
MAX_REDRAWS = 100  # of clips that blocks cover altogether


class Masks(NamedTuple):
    """Token ids (see ``TokenGrid``) of a batch, ascending; no id is in both."""

    context: Int64[Tensor, "B K"]
    target: Int64[Tensor, "B M"]


@dataclass(frozen=True)
class MaskFamily:
    """Blocks of one kind; the paper's and V-JEPA 2's families are in ``training/conf/masks``."""

    name: str  # of its loss in the log
    num_blocks: int  # a clip; they may overlap
    min_scale: float  # share of a frame's patches that a block covers
    max_scale: float
    min_aspect: float = 0.75  # rows / columns
    max_aspect: float = 1.5
    min_duration: float = 1.0  # share of the clip's time steps that a block lasts
    max_duration: float = 1.0
    full_complement: bool = False  # targets are all that the cut context lacks, also what no block covered

    def __post_init__(self) -> None:
        for what in ("scale", "aspect", "duration"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if not 0 < low <= high or (what != "aspect" and high > 1):
                bound = "" if what == "aspect" else " <= 1"
                raise InputError(
                    f"mask family {self.name!r}: min_{what}={low}, max_{what}={high}; 0 < min <= max{bound}"
                )
        if self.num_blocks < 1:
            raise InputError(f"mask family {self.name!r}: num_blocks={self.num_blocks}; place one block at least")


class BlockSize(NamedTuple):
    """Extent of a block [tokens]."""

    times: int
    rows: int
    columns: int


def sample_block_size(family: MaskFamily, grid: TokenGrid, generator: torch.Generator) -> BlockSize:
    """A size within the family's ranges: duration, scale and aspect are uniform, and rounded to whole tokens."""
    duration, scale, aspect = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
    area = int(grid.rows * grid.columns * _between(family.min_scale, family.max_scale, scale))
    ratio = _between(family.min_aspect, family.max_aspect, aspect)
    return BlockSize(
        max(1, int(grid.times * _between(family.min_duration, family.max_duration, duration))),
        min(grid.rows, max(1, round(math.sqrt(area * ratio)))),
        min(grid.columns, max(1, round(math.sqrt(area / ratio)))),
    )


def sample_covered(
    family: MaskFamily, grid: TokenGrid, num_clips: int, generator: torch.Generator
) -> Bool[Tensor, "B N"]:
    """True where a block lies; every clip keeps one uncovered token at least.

    Raises:
        InputError: blocks of this family cover a clip altogether, again and again.
    """
    size = sample_block_size(family, grid, generator)
    covered = _place_blocks(size, family.num_blocks, grid, num_clips, generator)
    for _ in range(MAX_REDRAWS):
        full = covered.all(dim=1)
        if not full.any():
            return covered
        covered[full] = _place_blocks(size, family.num_blocks, grid, int(full.sum()), generator)
    raise InputError(
        f"mask family {family.name!r}: {family.num_blocks} blocks of {tuple(size)} tokens leave nothing of "
        f"{grid.times}x{grid.rows}x{grid.columns} to see; lower max_scale or num_blocks, or use larger clips"
    )


def sample_masks(
    families: Sequence[MaskFamily],
    grid: TokenGrid,
    num_clips: int,
    generator: torch.Generator,
    *,
    cut: str = "random",
    rows: slice = slice(None),
    cut_over_all: bool = True,
) -> list[Masks]:
    """Masks of every family for a batch, on the CPU.

    Args:
        families: one result each.
        grid: tokens of a clip.
        num_clips: clips of the whole batch, over all processes.
        generator: on the CPU; the only source of chance.
        cut: "random" or "first" (the reference's): which ids go where a clip has more than the fewest.
        rows: the clips of the batch to return, those of this process.
        cut_over_all: cut to the fewest tokens of the whole batch, so that any ``rows`` give the same masks; else to
            the fewest among ``rows``, which keeps more (the reference).

    Raises:
        InputError: ``cut`` is unknown, or a family leaves nothing to see.
    """
    if cut not in CUTS:
        raise InputError(f"cut is {cut!r}, but must be one of {', '.join(CUTS)}")
    masks = []
    for family in families:
        covered = sample_covered(family, grid, num_clips, generator)
        order = torch.rand(covered.shape, generator=generator)
        if cut == "first":
            order = torch.linspace(0, 1, grid.num_tokens).expand(covered.shape)
        own, order = covered[rows], order[rows]
        masks.append(_cut(own, order, covered if cut_over_all else own, family.full_complement))
    return masks


def _cut(
    covered: Bool[Tensor, "B N"], order: Float32[Tensor, "B N"], batch: Bool[Tensor, "_ N"], full_complement: bool
) -> Masks:
    """Ids of every clip, cut to the fewest that a clip of ``batch`` has; those of lowest ``order`` stay."""
    num_targets = batch.sum(dim=1)
    fewest_targets, fewest_seen = int(num_targets.min()), int((batch.shape[1] - num_targets).min())
    context = _lowest(order.masked_fill(covered, torch.inf), fewest_seen)
    if full_complement:
        rest = torch.ones_like(covered).scatter_(1, context, False)
        return Masks(context, _lowest(order.masked_fill(~rest, torch.inf), rest.shape[1] - fewest_seen))
    return Masks(context, _lowest(order.masked_fill(~covered, torch.inf), fewest_targets))


def _lowest(order: Float32[Tensor, "B N"], count: int) -> Int64[Tensor, "B K"]:
    return order.argsort(dim=1)[:, :count].sort(dim=1).values


def _place_blocks(
    size: BlockSize, num_blocks: int, grid: TokenGrid, num_clips: int, generator: torch.Generator
) -> Bool[Tensor, "B N"]:
    """Union of blocks at uniform places, for every clip."""
    inside = []
    for length, extent in zip((grid.times, grid.rows, grid.columns), size):
        start = torch.randint(length - extent + 1, (num_clips, num_blocks, 1), generator=generator)
        place = torch.arange(length)
        inside.append((place >= start) & (place < start + extent))  # [B, blocks, length]
    time, row, column = inside
    blocks = time[:, :, :, None, None] & row[:, :, None, :, None] & column[:, :, None, None, :]
    return blocks.any(dim=1).flatten(1)


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)
