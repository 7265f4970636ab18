"""A town as the layers of a nuPlan map: for each the columns that nuplan-devkit reads, and the shapes.

Layer and column names are those of nuplan-devkit 1.2 (``nuplan/common/maps/nuplan_map``). Lanes, connectors, roadblocks
and areas keep their ids; boundaries and centre lines get ids of their own. Where nuPlan has no value (a centre line
belongs to a lane or to a connector) ``NO_FID`` stands, since the devkit turns these columns to integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import shapely

from navsim_agents.common.poses import XY
from navsim_agents.errors import WorldDataError
from navsim_agents.world.types import Area, Lane, Town, Turn

NO_FID = 0
TURN_TYPES = {Turn.STRAIGHT: 0, Turn.LEFT: 1, Turn.RIGHT: 2, Turn.U_TURN: 3}  # nuPlan's LaneConnectorType
STOP_AT_SIGNAL, STOP_AT_YIELD = 2, 4  # nuPlan's StopLineType
SIGNALISED, UNSIGNALISED = 1, 0  # nuPlan's IntersectionType
LANE_BOUNDARY_TYPE = 0

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class MapLayer:
    """One layer: a row per feature. ``geometry_type`` is the geopackage's; an empty layer needs it."""

    geometry_type: str
    fids: list[int]
    columns: Columns
    shapes: npt.NDArray[np.object_]


def _fid(name: str) -> int:
    """Positive number of an id."""
    if not name.isdecimal() or int(name) <= NO_FID:
        raise WorldDataError(f"id {name!r} is not a decimal number above {NO_FID}; nuPlan's maps number their features")
    return int(name)


def _fid_or_none(name: Optional[str]) -> int:
    return NO_FID if name is None else _fid(name)


def _polygons(outlines: Iterable[npt.NDArray[np.float64]]) -> npt.NDArray[np.object_]:
    return np.array([shapely.Polygon(outline) for outline in outlines], dtype=object)


def _lines(points: Iterable[npt.NDArray[np.float64]]) -> npt.NDArray[np.object_]:
    return np.array([shapely.LineString(line[:, XY]) for line in points], dtype=object)


def _layer(names: Iterable[str], columns: Columns, polygons: npt.NDArray[np.object_]) -> MapLayer:
    return MapLayer("Polygon", [_fid(name) for name in names], columns, polygons)


def _lanes(town: Town, is_connector: bool) -> list[Lane]:
    return [lane for lane in town.lanes.values() if lane.is_connector is is_connector]


def _boundary_fids(town: Town) -> dict[str, tuple[int, int]]:
    """Ids of the left and right boundary of every lane and connector."""
    return {lane_id: (2 * i + 1, 2 * i + 2) for i, lane_id in enumerate(town.lanes)}


def _single(lane: Lane, neighbours: Sequence[str], kind: str) -> int:
    """The one lane that a connector comes from or leads to."""
    if len(neighbours) != 1:
        raise WorldDataError(
            f"connector {lane.lane_id} has {kind} {list(neighbours)}; a nuPlan connector has exactly one"
        )
    return _fid(neighbours[0])


def _stop_lines_of(town: Town, connector: Lane) -> str:
    """Stop lines of signals before a connector, as nuPlan joins them; empty where no signal rules."""
    if connector.signal_group is None:
        return ""
    lines = [s.stop_id for s in town.stop_lines.values() if set(connector.predecessors) & set(s.lane_ids)]
    return ",".join(lines)


def _lane_polygons(town: Town) -> MapLayer:
    lanes, boundaries = _lanes(town, is_connector=False), _boundary_fids(town)
    columns: Columns = {
        "lane_fid": [_fid(lane.lane_id) for lane in lanes],
        "lane_group_fid": [_fid(lane.roadblock_id) for lane in lanes],
        "lane_index": [town.roadblocks[lane.roadblock_id].lane_ids.index(lane.lane_id) for lane in lanes],
        "left_boundary_fid": [boundaries[lane.lane_id][0] for lane in lanes],
        "right_boundary_fid": [boundaries[lane.lane_id][1] for lane in lanes],
        "speed_limit_mps": [float(lane.speed_limit_mps) for lane in lanes],
    }
    return _layer((lane.lane_id for lane in lanes), columns, _polygons(lane.polygon for lane in lanes))


def _connector_lines(town: Town) -> MapLayer:
    connectors = _lanes(town, is_connector=True)
    columns: Columns = {
        "exit_lane_fid": [_single(lane, lane.predecessors, "predecessors") for lane in connectors],
        "entry_lane_fid": [_single(lane, lane.successors, "successors") for lane in connectors],
        "lane_group_connector_fid": [_fid(lane.roadblock_id) for lane in connectors],
        "intersection_fid": [_fid_or_none(lane.intersection_id) for lane in connectors],
        "turn_type_fid": [TURN_TYPES[lane.turn] for lane in connectors],
        "traffic_light_stop_line_fids": [_stop_lines_of(town, lane) for lane in connectors],
        "speed_limit_mps": [float(lane.speed_limit_mps) for lane in connectors],
    }
    fids = [_fid(lane.lane_id) for lane in connectors]
    return MapLayer("LineString", fids, columns, _lines(lane.centerline for lane in connectors))


