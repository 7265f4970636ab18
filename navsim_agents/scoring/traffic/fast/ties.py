"""Which of several that are 0 m away shapely's search tree gives: the first in its own order.

The tree puts ten in a leaf: sorted by x and cut into slices, each slice sorted by y and cut into leaves; then the
leaves are sorted by y. It is searched with a heap of what is still to be opened, nearest first.
"""

from __future__ import annotations

from math import ceil, inf, sqrt
from typing import NamedTuple

import numpy as np

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic.fast.columns import HIGH_X, HIGH_Y, LOW_X, LOW_Y
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.touching import box_gap_squared
from navsim_agents.scoring.traffic.fast.ways import IntArray

CAPACITY = 10  # of a node of the tree
UNKNOWN = -1  # with more than CAPACITY leaves, they are not the root's own children


class Tree(NamedTuple):
    """What is searched, and the tables of the search."""

    hull: FloatArray  # [n, 4] bounding boxes
    middle: FloatArray  # [2, n] twice the centres' x and y
    order: IntArray  # [n] of the items
    leaf_first: IntArray  # [CAPACITY + 1]
    leaf_box: FloatArray  # [CAPACITY, 4]
    leaf_middle: FloatArray  # [CAPACITY] twice the centres' y
    leaf_order: IntArray  # [CAPACITY]
    heap: IntArray  # [n + CAPACITY] items, and below 0 leaves: -1 - leaf
    key: FloatArray  # [n + CAPACITY] their distances

    @staticmethod
    def room_for(count: int) -> Tree:
        """Tables for at most ``count`` items."""
        return Tree(
            hull=np.zeros((count, 4)),
            middle=np.zeros((2, count)),
            order=np.zeros(count, dtype=np.int64),
            leaf_first=np.zeros(CAPACITY + 1, dtype=np.int64),
            leaf_box=np.zeros((CAPACITY, 4)),
            leaf_middle=np.zeros(CAPACITY),
            leaf_order=np.zeros(CAPACITY, dtype=np.int64),
            heap=np.zeros(count + CAPACITY, dtype=np.int64),
            key=np.zeros(count + CAPACITY),
        )


@part
def first_of_nearest(tree: Tree, gaps: FloatArray, count: int, mine: FloatArray) -> int:
    """Index of the nearest of the first ``count`` of ``tree.hull`` and ``gaps``; UNKNOWN with 91 or more.

    ``mine`` is the bounding box [4] of the one that asks.
    """
    if count <= CAPACITY:
        best, best_y = -1, inf
        for index in range(count):
            y = tree.hull[index, LOW_Y] + tree.hull[index, HIGH_Y]
            if best < 0 or gaps[index] < gaps[best] or (gaps[index] == gaps[best] and y < best_y):
                best, best_y = index, y
        return best
    num_leaves = _make_leaves(tree, count)
    if num_leaves > CAPACITY:
        return UNKNOWN
    return _search(tree, gaps, num_leaves, mine)


@part
def _sort(order: IntArray, begin: int, end: int, keys: FloatArray) -> None:
    """Sort a piece of ``order`` by the keys of what stands there."""
    for index in range(begin + 1, end):
        item, hole = order[index], index
        while hole > begin and keys[order[hole - 1]] > keys[item]:
            order[hole] = order[hole - 1]
            hole -= 1
        order[hole] = item


@part
def _make_leaves(tree: Tree, count: int) -> int:
    """Fill in the order and the leaves, in the order of their making; returns how many they are, or more than fit."""
    num_slices = ceil(sqrt(ceil(count / CAPACITY)))
    in_slice = ceil(count / num_slices)
    for index in range(count):
        tree.order[index] = index
        tree.middle[0, index] = tree.hull[index, LOW_X] + tree.hull[index, HIGH_X]
        tree.middle[1, index] = tree.hull[index, LOW_Y] + tree.hull[index, HIGH_Y]
    _sort(tree.order, 0, count, tree.middle[0])
    num_leaves = 0
    for begin in range(0, count, in_slice):
        end = min(begin + in_slice, count)
        _sort(tree.order, begin, end, tree.middle[1])
        for start in range(begin, end, CAPACITY):
            if num_leaves < CAPACITY:
                tree.leaf_first[num_leaves] = start
                tree.leaf_first[num_leaves + 1] = min(start + CAPACITY, end)
            num_leaves += 1
    return num_leaves


@part
def _search(tree: Tree, gaps: FloatArray, num_leaves: int, mine: FloatArray) -> int:
    """The first item that the search finds."""
    size = 0
    for leaf in range(num_leaves):
        box = tree.leaf_box[leaf]
        box[0], box[1], box[2], box[3] = inf, inf, -inf, -inf
        for index in range(tree.leaf_first[leaf], tree.leaf_first[leaf + 1]):
            hull = tree.hull[tree.order[index]]
            box[0], box[1] = min(box[0], hull[0]), min(box[1], hull[1])
            box[2], box[3] = max(box[2], hull[2]), max(box[3], hull[3])
        tree.leaf_middle[leaf], tree.leaf_order[leaf] = box[1] + box[3], leaf
    _sort(tree.leaf_order, 0, num_leaves, tree.leaf_middle)
    for index in range(num_leaves):
        leaf = tree.leaf_order[index]
        size = _push(tree, size, -1 - leaf, sqrt(box_gap_squared(tree.leaf_box[leaf], mine)))
    while size > 0:
        item = tree.heap[0]
        size = _pop(tree, size)
        if item >= 0:
            return item
        for index in range(tree.leaf_first[-1 - item], tree.leaf_first[-item]):
            size = _push(tree, size, tree.order[index], gaps[tree.order[index]])
    return UNKNOWN


@part
def _push(tree: Tree, size: int, item: int, value: float) -> int:
    """Add to the heap; returns its new size."""
    _rise(tree, size, item, value)
    return size + 1


@part
def _rise(tree: Tree, hole: int, item: int, value: float) -> None:
    """Put an item at ``hole``, or further up while the one above is farther."""
    while hole > 0 and tree.key[(hole - 1) // 2] > value:
        tree.heap[hole], tree.key[hole] = tree.heap[(hole - 1) // 2], tree.key[(hole - 1) // 2]
        hole = (hole - 1) // 2
    tree.heap[hole], tree.key[hole] = item, value


@part
def _pop(tree: Tree, size: int) -> int:
    """Take the first off the heap: the hole sinks to the end, then the last one rises from there; returns the size."""
    size -= 1
    hole, child = 0, 0
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if tree.key[child] > tree.key[child - 1]:
            child -= 1
        tree.heap[hole], tree.key[hole] = tree.heap[child], tree.key[child]
        hole = child
    if size % 2 == 0 and child == (size - 2) // 2:
        child = 2 * (child + 1)
        tree.heap[hole], tree.key[hole] = tree.heap[child - 1], tree.key[child - 1]
        hole = child - 1
    _rise(tree, hole, tree.heap[size], tree.key[size])
    return size
