"""Routes through the built-in world, each named by the situation that it leads through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from navsim_agents.closed_loop.line import chain_of_lanes
from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.routes import lanes_towards, random_block_route
from navsim_agents.world.still_objects import StillScene
from navsim_agents.world.town_styles import TOWN_LOCATIONS
from navsim_agents.world.types import AgentType, Lane, Turn

SITUATIONS = (
    "light_straight",  # over a junction with lights
    "light_left",
    "light_right",
    "yield_left",  # out of a side road, which must give way
    "yield_right",  # the same, merging into the traffic on the main road
    "left_across",  # off the main road, across the oncoming side
    "pedestrians",  # people cross where there is nothing but a crosswalk
    "lane_change",  # to the lane that leads on along the route, among traffic
    "roadworks",
    "double_parked",  # a vehicle stands in the lane
    "parked_cars",  # along the road, some a little in the lane
)
ROUTE_M = 1500.0  # planned beyond the end, for whoever looks ahead
TURN_PREFERENCE = 1.4
FIRST_M, RUN_UP_M, BEFORE_LANE_M = 9.0, 95.0, 70.0  # from a lane's start; before a junction; before a lane with objects
BEHIND_M = 50.0  # driven after the situation
SHORTEST_RUN_UP_M = 45.0
MANY_PARKED, TRIES = 3, 30
NEAR_LANE_M = 2.6


@dataclass(frozen=True)
class Route:
    """Where a drive begins, which way it leads and where it ends; all else follows from the seeds."""

    name: str  # situation and number among all routes
    situation: str
    location: str  # town
    world_seed: int  # of towns
    number: int  # among all routes; with ``seed`` it decides who drives there
    seed: int
    start_lane: str
    start_m: float  # along it
    length_m: float  # from there to the end
    blocks: tuple[str, ...]  # roadblocks, the first that of the start, the last far beyond the end


@dataclass(frozen=True)
class Candidate:
    """A place for a route."""

    situation: str
    start_lane: str
    start_m: float
    length_m: float
    blocks: tuple[str, ...]  # as far as the situation needs


def pick_routes(places: dict[str, tuple[LaneGraph, StillScene]], world_seed: int, count: int, seed: int) -> list[Route]:
    """``count`` routes, situations and towns taking turns; fewer where the towns have no more places.

    Args:
        places: of each town, by its location.
        world_seed: of these towns.
        count: how many.
        seed: of the choice among places.

    Raises:
        InputError: there is no route at all.
    """
    rng = np.random.default_rng([seed, 3])
    open_places = {name: _shuffled(candidates(*found), rng) for name, found in places.items()}
    routes: list[Route] = []
    for turn in range(count * len(SITUATIONS)):
        if len(routes) == count:
            break
        situation, round_number = SITUATIONS[turn % len(SITUATIONS)], turn // len(SITUATIONS)
        order = [*places][round_number % len(places) :] + [*places][: round_number % len(places)]
        location = next((name for name in order if open_places[name].get(situation)), None)
        while location is not None and open_places[location][situation]:
            place = open_places[location][situation].pop()
            route = _route(place, location, *places[location], world_seed, len(routes), seed)
            if route is not None:
                routes.append(route)
                break
    if not routes:
        raise InputError(f"no route is found in the towns {[*places]} of seed {world_seed}; take another seed")
    return routes


def _route(
    place: Candidate,
    location: str,
    graph: LaneGraph,
    still: StillScene,
    world_seed: int,
    number: int,
    seed: int,
) -> Optional[Route]:
    """The route of a place; None where no way on from it could be driven without a second difficulty."""
    rng = np.random.default_rng([seed, number, TOWN_LOCATIONS.index(location), 4])
    ways = (random_block_route(graph, list(place.blocks), ROUTE_M, rng, TURN_PREFERENCE) for _ in range(TRIES))
    blocks = next((way for way in ways if is_drivable(graph, still, place, way)), None)
    if blocks is None:
        return None
    name = f"{place.situation}-{number:03d}"
    start = (place.start_lane, place.start_m, place.length_m)
    return Route(name, place.situation, location, world_seed, number, seed, *start, tuple(blocks))


def is_drivable(graph: LaneGraph, still: StillScene, place: Candidate, blocks: Sequence[str]) -> bool:
    """Whether a route leads through its situation alone: no other change of lanes, and nothing else in its lanes."""
    reach = place.start_m + place.length_m
    chain = chain_of_lanes(graph, blocks, place.start_lane, reach)
    changes = [number for number, (begin, end) in enumerate(chain) if begin != end]
    closed = [number for number, lanes in enumerate(chain) if still.closed_lanes.keys() & set(lanes)]
    if place.situation == "lane_change":
        return changes == [0] and not closed
    if not closed or place.situation not in ("roadworks", "double_parked"):
        return not changes and not closed
    lane = graph.town.lanes[chain[2][0]]
    beside = lane.left_neighbor or lane.right_neighbor
    goals = lanes_towards(graph, blocks[2], blocks[3])
    return closed == [2] and beside in goals and beside not in still.closed_lanes and changes in ([], [2])


def _shuffled(found: Sequence[Candidate], rng: np.random.Generator) -> dict[str, list[Candidate]]:
    groups: dict[str, list[Candidate]] = {}
    for index in rng.permutation(len(found)):
        groups.setdefault(found[index].situation, []).append(found[index])
    return groups


def candidates(graph: LaneGraph, still: StillScene) -> list[Candidate]:
    """Every place of a town for a route."""
    lanes = [lane for lane in graph.town.lanes.values() if not lane.is_connector]
    found = [place for lane in lanes if lane.lane_id not in still.closed_lanes for place in _junctions(graph, lane)]
    return found + [place for lane in lanes for place in _beside_objects(graph, still, lane)]


def _junctions(graph: LaneGraph, lane: Lane) -> Iterator[Candidate]:
    """Routes whose situation is the junction at the end of ``lane``."""
    length = graph.lengths[lane.lane_id]
    start = max(FIRST_M, length - RUN_UP_M)
    if length - start < SHORTEST_RUN_UP_M:
        return
    for connector in graph.town.roadblocks[lane.roadblock_id].successors:
        block = graph.town.roadblocks[connector]
        goals = lanes_towards(graph, lane.roadblock_id, connector)
        name = _junction(graph, block.lane_ids[0]) if lane.lane_id in goals else "lane_change"
        if name is not None:
            reach = length - start + graph.lengths[block.lane_ids[0]] + BEHIND_M
            yield Candidate(name, lane.lane_id, start, reach, (lane.roadblock_id, connector, block.successors[0]))


def _junction(graph: LaneGraph, connector: str) -> Optional[str]:
    """What driving over a connector means; None where it is nothing of interest."""
    lane = graph.town.lanes[connector]
    if lane.signal_group is not None:
        return f"light_{lane.turn.value}" if lane.turn is not Turn.U_TURN else None
    priority = graph.priorities[connector]
    if priority == 1 and lane.turn in (Turn.LEFT, Turn.RIGHT):
        return f"yield_{lane.turn.value}"
    if priority == 2:
        return "left_across" if graph.conflicts[connector] else None
    is_crosswalk_alone = graph.crossings[connector] and not graph.conflicts[connector]
    return "pedestrians" if is_crosswalk_alone and lane.turn is Turn.STRAIGHT else None


def _beside_objects(graph: LaneGraph, still: StillScene, lane: Lane) -> Iterator[Candidate]:
    """Routes that come into ``lane`` from a lane before it, and pass what stands there."""
    found = _objects(still, lane)
    for connector in lane.predecessors if found else ():
        before = graph.town.lanes[graph.town.lanes[connector].predecessors[0]]
        if before.lane_id in still.closed_lanes or graph.town.lanes[connector].turn is not Turn.STRAIGHT:
            continue
        start = max(FIRST_M, graph.lengths[before.lane_id] - BEFORE_LANE_M)
        name, end_m = found  # type: ignore[misc]
        reach = graph.lengths[before.lane_id] - start + graph.lengths[connector] + end_m + 0.6 * BEHIND_M
        blocks = (before.roadblock_id, graph.town.lanes[connector].roadblock_id, lane.roadblock_id)
        yield Candidate(name, before.lane_id, start, reach, blocks)


def _objects(still: StillScene, lane: Lane) -> Optional[tuple[str, float]]:
    """What stands in or beside a lane, and where it ends along the lane [m]."""
    cones = [item.pose for item in still.objects if item.agent_type is AgentType.TRAFFIC_CONE]
    in_lane = [pose for pose in cones if np.hypot(*(lane.centerline[:, XY] - pose[XY]).T).min() < NEAR_LANE_M]
    nudges = still.nudges.get(lane.lane_id, ())
    ends = [nudge.station_m + nudge.half_length_m for nudge in nudges]
    if lane.lane_id in still.closed_lanes:
        end = still.closed_lanes[lane.lane_id][1]
        return ("roadworks" if len(in_lane) > 2 else "double_parked"), end
    if len(in_lane) > 2 and nudges:
        return "roadworks", max(ends)
    return ("parked_cars", max(ends)) if len(nudges) >= MANY_PARKED else None
