"""Which polygons each point is in: an exact grid.

A polygon is the even-odd inside of its rings, without its boundary; polygons are bits of 64-bit words. A cell that
no edge comes near answers from a table. Elsewhere only the edges near the cell are looked at: a ray to +x from the
point crosses f edges, and the edges right of the cell that are not looked at telescope, since a chain of them crosses
the ray's height as often (mod 2) as its two ends differ in being above it. So with, for each edge near the cell,
g = f xor [end 1 lies right of the cell and above the point] xor [the same for end 2], the parity at a point is the
xor of all g and of a constant of the cell. Heights are compared half-open, so vertices and edges through cell
corners need no special care.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.scoring.geometry.grid import (
    Cells,
    FloatArray,
    IntArray,
    Layout,
    NarrowArray,
    Table,
    layout_around,
    ranks,
    segment_cells,
)

BoolArray = npt.NDArray[np.bool_]

BITS = 64
CELL_M = 1.0
HASH_FACTOR = np.int64(-7046029254386353131)
HASH_SHIFT = 29


def num_words(num_polygons: int) -> int:
    """64-bit words that hold one bit a polygon."""
    return max(1, -(-num_polygons // BITS))


def polygon_bits(polygons: IntArray, num_polygons: int) -> IntArray:
    """Words [n, W] with the one bit of each of ``polygons`` [n]."""
    words = np.zeros((len(polygons), num_words(num_polygons)), dtype=np.uint64)
    words[np.arange(len(polygons)), polygons // BITS] = np.uint64(1) << (polygons % BITS).astype(np.uint64)
    return words.view(np.int64)


def ring_edges(xy: FloatArray, offsets: IntArray) -> tuple[FloatArray, IntArray]:
    """Edges [n, 4] (x1, y1, x2, y2) of closed rings and the ring of each; a repeated first point adds none."""
    ring = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    following = np.arange(len(xy)) + 1
    following[offsets[1:] - 1] = offsets[:-1]
    edges = np.concatenate((xy, xy[following]), axis=1)
    x1, y1, x2, y2 = edges.T
    has_length = (x1 != x2) | (y1 != y2)
    return edges[has_length], ring[has_length]


def _merge_equal(edges: FloatArray, bits: IntArray) -> tuple[FloatArray, IntArray]:
    """Each edge once, pointing up, with the bits of all polygons that it bounds (an even number of times is none)."""
    if not len(edges):
        return edges, bits
    x1, y1, x2, y2 = edges.T
    down = (y1 > y2) | ((y1 == y2) & (x1 > x2))
    edges = np.where(down[:, None], np.stack((x2, y2, x1, y1), axis=1), edges)
    edges += 0.0  # -0.0 and 0.0 are one number but two patterns
    order = np.argsort(_hashes(edges.view(np.int64)))
    edges, bits = edges[order], bits[order]
    differs = [column[1:] != column[:-1] for column in edges.T]
    starts = np.concatenate(([0], 1 + np.flatnonzero(np.logical_or.reduce(differs))))
    merged = np.bitwise_xor.reduceat(bits, starts, axis=0)
    kept = np.logical_or.reduce(merged.T != 0)
    return edges[starts[kept]], merged[kept]


@dataclass(frozen=True)
class Areas:
    """Polygons of B scenes, located by cells whose items are 4 * edge + 2 * right1 + right2 (see the module)."""

    cells: Cells
    cell_pattern: Table  # [entries with items], int32: the constant of each
    edges: Table  # [edges, 4]: x1, y1, x2, y2 with y1 <= y2
    edge_pattern: Table  # [edges], int32
    patterns: Int[Tensor, "B U W"]  # sets of polygons; the first ones belong to the plain entries of the cells

    @staticmethod
    def build(xy: FloatArray, offsets: IntArray, ring_polygon: IntArray, num_polygons: int) -> Areas:
        """Areas of one scene from its rings (m); ``ring_polygon`` is each ring's polygon."""
        edges, ring = ring_edges(xy, offsets)
        bits = polygon_bits(ring_polygon[ring], num_polygons)
        layout = layout_around(edges.reshape(-1, 2), 0.0, CELL_M)
        edges, bits = _merge_equal(edges, bits)
        cell, edge = segment_cells(edges, layout, 0.0)
        right1, right2 = _ends_right_of_cell(edges[edge], cell, layout)
        runs, run_starts = _centre_parity(edges, bits, layout)
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        near = cell[starts]
        at_centre = runs[np.searchsorted(run_starts, near, side="right") - 1]
        crossed = _centre_crossings(edges[edge], right1, right2, cell, layout)
        toggles = np.where(crossed[:, None], bits[edge], 0)
        constants = at_centre ^ (np.bitwise_xor.reduceat(toggles, starts, axis=0) if len(starts) else toggles)
        plain, patterns, cell_pattern, edge_pattern = _number_patterns(
            runs, np.diff(run_starts, append=layout.num_cells), near, constants, bits
        )
        return Areas(
            cells=Cells.build(layout, cell, 4 * edge + 2 * right1 + right2, plain),
            cell_pattern=Table.of(torch.from_numpy(cell_pattern)),
            edges=Table.of(torch.from_numpy(edges)),
            edge_pattern=Table.of(torch.from_numpy(edge_pattern)),
            patterns=torch.from_numpy(patterns)[None],
        )

    @staticmethod
    def concatenate(parts: list[Areas]) -> Areas:
        """Areas of several scenes; patterns are padded to the most and the longest."""
        patterns = [part.patterns[0] for part in parts]
        size = [max(sizes) for sizes in zip(*(table.shape for table in patterns))]
        padded = patterns[0].new_zeros((len(patterns), *size))
        for row, table in zip(padded, patterns):
            row[: table.shape[0], : table.shape[1]] = table
        names = ("cell_pattern", "edges", "edge_pattern")
        tables = {name: Table.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Areas(cells=Cells.concatenate([part.cells for part in parts]), patterns=padded, **tables)

    def polygons_at(
        self, x: Float[Tensor, "*batch"], y: Float[Tensor, "*batch"], scene: Optional[Int[Tensor, "*#batch"]] = None
    ) -> Int[Tensor, "W *batch"]:
        """Bits of the polygons that each point is in (float64, m); ``scene`` may be None if there is but one."""
        words = self.patterns.flatten(0, 1).T.contiguous()
        entry = self.cells.at(x, y, scene)
        plain = self.cells.plain if scene is None else self.cells.plain[scene]
        pattern = torch.minimum(entry, plain)
        if scene is not None:
            pattern += scene * self.patterns.shape[1]
            scene = scene.expand_as(x).flatten()
        pattern = pattern.flatten()
        answer = torch.stack([word[pattern] for word in words])
        near, number = self.cells.near(entry.flatten(), scene)
        scene = None if scene is None else scene[near]
        flat_x, flat_y = x.flatten(), y.flatten()
        for which, items in self.cells.groups(number, scene):
            point, of = near[which], None if scene is None else scene[which]
            found = self._among_edges(flat_x[point], flat_y[point], number[which], items, of, words)
            for row, bits in zip(answer, found):
                row[point] = bits
        return answer.reshape(len(words), *x.shape)  # -1 would be ambiguous for no point at all

    def _among_edges(
        self,
        x: Float[Tensor, " m"],
        y: Float[Tensor, " m"],
        number: Int[Tensor, " m"],
        items: Int[Tensor, "c m"],
        scene: Optional[Tensor],
        words: Int[Tensor, "W U"],
    ) -> list[Int[Tensor, " m"]]:
        """Words of bits at points whose cells, numbered as :meth:`Cells.near` does, have ``items``."""
        edge = items >> 2
        crossed, on_line = _crossings(self.edges.values[edge + self.edges.base_of(scene)], items, x, y)
        toggles = self.edge_pattern.values[edge + self.edge_pattern.base_of(scene)].long()
        constant = self.cell_pattern.values[number + self.cell_pattern.base_of(scene)].long()
        if scene is not None:
            first = scene * self.patterns.shape[1]
            toggles, constant = toggles + first, constant + first
        touches = bool(on_line.any())
        if touches:
            on_line &= _within_ends(self.edges.values[edge + self.edges.base_of(scene)], x, y)
        found = []
        for word in words:
            bits = word[toggles]
            inside = word[constant] ^ _xor(torch.where(crossed, bits, 0))
            found.append(inside & ~_or(torch.where(on_line, bits, 0)) if touches else inside)
        return found

    def to(self, device: torch.device) -> Areas:
        """The same areas on another device."""
        return Areas(**{name: value.to(device) for name, value in vars(self).items()})


def _crossings(
    edge: Float[Tensor, "c m 4"], item: Int[Tensor, "c m"], x: Float[Tensor, " m"], y: Float[Tensor, " m"]
) -> tuple[Bool[Tensor, "c m"], Bool[Tensor, "c m"]]:
    """Per pair: the edge's g (see the module), and whether the point lies on the edge's line."""
    x1, y1, x2, y2 = edge.unbind(-1)
    above_start = y - y1
    cross = (x2 - x1) * above_start - (y2 - y1) * (x - x1)
    starts_above = above_start < 0
    crossed = (cross > 0) & ~starts_above
    right1, right2 = (item & 2).bool(), (item & 1).bool()
    return ((y2 > y) & (crossed ^ right2)) ^ (right1 & starts_above), cross == 0


def _within_ends(edge: Float[Tensor, "c m 4"], x: Float[Tensor, " m"], y: Float[Tensor, " m"]) -> Bool[Tensor, "c m"]:
    """Whether points on the lines of edges lie between their ends."""
    x1, y1, x2, y2 = edge.unbind(-1)
    return (y1 <= y) & (y <= y2) & ((x - x1) * (x - x2) <= 0)


def _xor(words: Int[Tensor, "c m"]) -> Int[Tensor, " m"]:
    return reduce(torch.bitwise_xor, words.unbind(0))


def _or(words: Int[Tensor, "c m"]) -> Int[Tensor, " m"]:
    return reduce(torch.bitwise_or, words.unbind(0))


def _ends_right_of_cell(edges: FloatArray, cell: IntArray, layout: Layout) -> tuple[BoolArray, BoolArray]:
    """Whether the first and the second end of edges [n, 4] lie right of cells [n]."""
    (x1, _, x2, _), (left, _), (columns, _) = edges.T, layout.origin, layout.shape
    right_side = left + (cell % max(columns, 1) + 1) * layout.size
    return x1 >= right_side, x2 >= right_side


def _number_patterns(
    runs: IntArray, run_lengths: IntArray, near: IntArray, constants: IntArray, bits: IntArray
) -> tuple[NarrowArray, IntArray, NarrowArray, NarrowArray]:
    """Gives equal sets of polygons one number, those of cells without edges first and the empty set 0.

    Args:
        runs: sets [r, W] of successive cells, of ``run_lengths`` cells each.
        near: cells [n] that edges come near, with ``constants`` [n, W].
        bits: sets [e, W] of the edges.

    Returns:
        Entry of each cell (0 for those of ``near``), the sets [U, W], and the numbers of constants and of edges.
    """
    empty = np.zeros((1, runs.shape[1]), dtype=np.int64)
    sets, number = _unique_rows(np.concatenate((empty, runs, constants, bits)))
    of_cell = np.repeat(number[1 : 1 + len(runs)], run_lengths)
    of_cell[near] = number[0]
    is_plain = np.bincount(of_cell, minlength=len(sets)) > 0
    is_plain[number[0]] = True
    order = np.argsort(~is_plain, kind="stable")
    first = np.flatnonzero(order == number[0])[0]
    order[1 : first + 1], order[0] = order[:first].copy(), number[0]  # the empty set leads
    rank = np.empty(len(sets), dtype=np.int32)
    rank[order] = np.arange(len(sets), dtype=np.int32)
    ranked = rank[number[1 + len(runs) :]]
    return rank[of_cell], sets[order], ranked[: len(constants)], ranked[len(constants) :]


def _unique_rows(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Different rows of [n, W], and the number of each row among them."""
    keys = rows.reshape(-1) if rows.shape[1] == 1 else _hashes(rows)
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    if (rows[first][number] == rows).all():
        return rows[first], number
    different, number = np.unique(rows, axis=0, return_inverse=True)  # two hashes met
    return different, number.reshape(-1)


def _hashes(rows: IntArray) -> IntArray:
    """One number a row of [n, k]; different rows rarely share it."""
    mixed = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        mixed = (mixed ^ column) * HASH_FACTOR
        mixed ^= mixed >> HASH_SHIFT
    return mixed


def _centres(layout: Layout) -> tuple[FloatArray, FloatArray]:
    """x of the columns' centres and y of the rows'."""
    columns, rows = layout.shape
    x, y = layout.origin
    return x + (np.arange(columns) + 0.5) * layout.size, y + (np.arange(rows) + 0.5) * layout.size


def _centre_parity(edges: FloatArray, bits: IntArray, layout: Layout) -> tuple[IntArray, IntArray]:
    """Bits of the polygons that the cells' centres are in, by scan lines: of runs of cells [r, W], and their starts.

    A closed outline crosses a row an even number of times, so crossings left of a centre serve as well as right of it,
    and every row begins with the empty set.
    """
    columns, rows = layout.shape
    centre_x, centre_y = _centres(layout)
    _, y1, _, y2 = edges.T
    low, high = np.searchsorted(centre_y, y1), np.searchsorted(centre_y, y2)  # rows it spans
    counts = high - low
    owner = np.repeat(np.arange(len(edges)), counts)
    row = np.repeat(low, counts) + ranks(counts)
    column = np.searchsorted(centre_x, _height_x(edges[owner], centre_y[row]))  # first centre that is not left of it
    position = row * columns + column  # beyond the last column: the next row's start
    order = np.argsort(position)
    position, toggled = position[order], bits[owner[order]]
    runs = np.concatenate((np.zeros((1, bits.shape[1]), dtype=np.int64), toggled))
    np.bitwise_xor.accumulate(runs, axis=0, out=runs)
    starts = np.append(0, position)
    is_last = np.append(starts[1:] != starts[:-1], True) & (starts < rows * columns)
    return runs[is_last], starts[is_last]


def _centre_crossings(
    edges: FloatArray, right1: BoolArray, right2: BoolArray, cell: IntArray, layout: Layout
) -> BoolArray:
    """g of each pair (cell, edge) at the cell's centre; it compares as :func:`_centre_parity` does."""
    centre_x, centre_y = _centres(layout)
    columns = max(len(centre_x), 1)
    x, y = centre_x[cell % columns], centre_y[cell // columns]
    _, y1, _, y2 = edges.T
    starts_above, ends_above = y1 > y, y2 > y
    crossed = ~starts_above & ends_above & (x < _height_x(edges, y))
    return crossed ^ (right1 & starts_above) ^ (right2 & ends_above)


def _height_x(edges: FloatArray, y: FloatArray) -> FloatArray:
    """x of upward edges [n, 4] at heights ``y`` that they span."""
    x1, y1, x2, y2 = edges.T
    rise = y2 - y1
    return x1 + (y - y1) * ((x2 - x1) / np.where(rise > 0, rise, 1.0))
