"""From the simulator's record to tracks: what was near the expert and when, without overlaps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.common.planar import SIZE, overlaps
from navsim_agents.common.poses import HEADING, POSE, XY
from navsim_agents.world.curves import unit
from navsim_agents.world.fleet import EGO_BODY
from navsim_agents.world.pedestrians import PEDESTRIAN_SIZE, WALKING_SPEED
from navsim_agents.world.simulation import Record
from navsim_agents.world.still_objects import StillScene
from navsim_agents.world.traffic import Mover
from navsim_agents.world.types import FOOTPRINT, AgentType, Track

_HYSTERESIS_M = 8.0
_CLOTHES = ((60, 60, 80), (140, 60, 60), (70, 110, 80), (190, 170, 130), (90, 90, 90))


def build_tracks(
    record: Record, movers: list[Mover], still: StillScene, view_m: float, rng: np.random.Generator
) -> tuple[Track, ...]:
    """Tracks that come within ``view_m`` of the expert, the expert itself excluded."""
    ego = np.array(record.ego)[:, POSE]
    tracks = all_tracks(record, movers, still, rng)
    seen = (_limit_view(track, ego, view_m) for track in tracks)
    return tuple(_drop_overlapping([track for track in seen if track.valid.any()], ego_boxes(ego)))


def all_tracks(record: Record, movers: list[Mover], still: StillScene, rng: np.random.Generator) -> list[Track]:
    """Everybody and everything but the ego, wherever it is; tokens and clothes are drawn in the same order always."""
    num_steps = len(record.ego)
    return [*_mover_tracks(record, movers, rng), *_people_tracks(record, rng), *_still_tracks(num_steps, still, rng)]


def _token(rng: np.random.Generator) -> str:
    return bytes(rng.integers(0, 256, 8, dtype=np.uint8).tolist()).hex()


def _mover_tracks(record: Record, movers: list[Mover], rng: np.random.Generator) -> Iterable[Track]:
    centers, speeds = np.array(record.centers), np.array(record.speeds)
    awake = np.array(record.awake)
    for i, mover in enumerate(movers, start=1):
        size = np.array([mover.body.length_m, mover.body.width_m, mover.body.height_m])
        velocities = speeds[:, i, None] * unit(centers[:, i, HEADING])
        yield Track(_token(rng), mover.agent_type, size, centers[:, i], velocities, awake[:, i], mover.color)


def _people_tracks(record: Record, rng: np.random.Generator) -> Iterable[Track]:
    people = np.array(record.people)
    for i in range(people.shape[1]):
        poses, speeds = people[:, i, POSE], people[:, i, WALKING_SPEED, None]
        color = _CLOTHES[int(rng.integers(len(_CLOTHES)))]
        valid = np.ones(len(poses), dtype=bool)
        yield Track(
            _token(rng), AgentType.PEDESTRIAN, PEDESTRIAN_SIZE, poses, speeds * unit(poses[:, HEADING]), valid, color
        )


def _still_tracks(num_steps: int, still: StillScene, rng: np.random.Generator) -> Iterable[Track]:
    for item in still.objects:
        poses = np.tile(item.pose, (num_steps, 1))
        valid = np.ones(num_steps, dtype=bool)
        yield Track(_token(rng), item.agent_type, item.size, poses, np.zeros((num_steps, 2)), valid, item.color)


def _limit_view(track: Track, ego: Float64[np.ndarray, "S 3"], view_m: float) -> Track:
    """Keep the longest time in view: it begins within ``view_m`` and ends a little beyond."""
    distance = np.hypot(*(track.poses[:, XY] - ego[:, XY]).T)
    enters, stays = track.valid & (distance < view_m), track.valid & (distance < view_m + _HYSTERESIS_M)
    best = (0, 0)
    for start, end in _runs(stays):
        first = start + int(np.argmax(enters[start:end]))
        if enters[first] and end - first > best[1] - best[0]:
            best = (first, end)
    valid = np.zeros(len(ego), dtype=bool)
    valid[best[0] : best[1]] = True
    return _with_valid(track, valid)


def _with_valid(track: Track, valid: Bool[np.ndarray, " S"]) -> Track:
    poses = track.poses.copy()
    poses[:, HEADING] = np.mod(poses[:, HEADING] + np.pi, 2.0 * np.pi) - np.pi
    return Track(track.track_token, track.agent_type, track.size, poses, track.velocities, valid, track.color)


def _runs(mask: Bool[np.ndarray, " S"]) -> list[tuple[int, int]]:
    """Start and end of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def ego_boxes(ego: Float64[np.ndarray, "S 3"]) -> Float64[np.ndarray, "S 5"]:
    """Centre, heading, length and width of the car whose rear axle is at the poses ``ego``."""
    center = ego[:, XY] + EGO_BODY.center_m * unit(ego[:, HEADING])
    size = np.tile([EGO_BODY.length_m, EGO_BODY.width_m], (len(ego), 1))
    return np.column_stack((center, ego[:, HEADING], size))


def track_boxes(track: Track) -> Float64[np.ndarray, "S 5"]:
    """Centre, heading, length and width."""
    return np.column_stack((track.poses, np.tile(track.size[FOOTPRINT], (len(track.poses), 1))))


def _drop_overlapping(tracks: list[Track], ego: Float64[np.ndarray, "S 5"]) -> list[Track]:
    """Remove tracks that drive through the expert or through another one: the simulator's last resort.

    Of two, the less important one is removed: things first, then people, cyclists, vehicles.
    """
    boxes = [track_boxes(track) for track in tracks]
    everyone = np.ones(len(ego), dtype=bool)
    kept = [i for i in range(len(tracks)) if not ever_overlaps(boxes[i], tracks[i].valid, ego, everyone)]
    order = sorted(kept, key=lambda i: _RANK.index(tracks[i].agent_type))
    chosen: list[int] = []
    for i in order:
        if not any(ever_overlaps(boxes[i], tracks[i].valid, boxes[j], tracks[j].valid) for j in chosen):
            chosen.append(i)
    return [tracks[i] for i in sorted(chosen)]


_RANK = [
    AgentType.VEHICLE,
    AgentType.BICYCLE,
    AgentType.PEDESTRIAN,
    AgentType.BARRIER,
    AgentType.TRAFFIC_CONE,
    AgentType.CZONE_SIGN,
    AgentType.GENERIC_OBJECT,
]


def ever_overlaps(
    first: Float64[np.ndarray, "S 5"],
    first_valid: Bool[np.ndarray, " S"],
    second: Float64[np.ndarray, "S 5"],
    second_valid: Bool[np.ndarray, " S"],
) -> bool:
    """Whether two boxes share a point at a step at which both are there."""
    both = first_valid & second_valid
    if not both.any():
        return False
    reach = (np.hypot(*first[0, SIZE]) + np.hypot(*second[0, SIZE])) / 2
    near = both & (np.hypot(*(first[:, XY] - second[:, XY]).T) < reach)
    return bool(near.any() and overlaps(first[near], second[near]).any())
