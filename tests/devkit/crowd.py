"""More vehicles at t0 of a metric cache than its world has: dense queues, crossings and parked rows, by seed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

NEAR_M = 120.0


def crowded(metric_cache: Any, count: int, seed: int) -> Any:
    """The same scene with ``count`` more vehicles on lanes and connectors around the ego, some beside them."""
    from nuplan.common.actor_state.state_representation import Point2D
    from nuplan.common.actor_state.tracked_objects import TrackedObjects
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer
    from nuplan.common.maps.nuplan_map.map_factory import get_maps_api
    from nuplan.planning.simulation.observation.observation_type import DetectionsTracks

    draw, parameters = np.random.default_rng(seed), metric_cache.map_parameters
    map_api = get_maps_api(parameters.map_root, parameters.map_version, parameters.map_name)
    center = metric_cache.ego_state.center
    layers = [SemanticMapLayer.LANE, SemanticMapLayer.LANE_CONNECTOR]
    near = map_api.get_proximal_map_objects(Point2D(center.x, center.y), NEAR_M, layers)
    lines = [segment.baseline_path.linestring for segments in near.values() for segment in segments]
    objects = list(metric_cache.current_tracked_objects[0].tracked_objects.tracked_objects)
    objects += [_vehicle(lines[draw.integers(len(lines))], draw, number) for number in range(count)]
    full = copy.copy(metric_cache)
    full.current_tracked_objects = [DetectionsTracks(TrackedObjects(objects))]
    return full


def _vehicle(line: Any, draw: np.random.Generator, number: int) -> Any:
    from nuplan.common.actor_state.agent import Agent
    from nuplan.common.actor_state.oriented_box import OrientedBox
    from nuplan.common.actor_state.scene_object import SceneObjectMetadata
    from nuplan.common.actor_state.state_representation import StateSE2, StateVector2D
    from nuplan.common.actor_state.tracked_objects_types import TrackedObjectType

    along = draw.uniform(0.0, max(line.length - 0.6, 0.0))
    here, ahead = line.interpolate(along), line.interpolate(along + 0.5)
    heading = float(np.arctan2(ahead.y - here.y, ahead.x - here.x) + draw.normal(0.0, 0.15))
    aside = draw.normal(0.0, 0.5) * (4.0 if draw.random() < 0.15 else 1.0)
    speed = draw.choice([0.0, 0.05, draw.uniform(0.0, 15.0)])
    place = StateSE2(here.x - aside * np.sin(heading), here.y + aside * np.cos(heading), heading)
    box = OrientedBox(place, length=draw.uniform(3.5, 9.0), width=draw.uniform(1.6, 2.5), height=1.6)
    token = f"{number:016x}"
    velocity = StateVector2D(speed * np.cos(heading), speed * np.sin(heading))
    return Agent(TrackedObjectType.VEHICLE, box, velocity, SceneObjectMetadata(0, token, number, token))
