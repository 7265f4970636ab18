"""Which lanes a car drives along: the cheapest sequence of lanes for all of its way (Viterbi's algorithm)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.argoverse.lane_map import LaneMap, MapLane
from navsim_agents.common.poses import HEADING, XY

FAR_M = 20.0  # lanes farther away cost no more than this
TURN_COST = 5.0  # of driving across a lane, on top of metres from its centre line; against it: twice that
LANE_CHANGE_COST = 3.0
JUMP_COST = 60.0  # into a lane that neither follows nor lies beside


@dataclass(frozen=True)
class Match:
    """The lane at each of S places, and how far from its centre line each is."""

    tokens: tuple[str, ...]
    distances: Float64[np.ndarray, " S"]  # m


def match_lanes(lane_map: LaneMap, poses: Float64[np.ndarray, "S 3"]) -> Match:
    """Lanes along ``poses``, which follow each other closely: no lane may lie between two of them."""
    lanes = list(lane_map.lanes.values())
    distances, costs = (np.stack(values, axis=1) for values in zip(*(_costs(lane, poses) for lane in lanes)))
    steps = _step_costs(lane_map)
    best, came_from = costs[0], []
    for cost in costs[1:]:
        ways = best[:, None] + steps
        came_from.append(ways.argmin(0))
        best = ways.min(0) + cost
    rows = [int(best.argmin())]
    for origin in reversed(came_from):
        rows.append(int(origin[rows[-1]]))
    rows.reverse()
    return Match(tuple(lanes[row].token for row in rows), distances[np.arange(len(rows)), rows])


def _costs(
    lane: MapLane, poses: Float64[np.ndarray, "S 3"]
) -> tuple[Float64[np.ndarray, " S"], Float64[np.ndarray, " S"]]:
    """Distance to the lane's centre line [m], and cost of driving along it, of every pose."""
    apart = poses[:, None, XY] - lane.centre
    squared = (apart**2).sum(-1)
    nearest = squared.argmin(1)
    distance = np.sqrt(squared[np.arange(len(poses)), nearest])
    turn = 1.0 - np.cos(poses[:, HEADING] - lane.headings[nearest])
    return distance, np.minimum(distance, FAR_M) + TURN_COST * turn


def _step_costs(lane_map: LaneMap) -> Float64[np.ndarray, "L L"]:
    """Cost of going from one lane (row) to another (column)."""
    row = {token: index for index, token in enumerate(lane_map.lanes)}
    costs = np.full((len(row), len(row)), JUMP_COST)
    for token, index in row.items():
        costs[index, [row[other] for other in sorted(lane_map.siblings(token))]] = LANE_CHANGE_COST
        costs[index, [row[other] for other in lane_map.successors(token)]] = 0.0
        costs[index, index] = 0.0
    return costs
