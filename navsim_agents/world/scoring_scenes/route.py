"""The route as PDM-Closed reads it: cut at loops, a starting lane, and the centreline that progress is measured on.

Behaviour of NAVSIM's ``route_utils.py``, ``abstract_pdm_planner.py`` and ``dijkstra.py``; a route of the built-in world
begins where the ego is and its roadblocks follow each other, so the repairs for other routes are not needed.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import shapely
from jaxtyping import Float64

from navsim_agents.common.planar import corners
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import wrap_angle
from navsim_agents.world.curves import unit
from navsim_agents.world.fleet import EGO_BODY
from navsim_agents.world.scoring_scenes.town_map import TownMap

LOOP_AREA_M2 = 1.0  # connectors that overlap by more are the same place passed twice
SEARCH_DEPTH = 30  # roadblocks that the centreline may run through


def without_loops(town_map: TownMap, route: Sequence[str]) -> tuple[str, ...]:
    """``route`` without repeated roadblocks, up to the first connector that overlaps an earlier one."""
    blocks = tuple(dict.fromkeys(route))
    passed: list[shapely.Polygon] = []
    for index, block in enumerate(blocks):
        if not town_map.town.roadblocks[block].is_connector:
            continue
        polygon = town_map.connector_polygon(block)
        if any(earlier.intersection(polygon).area > LOOP_AREA_M2 for earlier in passed if earlier.intersects(polygon)):
            return blocks[:index]
        passed.append(polygon)
    return blocks


def lanes_of_route(town_map: TownMap, route: Sequence[str]) -> tuple[str, ...]:
    """Every lane and connector of the route's roadblocks."""
    return tuple(lane for block in route for lane in town_map.lanes_of(block))


def starting_lane(town_map: TownMap, lanes: Sequence[str], ego_pose: Float64[np.ndarray, "3"]) -> str:
    """Of the route's lanes under the rear axle, the one best aligned with it; without any, the lane nearest to the ego.

    ``ego_pose`` is the rear axle [3] on the map.
    """
    point = shapely.Point(ego_pose[XY])
    under = [lane for lane in lanes if town_map.lane_polygon(lane).intersects(point)]
    if under:
        return min(under, key=lambda lane: _heading_error(town_map, lane, ego_pose))
    center = ego_pose[XY] + EGO_BODY.center_m * unit(ego_pose[HEADING])
    for lane in lanes:
        if town_map.lane_polygon(lane).contains(shapely.Point(center)):
            return lane
    box = shapely.Polygon(corners(np.array([*center, ego_pose[HEADING], EGO_BODY.length_m, EGO_BODY.width_m])))
    return min(lanes, key=lambda lane: town_map.lane_polygon(lane).distance(box))


def _heading_error(town_map: TownMap, lane: str, pose: Float64[np.ndarray, "3"]) -> float:
    """Angle [rad] between ``pose`` and the lane's chord at the nearest of its points."""
    chords = town_map.chords(lane)
    nearest = int(np.argmin(np.hypot(*(chords.points - pose[XY]).T)))
    return float(np.abs(wrap_angle(chords.headings[nearest] - pose[HEADING])))


def centerline(town_map: TownMap, route: Sequence[str], start: str) -> Float64[np.ndarray, "M 2"]:
    """Points of the shortest chain of the route's lanes from lane ``start`` to the route's end.

    Points where two lanes meet appear twice, as in the devkit.
    """
    block = town_map.town.lanes[start].roadblock_id
    first = route.index(block) if block in route else 0
    target = route[first : first + SEARCH_DEPTH][-1]
    lanes = shortest_chain(town_map, frozenset(lanes_of_route(town_map, route)), start, target)
    return np.concatenate([town_map.chords(lane).points for lane in lanes])


def shortest_chain(town_map: TownMap, allowed: frozenset[str], start: str, target_block: str) -> list[str]:
    """Lanes from ``start`` to the nearest lane of ``target_block`` within ``allowed`` (Dijkstra, by length).

    Where the target is out of reach: the shortest of the deepest chains. Among equals, the one found first.
    """
    parent: dict[str, str] = {}
    best, depth, order = {start: 0.0}, {start: 1}, {start: 0}
    heap, expanded = [(0.0, 0, start)], []
    while heap:
        distance, _, lane = heapq.heappop(heap)
        if lane in expanded or distance > best[lane]:
            continue
        if town_map.town.lanes[lane].roadblock_id == target_block:
            return _chain(parent, lane)
        expanded.append(lane)
        for following in town_map.successors(lane):
            reached = distance + town_map.chords(following).length_m if following in allowed else np.inf
            if following in expanded or reached >= best.get(following, np.inf):
                continue
            best[following], depth[following], parent[following] = reached, depth[lane] + 1, lane
            heapq.heappush(heap, (reached, order.setdefault(following, len(order)), following))
    deepest = max(depth[lane] for lane in expanded)
    return _chain(parent, min((lane for lane in expanded if depth[lane] == deepest), key=best.__getitem__))


def _chain(parent: dict[str, str], end: str) -> list[str]:
    chain = [end]
    while chain[-1] in parent:
        chain.append(parent[chain[-1]])
    return chain[::-1]
