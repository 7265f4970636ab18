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
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.scoring.geometry.grid import (
    Cells,
    FloatArray,
    IntArray,
    Table,
    is_first,
    layout_around,
    segment_cells,
)
from navsim_agents.scoring.geometry.outlines import (
    Crossings,
    Runs,
    merge_equal,
    number_patterns,
    polygon_words,
    ring_edges,
    xor_of_runs,
)

CELL_M = 1.0


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
        ends, ring = ring_edges(xy, offsets)
        words = polygon_words(ring_polygon, num_polygons).take(ring, axis=1)
        layout = layout_around(ends, 0.0, CELL_M)
        ends, words = merge_equal(ends, words)
        cell, edge = segment_cells(ends, layout, 0.0)
        starts = is_first(cell).nonzero()[0]
        near = cell[starts]
        crossings = Crossings.of(ends, layout)
        runs = Runs.of(crossings, words, layout)
        near_run = np.arange(len(runs.length)).repeat(runs.length)[near]
        right1, right2, toggled = crossings.at_cells(cell, edge, ends, layout)
        toggles = np.where(toggled, words.take(edge, axis=1), 0)
        constants = runs.words.take(near_run, axis=1) ^ xor_of_runs(toggles, starts)
        has_plain = np.bincount(near_run, minlength=len(runs.length)) < runs.length
        numbers = number_patterns(runs.words, has_plain, constants, words)
        plain = numbers.runs.astype(np.uint16).repeat(runs.length)
        plain[near] = 0
        return Areas(
            cells=Cells.build(layout, cell, 4 * edge + 2 * right1 + right2, plain),
            cell_pattern=Table.of(torch.from_numpy(numbers.constants)),
            edges=Table.of(torch.from_numpy(np.ascontiguousarray(ends.T))),
            edge_pattern=Table.of(torch.from_numpy(numbers.edges)),
            patterns=torch.from_numpy(numbers.patterns)[None],
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
