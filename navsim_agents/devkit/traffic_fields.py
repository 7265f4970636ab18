"""What reactive traffic needs of a scene, from v2.2's metric cache and the devkit's map.

The devkit's own builder says who reacts and where it is put; it is asked once a scene. A cache that was scored with
reactive traffic holds that traffic in the place of the log's, so export before scoring, or read the file again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.devkit.scene_objects import Arrays, intersecting_tracks, track_arrays
from navsim_agents.errors import DevkitError
from navsim_agents.scoring.traffic.record import Rails, Vehicles, replayed_arrays, vehicle_arrays
from navsim_agents.scoring.traffic.roles import TRAFFIC, VEHICLE_TYPE, Role


def traffic_arrays(metric_cache: Any, origin: Float64[np.ndarray, "3"], map_root: Optional[Path] = None) -> Arrays:
    """Every field of a scoring scene that reactive traffic reads.

    Args:
        metric_cache: of v2.2; it is not changed.
        origin: the scene's frame on the map.
        map_root: folder of the maps; None: where the cache says that they are.

    Raises:
        DevkitError: there is no map.
    """
    map_api = _map_of(metric_cache, map_root)
    detections = metric_cache.current_tracked_objects[0].tracked_objects.tracked_objects
    objects = [item for item in detections if item.tracked_object_type.fullname == VEHICLE_TYPE]
    agents = _agents(metric_cache, map_api)
    roles = [_role(item, item.track_token in agents, map_api) for item in objects]
    rails = [_rails_of(agents[item.track_token]) if item.track_token in agents else Rails() for item in objects]
    detected = {str(item.track_token) for item in detections}
    vehicles = vehicle_arrays(_vehicles(objects), roles, rails, origin)
    return {**vehicles, **_replayed_arrays(metric_cache, detected, origin)}


def _map_of(metric_cache: Any, map_root: Optional[Path]) -> Any:
    from nuplan.common.maps.nuplan_map.map_factory import get_maps_api

    parameters = metric_cache.map_parameters
    root = Path(parameters.map_root if map_root is None else map_root)
    folder = root / parameters.map_name
    if not folder.is_dir():
        raise DevkitError(
            f"there is no map at {folder}, but who reacts to the ego is decided on the devkit's map; give the folder "
            "of nuPlan's maps, or export without traffic"
        )
    return get_maps_api(str(root), parameters.map_version, parameters.map_name)


def _agents(metric_cache: Any, map_api: Any) -> dict[str, Any]:
    """The devkit's agents by track, as it builds them before the first step."""
    from navsim.planning.simulation.observation.navsim_idm.navsim_idm_agents_builder import (
        build_idm_agents_on_map_rails,
    )

    agents, _ = build_idm_agents_on_map_rails(
        target_velocity=TRAFFIC.wanted_speed_mps,
        min_gap_to_lead_agent=TRAFFIC.min_gap_m,
        headway_time=TRAFFIC.headway_s,
        accel_max=TRAFFIC.acceleration_mps2,
        decel_max=TRAFFIC.braking_mps2,
        minimum_path_length=TRAFFIC.min_path_m,
        idm_snap_threshold=TRAFFIC.snap_m,
        open_loop_detections_types=[],
        ego_agent=metric_cache.ego_state,
        vehicle_current_tracks=metric_cache.current_tracked_objects[0],
        map_api=map_api,
    )
    return dict(agents)


def _role(item: Any, reacts: bool, map_api: Any) -> Role:
    if reacts:
        return Role.REACTS
    return Role.STANDS if _may_stand(item, map_api) else Role.ABSENT


def _rails_of(agent: Any) -> Rails:
    points = agent._path.get_sampled_path()
    return Rails(
        snapped=tuple(agent._initial_state.box.center.serialize()),
        progress=float(agent.progress),
        wanted_speed=_wanted_speed(agent),
        path=np.array([(point.x, point.y, point.heading) for point in points], dtype=np.float64),
        path_progress=np.array([point.progress for point in points], dtype=np.float64),
    )


def _wanted_speed(agent: Any) -> float:
    """m/s: the limit of the segment wins, else what the builder carried along."""
    limit = agent.end_segment.speed_limit_mps
    return float(limit if limit is not None and limit > 0.0 else agent._policy.target_velocity)


def _may_stand(item: Any, map_api: Any) -> bool:
    """Whether a vehicle that does not react is kept: parked off the lanes, or too far from the path that it has."""
    from navsim.planning.simulation.observation.navsim_idm.navsim_idm_agents_builder import get_starting_segment
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer

    layers = (SemanticMapLayer.LANE, SemanticMapLayer.INTERSECTION)
    is_off_lanes = not any(map_api.is_in_layer(item.center, layer) for layer in layers)
    if is_off_lanes:
        return bool(item.velocity.magnitude() < TRAFFIC.parked_speed_mps)
    segment, _ = get_starting_segment(item, map_api)
    if segment is None:
        return False
    nearest = segment.baseline_path.get_nearest_pose_from_position(item.center)
    return bool(np.hypot(nearest.x - item.center.x, nearest.y - item.center.y) > TRAFFIC.snap_m)


def _vehicles(objects: list[Any]) -> Vehicles:
    def numbers(rows: list[Any], *columns: int) -> Any:
        return np.array(rows, dtype=np.float64).reshape(len(rows), *columns)

    return Vehicles(
        tokens=tuple(str(item.track_token) for item in objects),
        sizes=numbers([(item.box.length, item.box.width) for item in objects], 2),
        poses=numbers([item.center.serialize() for item in objects], 3),
        speeds=numbers([item.velocity.magnitude() for item in objects]),
    )


def _replayed_arrays(metric_cache: Any, detected: set[str], origin: Float64[np.ndarray, "3"]) -> Arrays:
    """What reactive traffic replays differently from log replay.

    Args:
        detected: tracks that are in the log at t0.
    """
    box = metric_cache.ego_state.car_footprint.oriented_box.geometry
    touching = intersecting_tracks(metric_cache.observation[0], box)
    every = track_arrays(metric_cache.observation, None, origin)
    touches_ego = np.array([token in touching for token in every["track_token"]], dtype=bool)
    is_late = np.array([token not in detected for token in every["track_token"]], dtype=bool)
    return replayed_arrays(every, touches_ego, is_late)
