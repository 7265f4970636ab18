"""Scoring scenes of a clip: what our scorer needs to judge plans of a moment, in the package's own format.

Of the score that Drive-JEPA trains with on Bench2Drive, NC · DAC · (5 TTC + 5 EP + 2 C) / 12, which is PDMS. Progress
is measured on the driven path, against the driver of the clip. The scenes say devkit v1.1, as they hold neither red
lights nor history: EPDMS is refused. Unlike NAVSIM's, they know how the wheels are turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from navsim_agents.bench2drive.clip_tracks import ClipTrack
from navsim_agents.bench2drive.clips import STRIDE, Clip
from navsim_agents.bench2drive.frames import WHEEL_BASE_M
from navsim_agents.bench2drive.maps import HdMap, MapLane
from navsim_agents.common.conventions import NUM_POSES, NUM_STATES, STEP_US
from navsim_agents.common.planar import overlaps, unit
from navsim_agents.common.poses import HEADING, POSE, XY, FloatArray, X, points_to_local, poses_to_local, wrap_angle
from navsim_agents.errors import WorldDataError
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.config import PDMS
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_fields import ORIGINAL, V1_1

EXPERT = "bench2drive.expert"
"""Who drives ``pdm_trajectory``: whoever drove the clip."""
NUM_COLUMNS = PDMS.track_steps
MAP_RADIUS_M = 100.0  # half side of the square of map around the ego, as in NAVSIM's metric caching
TRACK_RANGE_M = 100.0
LANE_MARGIN_M, JUNCTION_MARGIN_M = 0.2, 1.0
"""Drivable beyond a lane's border; in junctions more, which are paved between the ways through them. The maps know no
kerbs."""
SLOWEST_MPS = 0.5  # below, a turn says nothing of the wheels
MAX_STEERING_RAD = 0.6
AHEAD_M = 60.0  # straight on where the clip ends, so that a plan may get farther than the driver
LINE_SPACING_M = 1.0
AGENTS = ("vehicle", "pedestrian", "bicycle")


def scene_token(clip: str, index: int) -> str:
    """Name of the scene at a frame of a clip."""
    return f"{clip}-{index:05}"


def scene_indices(clip: Clip, interval: int = STRIDE) -> list[int]:
    """Frames that can be learnt from: 0.5 s of past, the scorer's 4 s of future, and all frames of it readable."""
    last = len(clip) - NUM_STATES
    return [
        i for i in range(STRIDE, last + 1, interval) if clip.readable[i : i + NUM_STATES].all() and _has_past(clip, i)
    ]


def _has_past(clip: Clip, index: int) -> bool:
    return bool(clip.readable[index - STRIDE])


def build_scene(clip: Clip, index: int, hd_map: HdMap) -> ScoringScene:
    """The scoring scene of frame ``index``, all but ``ego_pose`` in its ego frame.

    Raises:
        WorldDataError: the map has no lane near by, or a frame cannot be read.
        SceneError: the scene breaks a rule of the format.
    """
    pose = clip.frame(index).rear_axle
    lanes = hd_map.near(pose[XY], MAP_RADIUS_M)
    if not lanes:
        raise WorldDataError(
            f"the map of {clip.town} has no lane within {MAP_RADIUS_M:g} m of frame {index} of "
            f"{clip.name}; check that maps and clips are of one release"
        )
    path = clip.rear_axles[clip.readable]
    driven = poses_to_local(clip.rear_axles[index : index + NUM_STATES], pose)
    reference = np.zeros((NUM_STATES, len(State)))
    reference[:, POSE] = driven
    state = _ego_state(clip, index)
    return ScoringScene(
        devkit=V1_1,
        token=scene_token(clip.name, index),
        log_name=clip.name,
        map_name=clip.town,
        scene_type=ORIGINAL,
        timestamp_us=index * STEP_US,
        ego_pose=_tensor(pose),
        ego_state=_tensor(state),
        vehicle=_tensor(_vehicle(clip, index)),
        history_states=_tensor(state[None]),
        human_trajectory=_tensor(driven[STRIDE::STRIDE][:NUM_POSES]),
        pdm_trajectory=_tensor(reference),
        centerline=_tensor(points_to_local(route_line(path), pose)),
        **_area_fields(lanes, _on_route(lanes, path), pose),
        **_track_fields(clip, index, pose),
        red_light_token=(),
        red_light_xy=torch.zeros(0, 2, dtype=torch.float64),
        red_light_offsets=torch.zeros(1, dtype=torch.int64),
        red_light_active=torch.zeros(0, NUM_COLUMNS, dtype=torch.bool),
        reference_driver=EXPERT,
    )


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))


def _vehicle(clip: Clip, index: int) -> Float64[np.ndarray, "4"]:
    frame = clip.frame(index)
    return np.array([*(0.5 * frame.ego_size), frame.rear_axle_to_center_m, WHEEL_BASE_M])


def _ego_state(clip: Clip, index: int) -> Float64[np.ndarray, "11"]:
    state = np.zeros(len(State))
    state[State.VELOCITY_X] = clip.speed_mps(index)
    state[[State.ACCELERATION_X, State.ACCELERATION_Y]] = clip.acceleration(index)
    state[State.ANGULAR_VELOCITY] = clip.yaw_rate(index)
    if state[State.VELOCITY_X] > SLOWEST_MPS:
        curvature = state[State.ANGULAR_VELOCITY] / state[State.VELOCITY_X]
        state[State.STEERING_ANGLE] = np.clip(np.arctan(WHEEL_BASE_M * curvature), -MAX_STEERING_RAD, MAX_STEERING_RAD)
    return state


