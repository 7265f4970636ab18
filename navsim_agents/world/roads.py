"""Roads: parallel lanes in two directions between two trimmed ends, and the arms that junctions join."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY
from navsim_agents.poses import wrap_angle
from navsim_agents.world.curves import (
    arc_lengths,
    cut_curve,
    left_normal,
    offset_curve,
    resample_curve,
    reverse_curve,
)
from navsim_agents.world.layout import NodeKind, RoadPlan, StreetPlan
from navsim_agents.world.types import Intersection, Lane, Roadblock, StopLine, Turn

LANE_WIDTH_M = 3.5
# Paved beyond the outermost lane: NAVSIM starts every scene with straight wheels, so its simulated car leaves a turn up
# to half a metre off the driven line.
SHOULDER_M = 0.5
CENTERLINE_SPACING_M = 0.5
CORNER_M = 6.5  # kerb length beyond the corner of two roads
CROSSWALK_BAND_M = 4.5  # between stop line and kerb
_TRIM_M = {NodeKind.BEND: 6.0, NodeKind.CROSSING: 4.5}


@dataclass
class NetworkBuilder:
    """Collects a town's road network; ids count up over all kinds."""

    first_id: int
    lanes: dict[str, Lane] = field(default_factory=dict)
    roadblocks: dict[str, Roadblock] = field(default_factory=dict)
    intersections: dict[str, Intersection] = field(default_factory=dict)
    stop_lines: dict[str, StopLine] = field(default_factory=dict)
    _ids: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self._ids = itertools.count(self.first_id)

    def new_id(self) -> str:
        """The next unused id."""
        return str(next(self._ids))


@dataclass(frozen=True)
class Arm:
    """One end of a road at a junction, seen from the junction."""

    pose: Float64[np.ndarray, "3"]  # road centre where the junction ends, heading away from the junction
    half_width_m: float
    incoming: tuple[str, ...]  # lane ids, left to right
    outgoing: tuple[str, ...]
    incoming_roadblock: str
    outgoing_roadblock: str

    @property
    def left_edge(self) -> Float64[np.ndarray, "2"]:
        """Road edge on the left, looking away from the junction (incoming traffic keeps there)."""
        return self.pose[XY] + self.half_width_m * left_normal(self.pose[HEADING])

    @property
    def right_edge(self) -> Float64[np.ndarray, "2"]:
        """Road edge on the right, looking away from the junction."""
        return self.pose[XY] - self.half_width_m * left_normal(self.pose[HEADING])


def build_roads(plan: StreetPlan, builder: NetworkBuilder) -> list[list[Arm]]:
    """Add every road's lanes and roadblocks to ``builder``; return each node's arms, counter-clockwise."""
    arms: list[list[Arm]] = [[] for _ in plan.kinds]
    for i, road in enumerate(plan.roads):
        trims = [_trim(plan, node, i) for node in (road.start, road.end)]
        center = cut_curve(road.center, trims[0], float(arc_lengths(road.center)[-1]) - trims[1])
        center = resample_curve(center, CENTERLINE_SPACING_M)
        forward = _add_direction(center, road, builder)
        backward = _add_direction(reverse_curve(center), road, builder)
        half_width = road.num_lanes * LANE_WIDTH_M
        arms[road.start].append(_make_arm(center[0], half_width, backward, forward, builder))
        arms[road.end].append(_make_arm(reverse_curve(center)[0], half_width, forward, backward, builder))
    return [sorted(group, key=lambda arm: float(arm.pose[HEADING])) for group in arms]


def parallel_curve(center: Float64[np.ndarray, "M 3"], offset_m: float) -> Float64[np.ndarray, "M 3"]:
    """``center`` moved ``offset_m`` to the left, with its headings."""
    return np.column_stack((offset_curve(center, offset_m), center[:, HEADING]))


def _make_arm(
    pose: Float64[np.ndarray, "3"], half_width: float, incoming: str, outgoing: str, builder: NetworkBuilder
) -> Arm:
    blocks = builder.roadblocks
    return Arm(pose, half_width, blocks[incoming].lane_ids, blocks[outgoing].lane_ids, incoming, outgoing)


def _add_direction(center: Float64[np.ndarray, "M 3"], road: RoadPlan, builder: NetworkBuilder) -> str:
    """Lanes to the right of ``center`` in its direction; returns their roadblock."""
    borders = [offset_curve(center, -k * LANE_WIDTH_M) for k in range(road.num_lanes + 1)]
    roadblock_id = builder.new_id()
    ids = tuple(builder.new_id() for _ in range(road.num_lanes))
    for k, lane_id in enumerate(ids):
        builder.lanes[lane_id] = Lane(
            lane_id=lane_id,
            roadblock_id=roadblock_id,
            is_connector=False,
            turn=Turn.STRAIGHT,
            centerline=parallel_curve(center, -(k + 0.5) * LANE_WIDTH_M),
            left_boundary=borders[k],
            right_boundary=borders[k + 1],
            speed_limit_mps=road.speed_limit_mps,
            predecessors=(),
            successors=(),
            left_neighbor=ids[k - 1] if k > 0 else None,
            right_neighbor=ids[k + 1] if k + 1 < len(ids) else None,
        )
    edge = offset_curve(center, -road.num_lanes * LANE_WIDTH_M - SHOULDER_M)
    outline = np.concatenate((borders[0], edge[::-1]))
    builder.roadblocks[roadblock_id] = Roadblock(roadblock_id, False, ids, outline, (), ())
    return roadblock_id


def _trim(plan: StreetPlan, node: int, road_index: int) -> float:
    """How much of a road's end belongs to the junction at ``node``."""
    kind = plan.kinds[node]
    if kind in _TRIM_M:
        return _TRIM_M[kind]
    road = plan.roads[road_index]
    own_heading, own_width = _outward_heading(road, node), road.num_lanes * LANE_WIDTH_M
    reach = 0.0
    for i, other in enumerate(plan.roads):
        if i != road_index and node in (other.start, other.end):
            angle = abs(float(wrap_angle(_outward_heading(other, node) - own_heading)))
            if angle < np.radians(150.0):
                reach = max(reach, (other.num_lanes * LANE_WIDTH_M + own_width * np.cos(angle)) / np.sin(angle))
    return reach + CORNER_M + CROSSWALK_BAND_M


def _outward_heading(road: RoadPlan, node: int) -> float:
    return float(road.center[0, HEADING] if road.start == node else road.center[-1, HEADING] + np.pi)
