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
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.scoring.geometry.cells import Cells, FloatArray, IntArray, Layout, layout_around, segment_cells

BITS = 64
CELL_M = 0.5


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
    has_length = (edges[:, :2] != edges[:, 2:]).any(1)
    return edges[has_length], ring[has_length]


def _merge_equal(edges: FloatArray, bits: IntArray) -> tuple[FloatArray, IntArray]:
    """Each edge once, pointing up, with the bits of all polygons that it bounds (an even number of times is none)."""
    down = (edges[:, 1] > edges[:, 3]) | ((edges[:, 1] == edges[:, 3]) & (edges[:, 0] > edges[:, 2]))
    edges = np.where(down[:, None], edges[:, [2, 3, 0, 1]], edges)
    edges = edges + 0.0  # -0.0 and 0.0 are one number but two patterns
    patterns = np.ascontiguousarray(edges).view(np.int64)
    with np.errstate(over="ignore"):
        hashes = patterns @ np.array([-7046029254386353131, 668265263, 2147483647, 374761393], dtype=np.int64)
    order = np.argsort(hashes, kind="stable")
    edges, bits = edges[order], bits[order]
    starts = np.concatenate(([True], (edges[1:] != edges[:-1]).any(1)))
    merged = np.bitwise_xor.reduceat(bits, np.flatnonzero(starts), axis=0)
    kept = merged.any(1)
    return edges[starts][kept], merged[kept]


@dataclass(frozen=True)
class Areas:
    """Polygons of B scenes, located by cells."""

    cells: Cells
    inside: Int[Tensor, "E W"]  # constant of each entry
    edges: Float[Tensor, "I 7"]  # x1, y1, y2, x2 - x1, y2 - y1; y1, y2 where that end is right of the cell, else -inf
    bits: Int[Tensor, "I W"]

    @staticmethod
    def build(xy: FloatArray, offsets: IntArray, ring_polygon: IntArray, num_polygons: int) -> Areas:
        """Areas of one scene from its rings (m); ``ring_polygon`` is each ring's polygon."""
        edges, ring = ring_edges(xy, offsets)
        bits = polygon_bits(ring_polygon[ring], num_polygons)
        layout = layout_around(edges.reshape(-1, 2), 0.0, CELL_M)
        if not len(edges):
            cells = Cells.build(layout, np.zeros(0, dtype=np.int64))
            return Areas(
                cells, torch.zeros(1, bits.shape[1]).long(), torch.zeros(0, 7).double(), torch.from_numpy(bits)
            )
        edges, bits = _merge_equal(edges, bits)
        cell, edge = segment_cells(edges, layout, 0.0)
        records = _records(edges[edge], cell, layout)
        inside = _centre_parity(edges, bits, layout)
        crossed = _centre_crossings(edges[edge], records[:, 5:], cell, layout)
        for word, plane in enumerate(inside):
            np.bitwise_xor.at(plane, cell[crossed], bits[edge[crossed], word])
        is_used = (inside != 0).any(axis=0)
        is_used[cell] = True
        used = np.flatnonzero(is_used)
        inside = np.pad(inside[:, used].T, ((1, 0), (0, 0)))
        tables = (torch.from_numpy(np.ascontiguousarray(table)) for table in (inside, records, bits[edge]))
        return Areas(Cells.build(layout, cell, used), *tables)

    @staticmethod
    def concatenate(parts: list[Areas]) -> Areas:
        """Areas of several scenes; words are padded to the longest."""
        words = max(part.bits.shape[1] for part in parts)

        def pad(table: Tensor) -> Tensor:
            return torch.nn.functional.pad(table, (0, words - table.shape[1]))

        return Areas(
            cells=Cells.concatenate([part.cells for part in parts], [len(part.edges) for part in parts]),
            inside=torch.cat([pad(part.inside) for part in parts]),
            edges=torch.cat([part.edges for part in parts]),
            bits=torch.cat([pad(part.bits) for part in parts]),
        )

    def polygons_at(
        self, x: Float[Tensor, "*batch"], y: Float[Tensor, "*batch"], scene: Optional[Int[Tensor, "*#batch"]] = None
    ) -> Int[Tensor, "*batch W"]:
        """Bits of the polygons that each point is in (float64, m); ``scene`` may be None if there is but one."""
        entry = self.cells.at(x, y, scene).flatten()
        flat_x, flat_y = x.flatten(), y.flatten()
        answer = self.inside[entry]
        near = torch.nonzero(self.cells.count[entry])[:, 0]
        near_x, near_y = flat_x[near], flat_y[near]
        found = answer[near]
        on_boundary = torch.zeros_like(found)
        for which, item in self.cells.rounds(entry[near]):
            crossed, touched = _crossings(self.edges[item], near_x[which], near_y[which])
            bits = self.bits[item]
            found[which] ^= torch.where(crossed[:, None], bits, 0)
            if touched.any():
                on_boundary[which] |= torch.where(touched[:, None], bits, 0)
        answer[near] = found & ~on_boundary
        return answer.reshape(*x.shape, answer.shape[-1])

    def to(self, device: torch.device) -> Areas:
        """The same areas on another device."""
        return Areas(self.cells.to(device), self.inside.to(device), self.edges.to(device), self.bits.to(device))


