"""Tracks of a scene every 0.1 s, interpolated between 2 Hz annotations as NAVSIM's metric caching does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64, Int64

from navsim_agents.common.agent_types import AGENT_NAMES
from navsim_agents.common.conventions import FRAME_INTERVAL_S, STEP_S
from navsim_agents.common.planar import overlaps
from navsim_agents.common.poses import HEADING, X, Y
from navsim_agents.data.scene import BOX_FOOTPRINT, BOX_POSE, LogFrame, global_ego_pose, read_annotations
from navsim_agents.poses import FloatArray, poses_to_global, poses_to_local, wrap_angle
from navsim_agents.world.tracks import ego_boxes
from navsim_agents.world.types import AgentType

BoolArray = npt.NDArray[np.bool_]

TYPE_ORDER = tuple(kind.value for kind in (
    AgentType.VEHICLE, AgentType.PEDESTRIAN, AgentType.BICYCLE, AgentType.TRAFFIC_CONE, AgentType.BARRIER,
    AgentType.CZONE_SIGN, AgentType.GENERIC_OBJECT,
))  # fmt: skip  # nuPlan sorts the objects of a frame so
NUM_FRAMES_V2, NUM_FRAMES_V1 = 9, 11  # now and what is cached after it: 4 s by v2.2, 5 s by v1.1
COLUMNS_PER_FRAME = round(FRAME_INTERVAL_S / STEP_S)
NUM_COLUMNS_V2, NUM_COLUMNS = (1 + COLUMNS_PER_FRAME * (frames - 1) for frames in (NUM_FRAMES_V2, NUM_FRAMES_V1))


@dataclass(frozen=True)
class FrameBoxes:
    """Annotated boxes of one frame on the map, in nuPlan's order."""

    tokens: tuple[str, ...]
    names: tuple[str, ...]
    poses: Float64[np.ndarray, "K 3"]
    sizes: Float64[np.ndarray, "K 2"]  # length, width
    speeds: Float64[np.ndarray, " K"]  # m/s; 0 for what is no agent


@dataclass(frozen=True)
class SceneTracks:
    """Tracks of one scene, poses in its frame, one column per 0.1 s."""

    tokens: tuple[str, ...]
    names: tuple[str, ...]
    sizes: Float64[np.ndarray, "K 2"]
    speeds: Float64[np.ndarray, " K"]  # of the first appearance
    headings: Float64[np.ndarray, " K"]  # of the first appearance
    poses: Float64[np.ndarray, "K T 3"]
    valid: Bool[np.ndarray, "K T"]


def frame_boxes(frame: LogFrame) -> FrameBoxes:
    """Boxes of a log's frame; none where it has no annotations."""
    annotations = read_annotations(frame)
    if annotations is None or not annotations.names:
        return FrameBoxes((), (), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0))
    order = sorted(range(len(annotations.names)), key=lambda i: TYPE_ORDER.index(annotations.names[i]))
    boxes, names = annotations.boxes[order], tuple(annotations.names[i] for i in order)
    velocities = annotations.velocity_3d[order]
    return FrameBoxes(
        tokens=tuple(annotations.track_tokens[i] for i in order),
        names=names,
        poses=poses_to_global(boxes[:, BOX_POSE], global_ego_pose(frame)),
        sizes=boxes[:, BOX_FOOTPRINT],
        speeds=np.hypot(velocities[:, X], velocities[:, Y]) * np.isin(names, AGENT_NAMES),
    )


def scene_tracks(frames: Sequence[FrameBoxes], origin: Float64[np.ndarray, "3"]) -> SceneTracks:
    """Tracks of the frames from now on (11 of them: 5 s), in the frame of the pose ``origin``.

    Columns up to 4 s are v2.2's, which knows the frames up to 4 s: an object annotated once in them stays in all of
    these columns. The later columns, which only v1.1 looks at, follow its rule over all 5 s.
    """
    seen: dict[str, list[tuple[int, int]]] = {}
    for index, boxes in enumerate(frames[:NUM_FRAMES_V1]):
        for row, token in enumerate(boxes.tokens):
            seen.setdefault(token, []).append((index, row))
    columns = {token: _track(frames, places) for token, places in seen.items()}
    known = [token for token in seen if columns[token][1][:NUM_COLUMNS_V2].any()]
    known.sort(key=lambda token: (int(columns[token][1].argmax()), _type_rank(frames, seen[token])))
    late = set(seen) - set(known)
    tokens = (*known, *(token for token in seen if token in late))
    first = [seen[token][0] for token in tokens]
    poses = np.stack([columns[token][0] for token in tokens]) if tokens else np.zeros((0, NUM_COLUMNS, 3))
    valid = np.stack([columns[token][1] for token in tokens]) if tokens else np.zeros((0, NUM_COLUMNS), dtype=bool)
    local = np.where(valid[..., None], poses_to_local(poses, origin), 0.0)
    return SceneTracks(
        tokens=tokens,
        names=tuple(frames[index].names[row] for index, row in first),
        sizes=np.array([frames[index].sizes[row] for index, row in first]).reshape(-1, 2),
        speeds=np.array([frames[index].speeds[row] for index, row in first]),
        headings=local[np.arange(len(tokens)), valid.argmax(1), HEADING] if tokens else np.zeros(0),
        poses=local,
        valid=valid,
    )


def touching_ego(tracks: SceneTracks) -> Bool[np.ndarray, " K"]:
    """Which tracks touch the ego at t0, in whose frame they are."""
    boxes = np.column_stack((tracks.poses[:, 0], tracks.sizes))
    ego = np.broadcast_to(ego_boxes(np.zeros((1, 3))), boxes.shape)
    return tracks.valid[:, 0] & overlaps(boxes, ego)


def _type_rank(frames: Sequence[FrameBoxes], places: list[tuple[int, int]]) -> int:
    index, row = places[0]
    return TYPE_ORDER.index(frames[index].names[row])


def _track(frames: Sequence[FrameBoxes], places: list[tuple[int, int]]) -> tuple[FloatArray, BoolArray]:
    """Poses [T, 3] on the map and validity [T] of an object annotated at ``places`` (frame, row)."""
    poses = np.array([frames[index].poses[row] for index, row in places])
    numbers = np.array([index for index, _ in places])
    track, valid = _interpolate(poses, numbers)
    valid[:NUM_COLUMNS_V2] = False
    early = numbers < NUM_FRAMES_V2
    if early.any():
        early_track, early_valid = _interpolate(poses[early], numbers[early])
        track[:NUM_COLUMNS_V2], valid[:NUM_COLUMNS_V2] = early_track[:NUM_COLUMNS_V2], early_valid[:NUM_COLUMNS_V2]
    return track, valid


def _interpolate(
    poses: Float64[np.ndarray, "n 3"], frame_numbers: Int64[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, "T 3"], Bool[np.ndarray, " T"]]:
    """Poses [T, 3] between ``poses`` at the frames ``frame_numbers``, and whether each column lies between."""
    times, samples = frame_numbers * FRAME_INTERVAL_S, np.arange(NUM_COLUMNS) * STEP_S
    if len(times) == 1:
        return np.repeat(poses, NUM_COLUMNS, axis=0), np.ones(NUM_COLUMNS, dtype=bool)
    unwrapped = np.unwrap(poses[:, HEADING])
    values = [np.interp(samples, times, column) for column in (poses[:, X], poses[:, Y], unwrapped)]
    values[HEADING] = wrap_angle(values[HEADING])
    return np.stack(values, axis=1), (times[0] <= samples) & (samples <= times[-1])
