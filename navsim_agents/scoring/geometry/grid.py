"""A grid over one scene or several: cells that know what is near them, and segments within a distance of a point.

Built with NumPy on the CPU once a scene; asked with tensors on any device. What the scenes of a batch hold lies in
tables, one tensor for all scenes, so that a batch needs no copy of it.
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
NarrowArray = npt.NDArray[np.int32]
EntryArray = npt.NDArray[np.uint16]

# Cells know every segment within this distance, so a point that rounding puts into the neighbouring cell is
# answered rightly by either.
ROUNDING_M = 1e-6
MAX_CELLS = 65_534  # entries, of which there may be one more, are kept in 16 bits
COARSER = 1.02
UINT16_MASK = 0xFFFF


@dataclass(frozen=True)
class Table:
    """Row i of scene b is ``values[base[b] + i]``; what lies between the scenes' rows is never read."""

    values: Tensor  # [rows] or [rows, width]
    base: Int[Tensor, " B"]

    @staticmethod
    def of(values: Tensor) -> Table:
        """The rows of one scene."""
        return Table(values, torch.zeros(1, dtype=torch.int64, device=values.device))

    @staticmethod
    def concatenate(parts: list[Table]) -> Table:
        """Rows of several tables, one after the other."""
        starts, total = [], 0
        for part in parts:
            starts.append(part.base + total)
            total += len(part.values)
        return Table(torch.cat([part.values for part in parts]), torch.cat(starts))

    def base_of(self, scene: Optional[Tensor]) -> Tensor:
        """First row of each of ``scene``; of the only one if that is None."""
        return self.base if scene is None else self.base[scene]

    def to(self, device: torch.device) -> Table:
        """The same rows on another device."""
        return Table(self.values.to(device), self.base.to(device))


def from_uint16(values: Tensor) -> Tensor:
    """int64 of unsigned 16-bit numbers that are kept as int16, since torch 2.0 has no unsigned type of that width."""
    return values.long() & UINT16_MASK


class Layout(NamedTuple):
    """Where the cells of one scene lie: ``shape`` = columns, rows; cell (column, row) is row * columns + column.

    The outermost cells are a margin that nothing comes near, so whatever lies beyond may be looked up in them.
    """

    origin: FloatArray
    size: float
    shape: tuple[int, int]

    @property
    def num_cells(self) -> int:
        """Columns times rows."""
        columns, rows = self.shape
        return columns * rows


def layout_around(ends: FloatArray, margin: float, size: float, max_cells: int = MAX_CELLS) -> Layout:
    """Cells of ``size`` [m] (coarser if they would be too many) that cover ``ends`` [4, n] and ``margin``."""
    if not ends.size:
        return Layout(np.zeros(2), size, (1, 1))
    reach = margin + 2.0 * ROUNDING_M
    axes = ends[0::2], ends[1::2]
    low = np.array([axis.min() for axis in axes]) - reach
    width, height = (float(axis.max() + reach - least) for axis, least in zip(axes, low))
    size = max(size, float(np.sqrt(width * height / max_cells)), width / max_cells, height / max_cells)
    while (int(width / size) + 3) * (int(height / size) + 3) > max_cells:
        size *= COARSER
    return Layout(low - size, size, (int(width / size) + 3, int(height / size) + 3))


def segment_cells(ends: FloatArray, layout: Layout, margin: float) -> tuple[IntArray, IntArray]:
    """Pairs (cell, segment), sorted by cell and unique, of segments that come within ``margin`` of a cell.

    Every such pair is among them; a pair that is not may be too. ``ends`` [4, n] are the columns x1, y1, x2, y2, and
    the layout is one around them with that margin.
    """
    num_segments = ends.shape[1]
    if not num_segments:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    (x1, y1), reach = ends[:2], ends[2:] - ends[:2]
    num_pieces = np.maximum(1, np.ceil(np.abs(reach).max(axis=0) / layout.size)).astype(np.int64)
    owner, rank = each(num_pieces)
    num_pieces = num_pieces[owner]
    share = rank / num_pieces
    following = share + 1.0 / num_pieces
    first_column, num_columns = _span(x1[owner], reach[0][owner], share, following, margin, layout, 0)
    first_row, num_rows = _span(y1[owner], reach[1][owner], share, following, margin, layout, 1)
    columns, _ = layout.shape
    # A key holds cell and segment. Pieces become rows of cells, and these become cells.
    bits = num_segments.bit_length()
    key = ((first_row * columns + first_column) << bits) + owner
    piece, rank = each(num_rows)
    key = key[piece] + ((rank * columns) << bits)
    span, rank = each(num_columns[piece])
    keys = key[span] + (rank << bits)
    keys.sort()
    keys = keys[is_first(keys).nonzero()[0]]
    return keys >> bits, keys & ((1 << bits) - 1)


