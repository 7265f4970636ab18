"""A crossing of straight lanes: two beside each other lead in, three connectors across, two lanes out and one aside."""

from __future__ import annotations

import numpy as np

from navsim_agents.argoverse.lane_map import LaneMap, MapLane


def straight_lane(token, start, end, successors=(), neighbours=(), is_intersection=False, width=4.0):
    start, end = np.array(start, dtype=float), np.array(end, dtype=float)
    ahead = (end - start) / np.hypot(*(end - start))
    aside = width / 2 * np.array([-ahead[1], ahead[0]])
    left, right = np.stack((start, end)) + aside, np.stack((start, end)) - aside
    return MapLane(token, left, right, is_intersection, tuple(successors), tuple(neighbours))


def crossing():
    """Ids say where a lane lies: a before, c across and b behind the crossing; 1 left, 2 right; d leads aside."""
    return LaneMap(
        "PIT",
        [
            straight_lane("a1", (-30, 2), (0, 2), ("c1", "turn"), ("a2", "against")),
            straight_lane("a2", (-30, -2), (0, -2), ("c2",), ("a1",)),
            straight_lane("against", (0, 6), (-30, 6), (), ("a1",)),
            straight_lane("c1", (0, 2), (10, 2), ("b1",), (), True),
            straight_lane("c2", (0, -2), (10, -2), ("b2", "bend"), (), True),
            straight_lane("turn", (0, 2), (8, 10), ("d",), (), True),
            straight_lane("b1", (10, 2), (40, 2), ("end1",), ("b2",)),
            straight_lane("b2", (10, -2), (40, -2), (), ("b1",)),
            straight_lane("bend", (10, -2), (30, -20), ("a2",), ()),
            straight_lane("d", (8, 10), (8, 40)),
            straight_lane("end1", (40, 2), (300, 2)),
        ],
        {},
    )
