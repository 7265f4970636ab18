"""The manifest: one JSON object a line for every video of a data set, whatever kind it is.

A readable video has the fields of :class:`Video`; what could not be read has those of :class:`Unreadable`, so that a
manifest also tells what it lacks. Lines of several manifests may be joined into one file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Union

from navsim_agents.common.files import read_text, write_text
from navsim_agents.errors import VideoError
from navsim_agents.video.clock import KINDS_OF_CLOCK, FrameClock

VIDEO_FILE, IMAGE_SEQUENCE = "video", "images"
KINDS = (VIDEO_FILE, IMAGE_SEQUENCE)
OF_FILES = ("clock", "first_tick")
"""Fields of video files alone; manifests of earlier versions lack them."""


@dataclass(frozen=True)
class Video:
    """One video file, or one unbroken sequence of pictures."""

    data_set: str
    source: str  # what was probed (video, folder or log), relative to the data set's root
    stamp: str  # changes when the source does
    kind: str  # VIDEO_FILE or IMAGE_SEQUENCE
    path: str  # the file or the folder of the pictures, relative to the data set's root
    fps: float
    num_frames: int
    duration_s: float
    width: int  # px, as shown
    height: int
    codec: str
    frame_names: str = ""  # of a sequence: names of its pictures in order of time, one a line (a string is compact)
    clock: str = ""  # of a file: what tells its frames apart (navsim_agents/video/clock.py)
    first_tick: int = 0  # of a file: time of its first shown frame by that clock

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise VideoError(f"{self.path} has kind={self.kind!r}, but kinds are {', '.join(KINDS)}; index it again")
        if self.fps <= 0 or self.num_frames < 1:
            raise VideoError(
                f"{self.path} has fps={self.fps} and num_frames={self.num_frames}, but both must be positive; "
                "index it again"
            )
        if self.kind == IMAGE_SEQUENCE and len(self.frame_names.split("\n")) != self.num_frames:
            raise VideoError(f"{self.path} names another number of pictures than num_frames; index it again")

    @property
    def is_outdated(self) -> bool:
        """Whether an earlier version wrote this row, which did not note what tells a file's frames apart."""
        return self.kind == VIDEO_FILE and self.clock not in KINDS_OF_CLOCK

    @property
    def frame_clock(self) -> FrameClock:
        """What tells the frames of a file apart."""
        return FrameClock(self.clock, self.first_tick, self.fps)

    def frame_name(self, index: int) -> str:
        """Name of a sequence's picture number ``index``."""
        return self.frame_names.split("\n")[index]


@dataclass(frozen=True)
class Unreadable:
    """A source that gave no video, and why."""

    data_set: str
    source: str
    stamp: str
    error: str


Row = Union[Video, Unreadable]


def row_to_json(row: Row) -> dict[str, Any]:
    """``row`` in JSON types; pictures as a list, and only what its kind of row has."""
    values = asdict(row)
    if isinstance(row, Unreadable):
        return values
    names = values.pop("frame_names")
    if row.kind == VIDEO_FILE:
        return values
    return {**{name: value for name, value in values.items() if name not in OF_FILES}, "frames": names.split("\n")}


def row_from_json(values: Mapping[str, Any]) -> Row:
    """The row that :func:`row_to_json` wrote.

    Raises:
        VideoError: a key is missing or unknown.
    """
    settings = dict(values)
    kind = Unreadable if "error" in settings else Video
    if "frames" in settings:
        settings["frame_names"] = "\n".join(settings.pop("frames"))
    known = {item.name for item in fields(kind)}
    wrong = sorted(set(settings) - known) + sorted(known - {"frame_names", *OF_FILES} - set(settings))
    if wrong:
        raise VideoError(f"a line of the manifest has or lacks the keys {wrong}; index the videos again")
    return kind(**settings)


def read_rows(path: Path) -> list[Row]:
    """Every row of a manifest.

    Raises:
        VideoError: no such file, a line of it is no row, or it was written by an earlier version.
    """
    rows = read_any_rows(path)
    outdated = [row.path for row in rows if isinstance(row, Video) and row.is_outdated]
    if outdated:
        raise VideoError(
            f"{path} does not say what tells the frames of {outdated[0]} apart, since an earlier version wrote it; "
            f"index again with `drive-jepa index-videos output={path}`"
        )
    return rows


def read_any_rows(path: Path) -> list[Row]:
    """Every row of a manifest, also of one that an earlier version wrote.

    Raises:
        VideoError: no such file, or a line of it is no row.
    """
    if not path.is_file():
        raise VideoError(f"{path} is no file; make the manifest with `drive-jepa index-videos output={path}`")
    rows = []
    for number, line in enumerate(read_text(path, VideoError).splitlines(), start=1):
        try:
            rows.append(row_from_json(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise VideoError(f"line {number} of {path} is no row of a manifest: {error}") from error
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest, whole or not at all."""
    write_text(path, "".join(row_line(row) for row in rows))


def row_line(row: Row) -> str:
    """``row`` as one line of a manifest."""
    return json.dumps(row_to_json(row)) + "\n"
