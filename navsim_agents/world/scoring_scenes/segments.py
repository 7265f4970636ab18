"""Lanes and connectors as reactive traffic drives along them: which one a vehicle is on, and the path that it takes.

Behaviour of nuPlan's ``idm_agents_builder.py`` and ``polyline_map_object.py`` on the map that the world writes. That
map holds longitude and latitude, so the devkit's metres differ by a few nanometres: only of a vehicle whose centre is
so near to a border, such as exactly where a lane ends, may it think that it is in the neighbour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np
import shapely
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.world.curves import arc_lengths
from navsim_agents.world.types import Lane, Town

CHORD_M = 0.5  # over which nuPlan takes the heading at a place on a path
SAME_PLACE_M = 1e-8  # nearer points of a path are one (NumPy's isclose to 0)


class Spot(NamedTuple):
    """The place of a segment that is nearest to a vehicle."""

    pose: tuple[float, float, float]  # on the map, heading of the chord ahead
    progress: float  # m along the segment
    aside_m: float  # from the vehicle's centre


@dataclass(frozen=True)
class Segment:
    """A lane or connector to drive along; everything on the map."""

    line: shapely.LineString  # the whole centreline
    path: Float64[np.ndarray, "P 3"]  # without its last point; headings of the chords between points
    progress: Float64[np.ndarray, " P"]  # m
    limit_mps: float

    @staticmethod
    def of(lane: Lane) -> Segment:
        """The path of a lane loses its last point, since nuPlan pairs points with the steps that leave them."""
        points = lane.centerline[:, XY]
        steps = np.diff(points, axis=0)
        headings = np.arctan2(steps[:, Y], steps[:, X])
        along = arc_lengths(points)
        leads_on = np.diff(along) > SAME_PLACE_M
        path = np.column_stack((points[:-1], headings))[leads_on]
        return Segment(shapely.LineString(points), path, along[:-1][leads_on], float(lane.speed_limit_mps))

    def spot(self, xy: Float64[np.ndarray, "2"]) -> Spot:
        """The nearest place to a point on the map; at the very end of the line with the heading of the chord behind."""
        along = float(shapely.line_locate_point(self.line, shapely.Point(xy)))
        here, ahead, behind = shapely.get_coordinates(
            shapely.line_interpolate_point(self.line, [along, along + CHORD_M, along - CHORD_M])
        )
        start, end = (behind, here) if (here == ahead).all() else (here, ahead)
        heading = math.atan2(end[Y] - start[Y], end[X] - start[X])
        return Spot((float(here[X]), float(here[Y]), heading), along, float(np.hypot(*(here - xy))))


class _Areas:
    """Polygons that are looked up by the points in them."""

    def __init__(self, outlines: dict[str, Float64[np.ndarray, "_ 2"]]) -> None:
        self.tokens = tuple(sorted(outlines, key=int))
        self._polygons = np.array([shapely.Polygon(outlines[token]) for token in self.tokens], dtype=object)
        self._tree = shapely.STRtree(self._polygons)

    def around(self, point: shapely.Point) -> list[str]:
        """Tokens of those that hold the point, their borders excluded, in the order of their numbers."""
        near = np.sort(self._tree.query(point))
        return [self.tokens[i] for i in near[shapely.contains(self._polygons[near], point)]]


class Segments:
    """The segments of one town; build it once a process."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._lanes = _Areas(_outlines(lane for lane in town.lanes.values() if not lane.is_connector))
        self._connectors = _Areas(_outlines(lane for lane in town.lanes.values() if lane.is_connector))
        self._intersections = _Areas({token: area.polygon for token, area in town.intersections.items()})
        self._segments: dict[str, Segment] = {}

    def around(self, xy: Float64[np.ndarray, "2"]) -> Optional[list[Segment]]:
        """The lanes that hold a point; without any, the connectors, if it is in an intersection; None off both."""
        point = shapely.Point(xy)
        lanes = self._lanes.around(point)
        if lanes:
            return [self._segment(token) for token in lanes]
        if not self._intersections.around(point):
            return None
        return [self._segment(token) for token in self._connectors.around(point)]

    def _segment(self, token: str) -> Segment:
        if token not in self._segments:
            self._segments[token] = Segment.of(self._town.lanes[token])
        return self._segments[token]


def _outlines(lanes: Iterable[Lane]) -> dict[str, Float64[np.ndarray, "_ 2"]]:
    return {lane.lane_id: lane.polygon for lane in lanes}


def best_aligned(segments: Iterable[Segment], pose: Float64[np.ndarray, "3"]) -> Optional[tuple[Segment, Spot]]:
    """Of ``segments`` the one whose heading beside ``pose`` is nearest in number, -pi and pi being far apart."""
    found = [(segment, segment.spot(pose[XY])) for segment in segments]
    return min(found, key=lambda both: abs(both[1].pose[HEADING] - float(pose[HEADING])), default=None)
