"""From the devkit's metric cache of a scene to our scoring scene (design: schema 1), for v1.1 and v2.2 alike.

What is not in a cache: v1.1 keeps neither the human's future nor the map's name. Both come from the logs where these
are given; otherwise the human is NaN and the map's name is ``unknown``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.conventions import NUM_POSES, NUM_STATES, POSE_INTERVAL_S, STEP_S, STEP_US
from navsim_agents.common.poses import XY
from navsim_agents.devkit.cache_files import CacheEntry
from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.devkit.logged_future import LoggedFutures
from navsim_agents.devkit.variant import Variant
from navsim_agents.errors import DevkitError
from navsim_agents.poses import FloatArray, points_to_local, poses_to_local
from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.axes import POSE, State
from navsim_agents.scoring.scene import SCHEMA_VERSION
from navsim_agents.scoring.simulation.reference import knot_times_us, sample_times_us

UNKNOWN_MAP = "unknown"


def cache_variant(metric_cache: Any) -> Variant:
    """Which devkit wrote a metric cache, told by its fields."""
    return Variant.V2_2 if hasattr(metric_cache, "past_human_trajectory") else Variant.V1_1


def scoring_scene_of(
    metric_cache: Any, futures: Optional[LoggedFutures] = None, with_traffic: bool = False
) -> ScoringScene:
    """The scoring scene of a ``MetricCache``; everything in the ego's rear-axle frame at t0.

    Args:
        metric_cache: the devkit's object, not scored yet or scored; it is not changed.
        futures: logs that give v1.1's scenes their human trajectory and map name; v2.2 does not need them.
        with_traffic: add what reactive traffic needs, from the map that the cache (of v2.2) names.

    Raises:
        SceneError: the scene breaks a rule of the contract, such as a route without a centreline.
        DevkitError: traffic is wanted, and the cache is of v1.1, or its map is not there.
        WorldDataError: ``futures`` lacks the scene's log, or its end.
    """
    from navsim_agents.devkit.scene_objects import drivable_arrays, red_light_arrays, track_arrays

    variant = cache_variant(metric_cache)
    entry = CacheEntry.of(Path(metric_cache.file_path))
    time_us = int(metric_cache.ego_state.time_point.time_us)
    origin = np.array(metric_cache.ego_state.rear_axle.serialize(), dtype=np.float64)
    parameters = metric_cache.ego_state.car_footprint.vehicle_parameters
    vehicle = (parameters.half_length, parameters.half_width, parameters.rear_axle_to_center, parameters.wheel_base)
    human, map_name = _human_and_map(metric_cache, entry, futures)
    arrays = {
        "schema_version": np.asarray(SCHEMA_VERSION),
        "devkit": np.asarray(variant.value),
        "token": np.asarray(entry.token),
        "log_name": np.asarray(getattr(metric_cache, "log_name", entry.log_name)),
        "map_name": np.asarray(map_name),
        "scene_type": np.asarray(_scene_type(metric_cache)),
        "timestamp_us": np.asarray(time_us),
        "ego_pose": origin,
        "ego_state": _local_states([metric_cache.ego_state], origin)[0],
        "vehicle": np.array(vehicle, dtype=np.float64),
        "history_states": _history_states(metric_cache, origin),
        "human_trajectory": human,
        "pdm_trajectory": _sampled_states(metric_cache.trajectory, time_us, origin),
        "centerline": points_to_local(np.asarray(metric_cache.centerline.linestring.coords)[:, XY], origin),
        "model_knots_us": knot_times_us(NUM_POSES, POSE_INTERVAL_S, time_us).numpy(),
        "sample_times_us": sample_times_us(time_us).numpy(),
        **drivable_arrays(metric_cache.drivable_area_map, metric_cache.route_lane_ids, origin),
        **track_arrays(metric_cache.observation, _ignored_box(metric_cache, variant), origin),
        **red_light_arrays(metric_cache.observation, origin),
    }
    if with_traffic:
        arrays.update(_traffic(metric_cache, variant, origin))
    return ScoringScene.from_arrays(arrays)


def _traffic(metric_cache: Any, variant: Variant, origin: Float64[np.ndarray, "3"]) -> dict[str, npt.NDArray[Any]]:
    from navsim_agents.devkit.traffic_fields import traffic_arrays

    if variant is not Variant.V2_2:
        raise DevkitError(
            f"traffic is wanted of {metric_cache.file_path}, but devkit {variant.value} has no reactive traffic; take "
            "a metric cache of v2.2, or export without traffic"
        )
    return traffic_arrays(metric_cache, origin)


def read_metric_scene(path: Path, futures: Optional[LoggedFutures] = None, with_traffic: bool = False) -> ScoringScene:
    """The scoring scene of the ``metric_cache.pkl`` at ``path``.

    Raises:
        DevkitError: the file cannot be read.
        SceneError: the scene breaks a rule of the contract.
    """
    return scoring_scene_of(read_metric_cache(path), futures, with_traffic)


def _scene_type(metric_cache: Any) -> str:
    kind = getattr(metric_cache, "scene_type", None)
    return "original" if kind is None else str(kind.name).lower()


def _human_and_map(
    metric_cache: Any, entry: CacheEntry, futures: Optional[LoggedFutures]
) -> tuple[npt.NDArray[np.float64], str]:
    """The human's poses [8, 3], NaN where unknown, and the map's name."""
    unknown = np.full((NUM_POSES, 3), np.nan)
    if cache_variant(metric_cache) is Variant.V2_2:
        human = metric_cache.human_trajectory
        poses = unknown if human is None else np.asarray(human.poses, dtype=np.float64)
        return poses, str(metric_cache.map_parameters.map_name)
    if futures is None:
        return unknown, UNKNOWN_MAP
    return futures.of(entry.log_name, entry.token)


def _ignored_box(metric_cache: Any, variant: Variant) -> Any:
    """The box whose tracks at t0 v2.2's log replay removes; None in v1.1, which removes none."""
    return metric_cache.ego_state.car_footprint.oriented_box.geometry if variant is Variant.V2_2 else None


