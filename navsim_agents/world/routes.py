"""Random ways through the lane graph."""

from __future__ import annotations

from typing import Optional

import numpy as np

from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.types import Roadblock, Turn

_TRIES = 10
_RECENT_BLOCKS = 24  # a route avoids returning to this many of its last roadblocks


def open_lane_route(
    graph: LaneGraph, start: str, length_m: float, rng: np.random.Generator, closed_lanes: frozenset[str]
) -> Optional[list[str]]:
    """Lanes and connectors from ``start`` on, at least ``length_m`` long, or None if all tries end in a closed lane."""
    for _ in range(_TRIES):
        route = _lane_route(graph, start, length_m, rng, closed_lanes)
        if not closed_lanes.intersection(route):
            return route
    return None


def _lane_route(
    graph: LaneGraph, start: str, length_m: float, rng: np.random.Generator, closed_lanes: frozenset[str]
) -> list[str]:
    route, length = [start], graph.lengths[start]
    lanes = graph.town.lanes
    while length < length_m and route[-1] not in closed_lanes:
        options = lanes[route[-1]].successors
        is_open = [option for option in options if lanes[option].successors[0] not in closed_lanes]
        connector = str(rng.choice(is_open or options))
        following = lanes[connector].successors[0]
        route += [connector, following]
        length += graph.lengths[connector] + graph.lengths[following]
    return route


def random_block_route(
    graph: LaneGraph, start: list[str], length_m: float, rng: np.random.Generator, turn_preference: float
) -> list[str]:
    """Roadblocks and roadblock connectors that follow from ``start`` (which ends in a roadblock) for ``length_m``.

    ``turn_preference`` is the weight of a turn against going straight on.
    """
    route, length = list(start), 0.0
    blocks = graph.town.roadblocks
    while length < length_m:
        options = [blocks[i] for i in blocks[route[-1]].successors]
        fresh = [block for block in options if block.successors[0] not in route[-_RECENT_BLOCKS:]] or options
        weights = np.array([1.0 if _turn(graph, block) is Turn.STRAIGHT else turn_preference for block in fresh])
        connector = fresh[int(rng.choice(len(fresh), p=weights / weights.sum()))]
        route += [connector.roadblock_id, connector.successors[0]]
        length += sum(graph.lengths[blocks[i].lane_ids[0]] for i in route[-2:])
    return route


def lanes_towards(graph: LaneGraph, roadblock_id: str, connector_block_id: str) -> frozenset[str]:
    """Lanes of a roadblock that lead into a roadblock connector."""
    connectors = (graph.town.lanes[i] for i in graph.town.roadblocks[connector_block_id].lane_ids)
    block = graph.town.roadblocks[roadblock_id]
    return frozenset(lane.predecessors[0] for lane in connectors if lane.predecessors[0] in block.lane_ids)


def _turn(graph: LaneGraph, block: Roadblock) -> Turn:
    return graph.town.lanes[block.lane_ids[0]].turn
