"""A clip of Bench2Drive on disk: ``anno/*.json.gz`` and ``camera/rgb_*``, of the releases 0.0.3 and 0.0.4 alike.

Frames are 0.1 s apart. What cannot be read is named, and costs only the moments that need it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from navsim_agents.bench2drive.annotations import ClipFrame, read_annotation
from navsim_agents.bench2drive.clip_tracks import ClipTrack, tracks_of, velocities_of
from navsim_agents.bench2drive.frames import folder_of
from navsim_agents.bench2drive.inputs import NUM_PLAN_POSES, Bench2DriveInput
from navsim_agents.common.conventions import POSE_INTERVAL_S, STEP_S
from navsim_agents.common.planar import arc_lengths
from navsim_agents.common.poses import HEADING, XY, points_to_local, poses_to_local, rotate, wrap_angle
from navsim_agents.data.scene import read_image
from navsim_agents.errors import InputError, WorldDataError

STRIDE = round(POSE_INTERVAL_S / STEP_S)
"""Frames from one planned pose, or one picture of a planner's clip, to the next."""
ANNOTATIONS = "anno"
NAME = re.compile(r"(?P<scenario>.+)_(?P<town>Town\w+?)_Route(?P<route>\d+)_Weather(?P<weather>\d+)")
FAR_TARGET_M = 50.0
"""Where nothing says where to go: the place that the car reaches after so many metres; the leaderboard's points are as
far apart."""


def annotation_path(folder: Path, index: int) -> Path:
    """Where a clip's annotation of a frame lies."""
    return folder / ANNOTATIONS / f"{index:05}.json.gz"


def picture_path(folder: Path, camera: str, index: int) -> Path:
    """Where a clip's picture of a camera and a frame lies."""
    return folder / "camera" / folder_of(camera) / f"{index:05}.jpg"


@dataclass(frozen=True)
class ClipName:
    """What the folder of a clip is called after: ``Scenario_Town12_Route3_Weather5``."""

    scenario: str
    town: str
    route: int
    weather: int

    @classmethod
    def parse(cls, name: str) -> ClipName:
        """The parts of a folder's name.

        Raises:
            WorldDataError: it is no clip's.
        """
        found = NAME.fullmatch(name)
        if found is None:
            raise WorldDataError(
                f"{name} is no name of a clip; they are called Scenario_TownNN_RouteN_WeatherN, as the map is found by "
                "the town: keep the names of the archives"
            )
        return cls(found["scenario"], found["town"], int(found["route"]), int(found["weather"]))


def find_clips(root: Path) -> list[Path]:
    """Folders with annotations at or up to two levels below ``root`` (some unpack into folders by scenario), sorted.

    Raises:
        WorldDataError: there is none, or two clips have one name.
    """
    patterns = (ANNOTATIONS, f"*/{ANNOTATIONS}", f"*/*/{ANNOTATIONS}")
    found = sorted((path.parent for pattern in patterns for path in root.glob(pattern)), key=lambda path: path.name)
    if not found:
        raise WorldDataError(f"{root} holds no clip of Bench2Drive, a folder with {ANNOTATIONS}/; give the data's root")
    for one, other in zip(found, found[1:]):
        if one.name == other.name:
            raise WorldDataError(f"{one} and {other} have one name, but clips are known by their names; move one away")
    return found


