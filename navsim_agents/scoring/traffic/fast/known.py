"""What is known of two vehicles' grounds without looking at their outlines."""

from __future__ import annotations

from math import sqrt

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.plane import squared_distance
from navsim_agents.scoring.traffic.fast.fleet import (
    AHEAD,
    HALF_LENGTH,
    HALF_WIDTH,
    NONE,
    PROGRESS,
    SPEED,
    UNKNOWN,
    Fleet,
)
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.ways import CHUNK, V_ALONG, VX, VY, Ways

NO, YES, MAYBE = range(3)
SLACK_M = 0.05
"""More than what separates an outline from the ground within half a width of its path."""


@part
def touches_way(fleet: Fleet, state: FloatArray, row: int, vertex: int, other: int, headway_s: float) -> int:
    """Whether the stretch that ``other`` claims in a state touches a path from the segment before ``vertex`` on.

    YES and MAYBE count the segments behind ``vertex`` alone and that one too; of the box beside the stretch it says
    nothing.
    """
    ways, along = fleet.ways, fleet.ways.vertex
    last = ways.vertex_first[other + 1] - 1
    start = state[PROGRESS] - fleet.body[other, HALF_LENGTH]
    end = state[PROGRESS] + fleet.body[other, HALF_LENGTH] + state[SPEED] * headway_s
    begin = int(state[AHEAD])
    while begin - 1 > ways.vertex_first[other] and along[begin - 1, V_ALONG] > start:
        begin -= 1
    answer, index = NO, begin
    while True:
        if fleet.last.near[row, index] == UNKNOWN:
            _look(fleet, row, other, index)
        if fleet.last.near[row, index] >= vertex:
            answer = MAYBE
        place = along[index, V_ALONG]
        if fleet.last.holding[row, index] > vertex and place > start + SLACK_M and place < end - SLACK_M:
            return YES
        if index == last or place > end:
            return answer
        index += 1


@part
def _look(fleet: Fleet, row: int, other: int, vertex: int) -> None:
    """Find what is asked of a vertex of ``other``, and of the segment before it, along a path."""
    ways, points = fleet.ways, fleet.ways.vertex
    before = max(vertex - 1, ways.vertex_first[other])
    half, aside = fleet.body[row, HALF_WIDTH], fleet.body[other, HALF_WIDTH] + SLACK_M
    x0, x1 = min(points[before, VX], points[vertex, VX]) - aside, max(points[before, VX], points[vertex, VX]) + aside
    y0, y1 = min(points[before, VY], points[vertex, VY]) - aside, max(points[before, VY], points[vertex, VY]) + aside
    holding, near = NONE, NONE
    for number in range(ways.chunk_first[row + 1] - ways.chunk_first[row]):
        chunk = ways.chunk_first[row + 1] - 1 - number
        box = ways.chunk[chunk]
        if box[0] > x1 or box[2] < x0 or box[1] > y1 or box[3] < y0:
            continue
        first = ways.vertex_first[row] + CHUNK * (chunk - ways.chunk_first[row])
        end = min(first + CHUNK, ways.vertex_first[row + 1] - 1)
        while end > first:
            if near == NONE and _come_near(ways, before, vertex, end - 1, end, half + aside):
                near = end
            if holding == NONE and _holds(ways, end, half, points[vertex, VX], points[vertex, VY]):
                holding = end
            end -= 1
        if holding != NONE:
            break
    fleet.last.holding[row, vertex] = holding
    fleet.last.near[row, vertex] = near


@part
def _come_near(ways: Ways, a: int, b: int, c: int, d: int, reach: float) -> bool:
    """Whether two segments, between vertices a and b and between c and d, cross or are as near as that [m]."""
    x0, y0, x1, y1 = ways.vertex[a, VX], ways.vertex[a, VY], ways.vertex[b, VX], ways.vertex[b, VY]
    u0, v0, u1, v1 = ways.vertex[c, VX], ways.vertex[c, VY], ways.vertex[d, VX], ways.vertex[d, VY]
    nearest = min(squared_distance(u0, v0, x0, y0, x1, y1), squared_distance(u1, v1, x0, y0, x1, y1))
    nearest = min(nearest, squared_distance(x0, y0, u0, v0, u1, v1), squared_distance(x1, y1, u0, v0, u1, v1))
    if nearest <= reach * reach:
        return True
    left_0 = (x1 - x0) * (v0 - y0) - (y1 - y0) * (u0 - x0)
    left_1 = (x1 - x0) * (v1 - y0) - (y1 - y0) * (u1 - x0)
    right_0 = (u1 - u0) * (y0 - v0) - (v1 - v0) * (x0 - u0)
    right_1 = (u1 - u0) * (y1 - v0) - (v1 - v0) * (x1 - u0)
    return (left_0 > 0.0) != (left_1 > 0.0) and (right_0 > 0.0) != (right_1 > 0.0)


@part
def _holds(ways: Ways, end: int, half: float, x: float, y: float) -> bool:
    """Whether a point lies beside the segment that ends at a vertex, well inside."""
    ahead_x, ahead_y = ways.vertex[end, VX] - ways.vertex[end - 1, VX], ways.vertex[end, VY] - ways.vertex[end - 1, VY]
    x, y = x - ways.vertex[end - 1, VX], y - ways.vertex[end - 1, VY]
    length = sqrt(ahead_x * ahead_x + ahead_y * ahead_y)
    along, aside = (x * ahead_x + y * ahead_y) / length, abs(ahead_x * y - ahead_y * x) / length
    return along >= 0.0 and along <= length and aside < half - SLACK_M
