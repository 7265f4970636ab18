"""The vector map around one log: lanes by their boundaries, and drivable areas.

Argoverse's own API makes ten points of every centre line, however long: a long lane's corner is cut by metres. Here
both boundaries are walked along at one pace and a point is set in the middle every half metre.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from navsim_agents.argoverse.tables import WAY_OUT
from navsim_agents.common.files import read_json, reading
from navsim_agents.common.planar import arc_lengths
from navsim_agents.common.poses import FloatArray, X, Y
from navsim_agents.errors import InputError

ARCHIVE = "log_map_archive_*.json"
DRIVEN_TYPES = ("VEHICLE", "BUS")  # the third, BIKE, is no lane for a car
SPACING_M = 0.5
SAME_LENGTH_M = 1e-6  # lengths that differ by less get the same number of points
MIN_AREA_M2 = 1e-2
MIN_ALIGNMENT = 0.5  # cosine between neighbours that are driven the same way


@dataclass(frozen=True)
class MapLane:
    """A lane segment that cars drive on."""

    token: str
    left: Float64[np.ndarray, "L 2"]  # boundary [m], in the direction of driving
    right: Float64[np.ndarray, "R 2"]
    is_intersection: bool
    successors: tuple[str, ...]
    neighbours: tuple[str, ...]  # left and right, whichever way they are driven

    @cached_property
    def centre(self) -> Float64[np.ndarray, "M 2"]:
        """Points of the centre line."""
        return centre_line(self.left, self.right)

    @cached_property
    def headings(self) -> Float64[np.ndarray, " M"]:
        """Directions [rad] of the steps that leave the points of the centre line, the last one repeated."""
        steps = np.diff(self.centre, axis=0)
        angles = np.arctan2(steps[:, Y], steps[:, X])
        return np.append(angles, angles[-1])

    @cached_property
    def length_m(self) -> float:
        """Of the centre line."""
        return float(arc_lengths(self.centre)[-1])

    @cached_property
    def ring(self) -> Float64[np.ndarray, "V 2"]:
        """Outline, closed."""
        return np.concatenate((self.left, self.right[::-1], self.left[:1]))


def walk_along(points: Float64[np.ndarray, "M 2"], shares: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, "S 2"]:
    """Places on a polyline at ``shares`` of its length."""
    travelled = arc_lengths(points)
    return np.stack([np.interp(shares * travelled[-1], travelled, column) for column in points.T], axis=1)


def centre_line(left: Float64[np.ndarray, "L 2"], right: Float64[np.ndarray, "R 2"]) -> Float64[np.ndarray, "M 2"]:
    """Points midway between two boundaries, at the same share of either's length, about ``SPACING_M`` apart."""
    longer = max(arc_lengths(left)[-1], arc_lengths(right)[-1])
    steps = max(1, int(np.ceil((longer - SAME_LENGTH_M) / SPACING_M)))
    shares = np.linspace(0.0, 1.0, steps + 1)
    return (walk_along(left, shares) + walk_along(right, shares)) / 2


def ring_area(ring: Float64[np.ndarray, "V 2"]) -> float:
    """Area [m^2] within a closed ring, by the shoelace formula about its first vertex."""
    x, y = (ring - ring[:1]).T
    return float(abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2


class LaneMap:
    """Lanes and areas of one log's map by their ids."""

    def __init__(self, city: str, lanes: Iterable[MapLane], areas: Mapping[str, FloatArray]) -> None:
        self.city = city
        self.lanes = {lane.token: lane for lane in lanes}
        self.areas = dict(areas)
        self._blocks: dict[str, frozenset[str]] = {}
        self._beside: dict[str, set[str]] = {token: set() for token in self.lanes}
        for lane in self.lanes.values():
            for token in lane.neighbours:
                if token in self.lanes and _are_driven_together(lane, self.lanes[token]):
                    self._beside[lane.token].add(token)
                    self._beside[token].add(lane.token)  # maps may say it of one of them alone

    def successors(self, token: str) -> list[str]:
        """Lanes of the map that a lane leads into."""
        return [other for other in self.lanes[token].successors if other in self.lanes]

    def siblings(self, token: str) -> frozenset[str]:
        """Neighbours that are driven the same way, both in an intersection or neither."""
        return frozenset(self._beside[token])

    def block(self, token: str) -> frozenset[str]:
        """The lane with all beside it that are driven the same way: what nuPlan calls a roadblock."""
        if token not in self._blocks:
            members, new = {token}, [token]
            while new:
                new = [other for member in new for other in self.siblings(member) if other not in members]
                members.update(new)
            self._blocks[token] = frozenset(members)
        return self._blocks[token]


def _are_driven_together(lane: MapLane, other: MapLane) -> bool:
    ways = [each.centre[-1] - each.centre[0] for each in (lane, other)]
    lengths = np.hypot(*ways[0]) * np.hypot(*ways[1])
    return bool(lane.is_intersection == other.is_intersection and ways[0] @ ways[1] > MIN_ALIGNMENT * lengths)


def read_lane_map(folder: Path) -> LaneMap:
    """The map in a log's folder ``map``.

    Raises:
        InputError: there is none or more than one, it is broken, or no lane is left.
    """
    found = sorted(folder.glob(ARCHIVE))
    if len(found) != 1:
        raise InputError(f"{folder} holds {len(found)} files {ARCHIVE}, but a log has one vector map; {WAY_OUT}")
    (path,) = found
    archive = read_json(path, InputError, WAY_OUT)
    with reading(path, InputError, WAY_OUT):
        lanes = [_lane(entry) for entry in archive["lane_segments"].values() if entry["lane_type"] in DRIVEN_TYPES]
        areas = {str(entry["id"]): _points(entry["area_boundary"]) for entry in archive["drivable_areas"].values()}
    rings = {token: np.concatenate((points, points[:1])) for token, points in areas.items()}
    for points in [*rings.values(), *(lane.ring for lane in lanes)]:
        if not np.isfinite(points).all():
            raise InputError(f"{path} holds a point that is not finite, but every point must be; {WAY_OUT}")
    lanes = [lane for lane in lanes if ring_area(lane.ring) > MIN_AREA_M2 and lane.length_m > 0.0]
    if not lanes:
        raise InputError(f"{path} holds no lane that cars drive on, but a route needs one; {WAY_OUT}")
    city = path.stem.rpartition("____")[2].partition("_")[0]
    return LaneMap(city, lanes, {token: ring for token, ring in rings.items() if ring_area(ring) > MIN_AREA_M2})


def _lane(entry: Mapping[str, Any]) -> MapLane:
    beside = (entry["left_neighbor_id"], entry["right_neighbor_id"])
    return MapLane(
        token=str(entry["id"]),
        left=_points(entry["left_lane_boundary"]),
        right=_points(entry["right_lane_boundary"]),
        is_intersection=bool(entry["is_intersection"]),
        successors=tuple(str(token) for token in entry["successors"]),
        neighbours=tuple(str(token) for token in beside if token is not None),
    )


def _points(entries: list[Mapping[str, float]]) -> Float64[np.ndarray, "M 2"]:
    if len(entries) < 2:
        raise ValueError(f"a line of {len(entries)} points")
    return np.array([(entry["x"], entry["y"]) for entry in entries], dtype=np.float64)
