"""The route of a scene: the lanes that the human drives along from now on, and what follows where the log ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Float64

from navsim_agents.argoverse.lane_map import LaneMap, MapLane
from navsim_agents.common.poses import wrap_angle

REACH_M = 200.0  # the route goes on this far behind the lane in which the log ends


@dataclass(frozen=True)
class Route:
    """Lanes one after the other, and all that belong to the way."""

    chain: tuple[str, ...]
    lanes: frozenset[str]  # with those beside them that are driven the same way

    def centerline(self, lane_map: LaneMap) -> Float64[np.ndarray, "M 2"]:
        """Points of the chain's centre lines; where two lanes meet they appear twice, as in nuPlan."""
        return np.concatenate([lane_map.lanes[token].centre for token in self.chain])


def route_along(lane_map: LaneMap, driven: Sequence[str]) -> Route:
    """The route of somebody who drives along the lanes ``driven`` (repeated while the lane is the same).

    Of lanes beside each other the chain takes the one that is driven last; where it comes back, the route ends.
    """
    chain: list[str] = []
    passed: set[str] = set()
    for block, tokens in groupby(driven, lane_map.block):
        if passed & block:
            break
        passed |= block
        chain.append(list(tokens)[-1])
    chain = _continued(lane_map, chain)
    blocks = [lane_map.block(token) for token in chain]
    connectors = (_between(lane_map, first, third) for first, third in zip(blocks, blocks[2:]))
    return Route(tuple(chain), frozenset().union(*blocks, *connectors))


def _continued(lane_map: LaneMap, chain: list[str]) -> list[str]:
    """``chain`` with the straightest successors, as far as the route reaches."""
    left_m = REACH_M
    while left_m > 0.0:
        following = [token for token in lane_map.successors(chain[-1]) if token not in chain]
        if not following:
            break
        chain = [*chain, min(following, key=lambda token: _turn(lane_map.lanes[token]))]
        left_m -= lane_map.lanes[chain[-1]].length_m
    return chain


def _turn(lane: MapLane) -> float:
    """Angle [rad] between a lane's two ends."""
    return float(np.abs(wrap_angle(lane.headings[-1] - lane.headings[0])))


def _between(lane_map: LaneMap, before: frozenset[str], after: frozenset[str]) -> frozenset[str]:
    """Lanes that lead from one block into another: through an intersection there is one from each lane."""
    leaving = (token for member in before for token in lane_map.successors(member))
    return frozenset(token for token in leaving if after.intersection(lane_map.successors(token)))