def _span(
    start: FloatArray,
    reach: FloatArray,
    share: FloatArray,
    following: FloatArray,
    margin: float,
    layout: Layout,
    axis: int,
) -> tuple[IntArray, IntArray]:
    """First column (row) and number of columns that each piece of a segment comes near."""
    one, other = start + reach * share, start + reach * following
    pad, origin = margin + ROUNDING_M, layout.origin[axis]
    low = ((np.minimum(one, other) - (pad + origin)) / layout.size).astype(np.int64)
    high = ((np.maximum(one, other) + (pad - origin)) / layout.size).astype(np.int64)
    return low, high - low + 1


def each(counts: IntArray) -> tuple[IntArray, IntArray]:
    """For ``counts`` [n], the place of every count as often as it says, and 0 … count - 1 beside it."""
    place = np.arange(len(counts)).repeat(counts)
    first = counts.cumsum() - counts
    return place, np.arange(len(place)) - first[place]


def is_first(values: IntArray) -> npt.NDArray[np.bool_]:
    """Whether each of ``values`` [n] differs from the one before it."""
    differs = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return differs


@dataclass(frozen=True)
class Cells:
    """Cells of B scenes. Each has an entry: 0 for cells that nothing is near, up to ``plain`` for cells without
    items that differ otherwise, and above that one entry for each cell with a range of items.
    """

    origin: Float[Tensor, "B 2"]
    inverse_size: Float[Tensor, " B"]
    shape: Int[Tensor, "B 2"]
    plain: Int[Tensor, " B"]
    entry: Table  # [cells], unsigned 16 bits: the many cells should stay in cache
    first: Table  # [entries with items + 1], int32: where the items of each begin
    item: Table  # [items], int32

    @staticmethod
    def build(layout: Layout, cell_of_item: IntArray, item: IntArray, plain: Optional[EntryArray] = None) -> Cells:
        """Cells of one scene whose items are sorted by cell; ``plain`` [cells] are entries of cells without items."""
        starts = is_first(cell_of_item).nonzero()[0]
        num_plain = 0 if plain is None else int(plain.max(initial=0))
        entry = np.zeros(layout.num_cells, dtype=np.uint16) if plain is None else plain.copy()
        entry[cell_of_item[starts]] = np.arange(num_plain + 1, num_plain + 1 + len(starts))
        first = np.append(starts, len(cell_of_item)).astype(np.int32)
        return Cells(
            origin=torch.from_numpy(layout.origin)[None],
            inverse_size=torch.tensor([1.0 / layout.size], dtype=torch.float64),
            shape=torch.tensor([layout.shape]),
            plain=torch.tensor([num_plain]),
            entry=Table.of(torch.from_numpy(entry.view(np.int16))),
            first=Table.of(torch.from_numpy(first)),
            item=Table.of(torch.from_numpy(item.astype(np.int32))),
        )

    @staticmethod
    def concatenate(parts: list[Cells]) -> Cells:
        """Cells of several scenes."""
        return Cells(
            origin=torch.cat([part.origin for part in parts]),
            inverse_size=torch.cat([part.inverse_size for part in parts]),
            shape=torch.cat([part.shape for part in parts]),
            plain=torch.cat([part.plain for part in parts]),
            entry=Table.concatenate([part.entry for part in parts]),
            first=Table.concatenate([part.first for part in parts]),
            item=Table.concatenate([part.item for part in parts]),
        )

    def at(self, x: Tensor, y: Tensor, scene: Optional[Tensor]) -> Int[Tensor, "..."]:
        """Entry of each point; ``scene`` broadcasts against ``x`` and may be None if there is but one."""
        chosen = torch.zeros((), dtype=torch.int64, device=x.device) if scene is None else scene
        inverse, (x0, y0), (columns, rows) = (
            self.inverse_size[chosen],
            self.origin[chosen].unbind(-1),
            self.shape[chosen].unbind(-1),
        )
        # Whatever lies outside is looked up in the empty margin.
        column = torch.minimum(((x - x0) * inverse).clamp_(min=0.0), columns - 1).long()
        row = torch.minimum(((y - y0) * inverse).clamp_(min=0.0), rows - 1).long()
        cell = row.mul_(columns).add_(column).add_(self.entry.base[chosen])
        return from_uint16(self.entry.values[cell])

    def near(self, entry: Int[Tensor, " n"], scene: Optional[Tensor]) -> tuple[Tensor, Tensor]:
        """Which points' entries have items, and the number of each such entry among those with items."""
        number = entry - (self.plain if scene is None else self.plain[scene]) - 1
        which = torch.nonzero(number >= 0)[:, 0]
        return which, number[which]

    def groups(self, number: Int[Tensor, " n"], scene: Optional[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Entries (numbers from :meth:`near`) with equally many items: (which of them [m], their items [c, m]).

        The host learns here how many items there are, and how many entries have as many.
        """
        row = number + self.first.base_of(scene)
        at = self.first.values[row].long()
        count = self.first.values[row + 1] - at
        at += self.item.base_of(scene)
        for length, members in enumerate(torch.bincount(count).tolist()):
            if members:
                which = torch.nonzero(count == length)[:, 0]
                items = at[which] + torch.arange(length, device=at.device)[:, None]
                yield which, self.item.values[items].long()

    def to(self, device: torch.device) -> Cells:
        """The same cells on another device."""
        return Cells(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class NearSegments:
    """Segments listed by every cell that they come within ``margin`` of; ``owner`` is what a segment belongs to."""

    cells: Cells
    segments: Table  # [segments, 4]: x1, y1, x2, y2
    owner: Table  # [segments], int32

    @staticmethod
    def build(segments: FloatArray, owner: IntArray, margin: float, cell_m: float, max_cells: int) -> NearSegments:
        """Cells of one scene over ``segments`` [n, 4] (m)."""
        ends = np.ascontiguousarray(segments.T)
        layout = layout_around(ends, margin, cell_m, max_cells)
        cell, segment = segment_cells(ends, layout, margin)
        return NearSegments(
            Cells.build(layout, cell, segment),
            Table.of(torch.from_numpy(segments)),
            Table.of(torch.from_numpy(owner.astype(np.int32))),
        )

    @staticmethod
    def concatenate(parts: list[NearSegments]) -> NearSegments:
        """Those of several scenes; owners keep their numbers within their scene."""
        return NearSegments(
            cells=Cells.concatenate([part.cells for part in parts]),
            segments=Table.concatenate([part.segments for part in parts]),
            owner=Table.concatenate([part.owner for part in parts]),
        )

    def candidates(
        self, x: Float[Tensor, " n"], y: Float[Tensor, " n"], scene: Optional[Int[Tensor, " n"]]
    ) -> Iterator[tuple[Int[Tensor, " m"], Float[Tensor, "c m 4"], Int[Tensor, "c m"]]]:
        """Groups of (which points, segments near each, their owners); each within a point's margin is there once."""
        near, number = self.cells.near(self.cells.at(x, y, scene), scene)
        scene = None if scene is None else scene[near]
        for which, segment in self.cells.groups(number, scene):
            of = None if scene is None else scene[which]
            owner = self.owner.values[segment + self.owner.base_of(of)].long()
            yield near[which], self.segments.values[segment + self.segments.base_of(of)], owner

    def to(self, device: torch.device) -> NearSegments:
        """The same segments on another device."""
        return NearSegments(**{name: value.to(device) for name, value in vars(self).items()})
