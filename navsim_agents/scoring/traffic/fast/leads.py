"""How far away those on a vehicle's way are, and which of them it follows."""

from __future__ import annotations

from math import inf, isnan
from typing import Callable

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic import following
from navsim_agents.scoring.traffic.fast.columns import HIGH_X, HIGH_Y, LOW_X, LOW_Y
from navsim_agents.scoring.traffic.fast.fleet import (
    BOX,
    HALF_LENGTH,
    HULL,
    NUM_CHUNKS,
    NUM_POINTS,
    PLACE,
    PROGRESS,
    SPEED,
    WANTED,
    Figures,
    Fleet,
    Run,
)
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.sight import GAPS, build_ground
from navsim_agents.scoring.traffic.fast.ties import CAPACITY, UNKNOWN, first_of_nearest
from navsim_agents.scoring.traffic.fast.touching import (
    SAME,
    box_gap_squared,
    outline_gap,
    outlines_touch,
    places_touch,
)
from navsim_agents.scoring.traffic.fast.ways import V_ALONG, Ways
from navsim_agents.scoring.traffic.following import Ahead

NOBODY, UNSURE = -1, -2
"""Instead of a row: nobody is on the way; a tie hangs on rounding."""
ROUNDING_M = 1e-8
"""Sums of two coordinates as near as that may change places by rounding. What simplifying by 1e-5 m takes out is no
outermost point: those are corners of boxes and ends, or of a bend that is no longer nearly straight."""


acceleration: Callable[..., float] = part(following.acceleration)


@part
def acceleration_behind(fleet: Fleet, figures: Figures, run: Run, row: int, lead: int) -> float:
    """Of a vehicle behind the one at ``lead`` of those noted, or behind the wall at its path's end [m/s^2]."""
    state, ways = run.now[row], fleet.ways
    if lead < 0:
        end = ways.vertex[ways.vertex_first[row + 1] - 1, V_ALONG]
        ahead = Ahead(end - state[PROGRESS] - fleet.body[row, HALF_LENGTH], 0.0)
    else:
        other = run.now[run.met[lead]]
        turn = state[PLACE + 2] * other[PLACE + 2] + state[PLACE + 3] * other[PLACE + 3]
        ahead = Ahead(run.gap[lead], other[SPEED] * turn)
    return acceleration(state[SPEED], fleet.body[row, WANTED], ahead, figures)


@part
def lead_of(fleet: Fleet, figures: Figures, run: Run, row: int, count: int, is_whole: bool) -> int:
    """Which of those noted a vehicle follows, with its distance in ``run.gap``; NOBODY or UNSURE.

    Distances that cannot be the least are left out, unless the table shall be whole.
    """
    best, nearest = inf, NOBODY
    for index in range(count):
        if run.gap[index] < best:  # not where it is NaN
            best, nearest = run.gap[index], index
    mine = run.now[row, HULL : HULL + 4]
    for index in range(count):
        other = run.met[index]
        if isnan(run.gap[index]):
            if not is_whole and box_gap_squared(mine, run.now[other, HULL : HULL + 4]) > best * best:
                run.gap[index] = inf
            else:
                run.gap[index] = _gap(fleet.ways, fleet.body, run, row, other, figures.headway_s)
                if run.gap[index] < best:
                    best, nearest = run.gap[index], index
    if best > 0.0 or _are_ties_alike(fleet, figures, run, row, count, nearest):
        return nearest
    return _first_of_ties(run, row, count)


@part
def _are_ties_alike(fleet: Fleet, figures: Figures, run: Run, row: int, count: int, first: int) -> bool:
    """Whether it is the same for a vehicle which of those at 0 m it follows."""
    wanted = acceleration_behind(fleet, figures, run, row, first)
    for index in range(first + 1, count):
        if run.gap[index] == 0.0 and acceleration_behind(fleet, figures, run, row, index) != wanted:
            return False
    return True


@part
def _gap(ways: Ways, body: FloatArray, run: Run, row: int, other: int, headway_s: float) -> float:
    """Distance [m] of a vehicle's ground of the step before from another's of now."""
    mine, theirs = run.now[row], run.now[other]
    if places_touch(mine[BOX : BOX + 4], body[row], theirs[BOX : BOX + 4], body[other]):
        return 0.0
    run.effort[GAPS] += 1
    build_ground(ways, body, run, row, headway_s)
    build_ground(ways, body, run, other, headway_s)
    mark, their = run.mark[row], run.mark[other]
    if box_gap_squared(mine[HULL : HULL + 4], theirs[HULL : HULL + 4]) <= SAME * SAME and outlines_touch(
        run.points[row],
        mark[NUM_POINTS],
        run.boxes[row],
        0,
        mark[NUM_CHUNKS],
        run.points[other],
        their[NUM_POINTS],
        run.boxes[other],
        0,
        their[NUM_CHUNKS],
    ):
        return 0.0
    gap = outline_gap(
        run.points[row],
        mark[NUM_POINTS],
        run.boxes[row],
        mark[NUM_CHUNKS],
        run.points[other],
        their[NUM_POINTS],
        run.boxes[other],
        their[NUM_CHUNKS],
    )
    return 0.0 if gap <= SAME else gap


@part
def _first_of_ties(run: Run, row: int, count: int) -> int:
    """Which of those at 0 m the search tree gives."""
    hull = run.tree.hull
    for index in range(count):
        for column in range(4):
            hull[index, column] = run.now[run.met[index], HULL + column]
    for index in range(count):
        for other in range(index):
            if run.gap[index] == 0.0 and run.gap[other] == 0.0:
                x = hull[index, LOW_X] + hull[index, HIGH_X] - hull[other, LOW_X] - hull[other, HIGH_X]
                y = hull[index, LOW_Y] + hull[index, HIGH_Y] - hull[other, LOW_Y] - hull[other, HIGH_Y]
                if abs(y) < ROUNDING_M or (count > CAPACITY and abs(x) < ROUNDING_M):
                    return UNSURE
    found = first_of_nearest(run.tree, run.gap, count, run.now[row, HULL : HULL + 4])
    return UNSURE if found == UNKNOWN else found
