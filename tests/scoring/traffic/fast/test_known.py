"""What is said of two grounds without their outlines, against shapely's; nothing false, and seldom nothing."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from navsim_agents.scoring.traffic.fast.fleet import AHEAD, HALF_LENGTH, NUM_COLUMNS, PROGRESS, SPEED
from navsim_agents.scoring.traffic.fast.known import MAYBE, NO, YES, touches_way
from navsim_agents.scoring.traffic.fast.outlines import vertex_after
from navsim_agents.scoring.traffic.fast.simulation import PreparedTraffic
from navsim_agents.scoring.traffic.rails import Rail, strip
from navsim_agents.scoring.traffic.roles import TRAFFIC
from tests.scoring.traffic.busy import busy_scene
from tests.scoring.traffic.fast.parts import compiled
from tests.scoring.traffic.roads import scene_of, vehicle, way

HEADWAY_S = 1.5
says, after = compiled(touches_way), compiled(vertex_after)


def rails_of(fleet):
    """The paths as the slow simulation has them."""
    first = fleet.ways.vertex_first
    pieces = (fleet.ways.vertex[a:b] for a, b in zip(first[:-1], first[1:]))
    return [Rail(piece[:, [0, 1, 2]], piece[:, 3]) for piece in pieces]


@pytest.mark.parametrize("seed", range(2))
def test_what_is_said_is_so(seed):
    fleet = PreparedTraffic.of(busy_scene(seed, count=12), TRAFFIC).fleet
    rails, draw, said = rails_of(fleet), np.random.default_rng(seed), []
    for _ in range(3000):
        row, other = draw.choice(len(rails), 2, replace=False)
        mine, theirs = draw.uniform(0.0, rails[row].end), draw.uniform(-3.0, rails[other].end + 9.0)
        state = np.zeros(NUM_COLUMNS)
        state[PROGRESS], state[SPEED] = theirs, draw.choice([0.0, draw.uniform(0.0, 15.0)])
        last = fleet.ways.vertex_first[other + 1] - 1
        state[AHEAD] = min(after(fleet.ways, other, rails[other].clamp(theirs)), last)
        half = fleet.body[other, HALF_LENGTH]
        start, end = rails[other].clamp(theirs - half), rails[other].clamp(theirs + half + HEADWAY_S * state[SPEED])
        vertex = min(after(fleet.ways, row, mine), fleet.ways.vertex_first[row + 1] - 1)
        answer = says(fleet, state, row, vertex, other, HEADWAY_S)
        way = strip(rails[row].line_from(mine), 2.0 * fleet.body[row, 1])
        stretch = strip(rails[other].line_between(start, end), 2.0 * fleet.body[other, 1])
        said.append((answer, bool(shapely.intersects(way, stretch))))
    assert {is_so for answer, is_so in said if answer == NO} == {False}
    assert {is_so for answer, is_so in said if answer == YES} == {True}
    assert {is_so for answer, is_so in said if answer == MAYBE} == {False, True}
    assert 0.0 < np.mean([answer == MAYBE for answer, _ in said]) < 0.2


def test_paths_that_cross_between_vertices_come_near():
    """Long segments, whose ends are all far from each other."""
    across = vehicle(way(20.0, -80.0, 20.0, 80.0, points=3), progress=75.0, size=(4.0, 2.0))
    along = vehicle(way(-80.0, 1.0, 120.0, 1.0, points=3), progress=0.0, size=(4.0, 2.0))
    fleet = PreparedTraffic.of(scene_of(along, across, turn=0.0), TRAFFIC).fleet
    state = np.zeros(NUM_COLUMNS)
    state[PROGRESS], state[SPEED], state[AHEAD] = 75.0, 6.0, fleet.ways.vertex_first[1] + 1
    assert says(fleet, state, 0, fleet.ways.vertex_first[0] + 1, 1, HEADWAY_S) == MAYBE
