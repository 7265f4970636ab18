"""Where people walk: beside every road, and from a walkway over a crosswalk to the next one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING
from navsim_agents.world.curves import FloatArray, arc_lengths, offset_curve
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.scenery import VERGE_M, WALKWAY_M

_KERB_M = VERGE_M - 0.9  # from the road's edge to where people wait
_WALKWAY_MIDDLE_M = VERGE_M + WALKWAY_M / 2
_JOIN_M = 9.0  # walkways that begin this near a crosswalk lead to it
_KEEP_RIGHT_M = (-1.3, -0.2)  # to the left, on a crosswalk: two streams pass each other
_EVERY = 8  # road edges are sampled finely


def footways(graph: LaneGraph) -> list[FloatArray]:
    """Middle lines [P, 2] of the walkways beside roads, each in both directions."""
    outer = [lane for lane in graph.town.lanes.values() if not lane.is_connector and lane.right_neighbor is None]
    edges = [np.column_stack((lane.right_boundary, lane.centerline[:, HEADING])) for lane in outer]
    ways = [offset_curve(np.concatenate((edge[:-1:_EVERY], edge[-1:])), -_WALKWAY_MIDDLE_M) for edge in edges]
    return [*ways, *(way[::-1] for way in ways)]


def crossing_way(
    graph: LaneGraph,
    crosswalk_id: str,
    is_reversed: bool,
    before_m: float,
    ways: list[FloatArray],
    rng: np.random.Generator,
) -> tuple[FloatArray, float]:
    """A way [P, 2] along a walkway, over the crosswalk and beyond, and the station of the kerb before the road.

    At most ``before_m`` of it lie before the kerb.
    """
    axis = graph.axes[crosswalk_id]
    start, end = (axis.end, axis.start) if is_reversed else (axis.start, axis.end)
    across = (end - start) / axis.length_m
    here, there = start - across * _WALKWAY_MIDDLE_M, end + across * _WALKWAY_MIDDLE_M
    kerbs = np.stack((here, start - across * _KERB_M, end + across * _KERB_M, there))
    kerbs += np.array([-across[1], across[0]]) * float(rng.uniform(*_KEEP_RIGHT_M))
    arrival = _shorten(_onward(here, ways, rng), before_m)[::-1]
    way = np.concatenate((arrival, kerbs, _onward(there, ways, rng)))
    return way, float(arc_lengths(way)[len(arrival) + 1])


def road_stations(graph: LaneGraph, crosswalk_id: str, kerb_m: float) -> tuple[float, float]:
    """Where the road begins and ends on a crossing way whose kerb is at ``kerb_m``."""
    return kerb_m + _KERB_M, kerb_m + _KERB_M + graph.axes[crosswalk_id].length_m


def _onward(
    point: Float64[np.ndarray, "2"], ways: list[FloatArray], rng: np.random.Generator
) -> Float64[np.ndarray, "M 2"]:
    """A walkway that begins near ``point``; an empty way where there is none."""
    near = [way for way in ways if np.hypot(*(way[0] - point)) < _JOIN_M]
    return near[int(rng.integers(len(near)))] if near else np.zeros((0, 2))


def _shorten(way: Float64[np.ndarray, "M 2"], length_m: float) -> Float64[np.ndarray, "V 2"]:
    if len(way) < 2:
        return way
    return way[: max(1, int(np.searchsorted(arc_lengths(way), length_m)))]