@dataclass(frozen=True)
class Clip:
    """The annotations of one clip; frames by their number, None where one cannot be read."""

    folder: Path
    frames: tuple[Optional[ClipFrame], ...]
    faults: dict[int, str]  # number of a frame -> why it cannot be read

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    @property
    def town(self) -> str:
        """Whose map it drives on, by its name.

        Raises:
            WorldDataError: it is no clip's.
        """
        return ClipName.parse(self.name).town

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> ClipFrame:
        """The frame of that number.

        Raises:
            WorldDataError: it cannot be read.
        """
        if not 0 <= index < len(self.frames):
            raise WorldDataError(f"{self.name} has the frames 0 to {len(self.frames) - 1}, but {index} is asked for")
        frame = self.frames[index]
        if frame is None:
            raise WorldDataError(self.faults[index])
        return frame

    @cached_property
    def readable(self) -> Bool[np.ndarray, " F"]:
        """Which frames can be read."""
        return np.array([frame is not None for frame in self.frames], dtype=bool)

    @cached_property
    def rear_axles(self) -> Float64[np.ndarray, "F 3"]:
        """Global poses of the ego's rear axle; 0 where a frame cannot be read."""
        return np.stack([np.zeros(3) if frame is None else frame.rear_axle for frame in self.frames])

    @cached_property
    def tracks(self) -> list[ClipTrack]:
        """Everybody else."""
        return tracks_of(self.frames)

    @cached_property
    def _velocities(self) -> Float64[np.ndarray, "F 2"]:
        return velocities_of(self.rear_axles[:, XY], self.readable)

    def speed_mps(self, index: int) -> float:
        """As logged, else from positions."""
        logged = self.frame(index).logged_speed_mps
        if logged is not None:
            return logged
        return float(rotate(self._velocities[index], -self.rear_axles[index, HEADING])[0])

    def acceleration(self, index: int) -> Float64[np.ndarray, "2"]:
        """m/s^2 in the ego frame: the IMU's, else from speeds and the turn of the path."""
        logged = self.frame(index).acceleration
        if logged is not None:
            return logged
        first, last = self._neighbours(index)
        if first == last:
            return np.zeros(2)
        rate = (self._velocities[last] - self._velocities[first]) / ((last - first) * STEP_S)
        return np.asarray(rotate(rate, -self.rear_axles[index, HEADING]))

    def yaw_rate(self, index: int) -> float:
        """rad/s, from headings; counter-clockwise."""
        first, last = self._neighbours(index)
        turn = wrap_angle(self.rear_axles[last, HEADING] - self.rear_axles[first, HEADING])
        return float(turn) / (max(last - first, 1) * STEP_S)

    def _neighbours(self, index: int) -> tuple[int, int]:
        """The frames right before and behind a readable one; itself where one of them cannot be read."""
        near = [i for i in (index - 1, index, index + 1) if 0 <= i < len(self) and self.readable[i]]
        return near[0], near[-1]

    def target(self, index: int) -> Float64[np.ndarray, "2"]:
        """Where to go, in the ego frame [m]: the nearer waypoint, else one of a frame near by, else the driven path.

        At a clip's edges some files name no waypoint.
        """
        near = range(max(index - 2 * STRIDE, 0), min(index + 2 * STRIDE + 1, len(self)))
        for i in sorted(near, key=lambda i: abs(i - index)):
            frame = self.frames[i]
            if frame is not None and frame.target is not None:
                return np.asarray(points_to_local(frame.target, self.frame(index).rear_axle))
        path = self.rear_axles[index:][self.readable[index:]][:, XY]
        place = path[min(int(np.searchsorted(arc_lengths(path), FAR_TARGET_M)), len(path) - 1)]
        return np.asarray(points_to_local(place, self.frame(index).rear_axle))

    def future(self, index: int, num_poses: int = NUM_PLAN_POSES) -> Float64[np.ndarray, "T 3"]:
        """Driven poses 0.5 s apart in the ego frame of frame ``index``; headings in [-pi, pi).

        Raises:
            WorldDataError: the clip ends before, or a frame cannot be read.
        """
        now = self.frame(index).rear_axle
        poses = [self.frame(index + STRIDE * step).rear_axle for step in range(1, num_poses + 1)]
        return poses_to_local(np.stack(poses), now)

    def picture_path(self, camera: str, index: int) -> Path:
        """Where the picture of a camera lies."""
        return picture_path(self.folder, camera, index)

    def pictures(self, camera: str, index: int, num_frames: int) -> npt.NDArray[np.uint8]:
        """Pictures [num_frames, H, W, 3] 0.5 s apart, frame ``index`` the last.

        Raises:
            WorldDataError: one is missing or damaged, or the clip begins later.
        """
        numbers = [index - STRIDE * back for back in range(num_frames - 1, -1, -1)]
        if numbers[0] < 0:
            raise WorldDataError(
                f"{self.name} begins {index} frames before frame {index}; take one from {index - numbers[0]} on"
            )
        return np.stack([read_image(self.picture_path(camera, number)) for number in numbers])

    def input(self, index: int, cameras: Sequence[str], num_frames: int) -> Bench2DriveInput:
        """What a planner sees at frame ``index``.

        Raises:
            WorldDataError: a frame or a picture is missing or damaged.
        """
        frame = self.frame(index)
        try:
            return Bench2DriveInput(
                pictures={name: self.pictures(name, index, num_frames) for name in cameras},
                speed_mps=self.speed_mps(index),
                acceleration=self.acceleration(index),
                target_point=self.target(index),
                command=frame.command,
            )
        except InputError as error:
            raise WorldDataError(f"frame {index} of {self.name}: {error}") from error


def read_clip(folder: Path) -> Clip:
    """Read all annotations of a clip; frames that cannot be read are named in ``faults``.

    Raises:
        WorldDataError: there is no annotation at all.
    """
    names = (path.name[: -len(".json.gz")] for path in (folder / ANNOTATIONS).glob("[0-9]*.json.gz"))
    numbers = sorted(int(name) for name in names if name.isdecimal())  # a copy is called 00000 (1) or so
    if not numbers:
        raise WorldDataError(f"{folder} has no {ANNOTATIONS}/00000.json.gz; unpack the clip again")
    frames: list[Optional[ClipFrame]] = []
    faults: dict[int, str] = {}
    for number in range(numbers[-1] + 1):
        try:
            frames.append(read_annotation(annotation_path(folder, number)))
        except WorldDataError as error:
            frames.append(None)
            faults[number] = str(error)
    if not any(frame is not None for frame in frames):
        raise WorldDataError(f"{folder}: none of its {len(frames)} frames can be read; the first: {faults[0]}")
    return Clip(folder, tuple(frames), faults)
