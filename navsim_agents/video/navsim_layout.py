"""The front camera of OpenScene's logs, as NAVSIM ships them: ``navsim_logs/<split>`` beside ``sensor_blobs/<split>``.

The built-in world has the same layout. A log whose pictures are partly missing, as in NAVSIM's navtrain download or
where frames were left out, becomes one video for every unbroken run of pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from navsim_agents.common.conventions import FRAME_INTERVAL_S, FRONT_CAMERA
from navsim_agents.data.logs import find_logs, read_log
from navsim_agents.data.scene import LogFrame
from navsim_agents.errors import VideoError
from navsim_agents.video.guard import LOG_FOLDERS, PICTURE_FOLDERS, check_log, check_path, check_split
from navsim_agents.video.layouts import Layout, sequence, stamp_of
from navsim_agents.video.manifest import Video

MICROSECONDS = 1e-6
LARGEST_GAP_S = 1.5 * FRAME_INTERVAL_S
"""Frames further apart than this are not neighbours of one video."""


@dataclass(frozen=True)
class NavsimLogs(Layout):
    """Logs of one split of training data."""

    split: str = "trainval"
    camera: str = FRONT_CAMERA
    forbidden_logs: frozenset[str] = frozenset()

    def sources(self) -> list[str]:
        """Log files.

        Raises:
            VideoError: the split or one of its logs must not be learnt from.
            WorldDataError: there is no such folder, or it is empty.
        """
        check_split(self.split)
        for folder in (LOG_FOLDERS, PICTURE_FOLDERS):
            check_path(f"{folder}/{self.split}", self.root)
        logs = find_logs(self.root / LOG_FOLDERS / self.split)
        for log in logs:
            check_log(log.stem, self.forbidden_logs)
        return self.relative(logs)

    def stamp(self, source: str) -> str:
        """Of the log and of its folder of pictures, since pictures may be downloaded later than logs."""
        pictures = self.root / PICTURE_FOLDERS / self.split / Path(source).stem / self.camera.upper()
        return f"{stamp_of(self.root / source)}-{stamp_of(pictures)}-{self.camera}"

    def probe(self, source: str) -> list[Video]:
        """One video for every run of frames that have their picture and follow one another.

        Raises:
            VideoError: no frame has its picture.
            WorldDataError: the log is damaged.
        """
        blobs = self.root / PICTURE_FOLDERS / self.split
        frames = read_log(self.root / source)
        videos = [
            sequence(self, source, blobs / folder, names, 1.0 / FRAME_INTERVAL_S)
            for folder, names in _runs(frames, self.camera.upper(), blobs)
        ]
        if not videos:
            raise VideoError(
                f"none of the {len(frames)} frames of {source} has its {self.camera.upper()} below {blobs}; "
                "download the sensor blobs of this split, or ask for another camera"
            )
        return videos


def _runs(frames: list[LogFrame], camera: str, blobs: Path) -> Iterator[tuple[str, list[str]]]:
    """(folder, names) of each unbroken run of pictures of ``camera``."""
    on_disk: dict[str, set[str]] = {}
    run_folder, run_end_s = "", 0.0
    run_names: list[str] = []
    for frame in frames:
        entry = frame["cams"].get(camera)
        picture = PurePosixPath(entry["data_path"]) if entry else PurePosixPath()
        folder, time_s = str(picture.parent), frame["timestamp"] * MICROSECONDS
        if folder not in on_disk:
            on_disk[folder] = _names_in(blobs / folder)
        is_there = bool(entry) and picture.name in on_disk[folder]
        if run_names and not (is_there and folder == run_folder and time_s - run_end_s <= LARGEST_GAP_S):
            yield run_folder, run_names
            run_names = []
        if is_there:
            run_names.append(picture.name)
            run_folder, run_end_s = folder, time_s
    if run_names:
        yield run_folder, run_names


def _names_in(folder: Path) -> set[str]:
    """Files of ``folder``; one listing is much faster than asking for every picture."""
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()