def _crossings(edge: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Per pair: the edge's g (see the module), and whether the point lies on the edge."""
    x1, y1, y2, dx, dy, right1, right2 = edge.unbind(-1)
    ahead = x - x1
    cross = dx * (y - y1) - dy * ahead
    starts_below = y1 <= y
    crossed = (starts_below & (y < y2) & (cross > 0)) ^ (right1 > y) ^ (right2 > y)
    touched = (cross == 0) & starts_below & (y <= y2) & (ahead * (ahead - dx) <= 0)
    return crossed, touched


def _records(edges: FloatArray, cell: IntArray, layout: Layout) -> FloatArray:
    """What :func:`_crossings` reads, for edges [n, 4] near cells [n]."""
    right_side = layout.origin[0] + (cell % layout.shape[0] + 1) * layout.size
    x1, y1, x2, y2 = edges.T
    right1, right2 = np.where(x1 >= right_side, y1, -np.inf), np.where(x2 >= right_side, y2, -np.inf)
    return np.stack((x1, y1, y2, x2 - x1, y2 - y1, right1, right2), axis=1)


def _centres(layout: Layout) -> tuple[FloatArray, FloatArray]:
    """x of the columns' centres and y of the rows'."""
    columns, rows = layout.shape
    x = layout.origin[0] + (np.arange(columns) + 0.5) * layout.size
    y = layout.origin[1] + (np.arange(rows) + 0.5) * layout.size
    return x, y


def _centre_parity(edges: FloatArray, bits: IntArray, layout: Layout) -> npt.NDArray[np.int64]:
    """Bits of the polygons that each cell's centre is in, [W, cells], by scan lines.

    A closed outline crosses a row an even number of times, so crossings left of a centre serve as well as right of it.
    """
    columns, rows = layout.shape
    centre_x, centre_y = _centres(layout)
    _, y1, _, y2 = edges.T
    low, high = np.searchsorted(centre_y, y1), np.searchsorted(centre_y, y2)  # rows that the edge spans
    counts = high - low
    owner = np.repeat(np.arange(len(edges)), counts)
    row = np.repeat(low, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    x = _height_x(edges[owner], centre_y[row])
    column = np.searchsorted(centre_x, x)  # first column whose centre is not left of the edge
    hit = column < columns
    toggles = np.zeros((bits.shape[1], rows, columns), dtype=np.int64)
    for word, plane in enumerate(toggles):
        np.bitwise_xor.at(plane.reshape(-1), row[hit] * columns + column[hit], bits[owner[hit], word])
    return np.bitwise_xor.accumulate(toggles, axis=2, out=toggles).reshape(-1, rows * columns)


def _centre_crossings(edges: FloatArray, right: FloatArray, cell: IntArray, layout: Layout) -> npt.NDArray[np.bool_]:
    """g of each pair (cell, edge) at the cell's centre; it compares as :func:`_centre_parity` does."""
    centre_x, centre_y = _centres(layout)
    x, y = centre_x[cell % layout.shape[0]], centre_y[cell // layout.shape[0]]
    spans = (edges[:, 1] <= y) & (y < edges[:, 3])
    return (spans & (x < _height_x(edges, y))) ^ (right > y[:, None])[:, 0] ^ (right > y[:, None])[:, 1]


def _height_x(edges: FloatArray, y: FloatArray) -> FloatArray:
    """x of upward edges [n, 4] at heights ``y`` that they span."""
    x1, y1, x2, y2 = edges.T
    rise = y2 - y1
    return x1 + (y - y1) * ((x2 - x1) / np.where(rise > 0, rise, 1.0))
