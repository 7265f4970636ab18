"""Polygons, tracks and red lights of a metric cache as the arrays of a scoring scene.

Tracks come from the observation's occupancy maps, the only place where v1.1 keeps their motion: a box's four corners
(front left, rear left, rear right, front right) give back its pose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import shapely
from jaxtyping import Float64
from nuplan.common.actor_state.agent import Agent
from nuplan.common.actor_state.tracked_objects_types import AGENT_TYPES

from navsim_agents.common.poses import HEADING, X, Y
from navsim_agents.poses import FloatArray, points_to_local, wrap_angle
from navsim_agents.scoring.axes import LANE_LAYERS

Arrays = dict[str, npt.NDArray[Any]]
BOX_CORNERS = 4


def drivable_arrays(drivable_map: Any, route_lane_ids: Iterable[str], origin: Float64[np.ndarray, "3"]) -> Arrays:
    """Rings and layers of the drivable polygons, in the order of the devkit's map.

    Polygons without area hold no point, so they are left out.
    """
    on_route = set(route_lane_ids)
    layers = [layer.name.lower() for layer in drivable_map.map_types]
    rows = zip(drivable_map.tokens, layers, drivable_map._geometries)
    kept = [(token, layer, shape) for token, layer, shape in rows if shape.area > 0.0]
    tokens, names = [row[0] for row in kept], [row[1] for row in kept]
    rings, owners, holes = _rings([row[2] for row in kept])
    routed = [layer in LANE_LAYERS and token in on_route for token, layer in zip(tokens, names)]
    return {
        **_ring_arrays("ring", rings, origin),
        "ring_polygon": np.array(owners, dtype=np.int64),
        "ring_is_hole": np.array(holes, dtype=bool),
        "polygon_layer": texts(names),
        "polygon_token": texts(tokens),
        "polygon_on_route": np.array(routed, dtype=bool),
    }


def track_arrays(observation: Any, ignored_box: Optional[Any], origin: Float64[np.ndarray, "3"]) -> Arrays:
    """Every track with its pose in each column, its size, and speed and heading of its first appearance.

    Args:
        ignored_box: tracks that intersect this polygon at t0 are left out, as v2.2's log replay does.
    """
    maps = [observation[step] for step in range(observation._observation_samples + 1)]
    ignored = set() if ignored_box is None else intersecting_tracks(maps[0], ignored_box)
    objects = {token: item for token, item in observation.unique_objects.items() if token not in ignored}
    row = {token: index for index, token in enumerate(objects)}
    poses = np.full((len(row), len(maps), 3), np.nan)
    for step, occupancy in enumerate(maps):
        seen = [(row[token], box) for token, box in zip(occupancy.tokens, occupancy._geometries) if token in row]
        if seen:
            poses[[index for index, _ in seen], step] = _box_poses([box for _, box in seen], origin)
    items = list(objects.values())
    return {
        "track_token": texts(objects),
        "track_type": texts(item.tracked_object_type.fullname for item in items),
        "track_is_agent": np.array([item.tracked_object_type in AGENT_TYPES for item in items], dtype=bool),
        "collided_track": np.array([token in observation.collided_track_ids for token in objects], dtype=bool),
        "track_size": np.array([(item.box.length, item.box.width) for item in items], dtype=float).reshape(-1, 2),
        "track_speed": np.array([_speed(item) for item in items], dtype=np.float64),
        "track_heading": wrap_angle(np.array([item.box.center.heading for item in items]) - origin[HEADING]),
        "track_poses": poses,
        "track_valid": np.isfinite(poses).all(-1),
    }


def red_light_arrays(observation: Any, origin: Float64[np.ndarray, "3"]) -> Arrays:
    """Red connectors of the route, and when they are red; v1.1's caches have none."""
    steps = getattr(observation, "_occupancy_maps_tl", None) or []
    shapes = {token: shape for tokens, polygons in steps for token, shape in zip(tokens, polygons)}
    active = [[token in tokens for tokens, _ in steps] for token in shapes]
    num_columns = observation._observation_samples + 1
    return {
        "red_light_token": texts(shapes),
        **_ring_arrays("red_light", [shapely.get_coordinates(shape.exterior) for shape in shapes.values()], origin),
        "red_light_active": np.array(active, dtype=bool).reshape(len(shapes), len(steps) or num_columns),
    }


def texts(values: Iterable[Any]) -> npt.NDArray[Any]:
    """An array of strings, also of an empty list, of which NumPy would make floats."""
    return np.array([str(value) for value in values], dtype=np.str_)


def _rings(shapes: list[Any]) -> tuple[list[FloatArray], list[int], list[bool]]:
    """Closed rings of polygons and multi-polygons, with each one's polygon and whether it is a hole."""
    rings: list[FloatArray] = []
    owners: list[int] = []
    holes: list[bool] = []
    for owner, shape in enumerate(shapes):
        for part in shapely.get_parts(shape):
            for place, ring in enumerate((part.exterior, *part.interiors)):
                if shapely.Polygon(ring).area > 0.0:
                    rings.append(shapely.get_coordinates(ring))
                    owners.append(owner)
                    holes.append(place > 0)
    return rings, owners, holes


def _ring_arrays(name: str, rings: list[FloatArray], origin: Float64[np.ndarray, "3"]) -> Arrays:
    """Vertices of all rings in the frame of ``origin``, and where each ring begins."""
    vertices = np.concatenate(rings) if rings else np.zeros((0, 2))
    offsets = np.cumsum([0, *(len(ring) for ring in rings)])
    return {f"{name}_xy": points_to_local(vertices, origin), f"{name}_offsets": offsets.astype(np.int64)}


def intersecting_tracks(occupancy: Any, box: Any) -> set[str]:
    """Tracks of one moment that touch ``box``."""
    return {token for token, shape in zip(occupancy.tokens, occupancy._geometries) if shape.intersects(box)}


def _box_poses(boxes: list[Any], origin: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "N 3"]:
    """Poses of box polygons, in the frame of ``origin``."""
    corners = shapely.get_coordinates(boxes).reshape(len(boxes), BOX_CORNERS + 1, 2)[:, :BOX_CORNERS]
    local = points_to_local(corners, origin)
    ahead = local[:, 0] - local[:, 1]
    return np.column_stack((local.mean(axis=1), np.arctan2(ahead[:, Y], ahead[:, X])))


def _speed(item: Any) -> float:
    """Speed [m/s] that the collision rules see: objects that are no agents stand still."""
    return float(item.velocity.magnitude()) if isinstance(item, Agent) else 0.0
