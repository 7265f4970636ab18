"""Whether two outlines touch, and how far apart they are.

An outline's edges all lie on the ground that it bounds, so inner ones do no harm: what touches one touches the ground.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from navsim_agents.common.poses import FloatArray, X, Y
from navsim_agents.scoring.plane import boxes_intersect, squared_distance
from navsim_agents.scoring.traffic.fast.columns import HIGH_X, HIGH_Y, LOW_Y
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.outlines import first_point, last_point

SAME = 1e-9  # m: as near as that is touching


@part
def box_gap_squared(one: FloatArray, other: FloatArray) -> float:
    """Square of the distance [m^2] of two bounding boxes."""
    x = max(one[0] - other[2], other[0] - one[2], 0.0)
    y = max(one[1] - other[3], other[1] - one[3], 0.0)
    return x * x + y * y


@part
def places_touch(one: FloatArray, half: FloatArray, other: FloatArray, other_half: FloatArray) -> bool:
    """Whether two boxes at places (x, y, cos, sin) share a point, by separating axes."""
    x, y = other[0] - one[0], other[1] - one[1]
    reach = half[0] + half[1] + other_half[0] + other_half[1]
    if x * x + y * y > reach * reach:
        return False
    size = other[2], other[3], other_half[0], other_half[1]
    return boxes_intersect(x, y, one[2], one[3], half[0], half[1], size)


@part
def edge_gap_squared(points: FloatArray, index: int, box: FloatArray) -> float:
    """Square of the distance [m^2] of a bounding box from that of the edge that begins at a point."""
    x0, y0, x1, y1 = points[index, X], points[index, Y], points[index + 1, X], points[index + 1, Y]
    x = max(min(x0, x1) - box[2], box[0] - max(x0, x1), 0.0)
    y = max(min(y0, y1) - box[3], box[1] - max(y0, y1), 0.0)
    return x * x + y * y


@part
def _edges_cross(one: FloatArray, a: int, other: FloatArray, b: int) -> bool:
    """Whether two edges cross, or come as near as touching."""
    x0, y0, x1, y1 = one[a, X], one[a, Y], one[a + 1, X], one[a + 1, Y]
    u0, v0, u1, v1 = other[b, X], other[b, Y], other[b + 1, X], other[b + 1, Y]
    if min(x0, x1) > max(u0, u1) + SAME or min(u0, u1) > max(x0, x1) + SAME:
        return False
    if min(y0, y1) > max(v0, v1) + SAME or min(v0, v1) > max(y0, y1) + SAME:
        return False
    left_0 = (x1 - x0) * (v0 - y0) - (y1 - y0) * (u0 - x0)
    left_1 = (x1 - x0) * (v1 - y0) - (y1 - y0) * (u1 - x0)
    right_0 = (u1 - u0) * (y0 - v0) - (v1 - v0) * (x0 - u0)
    right_1 = (u1 - u0) * (y1 - v0) - (v1 - v0) * (x1 - u0)
    if (left_0 > 0.0) != (left_1 > 0.0) and (right_0 > 0.0) != (right_1 > 0.0):
        return True
    nearest = min(squared_distance(u0, v0, x0, y0, x1, y1), squared_distance(u1, v1, x0, y0, x1, y1))
    nearest = min(nearest, squared_distance(x0, y0, u0, v0, u1, v1), squared_distance(x1, y1, u0, v0, u1, v1))
    return nearest <= SAME * SAME


@part
def outlines_cross(
    one: FloatArray,
    num_one: int,
    boxes: FloatArray,
    begin: int,
    end: int,
    other: FloatArray,
    num_other: int,
    other_boxes: FloatArray,
    other_begin: int,
    other_end: int,
) -> bool:
    """Whether an edge of one outline crosses one of the other; chunks of each from ``begin`` to before ``end``."""
    for i in range(begin, end):
        for j in range(other_begin, other_end):
            if box_gap_squared(boxes[i], other_boxes[j]) > SAME * SAME:
                continue
            for a in range(first_point(i), last_point(i, num_one)):
                if edge_gap_squared(one, a, other_boxes[j]) > SAME * SAME:
                    continue
                for b in range(first_point(j), last_point(j, num_other)):
                    if _edges_cross(one, a, other, b):
                        return True
    return False


@part
def is_on_ground(
    x: float, y: float, points: FloatArray, num_points: int, boxes: FloatArray, begin: int, end: int
) -> bool:
    """Whether the outline winds about a point."""
    turns = 0
    for chunk in range(begin, end):
        if y < boxes[chunk, LOW_Y] or y > boxes[chunk, HIGH_Y] or x > boxes[chunk, HIGH_X]:
            continue
        for index in range(first_point(chunk), last_point(chunk, num_points)):
            x0, y0, x1, y1 = points[index, X], points[index, Y], points[index + 1, X], points[index + 1, Y]
            if (y0 <= y) != (y1 <= y):
                left = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
                if y0 <= y and left > 0.0:
                    turns += 1
                elif y1 <= y and left < 0.0:
                    turns -= 1
    return turns != 0


@part
def outlines_touch(
    one: FloatArray,
    num_one: int,
    boxes: FloatArray,
    begin: int,
    end: int,
    other: FloatArray,
    num_other: int,
    other_boxes: FloatArray,
    other_begin: int,
    other_end: int,
) -> bool:
    """Whether two grounds share a point."""
    if outlines_cross(one, num_one, boxes, begin, end, other, num_other, other_boxes, other_begin, other_end):
        return True
    x, y = one[first_point(begin), X], one[first_point(begin), Y]
    if is_on_ground(x, y, other, num_other, other_boxes, other_begin, other_end):
        return True
    x, y = other[first_point(other_begin), X], other[first_point(other_begin), Y]
    return is_on_ground(x, y, one, num_one, boxes, begin, end)


@part
def outline_gap(
    one: FloatArray,
    num_one: int,
    boxes: FloatArray,
    end: int,
    other: FloatArray,
    num_other: int,
    other_boxes: FloatArray,
    other_end: int,
) -> float:
    """Distance [m] of two grounds with boxes that do not touch."""
    best, best_i, best_j = np.inf, 0, 0
    for i in range(end):
        for j in range(other_end):
            bound = box_gap_squared(boxes[i], other_boxes[j])
            if bound < best:
                best, best_i, best_j = bound, i, j
    best = _chunk_gap_squared(one, num_one, best_i, other, num_other, best_j, other_boxes[best_j], np.inf)
    for i in range(end):
        for j in range(other_end):
            if box_gap_squared(boxes[i], other_boxes[j]) < best and not (i == best_i and j == best_j):
                best = _chunk_gap_squared(one, num_one, i, other, num_other, j, other_boxes[j], best)
    return sqrt(best)


@part
def _chunk_gap_squared(
    one: FloatArray, num_one: int, i: int, other: FloatArray, num_other: int, j: int, box: FloatArray, best: float
) -> float:
    """Square of the distance [m^2] of the edges of two chunks, or ``best`` where it is less."""
    for a in range(first_point(i), last_point(i, num_one)):
        if edge_gap_squared(one, a, box) >= best:
            continue
        for b in range(first_point(j), last_point(j, num_other)):
            best = min(
                best,
                squared_distance(one[a, X], one[a, Y], other[b, X], other[b, Y], other[b + 1, X], other[b + 1, Y]),
                squared_distance(other[b, X], other[b, Y], one[a, X], one[a, Y], one[a + 1, X], one[a + 1, Y]),
            )
    return best
