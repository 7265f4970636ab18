"""One clip as the encoder gets it: frames read, cropped and resized."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from jaxtyping import UInt8

from navsim_agents.data.resize import resize_bilinear
from navsim_agents.data.scene import read_image
from navsim_agents.errors import VideoError, WorldDataError
from navsim_agents.video.config import ClipDataConfig
from navsim_agents.video.decode import Picture, read_frames
from navsim_agents.video.manifest import VIDEO_FILE, Video
from navsim_agents.video.slots import clip_times, nearest_frame

MICROSECOND_S = 1e-6
KeptFrames = dict[int, Picture]
"""Pictures of one video as a clip shows them, by their time [microseconds]."""


def read_clip(
    video: Video, start: int, root: Path, config: ClipDataConfig, kept: Optional[KeptFrames] = None
) -> UInt8[np.ndarray, "3 T H W"]:
    """Clip (RGB) that begins with frame ``start`` of ``video``.

    The whole picture (less ``cropped_rows`` at the top and at the bottom) is resized with OpenCV's bilinear arithmetic,
    without antialiasing: what the planners do with their cameras. Frames in ``kept`` are not read again; new ones come
    to it.

    Raises:
        VideoError: a frame is missing or damaged, or smaller than what is cut off.
    """
    kept = {} if kept is None else kept
    cropped_rows = config.data_sets[video.data_set].cropped_rows
    wanted = {
        round(time_s / MICROSECOND_S): time_s for time_s in clip_times(video, start, config.num_frames, config.fps)
    }
    missing = [moment for moment in wanted if moment not in kept]
    if missing:
        pictures = read_pictures(video, [wanted[moment] for moment in missing], root)
        for moment, picture in zip(missing, pictures):
            kept[moment] = fit_picture(picture, cropped_rows, config.width, config.height)
    return np.ascontiguousarray(np.stack([kept[moment] for moment in wanted]).transpose(3, 0, 1, 2))


def fit_picture(picture: Picture, cropped_rows: int, width: int, height: int) -> Picture:
    """``picture`` without ``cropped_rows`` rows above and below, resized to [``height``, ``width``, 3].

    Raises:
        VideoError: nothing would be left.
    """
    rows = len(picture)
    if 2 * cropped_rows >= rows:
        raise VideoError(f"cropped_rows={cropped_rows} leaves nothing of a picture of {rows} rows; crop less")
    cut = picture[cropped_rows : rows - cropped_rows]
    return cut if cut.shape[:2] == (height, width) else resize_bilinear(cut, width, height)


def read_pictures(video: Video, times_s: Sequence[float], root: Path) -> Iterator[Picture]:
    """The pictures of ``video`` nearest to ``times_s``, which ascend, in their own size.

    Raises:
        VideoError: one is missing or damaged, or the video ends before.
    """
    path = root / video.path
    if video.kind == VIDEO_FILE:
        yield from read_frames(path, times_s, video.frame_clock)
        return
    names = video.frame_names.split("\n")
    for time_s in times_s:
        number = nearest_frame(video, time_s)
        if number >= len(names):
            raise VideoError(
                f"{path} has {len(names)} pictures, but one at {time_s:.2f} s is wanted, which would be number "
                f"{number + 1}; take a shorter clip, let it begin earlier, or index the videos again"
            )
        try:
            yield read_image(path / names[number])
        except WorldDataError as error:
            raise VideoError(str(error)) from error
