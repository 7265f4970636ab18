"""Which polygons a point is in: ``scoring/geometry/areas.py`` for one point at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from navsim_agents.scoring.compiled.arrays import END_X, END_Y, NUM_COLUMNS, NUM_ROWS, Floats, Ints, X, Y
from navsim_agents.scoring.compiled.jit import part
from navsim_agents.scoring.geometry.areas import Areas
from navsim_agents.scoring.geometry.grid import Cells


class CellTables(NamedTuple):
    """:class:`~navsim_agents.scoring.geometry.grid.Cells` of B scenes as arrays; scene b begins at ``*_base[b]``."""

    origin: Floats  # [B, 2]
    inverse_size: Floats  # [B]
    shape: Ints  # [B, 2]
    plain: Ints  # [B]
    entry: npt.NDArray[np.uint16]
    entry_base: Ints
    first: npt.NDArray[np.int32]
    first_base: Ints
    item: npt.NDArray[np.int32]
    item_base: Ints

    @staticmethod
    def of(cells: Cells) -> CellTables:
        """The arrays share the tensors' memory."""
        return CellTables(
            cells.origin.contiguous().numpy(),
            cells.inverse_size.contiguous().numpy(),
            cells.shape.contiguous().numpy(),
            cells.plain.contiguous().numpy(),
            cells.entry.values.numpy().view(np.uint16),
            cells.entry.base.numpy(),
            cells.first.values.numpy(),
            cells.first.base.numpy(),
            cells.item.values.numpy(),
            cells.item.base.numpy(),
        )


class AreaTables(NamedTuple):
    """:class:`~navsim_agents.scoring.geometry.areas.Areas` of B scenes as arrays."""

    cells: CellTables
    constant: npt.NDArray[np.int32]  # pattern of each cell with edges
    constant_base: Ints
    edges: Floats  # [edges, 4]
    edges_base: Ints
    toggles: npt.NDArray[np.int32]  # pattern of each edge
    toggles_base: Ints
    patterns: Ints  # [B, U, W]

    @staticmethod
    def of(areas: Areas) -> AreaTables:
        """The arrays share the tensors' memory."""

        constant, edges, toggles = areas.cell_pattern, areas.edges, areas.edge_pattern
        return AreaTables(
            CellTables.of(areas.cells),
            constant.values.numpy(),
            constant.base.numpy(),
            edges.values.numpy(),
            edges.base.numpy(),
            toggles.values.numpy(),
            toggles.base.numpy(),
            areas.patterns.contiguous().numpy(),
        )


@part
def entries_at(cells: CellTables, scene: int, xs: Floats, ys: Floats, entries: Ints) -> None:
    """Entries of the cells of points [n]; what lies outside is looked up in the empty margin."""
    table = cells.entry[cells.entry_base[scene] :]
    left, bottom, inverse = cells.origin[scene, X], cells.origin[scene, Y], cells.inverse_size[scene]
    columns, rows = cells.shape[scene, NUM_COLUMNS], cells.shape[scene, NUM_ROWS]
    for point in range(len(xs)):
        column = min(max((xs[point] - left) * inverse, 0.0), columns - 1.0)
        row = min(max((ys[point] - bottom) * inverse, 0.0), rows - 1.0)
        entries[point] = table[np.int64(row) * columns + np.int64(column)]


@part
def polygons_at(areas: AreaTables, scene: int, xs: Floats, ys: Floats, word: int, bits: Ints) -> None:
    """Writes one word of the bits of the polygons that hold each of the points [n] into ``bits`` [n].

    The tables are taken out of their tuples once: each taking out counts a reference, which costs more than a point.
    """
    cells, patterns = areas.cells, areas.patterns[scene]
    first, items, base, plain = (
        cells.first[cells.first_base[scene] :],
        cells.item,
        cells.item_base[scene],
        cells.plain[scene],
    )
    constants, toggles = areas.constant[areas.constant_base[scene] :], areas.toggles[areas.toggles_base[scene] :]
    edges = areas.edges[areas.edges_base[scene] :]
    entries_at(cells, scene, xs, ys, bits)
    for point in range(len(xs)):
        x, y, entry = xs[point], ys[point], bits[point]
        if entry <= plain:
            bits[point] = patterns[entry, word]
            continue
        number = entry - plain - 1
        begin, end = base + first[number], base + first[number + 1]
        found, touches = patterns[constants[number], word], False
        for at in range(begin, end):  # without a branch: which way each would go is as good as chance
            item = items[at]
            edge = item >> 2
            x1, y1, y2 = edges[edge, X], edges[edge, Y], edges[edge, END_Y]
            above_start = y - y1
            cross = (edges[edge, END_X] - x1) * above_start - (y2 - y1) * (x - x1)
            starts_above = above_start < 0.0
            crossed = (cross > 0.0) & (not starts_above)
            right1, right2 = (item & 2) != 0, (item & 1) != 0
            counts = ((y2 > y) & (crossed ^ right2)) ^ (right1 & starts_above)
            found ^= patterns[toggles[edge], word] & -np.int64(counts)
            touches |= cross == 0.0
        if touches:
            found &= ~_outlines_at(areas, scene, begin, end, x, y, word)
        bits[point] = found


@part
def _outlines_at(areas: AreaTables, scene: int, begin: int, end: int, x: float, y: float, word: int) -> int:
    """Bits of the polygons on whose outline the point lies, among these items."""
    bits = np.int64(0)
    for at in range(begin, end):
        edge = areas.cells.item[at] >> 2
        line = areas.edges_base[scene] + edge
        x1, y1 = areas.edges[line, X], areas.edges[line, Y]
        x2, y2 = areas.edges[line, END_X], areas.edges[line, END_Y]
        on_line = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) == 0.0
        if on_line and y1 <= y <= y2 and (x - x1) * (x - x2) <= 0.0:
            bits |= areas.patterns[scene, areas.toggles[areas.toggles_base[scene] + edge], word]
    return bits
