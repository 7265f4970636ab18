"""The paths of a scene with the outline of the ground beside them, made once.

What a vehicle covers along its path is a stretch of one outline: each vertex adds corners to both sides that depend on
its two segments alone, and the two ends are cut off straight. The corners are those that GEOS's buffer has. Its
simplification of lines takes no vertex out here: it wants one within 1 % of the half width of another.
"""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from navsim_agents.common.poses import HEADING, XY, FloatArray, X, Y
from navsim_agents.scoring.traffic.fast.columns import HIGH_X, HIGH_Y, LOW_X, LOW_Y
from navsim_agents.scoring.traffic.fast.jit import kernel, part
from navsim_agents.scoring.traffic.rails import QUARTER_CIRCLE_SEGMENTS

IntArray = npt.NDArray[np.int64]

CHUNK = 8  # segments of a path, or edges of an outline, that share a bounding box
QUANTUM = pi / 2.0 / QUARTER_CIRCLE_SEGMENTS  # rad between the points of a bend
MOST_CORNERS = 2 * QUARTER_CIRCLE_SEGMENTS + 4  # of one side at one vertex
SAME_CORNER = 1e-3  # of the half width: ends of two edges as near as that are one corner
MIN_SPACING = 0.02  # of the half width, twice what the simplification wants
LEFT, RIGHT = 0, 1


class Ways(NamedTuple):
    """Paths of R vehicles, P vertices in all; frame of the scene, turned as the map."""

    vertex: FloatArray  # [P, 8] columns below
    vertex_first: IntArray  # [R + 1] where each path begins
    corner: FloatArray  # [2, Q, 2] of both sides, m
    corner_first: IntArray  # [2, P + 1]
    chunk: FloatArray  # [C, 4] x0, y0, x1, y1 of the ground beside CHUNK segments
    chunk_first: IntArray  # [R + 1]


VX, VY, V_HEADING, V_ALONG, V_NORMAL_X, V_NORMAL_Y, V_REACH, V_INNER = range(8)
"""Columns of a vertex: place and heading (m, rad unwrapped), progress [m], the unit vector to the left of the segment
that begins there, how much [m] the inner side of its bend is shorter before and behind it, and which side that is."""


