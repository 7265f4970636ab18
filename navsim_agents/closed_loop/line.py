"""A route as points along its lanes, and where on it a car is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import wrap_angle
from navsim_agents.world.curves import FloatArray, arc_lengths, cut_curve, resample_curve, unit
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import blend_curves
from navsim_agents.world.routes import lanes_towards

SPACING_M = 1.0  # as Bench2Drive's routes
CHANGE_SHARES = (0.35, 0.75)  # of a lane, between which a route goes over to the lane that leads on
RADIAN_M = 4.0  # a lane that runs this much more athwart counts as this much farther away


def chain_of_lanes(graph: LaneGraph, blocks: Sequence[str], lane_id: str, reach_m: float) -> list[tuple[str, str]]:
    """Lanes from ``lane_id`` in ``blocks[0]`` on, ``reach_m`` long: of each the one that it begins and ends in."""
    lanes, chain, length = graph.town.lanes, [], 0.0
    for block, connector_block, next_block, after in zip(blocks[::2], blocks[1::2], blocks[2::2], blocks[3::2]):
        goals = lanes_towards(graph, block, connector_block)
        order = graph.town.roadblocks[block].lane_ids
        at = order.index(lane_id)
        end = min(goals, key=lambda lane, order=order, at=at: abs(order.index(lane) - at))  # type: ignore[misc]
        wanted = lanes_towards(graph, next_block, after)
        options = [other for other in lanes[end].successors if lanes[other].roadblock_id == connector_block]
        connector = min(options, key=lambda other, wanted=wanted: lanes[other].successors[0] not in wanted)  # type: ignore[misc]
        chain += [(lane_id, end), (connector, connector)]
        length += graph.lengths[lane_id] + graph.lengths[connector]
        lane_id = lanes[connector].successors[0]
        if length > reach_m:
            break
    return [*chain, (lane_id, lane_id)]


@dataclass(frozen=True)
class RouteLine:
    """Points [N, 3] a metre apart, in the middle of lanes, with headings along the route."""

    points: Float64[np.ndarray, "N 3"]

    @staticmethod
    def along(graph: LaneGraph, blocks: Sequence[str], lane_id: str, start_m: float, length_m: float) -> RouteLine:
        """The line of a route; a change of lanes is a smooth curve in the lane's middle part."""
        lanes = graph.town.lanes
        curves: list[FloatArray] = []
        for begin, end in chain_of_lanes(graph, blocks, lane_id, start_m + length_m):
            curve, other = lanes[begin].centerline, lanes[end].centerline
            if begin != end and len(curve) == len(other):
                length = graph.lengths[begin]
                curve = blend_curves(curve, other, CHANGE_SHARES[0] * length, CHANGE_SHARES[1] * length)
            curves.append(curve if not curves else curve[1:])
        return RouteLine(resample_curve(cut_curve(np.concatenate(curves), start_m, start_m + length_m), SPACING_M))

    def beyond(self, point: Float64[np.ndarray, "2"], num_points: Optional[int] = None) -> RouteLine:
        """The part from the point nearest to ``point`` on, of the first ``num_points`` where these are given."""
        first = int(np.hypot(*(self.points[:num_points, XY] - point).T).argmin())
        return RouteLine(self.points[min(first, len(self.points) - 2) :])

    @cached_property
    def travelled_m(self) -> Float64[np.ndarray, " N"]:
        """Arc length at each point."""
        return arc_lengths(self.points)

    def has_passed(self, index: int, location: Float64[np.ndarray, "2"]) -> bool:
        """Whether ``location`` lies ahead of the point ``index``, seen along the route."""
        point = self.points[index]
        return bool((location - point[XY]) @ unit(point[HEADING]) > 0.0)


@dataclass(frozen=True)
class Spot:
    """A place in the lanes of a route."""

    lane_id: str
    block: int  # index among the route's


class RouteLanes:
    """Finds the lane of a route that a car is in; never back by more than one roadblock."""

    def __init__(self, graph: LaneGraph, blocks: Sequence[str]) -> None:
        self._graph, self._blocks = graph, tuple(blocks)
        self._at = 0

    def locate(self, pose: Float64[np.ndarray, "*columns"]) -> Spot:
        """The lane nearest to a pose (x, y, heading) and along it."""
        best, spot = np.inf, Spot("", 0)
        for block in range(max(0, self._at - 1), min(self._at + 3, len(self._blocks))):
            for lane_id in self._graph.town.roadblocks[self._blocks[block]].lane_ids:
                cost = self._cost(lane_id, pose)
                if cost < best - 1e-9:
                    best, spot = cost, Spot(lane_id, block)
        self._at = max(self._at, spot.block)
        return spot

    def _cost(self, lane_id: str, pose: Float64[np.ndarray, "*columns"]) -> float:
        curve = self._graph.town.lanes[lane_id].centerline
        distance = np.hypot(*(curve[:, XY] - pose[XY]).T)
        nearest = int(distance.argmin())
        turned = abs(float(wrap_angle(curve[nearest, HEADING] - pose[HEADING])))
        return float(distance[nearest]) + RADIAN_M * turned