def _local_states(ego_states: list[Any], origin: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "S 11"]:
    """States of the devkit's ``EgoState``s; positions and headings in the frame of ``origin``."""
    from navsim.planning.simulation.planner.pdm_planner.utils.pdm_array_representation import ego_states_to_state_array

    states = np.array(ego_states_to_state_array(ego_states), dtype=np.float64).reshape(-1, len(State))
    return _in_frame(states, origin)


def _sampled_states(trajectory: Any, time_us: int, origin: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "41 11"]:
    """States of PDM-Closed's trajectory, at the times that the devkit's evaluation samples it."""
    from navsim.evaluate.pdm_score import get_trajectory_as_array
    from nuplan.common.actor_state.state_representation import TimePoint
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    sampling = TrajectorySampling(num_poses=NUM_STATES - 1, interval_length=STEP_S)
    states = np.array(get_trajectory_as_array(trajectory, sampling, TimePoint(time_us)))
    return _in_frame(states, origin)


def _in_frame(states: Float64[np.ndarray, "S 11"], origin: Float64[np.ndarray, "3"]) -> FloatArray:
    """``states`` with their poses in the frame of ``origin``."""
    local = states.copy()
    local[:, POSE] = poses_to_local(states[:, POSE], origin)
    return local


def _history_states(metric_cache: Any, origin: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "H 11"]:
    """States that v2.2's history comfort puts in front, chosen as its scorer chooses them; none in v1.1."""
    from nuplan.common.actor_state.state_representation import TimePoint

    past = getattr(metric_cache, "past_human_trajectory", None)
    if past is None:
        return np.zeros((0, len(State)))
    times_us = np.arange(past.start_time.time_us, past.end_time.time_us, STEP_US, dtype=np.int64)[:-1]
    return _local_states(past.get_state_at_times([TimePoint(int(time)) for time in times_us]), origin)
