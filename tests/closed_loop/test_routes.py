"""Routes of the world's situations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.line import RouteLanes, RouteLine, chain_of_lanes
from navsim_agents.closed_loop.routes import SITUATIONS, pick_routes
from navsim_agents.closed_loop.runs import choose_routes
from navsim_agents.closed_loop.stage import place_of
from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError
from navsim_agents.world.curves import arc_lengths
from navsim_agents.world.types import Turn
from tests.closed_loop.given import TOWN, WORLD_SEED, routes


def test_situations_take_turns_and_names_say_them() -> None:
    found = routes()
    assert len(found) == 11
    assert [route.name for route in found] == [f"{route.situation}-{n:03d}" for n, route in enumerate(found)]
    counts = Counter(route.situation for route in found)
    assert set(counts) <= set(SITUATIONS)
    assert len(counts) >= 9
    assert max(counts.values()) <= 2


def test_they_are_the_same_every_time_and_others_with_another_seed() -> None:
    places = {TOWN: place_of(TOWN, WORLD_SEED)}
    assert tuple(pick_routes(places, WORLD_SEED, 11, 0)) == routes()
    assert tuple(pick_routes(places, WORLD_SEED, 11, 1)) != routes()


def test_a_route_begins_in_its_lane_and_is_driven_by_turns_of_its_situation() -> None:
    graph, _ = place_of(TOWN, WORLD_SEED)
    for route in routes():
        block = graph.town.roadblocks[route.blocks[1]]
        lane = graph.town.lanes[block.lane_ids[0]]
        assert graph.town.lanes[route.start_lane].roadblock_id == route.blocks[0]
        assert route.blocks[1] in graph.town.roadblocks[route.blocks[0]].successors
        if route.situation.startswith("light_"):
            assert (lane.signal_group is not None, lane.turn.value) == (True, route.situation[len("light_") :])
        if route.situation in ("yield_left", "left_across"):
            assert (lane.signal_group, lane.turn) == (None, Turn.LEFT)
        is_changing = [
            begin for begin, end in chain_of_lanes(graph, route.blocks, route.start_lane, 100.0)[:1] if begin != end
        ]
        assert bool(is_changing) is (route.situation == "lane_change")


def test_a_line_has_a_point_a_metre_and_no_leaps() -> None:
    graph, _ = place_of(TOWN, WORLD_SEED)
    for route in routes():
        line = RouteLine.along(graph, route.blocks, route.start_lane, route.start_m, route.length_m)
        steps = np.hypot(*np.diff(line.points[:, XY], axis=0).T)
        assert line.travelled_m[-1] == pytest.approx(route.length_m, abs=1.5)
        assert (steps.min() > 0.9, steps.max() < 1.1) == (True, True)
        middle = line.points[len(line.points) // 2, XY]
        rest = line.beyond(middle)
        assert np.array_equal(rest.points[0, XY], middle)
        assert arc_lengths(rest.points)[-1] < arc_lengths(line.points)[-1]


def test_a_car_is_in_the_lane_under_it() -> None:
    graph, _ = place_of(TOWN, WORLD_SEED)
    route = routes()[0]
    lanes = RouteLanes(graph, route.blocks)
    for block, (begin, _) in enumerate(chain_of_lanes(graph, route.blocks, route.start_lane, 120.0)):
        spot = lanes.locate(graph.town.lanes[begin].centerline[len(graph.town.lanes[begin].centerline) // 2])
        assert (spot.lane_id, spot.block) == (begin, block)


def test_a_film_of_no_route_is_refused() -> None:
    config = DriveLoopConfig("", towns=[TOWN], world_seed=WORLD_SEED, routes=2, films=["u_turn-000"])
    with pytest.raises(InputError, match=r"u_turn-000.*routes are light_straight-000, "):
        choose_routes(config)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"baselines": ["human"]}, "human"),
        ({"towns": []}, "each once"),
        ({"towns": [TOWN, TOWN]}, "each once"),
        ({"baselines": []}, "nobody drives"),
        ({"replan_s": 0.25}, "take a multiple"),
        ({"runs": {"expert": "x"}}, "a name of its own"),
        ({"runs": {"a/b": "x"}}, "leave out /"),
        ({"run_settings": {"b": {}}}, "name one"),
        ({"weights": "worst"}, "best or last"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(DriveLoopConfig("x"), **given)
