"""Outlines as closed chains of points: first the box, then the stretch of the path that a vehicle claims.

Points 0 to 4 are the box's, those from 5 on the stretch's; both run clockwise. Chunk 0 has the four edges of the box,
each later one CHUNK edges of the stretch.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from navsim_agents.common.poses import FloatArray, X, Y
from navsim_agents.scoring.traffic.fast.columns import HIGH_X, HIGH_Y, LOW_X, LOW_Y
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.ways import (
    CHUNK,
    LEFT,
    RIGHT,
    SAME_CORNER,
    V_ALONG,
    V_INNER,
    V_NORMAL_X,
    V_NORMAL_Y,
    V_REACH,
    VX,
    VY,
    Ways,
)

BOX_POINTS = 5
CLOSING = 80.0  # how many times nearer to the edges than to the path a closed inner bend turns back


@part
def box_outline(place: FloatArray, half_length: float, half_width: float, out: FloatArray) -> None:
    """The five points of a box at x, y, cos, sin, clockwise from front left."""
    for corner in range(BOX_POINTS):
        along = half_length if corner in (0, 1, 4) else -half_length
        left = half_width if corner in (0, 3, 4) else -half_width
        out[corner, X] = place[0] + along * place[2] - left * place[3]
        out[corner, Y] = place[1] + along * place[3] + left * place[2]


@part
def vertex_after(ways: Ways, row: int, progress: float) -> int:
    """The first vertex of a path beyond a progress; one behind the last where there is none."""
    low, high = ways.vertex_first[row], ways.vertex_first[row + 1]
    while low < high:
        middle = (low + high) // 2
        if ways.vertex[middle, V_ALONG] > progress:
            high = middle
        else:
            low = middle + 1
    return low


@part
def part_of_segment(ways: Ways, vertex: int, progress: float) -> float:
    """How far between the vertex before and this one a progress is, from 0 to 1."""
    before = ways.vertex[vertex - 1, V_ALONG]
    return (progress - before) / (ways.vertex[vertex, V_ALONG] - before)


@part
def between(ways: Ways, vertex: int, part: float, column: int) -> float:
    """A column's value on the segment before a vertex."""
    before = ways.vertex[vertex - 1, column]
    return before + part * (ways.vertex[vertex, column] - before)


@part
def stretch_outline(ways: Ways, row: int, half: float, start: float, end: float, out: FloatArray) -> int:
    """The ground between two progresses on the path, from point 5 on; returns the number of points with the box's.

    Beyond the path's end it is the last segment, before its begin the first.
    """
    first, last = ways.vertex_first[row], ways.vertex_first[row + 1] - 1
    if start >= ways.vertex[last, V_ALONG]:
        start, end = ways.vertex[last - 1, V_ALONG], ways.vertex[last, V_ALONG]
    elif end <= ways.vertex[first, V_ALONG]:
        start, end = ways.vertex[first, V_ALONG], ways.vertex[first + 1, V_ALONG]
    begin = vertex_after(ways, row, start)  # the first vertex between the ends
    stop = last if end >= ways.vertex[last, V_ALONG] else vertex_after(ways, row, end)  # one behind the last of them
    while stop > begin and ways.vertex[stop - 1, V_ALONG] >= end:
        stop -= 1
    part = part_of_segment(ways, begin, start)
    start_x, start_y = between(ways, begin, part, VX), between(ways, begin, part, VY)
    part = part_of_segment(ways, stop, end)
    end_x, end_y = between(ways, stop, part, VX), between(ways, stop, part, VY)
    filled = _add_point(ways, begin - 1, start_x, start_y, half, out, BOX_POINTS)
    filled = _add_side(ways, LEFT, half, (begin, stop), (start_x, start_y), (end_x, end_y), out, filled)
    filled = _add_point(ways, stop - 1, end_x, end_y, half, out, filled)
    filled = _add_point(ways, stop - 1, end_x, end_y, -half, out, filled)
    filled = _add_side(ways, RIGHT, half, (begin, stop), (start_x, start_y), (end_x, end_y), out, filled)
    filled = _add_point(ways, begin - 1, start_x, start_y, -half, out, filled)
    out[filled, X], out[filled, Y] = out[BOX_POINTS, X], out[BOX_POINTS, Y]
    return filled + 1


