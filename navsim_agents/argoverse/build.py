"""From a sensor log to scoring scenes, one every half second where 1.5 s of history and 5 s of future are known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64

from navsim_agents.argoverse.ego import HALF_WINDOW_S, states_at
from navsim_agents.argoverse.lane_map import LaneMap
from navsim_agents.argoverse.log import LogTrack, SensorLog, speed_of, track_poses_at
from navsim_agents.argoverse.matching import match_lanes
from navsim_agents.argoverse.route import Route, route_along
from navsim_agents.common.agent_types import AGENT_NAMES
from navsim_agents.common.conventions import (
    EGO_LENGTH_M,
    EGO_MEASURES_M,
    EGO_REAR_AXLE_TO_CENTER_M,
    EGO_WIDTH_M,
    FRAME_INTERVAL_S,
    NUM_FUTURE_FRAMES,
    NUM_HISTORY_FRAMES,
    NUM_POSES,
    NUM_STATES,
    POSE_INTERVAL_S,
    STEP_S,
)
from navsim_agents.common.planar import arc_lengths, overlaps, unit
from navsim_agents.common.poses import HEADING, POSE, XY, FloatArray, points_to_local, poses_to_local, wrap_angle
from navsim_agents.common.time_grid import nearest_to_grid
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_fields import ORIGINAL, V2_2
from navsim_agents.scoring.scene_parts import area_fields, as_tensor, local_states

REFERENCE_DRIVER = "human"
"""Who stands in for PDM-Closed: a driver by rules needs speed limits and lights, which these maps lack."""
HISTORY_S = FRAME_INTERVAL_S * (NUM_HISTORY_FRAMES - 1)
FUTURE_S = FRAME_INTERVAL_S * NUM_FUTURE_FRAMES
HALF_STEP_S = STEP_S / 2
MAP_RADIUS_M = 100.0  # half side of the square of map around the ego, as in NAVSIM's metric caching
ON_LANE_M = 5.0  # an ego farther from the centre line of the lane that it drives along has no route
SPACING_M = 0.5  # of the places that are looked up in the map
SPEED_WINDOW_S = 0.25  # each way
TOKEN_DIGITS = 16  # NAVSIM's tokens have as many
MAP_NAME = "argoverse2-{}"


class SceneBuilder:
    """Builds the scenes of one log; what its scenes share is worked out once."""

    def __init__(self, log: SensorLog) -> None:
        self._log = log
        self._lane_map = log.lane_map
        self._times = _places(log)
        poses = log.ego.at(self._times)
        poses[:, XY] += EGO_REAR_AXLE_TO_CENTER_M * unit(poses[:, HEADING])
        self._match = match_lanes(log.lane_map, poses)

    def scene_times(self) -> Float64[np.ndarray, " n"]:
        """Now of every scene: times of annotations [s], half a second apart."""
        sweeps, ego = self._log.sweeps, self._log.ego
        first = max(float(sweeps[0]), HISTORY_S + HALF_WINDOW_S)
        last = min(float(sweeps[-1]) + HALF_STEP_S - FUTURE_S, float(ego.times[-1]) - FUTURE_S)
        known = sweeps[(sweeps >= first) & (sweeps <= last)]
        return known[nearest_to_grid(known, FRAME_INTERVAL_S, HALF_STEP_S)]

    def has_route(self, time: float) -> bool:
        """Whether the ego is on a lane."""
        return bool(self._match.distances[self._place(time)] <= ON_LANE_M)

    def build(self, time: float) -> ScoringScene:
        """The scene of one moment [s]."""
        log, ego = self._log, self._log.ego
        now = states_at(ego, np.array([time]))[0]
        origin = now[POSE].copy()
        origin[HEADING] = wrap_angle(origin[HEADING])
        route = route_along(self._lane_map, self._match.tokens[self._place(time) :])
        driven = states_at(ego, time + STEP_S * np.arange(NUM_STATES))
        past = states_at(ego, time + STEP_S * np.arange(-round(HISTORY_S / STEP_S), 0))
        human = ego.at(time + POSE_INTERVAL_S * np.arange(1, NUM_POSES + 1))
        timestamp_ns = ego.start_ns + round(time * 1e9)
        return ScoringScene(
            devkit=V2_2,
            token=scene_token(log.name, timestamp_ns),
            log_name=log.name,
            map_name=MAP_NAME.format(self._lane_map.city),
            scene_type=ORIGINAL,
            timestamp_us=timestamp_ns // 1000,
            ego_pose=as_tensor(origin),
            ego_state=as_tensor(local_states(now, origin)),
            vehicle=torch.tensor(EGO_MEASURES_M, dtype=torch.float64),
            history_states=as_tensor(local_states(past, origin)),
            human_trajectory=as_tensor(poses_to_local(human, origin)),
            pdm_trajectory=as_tensor(local_states(driven, origin)),
            centerline=as_tensor(points_to_local(route.centerline(self._lane_map), origin)),
            **_map_fields(self._lane_map, route, origin),
            **_track_fields(log.tracks, time, origin),
            **_no_lights(),
            reference_driver=REFERENCE_DRIVER,
        )

    def _place(self, time: float) -> int:
        """Number of the last place that was looked up until ``time``."""
        return max(0, int(np.searchsorted(self._times, time, side="right")) - 1)


def scene_token(log_name: str, timestamp_ns: int) -> str:
    """Name of a scene: hexadecimal digits, as NAVSIM's."""
    return hashlib.sha256(f"{log_name}/{timestamp_ns}".encode()).hexdigest()[:TOKEN_DIGITS]


