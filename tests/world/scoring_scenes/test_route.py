"""Route, starting lane and centreline against brute force and shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from navsim_agents.world.scoring_scenes.route import (
    centerline,
    lanes_of_route,
    shortest_chain,
    starting_lane,
    without_loops,
)


def every_chain(town_map, allowed, chain):
    """All chains of lanes on from ``chain``, the slow and obvious way."""
    yield chain
    for following in town_map.successors(chain[-1]):
        if following in allowed and following not in chain:
            yield from every_chain(town_map, allowed, [*chain, following])


def length(town_map, chain):
    return sum(town_map.chords(lane).length_m for lane in chain[1:])


def test_chain_is_the_shortest_of_all(driven):
    town, town_map = driven.town, driven.town_map
    num_compared = 0
    for length_of_route in (3, 5, 7):
        route = without_loops(town_map, driven.frames[0]["roadblock_ids"])[:length_of_route]
        allowed = frozenset(lanes_of_route(town_map, route))
        for start in town_map.lanes_of(route[0]):
            chains = list(every_chain(town_map, allowed, [start]))
            arriving = [chain for chain in chains if town.lanes[chain[-1]].roadblock_id == route[-1]]
            if arriving:
                expected = min(length(town_map, chain) for chain in arriving)
                assert length(town_map, shortest_chain(town_map, allowed, start, route[-1])) == pytest.approx(expected)
                num_compared += 1
    assert num_compared >= 3


def test_out_of_reach_the_deepest_chain_is_taken(driven):
    town_map = driven.town_map
    route = without_loops(town_map, driven.frames[0]["roadblock_ids"])
    lanes = lanes_of_route(town_map, route[:3])  # the target is not among them
    chain = shortest_chain(town_map, frozenset(lanes), lanes[0], route[-1])
    deepest = max(map(len, every_chain(town_map, frozenset(lanes), [lanes[0]])))
    assert len(chain) == deepest


def test_centreline_begins_with_the_starting_lane_and_runs_on(driven):
    town_map, index = driven.town_map, driven.indices[0]
    route, lane = driven.builder.start(index)
    points = centerline(town_map, route, lane)
    np.testing.assert_array_equal(points[: len(town_map.chords(lane).points)], town_map.chords(lane).points)
    steps = np.hypot(*np.diff(points, axis=0).T)
    assert steps.max() < 1.0
    assert (steps < 1e-9).sum() >= 2  # where lanes meet a point is there twice


def test_starting_lane_holds_the_rear_axle_and_runs_along_it(driven):
    for index in driven.indices:
        route, lane = driven.builder.start(index)
        pose = driven.drive.ego.poses[5 * index]
        assert driven.town_map.lane_polygon(lane).intersects(shapely.Point(pose[:2]))
        assert lane in lanes_of_route(driven.town_map, route)


def test_off_the_road_the_nearest_lane_is_taken(driven):
    town_map, pose = driven.town_map, driven.drive.ego.poses[0]
    lanes = town_map.lanes_of(driven.frames[0]["roadblock_ids"][0])
    aside = pose + np.array([-np.sin(pose[2]), np.cos(pose[2]), 0.0]) * -30.0
    nearest = min(lanes, key=lambda lane: town_map.lane_polygon(lane).distance(shapely.Point(aside[:2])))
    assert starting_lane(town_map, lanes, aside) == nearest


def test_a_route_ends_where_it_meets_itself(driven):
    town_map = driven.town_map
    route = driven.frames[0]["roadblock_ids"]
    connectors = [block for block in route if driven.town.roadblocks[block].is_connector]
    assert without_loops(town_map, [*route[:4], route[0]]) == tuple(route[:4])
    overlapping = next(
        block
        for block, other in driven.town.roadblocks.items()
        if other.is_connector
        and block not in route
        and town_map.connector_polygon(block).intersection(town_map.connector_polygon(connectors[0])).area > 1.0
    )
    assert without_loops(town_map, [*route[:3], overlapping, *route[3:]]) == tuple(route[:3])
