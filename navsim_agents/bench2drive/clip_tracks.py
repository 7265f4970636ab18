"""Who is where over a whole clip: boxes by actor, with velocities from positions, for walkers too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from navsim_agents.bench2drive.annotations import ClipFrame, Thing
from navsim_agents.common.conventions import STEP_S
from navsim_agents.common.poses import HEADING, XY, FloatArray, wrap_angle

LONGEST_GAP = 5
"""Frames (0.5 s) that a box may be missing in between, as where one file cannot be read."""
VANISHING_RANGE_M = 40.0
"""A track that ends nearer to the ego than this, before the clip does, vanished (issue 38 of Bench2Drive)."""


@dataclass(frozen=True)
class ClipTrack:
    """One actor over F frames 0.1 s apart; global right-handed frame."""

    name: str
    kind: str
    size: Float64[np.ndarray, "2"]  # length, width [m]
    poses: Float64[np.ndarray, "F 3"]  # middle of the box; 0 where it is not there
    velocities: Float64[np.ndarray, "F 2"]  # m/s; 0 where it is not there
    valid: Bool[np.ndarray, " F"]


def tracks_of(frames: Sequence[Optional[ClipFrame]]) -> list[ClipTrack]:
    """Tracks in the order in which they appear; None stands for a frame that cannot be read."""
    found: dict[str, dict[int, Thing]] = {}
    for index, frame in enumerate(frames):
        for thing in frame.things if frame is not None else ():
            found.setdefault(thing.name, {})[index] = thing
    return [_track(name, things, len(frames)) for name, things in found.items()]


def _track(name: str, things: Mapping[int, Thing], count: int) -> ClipTrack:
    numbers = np.array(sorted(things))
    known = np.array([things[int(number)].pose for number in numbers])
    poses, valid = np.zeros((count, 3)), np.zeros(count, dtype=bool)
    unwrapped = known.copy()
    unwrapped[:, HEADING] = np.unwrap(known[:, HEADING])
    inside = np.arange(numbers[0], numbers[-1] + 1)
    for column in range(poses.shape[1]):
        poses[inside, column] = np.interp(inside, numbers, unwrapped[:, column])
    poses[:, HEADING] = wrap_angle(poses[:, HEADING])
    valid[numbers] = True
    for before, after in zip(numbers[:-1], numbers[1:]):
        valid[before:after] |= after - before <= LONGEST_GAP + 1
    poses[~valid] = 0.0
    first = things[int(numbers[0])]
    return ClipTrack(name, first.kind, first.size[XY].copy(), poses, velocities_of(poses[:, XY], valid), valid)


def velocities_of(places: Float64[np.ndarray, "F 2"], valid: npt.NDArray[np.bool_]) -> Float64[np.ndarray, "F 2"]:
    """Velocities [m/s] from places 0.1 s apart: central differences, one-sided where a neighbour is missing."""
    velocities: FloatArray = np.zeros_like(places)
    count = len(places)
    for index in np.flatnonzero(valid):
        before = index - 1 if index > 0 and valid[index - 1] else index
        after = index + 1 if index + 1 < count and valid[index + 1] else index
        if after > before:
            velocities[index] = (places[after] - places[before]) / ((after - before) * STEP_S)
    return velocities


def vanished(tracks: Sequence[ClipTrack], ego: Float64[np.ndarray, "F 3"]) -> dict[str, int]:
    """Names of moving tracks that end near the ego before the clip does, with their last frames."""
    ends = {}
    for track in tracks:
        last = int(np.flatnonzero(track.valid)[-1])
        distance = float(np.hypot(*(track.poses[last, XY] - ego[last, XY])))
        if last < len(ego) - 1 and distance < VANISHING_RANGE_M:
            ends[track.name] = last
    return ends