def ways_of(poses: list[FloatArray], along: list[FloatArray], half_width: FloatArray) -> Ways:
    """The paths [P, 3] with their progress [P] and half of the width [R] that is driven on."""
    first = np.cumsum([0, *(len(path) for path in poses)])
    xy = np.concatenate([np.zeros((0, 2)), *(path[:, XY] for path in poses)])
    heading = np.concatenate([np.zeros(0), *(np.unwrap(path[:, HEADING]) for path in poses)])
    ahead = np.diff(xy, axis=0, append=xy[-1:])
    length = np.hypot(*ahead.T)
    normal = np.stack((-ahead[:, Y], ahead[:, X]), axis=1) / np.where(length > 0.0, length, 1.0)[:, None]
    before = np.roll(normal, 1, axis=0)
    turn = before[:, X] * normal[:, Y] - before[:, Y] * normal[:, X]
    cosine = (before * normal).sum(axis=1)
    half = np.repeat(half_width, np.diff(first))
    reach = half * np.abs(turn) / np.maximum(1.0 + cosine, 1e-12)  # half width times the tangent of half the bend
    inner = np.where(turn > 0.0, LEFT, RIGHT)
    progress = np.concatenate([np.zeros(0), *along])
    vertex = np.column_stack((xy, heading, progress, normal, reach, inner))
    corner_first, corner = _corners_of(first, xy, normal, half_width)
    chunk_first = np.cumsum([0, *(-(-max(len(path) - 1, 1) // CHUNK) for path in poses)])
    chunk = np.zeros((chunk_first[-1], 4))
    _fill_chunks(first, xy, normal, half_width, corner_first, corner, chunk_first, chunk)
    return Ways(vertex, first, corner, corner_first, chunk, chunk_first)


def are_tame(ways: Ways, half_size: FloatArray) -> bool:
    """Whether the outlines of vehicles [R, 2] are surely those of GEOS: it neither smooths nor folds them.

    No two vertices are so near that it would take one out. On the inner side of its bends each segment keeps half of
    its length, and a vehicle is longer than what any bend takes: so ends that cut a bend off never cross each other.
    """
    first, xy = ways.vertex_first, ways.vertex[:, [VX, VY]]
    length = np.hypot(*np.diff(xy, axis=0, append=xy[-1:]).T)
    for row, (half_length, half_width) in enumerate(half_size):
        pieces = length[first[row] : first[row + 1] - 1]
        reach = ways.vertex[first[row] : first[row + 1], V_REACH].copy()
        reach[[0, -1]] = 0.0
        is_folded = (2.0 * (reach[:-1] + reach[1:]) >= pieces).any() or reach.max() >= half_length
        if is_folded or (pieces < MIN_SPACING * half_width).any():
            return False
    return True


def _corners_of(
    first: IntArray, xy: FloatArray, normal: FloatArray, half_width: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Where the corners of both sides begin at each vertex, and the corners."""
    corner_first = np.zeros((2, len(xy) + 1), dtype=np.int64)
    room = 2 * len(xy) + MOST_CORNERS
    while True:
        corner = np.zeros((2, room, 2))
        needed = np.zeros(1, dtype=np.int64)
        _fill_corners(first, xy, normal, half_width, corner_first, corner, np.zeros((MOST_CORNERS, 2)), needed)
        if needed[0] <= room:
            return corner_first, corner
        room = int(needed[0]) + MOST_CORNERS


@kernel
def _fill_corners(
    first: IntArray,
    xy: FloatArray,
    normal: FloatArray,
    half_width: FloatArray,
    corner_first: IntArray,
    corner: FloatArray,
    found: FloatArray,
    needed: IntArray,
) -> None:
    """Fill in the corners of both sides as far as there is room; ``needed`` [1]: the largest number on a side."""
    most = 0
    for side in range(2):
        filled = 0
        for row in range(len(half_width)):
            for vertex in range(first[row], first[row + 1]):
                corner_first[side, vertex] = filled
                if vertex == first[row] or vertex == first[row + 1] - 1:
                    continue
                count = _corners(xy[vertex], normal[vertex - 1], normal[vertex], half_width[row], side, found)
                for index in range(count):
                    if filled < corner.shape[1]:
                        corner[side, filled, X] = found[index, X]
                        corner[side, filled, Y] = found[index, Y]
                    filled += 1
        corner_first[side, len(xy)] = filled
        most = max(most, filled)
    needed[0] = most


@part
def _corners(at: FloatArray, before: FloatArray, after: FloatArray, half: float, side: int, out: FloatArray) -> int:
    """Corners of one side at a vertex, in the order of the path; returns their number."""
    sign = half if side == 0 else -half
    turn = before[0] * after[1] - before[1] * after[0]
    cosine = before[0] * after[0] + before[1] * after[1]
    if turn == 0.0 and cosine > 0.0:
        return 0
    if turn * sign > 0.0:  # the inner side: where the two edges cross
        scale = sign / max(1.0 + cosine, 1e-12)
        out[0, X], out[0, Y] = at[0] + scale * (before[0] + after[0]), at[1] + scale * (before[1] + after[1])
        return 1
    first_x, first_y = at[0] + sign * before[0], at[1] + sign * before[1]
    last_x, last_y = at[0] + sign * after[0], at[1] + sign * after[1]
    if sqrt((last_x - first_x) ** 2 + (last_y - first_y) ** 2) < half * SAME_CORNER:
        out[0, X], out[0, Y] = (first_x, first_y) if side == 0 else (last_x, last_y)
        return 1
    angle = abs(atan2(turn, cosine))
    count = max(int(angle / QUANTUM + 0.5), 1)
    start = atan2(first_y - at[1], first_x - at[0])
    way = angle / count if turn > 0.0 else -angle / count
    out[0, X], out[0, Y] = first_x, first_y
    for index in range(1, count):
        out[index, X], out[index, Y] = at[0] + half * cos(start + index * way), at[1] + half * sin(start + index * way)
    out[count, X], out[count, Y] = last_x, last_y
    return count + 1


@kernel
def _fill_chunks(
    first: IntArray,
    xy: FloatArray,
    normal: FloatArray,
    half_width: FloatArray,
    corner_first: IntArray,
    corner: FloatArray,
    chunk_first: IntArray,
    boxes: FloatArray,
) -> None:
    """Bounding boxes of the ground beside each CHUNK segments, wherever it is cut off."""
    for row in range(len(half_width)):
        half = half_width[row]
        for chunk in range(chunk_first[row], chunk_first[row + 1]):
            begin = first[row] + CHUNK * (chunk - chunk_first[row])
            end = min(begin + CHUNK, first[row + 1] - 1)
            x0, y0, x1, y1 = xy[begin, X], xy[begin, Y], xy[begin, X], xy[begin, Y]
            for vertex in range(begin, end + 1):
                for side in range(2):
                    for index in range(corner_first[side, vertex], corner_first[side, vertex + 1]):
                        x, y = corner[side, index, X], corner[side, index, Y]
                        x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
                for segment in range(max(vertex - 1, begin), min(vertex + 1, end)):
                    for sign in (-half, half):
                        x, y = xy[vertex, X] + sign * normal[segment, X], xy[vertex, Y] + sign * normal[segment, Y]
                        x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
            boxes[chunk, LOW_X], boxes[chunk, LOW_Y], boxes[chunk, HIGH_X], boxes[chunk, HIGH_Y] = x0, y0, x1, y1