def _connector_polygons(town: Town) -> MapLayer:
    connectors, boundaries = _lanes(town, is_connector=True), _boundary_fids(town)
    columns: Columns = {
        "lane_connector_fid": [_fid(lane.lane_id) for lane in connectors],
        "left_boundary_fid": [boundaries[lane.lane_id][0] for lane in connectors],
        "right_boundary_fid": [boundaries[lane.lane_id][1] for lane in connectors],
    }
    return _layer((lane.lane_id for lane in connectors), columns, _polygons(lane.polygon for lane in connectors))


def _baseline_paths(town: Town) -> MapLayer:
    lanes = list(town.lanes.values())
    columns: Columns = {
        "lane_fid": [NO_FID if lane.is_connector else _fid(lane.lane_id) for lane in lanes],
        "lane_connector_fid": [_fid(lane.lane_id) if lane.is_connector else NO_FID for lane in lanes],
    }
    return MapLayer("LineString", list(range(1, len(lanes) + 1)), columns, _lines(lane.centerline for lane in lanes))


def _boundaries(town: Town) -> MapLayer:
    lines = [line for lane in town.lanes.values() for line in (lane.left_boundary, lane.right_boundary)]
    columns: Columns = {"boundary_type_fid": [LANE_BOUNDARY_TYPE] * len(lines)}
    fids = [fid for pair in _boundary_fids(town).values() for fid in pair]
    return MapLayer("LineString", fids, columns, _lines(lines))


def _lane_groups(town: Town) -> MapLayer:
    blocks = [block for block in town.roadblocks.values() if not block.is_connector]
    columns: Columns = {"road_segment_fid": [_fid(block.roadblock_id) for block in blocks]}
    return _layer((block.roadblock_id for block in blocks), columns, _polygons(block.polygon for block in blocks))


def _lane_group_connectors(town: Town) -> MapLayer:
    blocks = [block for block in town.roadblocks.values() if block.is_connector]
    columns: Columns = {
        "from_lane_group_fid": [_fid(block.predecessors[0]) for block in blocks],
        "to_lane_group_fid": [_fid(block.successors[0]) for block in blocks],
        "intersection_fid": [_fid_or_none(block.intersection_id) for block in blocks],
    }
    return _layer((block.roadblock_id for block in blocks), columns, _polygons(block.polygon for block in blocks))


def _intersections(town: Town) -> MapLayer:
    areas = list(town.intersections.values())
    columns: Columns = {"intersection_type_fid": [SIGNALISED if a.is_signalised else UNSIGNALISED for a in areas]}
    return _layer((area.intersection_id for area in areas), columns, _polygons(area.polygon for area in areas))


def _stop_polygons(town: Town) -> MapLayer:
    stops = list(town.stop_lines.values())
    signalised = [town.intersections[stop.intersection_id].is_signalised for stop in stops]
    columns: Columns = {
        "stop_polygon_type_fid": [STOP_AT_SIGNAL if is_signal else STOP_AT_YIELD for is_signal in signalised],
        "intersection_fid": [_fid(stop.intersection_id) for stop in stops],
        "lane_fids": [",".join(stop.lane_ids) for stop in stops],
    }
    return _layer((stop.stop_id for stop in stops), columns, _polygons(stop.polygon for stop in stops))


def _areas(areas: dict[str, Area], columns: Columns) -> MapLayer:
    return _layer(areas, columns, _polygons(area.polygon for area in areas.values()))


def _road_segments(town: Town) -> MapLayer:
    """Drivable surface outside intersections; here a segment is the lanes of one direction."""
    blocks = [block for block in town.roadblocks.values() if not block.is_connector]
    return _layer((block.roadblock_id for block in blocks), {}, _polygons(block.polygon for block in blocks))


def _traffic_lights(town: Town) -> MapLayer:
    poles = town.light_poles
    columns: Columns = {
        "intersection_fid": [_fid(pole.intersection_id) for pole in poles],
        "signal_group": [int(pole.signal_group) for pole in poles],
        "heading": [float(pole.facing) for pole in poles],
    }
    points = np.array([shapely.Point(pole.position[XY]) for pole in poles], dtype=object)
    return MapLayer("Point", list(range(1, len(poles) + 1)), columns, points)


def map_layers(town: Town) -> dict[str, MapLayer]:
    """Every vector layer that nuplan-devkit reads, with coordinates in the town's map frame.

    :raises WorldDataError: an id is no number, or a connector lacks one of its ends.
    """
    return {
        "lanes_polygons": _lane_polygons(town),
        "lane_connectors": _connector_lines(town),
        "gen_lane_connectors_scaled_width_polygons": _connector_polygons(town),
        "baseline_paths": _baseline_paths(town),
        "boundaries": _boundaries(town),
        "lane_groups_polygons": _lane_groups(town),
        "lane_group_connectors": _lane_group_connectors(town),
        "road_segments": _road_segments(town),
        "intersections": _intersections(town),
        "stop_polygons": _stop_polygons(town),
        "crosswalks": _areas(town.crosswalks, {}),
        "walkways": _areas(town.walkways, {}),
        "carpark_areas": _areas(town.carparks, {"heading": [float(a.heading) for a in town.carparks.values()]}),
        "generic_drivable_areas": _areas({}, {}),
        "traffic_lights": _traffic_lights(town),
    }
