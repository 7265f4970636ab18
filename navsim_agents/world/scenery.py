"""What stands along the roads: walkways, car parks and buildings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64
from shapely.geometry import Polygon
from shapely.ops import unary_union
from shapely.prepared import prep

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.world.boxes import box_outline
from navsim_agents.world.curves import (
    FloatArray,
    arc_lengths,
    interpolate_curve,
    left_normal,
    offset_curve,
    unit,
)
from navsim_agents.world.roads import NetworkBuilder
from navsim_agents.world.types import Area

VERGE_M = 2.6  # strip between road edge and walkway, where vehicles park
WALKWAY_M = 2.5
WALKWAY_EDGE_M = VERGE_M + WALKWAY_M
_CARPARK = {"throat": 7.0, "depth": 26.0, "half_length": 17.0}  # m
_BUILDING_CLEARANCE_M = 2.0


def road_edges(builder: NetworkBuilder) -> Iterator[tuple[str, FloatArray]]:
    """Roadblock id and right-hand edge [M, 3] of every one-way half of a road."""
    for block in builder.roadblocks.values():
        if not block.is_connector:
            lane = builder.lanes[block.lane_ids[-1]]
            yield block.roadblock_id, np.column_stack((lane.right_boundary, lane.centerline[:, HEADING]))


def build_walkways(builder: NetworkBuilder, kerbs: list[FloatArray]) -> dict[str, Area]:
    """Strips along every road edge and around every corner."""
    edges = [edge for _, edge in road_edges(builder)] + kerbs
    strips = (_strip(edge[::4] if len(edge) > 12 else edge, edge[-1:]) for edge in edges)
    ids = (builder.new_id() for _ in edges)
    return {i: Area(i, outline) for i, outline in zip(ids, strips) if Polygon(outline).is_valid}


def _strip(edge: FloatArray, last: FloatArray) -> FloatArray:
    curve = np.concatenate((edge, last))
    inner, outer = offset_curve(curve, -VERGE_M), offset_curve(curve, -WALKWAY_EDGE_M)
    return np.concatenate((inner[:-1], outer[-2::-1]))


def build_carparks(builder: NetworkBuilder, surface: Polygon, count: int) -> dict[str, Area]:
    """Up to ``count`` car parks, each joined to a road's edge by a short throat."""
    found: dict[str, Area] = {}
    for _, edge in sorted(road_edges(builder), key=lambda item: -len(item[1])):
        if len(found) == count:
            break
        pose = interpolate_curve(edge, arc_lengths(edge)[-1:] / 2)[0]
        outline = _carpark_outline(pose)
        lot = Polygon(outline[2:6]).buffer(_BUILDING_CLEARANCE_M)
        taken = [Polygon(area.polygon) for area in found.values()]
        if not lot.intersects(surface) and not any(lot.intersects(other) for other in taken):
            carpark_id = builder.new_id()
            found[carpark_id] = Area(carpark_id, outline, heading=float(pose[HEADING] + np.pi / 2))
    return found


def _carpark_outline(pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "8 2"]:
    """A lot behind the walkway to the right of ``pose`` on the road's edge, and its throat."""
    throat, depth, half = _CARPARK["throat"] / 2, _CARPARK["depth"], _CARPARK["half_length"]
    near, far = -(WALKWAY_EDGE_M + 0.5), -(WALKWAY_EDGE_M + 0.5 + depth)
    local = [(throat, 0.5), (-throat, 0.5), (-throat, near), (-half, near), (-half, far), (half, far), (half, near)]
    points = np.array([*local, (throat, near)])
    return pose[XY] + points[:, X, None] * unit(pose[HEADING]) + points[:, Y, None] * left_normal(pose[HEADING])


def drivable_surface(builder: NetworkBuilder) -> Polygon:
    """Union of all roads and intersections."""
    roads = [block for block in builder.roadblocks.values() if not block.is_connector]
    outlines = [block.polygon for block in roads] + [area.polygon for area in builder.intersections.values()]
    return unary_union([Polygon(outline).buffer(0.01) for outline in outlines])


def build_buildings(
    builder: NetworkBuilder, surface: Polygon, carparks: dict[str, Area], rng: np.random.Generator
) -> dict[str, Area]:
    """Rectangular blocks set back from every road edge, clear of roads, car parks and one another."""
    kept_free = [Polygon(area.polygon).buffer(_BUILDING_CLEARANCE_M) for area in carparks.values()]
    blocked = prep(unary_union([surface.buffer(WALKWAY_EDGE_M + 1.0), *kept_free]))
    placed: list[Polygon] = []
    found: dict[str, Area] = {}
    for _, edge in road_edges(builder):
        for outline in _building_outlines(edge, rng):
            shape = Polygon(outline)
            if blocked.intersects(shape) or any(shape.distance(other) < _BUILDING_CLEARANCE_M for other in placed):
                continue
            placed.append(shape)
            building_id = builder.new_id()
            found[building_id] = Area(building_id, outline, height_m=float(rng.choice([5, 8, 8, 11, 14, 20, 28])))
    return found


def _building_outlines(edge: Float64[np.ndarray, "M 3"], rng: np.random.Generator) -> Iterator[FloatArray]:
    station, end = 0.0, float(arc_lengths(edge)[-1])
    while station < end:
        width, depth = rng.uniform(11.0, 24.0), rng.uniform(9.0, 16.0)
        setback = WALKWAY_EDGE_M + rng.uniform(1.5, 6.0)
        pose = interpolate_curve(edge, np.array([min(station + width / 2, end)]))[0]
        center = pose[XY] - (setback + depth / 2) * left_normal(pose[HEADING])
        yield box_outline(center, float(pose[HEADING]), width, depth)
        station += width + rng.uniform(2.0, 9.0)