@part
def _add_point(ways: Ways, segment: int, x: float, y: float, aside: float, out: FloatArray, filled: int) -> int:
    """The point ``aside`` to the left of one on a segment."""
    out[filled, X] = x + aside * ways.vertex[segment, V_NORMAL_X]
    out[filled, Y] = y + aside * ways.vertex[segment, V_NORMAL_Y]
    return filled + 1


@part
def _add_side(
    ways: Ways,
    side: int,
    half: float,
    inner: tuple[int, int],
    start: tuple[float, float],
    end: tuple[float, float],
    out: FloatArray,
    filled: int,
) -> int:
    """The corners of one side, at the vertices from ``inner[0]`` to before ``inner[1]``; the right one backwards."""
    begin, stop = inner
    if stop == begin:
        return filled
    cut_begin, cut_end = _is_cut(ways, begin, side, start), _is_cut(ways, stop - 1, side, end)
    for index in range(stop - begin):
        vertex = begin + index if side == LEFT else stop - 1 - index
        if (cut_begin and vertex == begin) or (cut_end and vertex == stop - 1):
            filled = _add_closed_bend(ways, vertex, side, half if side == LEFT else -half, out, filled)
            continue
        low, high = ways.corner_first[side, vertex], ways.corner_first[side, vertex + 1]
        for number in range(high - low):
            corner = low + number if side == LEFT else high - 1 - number
            out[filled, X], out[filled, Y] = ways.corner[side, corner, X], ways.corner[side, corner, Y]
            filled += 1
    return filled


@part
def _is_cut(ways: Ways, vertex: int, side: int, end: tuple[float, float]) -> bool:
    """Whether the ground ends before the edges of an inner bend meet."""
    if ways.vertex[vertex, V_INNER] != side:
        return False
    x, y = ways.vertex[vertex, VX] - end[0], ways.vertex[vertex, VY] - end[1]
    return sqrt(x * x + y * y) < ways.vertex[vertex, V_REACH]


@part
def _add_closed_bend(ways: Ways, vertex: int, side: int, aside: float, out: FloatArray, filled: int) -> int:
    """Edges of an inner bend that do not meet are joined by a way a little nearer to the path."""
    x, y = ways.vertex[vertex, VX], ways.vertex[vertex, VY]
    one, other = (vertex - 1, vertex) if side == LEFT else (vertex, vertex - 1)
    _add_point(ways, one, x, y, aside, out, filled)
    _add_point(ways, other, x, y, aside, out, filled + 3)
    apart_x, apart_y = out[filled + 3, X] - out[filled, X], out[filled + 3, Y] - out[filled, Y]
    if sqrt(apart_x * apart_x + apart_y * apart_y) < abs(aside) * SAME_CORNER:
        return filled + 1
    for number in range(2):
        out[filled + 1 + number, X] = (CLOSING * out[filled + 3 * number, X] + x) / (CLOSING + 1.0)
        out[filled + 1 + number, Y] = (CLOSING * out[filled + 3 * number, Y] + y) / (CLOSING + 1.0)
    return filled + 4


@part
def chunk_boxes(points: FloatArray, num_points: int, first_chunk: int, out: FloatArray, hull: FloatArray) -> int:
    """Bounding boxes of the chunks from ``first_chunk`` on, and of them all; returns the number of chunks."""
    num_chunks = 1 + (max(num_points - BOX_POINTS - 1, 0) + CHUNK - 1) // CHUNK
    hull[0], hull[1], hull[2], hull[3] = np.inf, np.inf, -np.inf, -np.inf
    for chunk in range(first_chunk, num_chunks):
        begin = first_point(chunk)
        x0, y0, x1, y1 = np.inf, np.inf, -np.inf, -np.inf
        for index in range(begin, last_point(chunk, num_points) + 1):
            x, y = points[index, X], points[index, Y]
            x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
        out[chunk, LOW_X], out[chunk, LOW_Y], out[chunk, HIGH_X], out[chunk, HIGH_Y] = x0, y0, x1, y1
        hull[0], hull[1], hull[2], hull[3] = min(hull[0], x0), min(hull[1], y0), max(hull[2], x1), max(hull[3], y1)
    return num_chunks


@part
def first_point(chunk: int) -> int:
    """The point that the first edge of a chunk begins at."""
    return 0 if chunk == 0 else BOX_POINTS + CHUNK * (chunk - 1)


@part
def last_point(chunk: int, num_points: int) -> int:
    """The point that the last edge of a chunk ends at."""
    return BOX_POINTS - 1 if chunk == 0 else min(BOX_POINTS + CHUNK * chunk, num_points - 1)