def route_line(path: Float64[np.ndarray, "F 3"]) -> Float64[np.ndarray, "M 2"]:
    """The driven path [m], about 1 m between points, and straight on from its end; global."""
    kept = [0]
    for i in range(1, len(path)):
        if np.hypot(*(path[i, XY] - path[kept[-1], XY])) >= LINE_SPACING_M:
            kept.append(i)
    end = path[-1]
    ahead = np.arange(LINE_SPACING_M, AHEAD_M + LINE_SPACING_M, LINE_SPACING_M)[:, None]
    straight = end[XY] + ahead * unit(end[HEADING])
    return np.concatenate((path[kept][:, XY], straight))


def _on_route(lanes: Sequence[MapLane], path: Float64[np.ndarray, "F 3"]) -> list[bool]:
    """Which lanes the drive used, or lie beside one that it used in the same direction."""
    sides = {lane.side for lane in lanes if _is_driven(lane, path)}
    return [lane.side in sides for lane in lanes]


def _is_driven(lane: MapLane, path: Float64[np.ndarray, "F 3"]) -> bool:
    """Whether a pose of the path lies on the lane's line, within half its width, in its direction."""
    low, high = lane.line[:, XY].min(axis=0) - 2.0, lane.line[:, XY].max(axis=0) + 2.0
    near = path[((path[:, XY] >= low) & (path[:, XY] <= high)).all(axis=1)]
    if not len(near):
        return False
    offsets = near[:, None, XY] - lane.line[None, :, XY]
    distance = np.hypot(offsets[..., X], offsets[..., 1])
    nearest = distance.argmin(axis=1)
    is_on = distance.min(axis=1) <= 0.5 * lane.width_m[nearest]
    turn = np.abs(wrap_angle(near[:, HEADING] - lane.line[nearest, HEADING]))
    return bool((is_on & (turn < np.pi / 4)).any())


def _area_fields(
    lanes: Sequence[MapLane], on_route: Sequence[bool], origin: Float64[np.ndarray, "3"]
) -> dict[str, Any]:
    """Each lane twice: as a lane, and a little wider as drivable ground."""
    layers = ["lane_connector" if lane.is_junction else "lane" for lane in lanes] + ["drivable_area"] * len(lanes)
    rings = [lane.outline() for lane in lanes] + [_paved(lane) for lane in lanes]
    return {
        "ring_xy": _tensor(points_to_local(np.concatenate(rings), origin)),
        "ring_offsets": torch.from_numpy(np.cumsum([0, *map(len, rings)], dtype=np.int64)),
        "ring_polygon": torch.arange(len(rings)),
        "ring_is_hole": torch.zeros(len(rings), dtype=torch.bool),
        "polygon_layer": tuple(layers),
        "polygon_token": tuple(lane.name for lane in lanes) * 2,
        "polygon_on_route": torch.tensor([*on_route, *[False] * len(lanes)]),
    }


def _paved(lane: MapLane) -> Float64[np.ndarray, "V 2"]:
    return lane.outline(JUNCTION_MARGIN_M if lane.is_junction else LANE_MARGIN_M)


def _track_fields(clip: Clip, index: int, origin: Float64[np.ndarray, "3"]) -> dict[str, Any]:
    """Tracks of the next 4.9 s in the ego frame; what the clip no longer shows is not there."""
    future = slice(index, index + NUM_COLUMNS)
    tracks = [track for track in clip.tracks if _is_near(track, future, origin)]
    poses, valid = np.zeros((len(tracks), NUM_COLUMNS, 3)), np.zeros((len(tracks), NUM_COLUMNS), dtype=bool)
    for row, track in enumerate(tracks):
        seen = track.valid[future]
        valid[row, : len(seen)] = seen
        poses[row, : len(seen)][seen] = poses_to_local(track.poses[future][seen], origin)
    first = valid.argmax(axis=1) if len(tracks) else np.zeros(0, dtype=int)
    speeds = [float(np.hypot(*track.velocities[index + column])) for track, column in zip(tracks, first)]
    is_agent = np.array([track.kind in AGENTS for track in tracks], dtype=bool)
    sizes = np.array([track.size for track in tracks]).reshape(-1, 2)
    rows = np.arange(len(tracks))
    return {
        "track_token": tuple(track.name for track in tracks),
        "track_type": tuple(track.kind for track in tracks),
        "track_is_agent": torch.from_numpy(is_agent),
        "collided_track": torch.from_numpy(_touching(clip, index, poses[:, 0], sizes, valid[:, 0])),
        "track_size": _tensor(sizes),
        "track_speed": _tensor(np.array(speeds) * is_agent),
        "track_heading": _tensor(poses[rows, first, HEADING]),
        "track_poses": _tensor(poses),
        "track_valid": torch.from_numpy(valid),
    }


def _is_near(track: ClipTrack, future: slice, origin: Float64[np.ndarray, "3"]) -> bool:
    seen = track.poses[future][track.valid[future]]
    return bool(len(seen)) and bool((np.hypot(*(seen[:, XY] - origin[XY]).T) <= TRACK_RANGE_M).any())


def _touching(
    clip: Clip,
    index: int,
    poses: Float64[np.ndarray, "K 3"],
    sizes: Float64[np.ndarray, "K 2"],
    seen: Bool[np.ndarray, " K"],
) -> Bool[np.ndarray, " K"]:
    """Whose box overlaps the ego's now: such a track is not the plan's fault."""
    half_length, half_width, center_m, _ = _vehicle(clip, index)
    own = np.array([center_m, 0.0, 0.0, 2.0 * half_length, 2.0 * half_width])
    others = np.concatenate((poses, sizes), axis=1)
    return seen & overlaps(np.broadcast_to(own, others.shape), others)
