"""Which lanes are driven along, against a search through all sequences; the route that follows from them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from navsim_agents.argoverse.matching import JUMP_COST, LANE_CHANGE_COST, TURN_COST, match_lanes
from navsim_agents.argoverse.route import REACH_M, route_along
from tests.argoverse.lanes import crossing, straight_lane


def cost_of(lane_map, tokens, poses):
    """Of one sequence of lanes, pose by pose."""
    total = 0.0
    for token, (x, y, heading) in zip(tokens, poses):
        line = lane_map.lanes[token].centre
        apart = np.hypot(line[:, 0] - x, line[:, 1] - y)
        ahead = lane_map.lanes[token].headings[apart.argmin()]
        total += min(apart.min(), 20.0) + TURN_COST * (1.0 - np.cos(heading - ahead))
    for before, after in zip(tokens, tokens[1:]):
        if after != before and after not in lane_map.successors(before):
            total += LANE_CHANGE_COST if after in lane_map.siblings(before) else JUMP_COST
    return total


@pytest.mark.parametrize("seed", range(5))
def test_the_match_is_the_cheapest_of_all_sequences(seed):
    lane_map, draw = crossing(), np.random.default_rng(seed)
    chosen = {token: lane_map.lanes[token] for token in ("a1", "a2", "c1", "c2", "turn", "against")}
    lane_map.lanes.clear()
    lane_map.lanes.update(chosen)
    poses = np.stack(
        (np.linspace(-12, 9, 5), draw.uniform(-4, 6, 5), draw.uniform(-0.6, 0.9, 5) + 6 * np.pi), axis=1
    )  # after three turns of the wheel round
    found = match_lanes(lane_map, poses)
    costs = {tokens: cost_of(lane_map, tokens, poses) for tokens in itertools.product(chosen, repeat=5)}
    assert costs[found.tokens] == pytest.approx(min(costs.values()), abs=1e-9)
    for token, distance, pose in zip(found.tokens, found.distances, poses):
        assert distance == pytest.approx(np.hypot(*(chosen[token].centre - pose[:2]).T).min())


def test_the_turn_is_matched_where_the_lanes_still_overlap():
    """On its first metres a turn lies over the lane straight on; what follows decides."""
    way = np.concatenate((np.linspace((-9, 2, 0), (0, 2, 0), 19), np.linspace((0, 2, 0.7), (8, 10, 0.8), 23)))
    found = match_lanes(crossing(), np.concatenate((way, np.linspace((8, 10, 1.5), (8, 20, 1.6), 21)))).tokens
    assert list(dict.fromkeys(found)) == ["a1", "turn", "d"]


def test_the_oncoming_lane_is_not_matched_by_who_drives_beside_it():
    poses = np.stack((np.linspace(-25, -5, 41), np.full(41, 4.1), np.zeros(41)), axis=1)  # a little across the line
    assert set(match_lanes(crossing(), poses).tokens) == {"a1"}


def test_a_route_has_the_lanes_beside_and_all_connectors_on_the_way():
    route = route_along(crossing(), ["a1", "a1", "c1", "b1"])
    assert route.chain == ("a1", "c1", "b1", "end1")
    assert route.lanes == {"a1", "a2", "c1", "c2", "b1", "b2", "end1"}  # no turn, nothing against, no bend


def test_a_route_takes_the_lane_of_a_block_that_is_driven_last():
    route = route_along(crossing(), ["a1", "a2", "a2", "c2", "b2"])
    assert route.chain == ("a2", "c2", "b2")
    line = route.centerline(crossing())
    np.testing.assert_allclose(line[:, 1], -2.0, atol=1e-9)
    np.testing.assert_allclose(line[[0, -1], 0], [-30.0, 40.0], atol=1e-9)


def test_where_a_route_comes_back_it_ends():
    route = route_along(crossing(), ["a2", "c2", "bend", "a2", "c2"])
    assert route.chain[:3] == ("a2", "c2", "bend")
    assert len(set(route.chain)) == len(route.chain)


def test_behind_the_log_the_straightest_successors_follow():
    lane_map = crossing()
    assert route_along(lane_map, ["a1"]).chain == ("a1", "c1", "b1", "end1")  # 40 m are not enough, end1 is
    assert sum(lane_map.lanes[token].length_m for token in ("c1", "b1", "end1")) > REACH_M
    assert route_along(lane_map, ["end1"]).chain == ("end1",)


def test_lanes_that_bend_away_are_turns():
    lane = straight_lane("x", (0, 0), (10, 0))
    assert lane.headings.tolist() == [0.0] * len(lane.centre)
