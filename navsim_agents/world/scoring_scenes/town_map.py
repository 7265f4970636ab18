"""A town as nuPlan's map interface shows it: areas in the order of their ids, rings closed, lanes as chords."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from jaxtyping import Float64

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.world.curves import FloatArray, arc_lengths
from navsim_agents.world.scoring_scenes.segments import Segments
from navsim_agents.world.types import Roadblock, Town

MAP_RADIUS_M = 100.0  # NAVSIM's metric caching: half side of the square of map around the ego


@dataclass(frozen=True)
class DrivableArea:
    """Drivable polygons around one place: P names with one closed ring each, on the map."""

    layers: tuple[str, ...]
    tokens: tuple[str, ...]
    rings: tuple[FloatArray, ...]  # [V, 2] m, the last point is the first


@dataclass(frozen=True)
class LaneChords:
    """A lane's centreline as nuPlan reads it: points and the headings of the chords that leave them."""

    points: Float64[np.ndarray, "M 2"]  # m
    headings: Float64[np.ndarray, " M"]  # rad, the last one repeated
    length_m: float


class _Layer:
    """Polygons of one map layer in the order of their ids."""

    def __init__(self, name: str, areas: dict[str, FloatArray]) -> None:
        self.name = name
        self.tokens = tuple(sorted(areas, key=int))
        self.rings = {token: np.concatenate((areas[token], areas[token][:1])) for token in self.tokens}
        self.polygons = np.array([shapely.Polygon(areas[token]) for token in self.tokens], dtype=object)

    def touching(self, patch: shapely.Polygon) -> list[str]:
        """Tokens of the polygons that share a point with ``patch``."""
        return [self.tokens[i] for i in np.flatnonzero(shapely.intersects(self.polygons, patch))]


class TownMap:
    """One town's polygons, lanes and roadblocks by id; build it once a process."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self._roadblocks = self._layer("roadblock", town.roadblocks, is_connector=False)
        self._connectors = self._layer("roadblock_connector", town.roadblocks, is_connector=True)
        self._others = (
            _Layer("intersection", {token: area.polygon for token, area in town.intersections.items()}),
            _Layer("carpark_area", {token: area.polygon for token, area in town.carparks.items()}),
        )
        self._lanes = _Layer("lane", {token: lane.polygon for token, lane in town.lanes.items()})
        self._polygon = dict(zip(self._lanes.tokens, self._lanes.polygons))
        self._block_polygon = dict(zip(self._connectors.tokens, self._connectors.polygons))
        self._chords: dict[str, LaneChords] = {}

    @staticmethod
    def _layer(name: str, blocks: dict[str, Roadblock], is_connector: bool) -> _Layer:
        chosen = {token: block.polygon for token, block in blocks.items() if block.is_connector is is_connector}
        return _Layer(name, chosen)

    @cached_property
    def segments(self) -> Segments:
        """What reactive traffic drives along."""
        return Segments(self.town)

    def lanes_of(self, roadblock_id: str) -> list[str]:
        """Lanes or connectors of a roadblock, in the order of their ids."""
        return sorted(self.town.roadblocks[roadblock_id].lane_ids, key=int)

    def successors(self, lane_id: str) -> list[str]:
        """Lanes that a lane leads into, in the order of their ids."""
        return sorted(self.town.lanes[lane_id].successors, key=int)

    def lane_polygon(self, lane_id: str) -> shapely.Polygon:
        """Outline of a lane or connector."""
        return self._polygon[lane_id]

    def lane_ring(self, lane_id: str) -> Float64[np.ndarray, "V 2"]:
        """The same as a closed ring."""
        return self._lanes.rings[lane_id]

    def connector_polygon(self, roadblock_id: str) -> shapely.Polygon:
        """Outline of a roadblock connector."""
        return self._block_polygon[roadblock_id]

    def chords(self, lane_id: str) -> LaneChords:
        """Centreline of a lane."""
        if lane_id not in self._chords:
            points = self.town.lanes[lane_id].centerline[:, XY]
            steps = np.diff(points, axis=0)
            headings = np.arctan2(steps[:, Y], steps[:, X])
            self._chords[lane_id] = LaneChords(
                points, np.append(headings, headings[-1]), float(arc_lengths(points)[-1])
            )
        return self._chords[lane_id]

    def drivable_area(self, center: Float64[np.ndarray, "2"]) -> DrivableArea:
        """Areas that reach into the square of ``MAP_RADIUS_M`` around ``center``, in the devkit's order.

        Roadblocks, then all lanes of the roadblocks and of the roadblock connectors (whose own outlines are left out,
        as PDMDrivableMap does), then intersections and car parks.
        """
        patch = shapely.box(*(center - MAP_RADIUS_M), *(center + MAP_RADIUS_M))
        names: list[tuple[str, str, FloatArray]] = []
        blocks, connectors = self._roadblocks.touching(patch), self._connectors.touching(patch)
        names += [("roadblock", token, self._roadblocks.rings[token]) for token in blocks]
        for layer, owners in (("lane", blocks), ("lane_connector", connectors)):
            names += [(layer, lane, self._lanes.rings[lane]) for owner in owners for lane in self.lanes_of(owner)]
        for other in self._others:
            names += [(other.name, token, other.rings[token]) for token in other.touching(patch)]
        layers, tokens, rings = zip(*names)
        return DrivableArea(layers, tokens, rings)
