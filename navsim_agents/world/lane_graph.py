"""What drivers know of a town beyond its lanes: lengths, conflicts between connectors, priorities, crosswalks ahead."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64
from shapely.geometry import LineString, Polygon

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.world.curves import FloatArray, arc_lengths
from navsim_agents.world.types import Lane, Town, Turn

_MIN_CONFLICT_AREA_M2 = 0.5
_ZONE_MARGIN_M = 1.3


@dataclass(frozen=True)
class Crossing:
    """A crosswalk that a lane runs over."""

    crosswalk_id: str
    start_m: float  # along the lane
    end_m: float
    across_m: float  # where the lane crosses, along the crosswalk's axis


@dataclass(frozen=True)
class CrosswalkAxis:
    """The line that pedestrians follow over a crosswalk, from kerb to kerb."""

    start: Float64[np.ndarray, "2"]
    end: Float64[np.ndarray, "2"]

    @property
    def length_m(self) -> float:
        """Kerb to kerb."""
        return float(np.hypot(*(self.end - self.start)))

    @property
    def direction(self) -> Float64[np.ndarray, "2"]:
        """Unit vector from start to end."""
        return (self.end - self.start) / self.length_m


class LaneGraph:
    """Derived facts about a town's lanes, computed once per town."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.lengths = {lane.lane_id: float(arc_lengths(lane.centerline)[-1]) for lane in town.lanes.values()}
        self.axes = {area.area_id: _axis(area.polygon) for area in town.crosswalks.values()}
        self.crossings = self._find_crossings()
        self.conflicts = self._find_conflicts()
        self.priorities = self._find_priorities()

    def _connectors(self, intersection_id: str) -> list[Lane]:
        return [lane for lane in self.town.lanes.values() if lane.intersection_id == intersection_id]

    def _find_conflicts(self) -> dict[str, dict[str, tuple[float, float]]]:
        """For every connector those of different origin that it overlaps: from where to where along itself."""
        found: dict[str, dict[str, tuple[float, float]]] = {
            i: {} for i, lane in self.town.lanes.items() if lane.is_connector
        }
        for intersection_id in self.town.intersections:
            lanes = self._connectors(intersection_id)
            shapes = {lane.lane_id: Polygon(np.round(lane.polygon, 4)).buffer(0) for lane in lanes}
            for one, other in itertools.combinations(lanes, 2):
                areas = shapes[one.lane_id], shapes[other.lane_id]
                if one.predecessors == other.predecessors or not areas[0].intersects(areas[1]):
                    continue
                if areas[0].intersection(areas[1]).area > _MIN_CONFLICT_AREA_M2:
                    found[one.lane_id][other.lane_id] = _zone(one, areas[1])
                    found[other.lane_id][one.lane_id] = _zone(other, areas[0])
        return found

    def _find_priorities(self) -> dict[str, int]:
        """3: straight on or right; 2: left across the oncoming side; 1: out of a side road that must yield."""
        yielding = {
            lane_id
            for line in self.town.stop_lines.values()
            if not self.town.intersections[line.intersection_id].is_signalised
            for lane_id in line.lane_ids
        }
        connectors = (lane for lane in self.town.lanes.values() if lane.is_connector)
        return {
            lane.lane_id: 1 if lane.predecessors[0] in yielding else 2 if lane.turn is Turn.LEFT else 3
            for lane in connectors
        }

    def _find_crossings(self) -> dict[str, tuple[Crossing, ...]]:
        shapes = {i: Polygon(area.polygon) for i, area in self.town.crosswalks.items()}
        found: dict[str, tuple[Crossing, ...]] = {}
        for lane in self.town.lanes.values():
            if lane.is_connector:
                line = LineString(lane.centerline[:, XY])
                hits = [(i, shape.intersection(line)) for i, shape in shapes.items() if shape.intersects(line)]
                pieces = [self._crossing(i, line, piece) for i, piece in hits if piece.length > 1.0]
                found[lane.lane_id] = tuple(sorted(pieces, key=lambda piece: piece.start_m))
        return found

    def _crossing(self, crosswalk_id: str, line: LineString, piece: LineString) -> Crossing:
        ends = sorted(line.project(point) for point in piece.boundary.geoms)
        middle = np.array(line.interpolate((ends[0] + ends[-1]) / 2).coords[0])
        axis = self.axes[crosswalk_id]
        return Crossing(crosswalk_id, ends[0], ends[-1], float((middle - axis.start) @ axis.direction))


def _zone(lane: Lane, area: Polygon) -> tuple[float, float]:
    """Stations on ``lane`` between which a vehicle's middle is in or near ``area``."""
    inside = shapely.contains_xy(area.buffer(_ZONE_MARGIN_M), lane.centerline[:, X], lane.centerline[:, Y])
    stations = arc_lengths(lane.centerline)[inside]
    return (
        (float(stations[0]), float(stations[-1])) if len(stations) else (0.0, float(arc_lengths(lane.centerline)[-1]))
    )


def _axis(outline: FloatArray) -> CrosswalkAxis:
    """Middle line of a crosswalk given as a box: corners 0, 3 are its front, so 0-1 runs along the road."""
    return CrosswalkAxis((outline[0] + outline[1]) / 2, (outline[2] + outline[3]) / 2)
