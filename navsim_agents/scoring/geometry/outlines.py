"""What the grid of areas is built from: outlines as edges, where they cross the rows of cells, and sets of polygons.

Edges are columns ``ends`` [4, n] (x1, y1, x2, y2; m), and sets of polygons are words of bits [W, n], so that every
step runs over contiguous memory.
"""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from navsim_agents.scoring.geometry.grid import FloatArray, IntArray, Layout, NarrowArray, each, is_first

BoolArray = npt.NDArray[np.bool_]

BITS = 64
HASH_FACTOR = np.int64(-7046029254386353131)
HASH_SHIFT = 29
SLOT_BITS = 14


def polygon_words(polygons: IntArray, num_polygons: int) -> IntArray:
    """Words [W, n] with the one bit of each of ``polygons`` [n]."""
    words = np.zeros((max(1, -(-num_polygons // BITS)), len(polygons)), dtype=np.uint64)
    words[polygons // BITS, np.arange(len(polygons))] = np.uint64(1) << (polygons % BITS).astype(np.uint64)
    return words.view(np.int64)


def ring_edges(xy: FloatArray, offsets: IntArray) -> tuple[FloatArray, IntArray]:
    """Ends [4, n] of the edges of closed rings and the ring of each; a repeated first point adds none."""
    ends = np.empty((4, len(xy)))
    ends[:2] = xy.T
    ends[2:, :-1] = ends[:2, 1:]
    ends[2:, offsets[1:] - 1] = ends[:2, offsets[:-1]]
    ring = np.arange(len(offsets) - 1).repeat(offsets[1:] - offsets[:-1])
    x1, y1, x2, y2 = ends
    has_length = ((x1 != x2) | (y1 != y2)).nonzero()[0]
    return ends.take(has_length, axis=1), ring[has_length]


def merge_equal(ends: FloatArray, words: IntArray) -> tuple[FloatArray, IntArray]:
    """Each edge once, pointing up, with the bits of all polygons that it bounds (an even number of times is none)."""
    if not ends.size:
        return ends, words
    x1, y1, x2, y2 = ends
    down = (y1 > y2) | ((y1 == y2) & (x1 > x2))
    ends = np.where(down, ends[[2, 3, 0, 1]], ends)
    ends += 0.0  # -0.0 and 0.0 are one number but two patterns
    order = np.argsort(_hashes(ends.view(np.int64)))
    ends, words = ends.take(order, axis=1), words.take(order, axis=1)
    starts = np.flatnonzero(reduce(np.logical_or, map(is_first, ends.view(np.int64))))
    merged = xor_of_runs(words, starts)
    kept = np.flatnonzero(reduce(np.logical_or, merged != 0))
    return ends.take(starts[kept], axis=1), merged.take(kept, axis=1)


def xor_of_runs(words: IntArray, starts: IntArray) -> IntArray:
    """Xor of the words [W, n] of each run, [W, r]; runs begin at ``starts`` [r], the first one at 0."""
    until = np.zeros((len(words), words.shape[1] + 1), dtype=np.int64)
    np.bitwise_xor.accumulate(words, axis=1, out=until[:, 1:])
    ends = np.append(starts[1:], words.shape[1])
    xors: IntArray = np.bitwise_xor(until.take(ends, axis=1), until.take(starts, axis=1))
    return xors


class Crossings(NamedTuple):
    """Where upward edges cross the heights of the cells' centres."""

    low: IntArray  # [e] first row whose centre is not below end 1
    high: IntArray  # [e] and end 2: the edge crosses those from low to before high
    first: IntArray  # [e] the crossing of row r is number first + r
    edge: IntArray  # [c]
    column: IntArray  # [c] first column whose centre is not left of the crossing

    @staticmethod
    def of(ends: FloatArray, layout: Layout) -> Crossings:
        """Crossings of ``ends`` [4, e]; heights are compared half-open."""
        x1, y1, x2, y2 = ends
        low, high = centres_below(ends[1::2], layout, 1)
        counts = high - low
        edge, rank = each(counts)
        row = low[edge] + rank
        rise = y2 - y1
        slope = (x2 - x1) / np.where(rise > 0, rise, 1.0)
        x = x1[edge] + (_centres(layout, 1)[row] - y1[edge]) * slope[edge]
        return Crossings(low, high, counts.cumsum() - counts - low, edge, centres_below(x, layout, 0))

    def at_cells(
        self, cell: IntArray, edge: IntArray, ends: FloatArray, layout: Layout
    ) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Of pairs (cell, edge) [n]: whether ends 1 and 2 lie right of the cell, and g at the cell's centre.

        For g see :mod:`~navsim_agents.scoring.geometry.areas`.
        """
        columns, _ = layout.shape
        row = cell // columns
        column = cell - row * columns
        right_side = (layout.origin[0] + (np.arange(columns) + 1) * layout.size)[column]
        right1, right2 = (x[edge] >= right_side for x in ends[0::2])
        starts_above, ends_above = row < self.low[edge], row < self.high[edge]
        number = self.first[edge] + row  # means something where the edge crosses the row
        is_left = column < np.append(self.column, 0).take(number, mode="clip")
        toggled = (is_left & (starts_above ^ ends_above)) ^ (right1 & starts_above) ^ (right2 & ends_above)
        return right1, right2, toggled


class Runs(NamedTuple):
    """Sets of polygons that hold the centres of successive cells."""

    words: IntArray  # [W, r]
    length: IntArray  # [r] cells

    @staticmethod
    def of(crossings: Crossings, words: IntArray, layout: Layout) -> Runs:
        """Runs over all cells by scan lines, from the words [W, e] of the edges.

        A closed outline crosses a row an even number of times, so crossings left of a centre serve as well as right
        of it, and every row begins with the empty set.
        """
        columns, _ = layout.shape
        edge = crossings.edge
        row = np.arange(len(edge)) - crossings.first[edge]
        bits = words.shape[1].bit_length()
        # Beyond the last column is the next row's start.
        keys = ((row * columns + crossings.column) << bits) + edge
        keys.sort()
        position = np.append(0, keys >> bits)
        sets = np.zeros((len(words), len(position)), dtype=np.int64)
        np.bitwise_xor.accumulate(words.take(keys & ((1 << bits) - 1), axis=1), axis=1, out=sets[:, 1:])
        is_last = np.append(position[1:] != position[:-1], True) & (position < layout.num_cells)
        last = is_last.nonzero()[0]
        starts = np.append(position[last], layout.num_cells)
        return Runs(sets.take(last, axis=1), starts[1:] - starts[:-1])


def _centres(layout: Layout, axis: int) -> FloatArray:
    """x (0) of the columns' centres or y (1) of the rows'."""
    return layout.origin[axis] + (np.arange(layout.shape[axis]) + 0.5) * layout.size


def centres_below(values: FloatArray, layout: Layout, axis: int) -> IntArray:
    """How many centres of columns (rows) are smaller than each of ``values``."""
    count = layout.shape[axis]
    bounds = np.concatenate(([-np.inf], _centres(layout, axis), [np.inf]))
    found = ((values - layout.origin[axis]) / layout.size + 0.5).astype(np.int64)
    np.minimum(np.maximum(found, 0, out=found), count, out=found)  # right, or beside it by rounding
    found -= bounds[found] >= values
    found += bounds[1:][found] < values
    return found


class Numbers(NamedTuple):
    """Equal sets of polygons have one number: those of cells without edges come first, and the empty set is 0."""

    runs: NarrowArray  # [r]
    constants: NarrowArray  # [n]
    edges: NarrowArray  # [e]
    patterns: IntArray  # [U, W]


def number_patterns(runs: IntArray, has_plain: BoolArray, constants: IntArray, words: IntArray) -> Numbers:
    """Numbers the sets [W, …] of runs of cells, of cells that edges come near, and of edges.

    ``has_plain`` [r]: whether a run has cells that no edge comes near.
    """
    empty = np.zeros((len(runs), 1), dtype=np.int64)
    sets, number = _unique(np.concatenate((empty, runs, constants, words), axis=1))
    group = np.full(sets.shape[1], 2)
    group[number[1 : 1 + runs.shape[1]][has_plain]] = 1
    group[number[0]] = 0
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    ranked = rank[number[1:]]
    ends = np.cumsum([runs.shape[1], constants.shape[1]])
    of_runs, of_constants, of_edges = np.split(ranked, ends)
    return Numbers(of_runs, of_constants, of_edges, np.ascontiguousarray(sets[:, order].T))


def _unique(words: IntArray) -> tuple[IntArray, IntArray]:
    """Different sets of [W, n], sorted, and the number of each set among them."""
    keys = words[0] if len(words) == 1 else _hashes(words)
    same = _representatives(keys)
    is_chosen = np.zeros(len(keys), dtype=np.bool_)
    is_chosen[same] = True
    chosen = is_chosen.nonzero()[0]
    chosen = chosen[np.argsort(keys[chosen])]
    rank = np.empty(len(keys), dtype=np.int64)
    rank[chosen] = np.arange(len(chosen))
    number = rank[same]
    different = words.take(chosen, axis=1)
    if len(words) == 1 or (different[:, number] == words).all():
        return different, number
    different, number = np.unique(words, axis=1, return_inverse=True)  # two hashes met
    return different, number.reshape(-1)


def _representatives(keys: IntArray) -> IntArray:
    """For each of ``keys`` [n] the place of one that is equal, the same for all equal ones."""
    found, left, mixed = np.arange(len(keys)), np.arange(len(keys)), keys
    slots = np.empty(1 << SLOT_BITS, dtype=np.int64)
    while len(left):
        mixed = mixed * HASH_FACTOR
        slot = (mixed >> (BITS - SLOT_BITS)) & (len(slots) - 1)
        slots[slot] = left  # one of those that meet there stays
        stayed = slots[slot]
        found[left] = stayed  # put right in the next rounds where the keys differ
        others = (keys[stayed] != keys[left]).nonzero()[0]
        left, mixed = left[others], mixed[others]
    return found


def _hashes(rows: IntArray) -> IntArray:
    """One number a column of [k, n]; different columns rarely share it."""
    mixed = np.zeros(rows.shape[1], dtype=np.int64)
    for row in rows:
        mixed = (mixed ^ row) * HASH_FACTOR
        mixed ^= mixed >> HASH_SHIFT
    return mixed
