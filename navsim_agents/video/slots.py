"""Where clips may begin: a video is cut into slots of about a clip's length, and a clip begins anywhere in its slot.

So a pass over all slots sees all material once, long videos as often as their length asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import Int64

from navsim_agents.errors import VideoError
from navsim_agents.video.config import ClipDataConfig, DataSetConfig
from navsim_agents.video.decode import TIE_S
from navsim_agents.video.guard import check_path
from navsim_agents.video.manifest import Unreadable, Video, read_rows

IntArray = npt.NDArray[np.int64]

RATE_TOLERANCE = 0.98
"""A video may be this much slower than the clips; at less, a clip would show the same frame twice."""


@dataclass(frozen=True)
class Slots:
    """Slots of one data set: frames ``first`` … ``last`` of video ``video`` may begin a clip."""

    videos: Sequence[Video]
    video: Int64[np.ndarray, " S"]  # row of ``videos``
    first: Int64[np.ndarray, " S"]
    last: Int64[np.ndarray, " S"]
    left_out: Mapping[str, str]  # source -> why it gives no clips

    def __len__(self) -> int:
        return len(self.video)


def clip_times(video: Video, start: int, num_frames: int, fps: float) -> list[float]:
    """Times [s] since the video's first frame of a clip that begins with its frame ``start``."""
    return [start / video.fps + index / fps for index in range(num_frames)]


def nearest_frame(video: Video, time_s: float) -> int:
    """Frame nearest to ``time_s`` where frames are evenly spaced; halves are rounded up."""
    return int((time_s + TIE_S) * video.fps + 0.5)


def cut_slots(videos: Sequence[Video], config: ClipDataConfig) -> Slots:
    """Slots of every video that is long enough and has enough frames a second."""
    kept: list[Video] = []
    pieces: list[tuple[IntArray, IntArray, IntArray]] = []
    left_out: dict[str, str] = {}
    for video in videos:
        last_start = video.num_frames - 1 - nearest_frame(video, config.span_s)
        if video.fps < RATE_TOLERANCE * config.fps:
            left_out[video.path] = f"{video.fps:g} frames a second are fewer than the clips' {config.fps:g}"
        elif last_start < 0:
            left_out[video.path] = (
                f"{video.num_frames} frames are too few for {config.span_s:g} s between first and last"
            )
        else:
            count = 1 + int(last_start / (config.num_frames * video.fps / config.fps))
            edges = np.linspace(0, last_start + 1, count + 1).astype(np.int64)
            pieces.append((np.full(count, len(kept)), edges[:-1], edges[1:] - 1))
            kept.append(video)
    columns = [np.concatenate(column) for column in zip(*pieces)] if pieces else [np.zeros(0, np.int64)] * 3
    return Slots(kept, columns[0], columns[1], columns[2], left_out)


def read_slots(config: ClipDataConfig) -> dict[str, Slots]:
    """Slots of every data set of ``config``, by name, in the order of the config.

    Raises:
        VideoError: no data set, a manifest that is not the data set's or gives no clip, or test data in it.
    """
    if not config.data_sets:
        raise VideoError("data_sets is empty; name at least one with its manifest and root")
    result = {}
    for name, data_set in config.data_sets.items():
        rows = read_rows(Path(data_set.manifest))
        strangers = sorted({row.data_set for row in rows} - {name})
        if strangers:
            raise VideoError(
                f"{data_set.manifest} lists data set {strangers[0]!r}, but it is given for {name!r}; rename the "
                "entry of data_sets, or index with that data_set"
            )
        videos = [row for row in rows if isinstance(row, Video)]
        for video in videos:
            check_path(video.path, Path(data_set.root))
            _check_crop(video, data_set, config)
        slots = cut_slots(videos, config)
        unreadable = {row.source: row.error for row in rows if isinstance(row, Unreadable)}
        if not len(slots):
            raise VideoError(
                f"{data_set.manifest} gives no clip of {config.num_frames} frames at {config.fps:g} Hz: of {len(rows)} "
                f"rows {len(unreadable)} are unreadable and {len(slots.left_out)} too short or slow"
            )
        result[name] = Slots(slots.videos, slots.video, slots.first, slots.last, {**unreadable, **slots.left_out})
    return result


def _check_crop(video: Video, data_set: DataSetConfig, config: ClipDataConfig) -> None:
    """Small copies were cropped when they were made."""
    if data_set.cropped_rows and (video.height, video.width) == (config.height, config.width):
        raise VideoError(
            f"cropped_rows={data_set.cropped_rows}, but {data_set.manifest} lists copies of the clips' own size, "
            f"{config.width}x{config.height}, which were cropped when they were made; set cropped_rows=0"
        )


def fingerprint(config: ClipDataConfig, slots: Mapping[str, Slots]) -> str:
    """Hash of everything that decides the order of the clips: settings, weights and slots, but not where files lie."""
    digest = hashlib.sha256()
    settings = (config.num_frames, config.fps, config.clips_per_epoch)
    digest.update(json.dumps(settings).encode())
    for name, part in slots.items():
        digest.update(json.dumps((name, config.data_sets[name].weight)).encode())
        digest.update("\n".join(video.path for video in part.videos).encode())
        for column in (part.video, part.first, part.last):
            digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]