def _places(log: SensorLog) -> Float64[np.ndarray, " S"]:
    """Times [s] at which the ego has driven whole multiples of ``SPACING_M``, and the first."""
    travelled = np.floor(arc_lengths(log.ego.poses) / SPACING_M + 1e-6)
    return log.ego.times[np.concatenate(([True], np.diff(travelled) > 0.0))]


def _map_fields(lane_map: LaneMap, route: Route, origin: Float64[np.ndarray, "3"]) -> dict[str, Any]:
    """Lanes and areas that reach into the square of map around the ego.

    Each lane stands there twice: as a lane, and as a piece of road or intersection. Argoverse's drivable areas do not
    tell intersections, and are cut into tiles whose corners are rounded to a centimetre, which may leave gaps.
    """
    rows: list[tuple[str, str, Float64[np.ndarray, "V 2"], bool]] = []
    for lane in lane_map.lanes.values():
        layers = ("intersection", "lane_connector") if lane.is_intersection else ("roadblock", "lane")
        rows += [(layer, lane.token, lane.ring, lane.token in route.lanes) for layer in layers]
    rows += [("drivable_area", token, ring, False) for token, ring in lane_map.areas.items()]
    is_near = _reaching([ring for _, _, ring, _ in rows], origin)
    layers, tokens, rings, on_route = zip(*(row for row, reaches in zip(rows, is_near) if reaches))
    return area_fields(layers, tokens, rings, on_route, origin)


def _reaching(rings: Sequence[FloatArray], origin: Float64[np.ndarray, "3"]) -> Bool[np.ndarray, " P"]:
    """Which rings' own boxes reach into the square around the ego, which is turned as the ego is."""
    local = points_to_local(np.concatenate(rings), origin)
    firsts = np.cumsum([0, *(len(ring) for ring in rings[:-1])])
    low, high = (limit.reduceat(local, firsts, axis=0) for limit in (np.minimum, np.maximum))
    return np.asarray(((low <= MAP_RADIUS_M) & (high >= -MAP_RADIUS_M)).all(1))


def _track_fields(tracks: Sequence[LogTrack], time: float, origin: Float64[np.ndarray, "3"]) -> dict[str, Any]:
    """Tracks as v2.2's log replay has them, without those that touch the ego now."""
    times = time + STEP_S * np.arange(round(FUTURE_S / STEP_S) + 1)
    found = [track_poses_at(track, times, HALF_STEP_S) for track in tracks]
    valid = np.array([valid for _, valid in found], dtype=bool).reshape(-1, len(times))
    poses = poses_to_local(np.array([poses for poses, _ in found]).reshape(*valid.shape, len(origin)), origin)
    sizes = np.array([track.size for track in tracks]).reshape(len(tracks), 2)
    kept = np.flatnonzero(valid.any(1) & ~(valid[:, 0] & _touching_ego(poses[:, 0], sizes)))
    tracks, valid, poses, sizes = [tracks[row] for row in kept.tolist()], valid[kept], poses[kept], sizes[kept]
    names, first = tuple(track.kind.value for track in tracks), valid.argmax(1)
    is_agent = np.isin(names, AGENT_NAMES)
    speeds = [speed_of(track, times[column], SPEED_WINDOW_S) for track, column in zip(tracks, first)]
    return {
        "track_token": tuple(track.token for track in tracks),
        "track_type": names,
        "track_is_agent": torch.from_numpy(is_agent),
        "collided_track": torch.zeros(len(tracks), dtype=torch.bool),
        "track_size": as_tensor(sizes),
        "track_speed": as_tensor(np.array(speeds) * is_agent),
        "track_heading": as_tensor(poses[np.arange(len(tracks)), first, HEADING]),
        "track_poses": as_tensor(np.where(valid[..., None], poses, 0.0)),
        "track_valid": torch.from_numpy(valid),
    }


def _touching_ego(poses: Float64[np.ndarray, "K 3"], sizes: Float64[np.ndarray, "K 2"]) -> Bool[np.ndarray, " K"]:
    """Which boxes at ``poses`` in the scene's frame share a point with the ego's."""
    ego = np.array([EGO_REAR_AXLE_TO_CENTER_M, 0.0, 0.0, EGO_LENGTH_M, EGO_WIDTH_M])
    return overlaps(np.concatenate((poses, sizes), axis=1), np.tile(ego, (len(poses), 1)))


def _no_lights() -> dict[str, Any]:
    """Argoverse 2 has no traffic lights."""
    columns = round(FUTURE_S / STEP_S) + 1
    return {
        "red_light_token": (),
        "red_light_xy": torch.zeros(0, 2, dtype=torch.float64),
        "red_light_offsets": torch.zeros(1, dtype=torch.int64),
        "red_light_active": torch.zeros(0, columns, dtype=torch.bool),
    }
