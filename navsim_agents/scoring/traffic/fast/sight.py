"""Who is on a vehicle's way."""

from __future__ import annotations

from math import cos, nan, sin

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic.fast.columns import BEGIN, END
from navsim_agents.scoring.traffic.fast.fleet import (
    AHEAD,
    BOX,
    BUILT,
    CLAIMS_WAY,
    DIFFERS,
    HALF_LENGTH,
    HALF_WIDTH,
    HULL,
    LONGEST,
    NUM_CHUNKS,
    NUM_POINTS,
    PLACE,
    PROGRESS,
    SPEED,
    THERE,
    Base,
    Fleet,
    Run,
)
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.known import MAYBE, NO, YES, touches_way
from navsim_agents.scoring.traffic.fast.outlines import (
    BOX_POINTS,
    between,
    box_outline,
    chunk_boxes,
    part_of_segment,
    stretch_outline,
    vertex_after,
)
from navsim_agents.scoring.traffic.fast.states import bring_seen
from navsim_agents.scoring.traffic.fast.touching import SAME, box_gap_squared, outlines_touch
from navsim_agents.scoring.traffic.fast.ways import CHUNK, V_ALONG, V_HEADING, VX, VY, Ways

WAYS, GAPS = 1, 2
"""Columns of a run's effort, behind the steps."""


@part
def settle(ways: Ways, row: int, state: FloatArray) -> None:
    """Fill in where a vehicle is, by its progress; it stops at the end of its path, though its progress goes on."""
    first, last = ways.vertex_first[row], ways.vertex_first[row + 1] - 1
    progress = min(max(state[PROGRESS], ways.vertex[first, V_ALONG]), ways.vertex[last, V_ALONG])
    vertex = min(vertex_after(ways, row, progress), last)
    part = part_of_segment(ways, vertex, progress)
    heading = between(ways, vertex, part, V_HEADING)
    state[AHEAD] = vertex
    state[PLACE], state[PLACE + 1] = between(ways, vertex, part, VX), between(ways, vertex, part, VY)
    state[PLACE + 2], state[PLACE + 3] = cos(heading), sin(heading)


@part
def build_ground(ways: Ways, body: FloatArray, run: Run, row: int, headway_s: float) -> None:
    """The outline of what a vehicle claims: its box and, once it has moved, the path ahead."""
    mark, state, points = run.mark[row], run.now[row], run.points[row]
    if mark[BUILT]:
        return
    half_length, half_width = body[row, HALF_LENGTH], body[row, HALF_WIDTH]
    box_outline(state[BOX : BOX + 4], half_length, half_width, points)
    mark[NUM_POINTS] = BOX_POINTS
    if mark[CLAIMS_WAY]:
        first = ways.vertex[ways.vertex_first[row], V_ALONG]
        last = ways.vertex[ways.vertex_first[row + 1] - 1, V_ALONG]
        start = min(max(state[PROGRESS] - half_length, first), last)
        end = min(max(state[PROGRESS] + half_length + state[SPEED] * headway_s, first), last)
        mark[NUM_POINTS] = stretch_outline(ways, row, half_width, start, end, points)
    mark[NUM_CHUNKS] = chunk_boxes(points, mark[NUM_POINTS], 0, run.boxes[row], state[HULL : HULL + 4])
    mark[BUILT] = 1


@part
def near_chunks(ways: Ways, run: Run, row: int, vertex: int, other: int) -> tuple[int, int]:
    """First and last chunk of a path, from the segment before ``vertex`` on, whose box another's meets; -1: none.

    Who has moved is on its own path, so it is looked for where the two paths come near each other alone.
    """
    first, last, hull = -1, -1, run.now[other, HULL : HULL + 4]
    begin, end = ways.chunk_first[row] + (vertex - 1 - ways.vertex_first[row]) // CHUNK, ways.chunk_first[row + 1]
    if run.mark[other, CLAIMS_WAY] or other == len(run.changed):
        begin, end = max(begin, run.common[row, other, BEGIN]), min(end, run.common[row, other, END])
    for chunk in range(begin, end):
        if box_gap_squared(ways.chunk[chunk], hull) <= SAME * SAME:
            first = chunk if first < 0 else first
            last = chunk
    return first, last


