"""A grid over one scene or several: which segments pass near each cell.

Built with NumPy on the CPU once a scene; asked with tensors on any device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Cells know every segment within this distance, so a point that rounding puts into the neighbouring cell is
# answered rightly by either.
ROUNDING_M = 1e-6
MAX_CELLS = 400_000


class Layout(NamedTuple):
    """Where the cells of one scene lie: ``shape`` = columns, rows; cell (column, row) is row * columns + column."""

    origin: FloatArray
    size: float
    shape: tuple[int, int]


def layout_around(points: FloatArray, margin: float, size: float) -> Layout:
    """Cells of ``size`` [m] (coarser if they would be too many) that cover ``points`` [n, 2] and ``margin``."""
    if not len(points):
        return Layout(np.zeros(2), size, (0, 0))
    low, high = points.min(0) - margin - ROUNDING_M, points.max(0) + margin + ROUNDING_M
    width, height = high - low
    size = max(size, float(np.sqrt(width * height / MAX_CELLS)), width / MAX_CELLS, height / MAX_CELLS)
    return Layout(low, size, (int(width / size) + 1, int(height / size) + 1))


def segment_cells(segments: FloatArray, layout: Layout, margin: float) -> tuple[IntArray, IntArray]:
    """Pairs (cell, segment), sorted by cell and unique, of segments [n, 4] that come within ``margin`` of a cell.

    Every such pair is among them; a pair that is not may be too.
    """
    columns, rows = layout.shape
    reach = segments[:, 2:] - segments[:, :2]
    num_pieces = np.maximum(1, np.ceil(np.abs(reach).max(1, initial=0.0) / layout.size)).astype(np.int64)
    owner = np.repeat(np.arange(len(segments)), num_pieces)
    piece = _ranks(num_pieces)
    start = segments[owner, :2] + reach[owner] * (piece / num_pieces[owner])[:, None]
    end = segments[owner, :2] + reach[owner] * ((piece + 1) / num_pieces[owner])[:, None]
    pad = margin + ROUNDING_M
    low = ((np.minimum(start, end) - pad - layout.origin) / layout.size).astype(np.int64)
    high = ((np.maximum(start, end) + pad - layout.origin) / layout.size).astype(np.int64)
    limit = np.array([columns - 1, rows - 1])
    low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    spans = high - low + 1
    counts = spans[:, 0] * spans[:, 1]
    owner_of, rank = np.repeat(np.arange(len(owner)), counts), _ranks(counts)
    column = low[owner_of, 0] + rank % spans[owner_of, 0]
    row = low[owner_of, 1] + rank // spans[owner_of, 0]
    keys = np.sort((row * columns + column) * len(segments) + owner[owner_of])
    keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))] if len(keys) else keys
    return keys // max(len(segments), 1), keys % max(len(segments), 1)


def _ranks(counts: IntArray) -> IntArray:
    """0 .. count - 1 for every count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


@dataclass(frozen=True)
class Cells:
    """Cells of B scenes; those that matter have an entry with a range of items, entry 0 stands for all others."""

    origin: Float[Tensor, "B 2"]
    inverse_size: Float[Tensor, " B"]
    shape: Int[Tensor, "B 2"]
    base: Int[Tensor, " B"]  # first cell of each scene
    entry: Int[Tensor, " C"]  # int32: the many cells should stay in cache
    first: Int[Tensor, " E"]  # first item of each entry
    count: Int[Tensor, " E"]

    @staticmethod
    def build(layout: Layout, cell_of_item: IntArray, used: Optional[IntArray] = None) -> Cells:
        """Cells of one scene whose items are sorted by cell; ``used`` [n] are the cells with an entry, in order.

        They must include those with items, and are only those if left out.
        """
        starts = np.flatnonzero(np.concatenate(([True], cell_of_item[1:] != cell_of_item[:-1])))
        starts = starts[: len(cell_of_item)]
        near = cell_of_item[starts]
        used = near if used is None else used
        entry = np.zeros(layout.shape[0] * layout.shape[1], dtype=np.int32)
        entry[used] = np.arange(1, len(used) + 1, dtype=np.int32)
        first, count = np.zeros((2, len(used) + 1), dtype=np.int64)
        first[entry[near]] = starts
        count[entry[near]] = np.diff(starts, append=len(cell_of_item))
        return Cells(
            origin=torch.from_numpy(layout.origin)[None],
            inverse_size=torch.tensor([1.0 / layout.size], dtype=torch.float64),
            shape=torch.tensor([layout.shape]),
            base=torch.zeros(1, dtype=torch.int64),
            entry=torch.from_numpy(entry),
            first=torch.from_numpy(first),
            count=torch.from_numpy(count),
        )

    @staticmethod
    def concatenate(parts: list[Cells], num_items: list[int]) -> Cells:
        """Cells of several scenes, whose entries and items are concatenated too."""
        bases, entries, firsts = [], [], []
        num_cells = num_entries = total = 0
        for part, items in zip(parts, num_items):
            bases.append(part.base + num_cells)
            entries.append(part.entry + num_entries)
            firsts.append(part.first + total)
            num_cells, num_entries, total = num_cells + len(part.entry), num_entries + len(part.first), total + items
        return Cells(
            origin=torch.cat([part.origin for part in parts]),
            inverse_size=torch.cat([part.inverse_size for part in parts]),
            shape=torch.cat([part.shape for part in parts]),
            base=torch.cat(bases),
            entry=torch.cat(entries),
            first=torch.cat(firsts),
            count=torch.cat([part.count for part in parts]),
        )

    def at(self, x: Tensor, y: Tensor, scene: Optional[Tensor]) -> Tensor:
        """Entry of each point; ``scene`` broadcasts against ``x`` and may be None if there is but one."""
        if not len(self.entry):
            return torch.zeros(x.shape, dtype=torch.int64, device=x.device)
        scene = torch.zeros((), dtype=torch.int64, device=x.device) if scene is None else scene
        origin, inverse, shape = self.origin[scene], self.inverse_size[scene], self.shape[scene]
        # floor before the cast: a cast rounds -0.5 to column 0
        column = torch.floor((x - origin[..., 0]) * inverse).clamp(-1.0, 1e9).long()
        row = torch.floor((y - origin[..., 1]) * inverse).clamp(-1.0, 1e9).long()
        columns, rows = shape.unbind(-1)
        inside = (column >= 0) & (row >= 0) & (column < columns) & (row < rows)
        cell = (self.base[scene] + row * columns + column).masked_fill_(~inside, 0)
        return self.entry[cell].masked_fill_(~inside, 0).long()

    def rounds(self, cell: Int[Tensor, " n"]) -> Iterator[tuple[Tensor, Tensor]]:
        """One item of every point's cell a round: (which points, which items), until all items have been given."""
        item, left = self.first[cell], self.count[cell]
        which = torch.nonzero(left)[:, 0]
        item, left = item[which], left[which]
        while len(which):
            yield which, item
            keep = torch.nonzero(left > 1)[:, 0]
            which, item, left = which[keep], item[keep] + 1, left[keep] - 1

    def to(self, device: torch.device) -> Cells:
        """The same cells on another device."""
        return Cells(**{name: value.to(device) for name, value in vars(self).items()})