@part
def _is_on_way(fleet: Fleet, run: Run, row: int, other: int, headway_s: float) -> bool:
    """Whether ``other`` claims ground that lies between a vehicle and its path's end.

    It is looked for along the chunks that it is near to alone: the rest of the way cannot touch it. A vertex in its box
    is on the way; and all of the way is as near to a vertex as its half width and a segment together are long.
    """
    ways, body, state, vertex = fleet.ways, fleet.body, run.now[other], int(run.now[row, AHEAD])
    near, far = near_chunks(ways, run, row, vertex, other)
    if near < 0:
        return False
    claims_way, stretch = run.mark[other, CLAIMS_WAY] != 0, NO
    if claims_way:
        stretch = touches_way(fleet, state, row, vertex, other, headway_s)
        if stretch == YES:
            return True
    first, last = ways.vertex_first[row], ways.vertex_first[row + 1] - 1
    low = first + CHUNK * (near - ways.chunk_first[row])
    high = min(first + CHUNK * (far + 1 - ways.chunk_first[row]), last)
    box, half_length, half_width = state[BOX : BOX + 4], body[other, HALF_LENGTH], body[other, HALF_WIDTH]
    margin, is_close = body[row, HALF_WIDTH] + body[row, LONGEST], False
    for point in range(max(low, vertex - 1), high + 1):
        x, y = ways.vertex[point, VX] - box[0], ways.vertex[point, VY] - box[1]
        along, aside = abs(x * box[2] + y * box[3]) - half_length, abs(y * box[2] - x * box[3]) - half_width
        if along <= 0.0 and aside <= 0.0 and point >= vertex:
            return True
        is_close = is_close or (along <= margin and aside <= margin)
    if not is_close and stretch != MAYBE:
        return False
    run.effort[WAYS] += 1
    way, mark = len(run.now), run.mark[len(run.now)]
    start = max(run.now[row, PROGRESS], ways.vertex[low, V_ALONG])
    end = ways.vertex[high, V_ALONG]
    mark[NUM_POINTS] = stretch_outline(ways, row, body[row, HALF_WIDTH], start, end, run.points[way])
    mark[NUM_CHUNKS] = chunk_boxes(run.points[way], mark[NUM_POINTS], 1, run.boxes[way], run.hull)
    build_ground(ways, body, run, other, headway_s)
    return outlines_touch(
        run.points[way],
        mark[NUM_POINTS],
        run.boxes[way],
        1,
        mark[NUM_CHUNKS],
        run.points[other],
        run.mark[other, NUM_POINTS],
        run.boxes[other],
        0,
        run.mark[other, NUM_CHUNKS],
    )


@part
def look_ahead(
    fleet: Fleet,
    base: Base,
    run: Run,
    row: int,
    step: int,
    num_changed: int,
    sees_ego: bool,
    looks_at_all: bool,
    headway_s: float,
) -> int:
    """Note who is on a vehicle's way, with the distances that are known; returns how many they are.

    Who does not look at all sees whom it met in the base, and else the ego and those who differ. Nobody else's path
    than those around comes near; but at first, all claim boxes that are not on their paths.
    """
    ego, count = len(fleet.start), 0
    if not looks_at_all:
        entry = step * ego + row
        for index in range(base.met_first[entry], base.met_first[entry + 1]):
            other = base.met[index]
            if run.mark[other, THERE] and not run.mark[other, DIFFERS]:
                bring_seen(base, run, row, other, step)
                run.met[count], run.gap[count] = other, base.gap[index]
                count += 1
    first, num_others = fleet.around.first[row], num_changed
    if looks_at_all:
        num_others = ego if step == 1 else fleet.around.first[row + 1] - first
    for index in range(num_others + 1):
        other = ego
        if index < num_others and not looks_at_all:
            other = run.changed[index]
        elif index < num_others:
            other = index if step == 1 else fleet.around.other[first + index]
        if other == ego:
            if not sees_ego:
                continue
        elif other == row or not run.mark[other, THERE] or not (looks_at_all or run.mark[other, DIFFERS]):
            continue
        else:
            bring_seen(base, run, row, other, step)
        if _is_on_way(fleet, run, row, other, headway_s):
            run.met[count], run.gap[count] = other, nan
            count += 1
    return count
