"""Writes small copies of a data set's videos: frames at the clips' rate and size, as JPEG.

    drive-jepa resize-videos manifest=covla.jsonl root=COVLA output=COVLA_SMALL

Loading a clip then decodes its frames and nothing else, instead of seconds of large video. The copies (Motion JPEG in
Matroska) and their manifest are read like any other videos; clips begin at multiples of 1/fps. An interrupted run goes
on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pandas as pd
from tqdm import tqdm

from cache_tools.index_videos import IndexVideosConfig, describe, index_videos
from navsim_agents.common.command import command
from navsim_agents.common.files import read_json, whole_file, write_json, write_text
from navsim_agents.common.processes import run_jobs
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.errors import VideoError
from navsim_agents.video.clip import fit_picture, read_pictures
from navsim_agents.video.decode import TIE_S, Picture, load_av
from navsim_agents.video.guard import check_path
from navsim_agents.video.manifest import VIDEO_FILE, Row, Video, read_rows

MANIFEST_FILE = "manifest.jsonl"
SKIPPED_FILE = "skipped.csv"
SETTINGS_FILE = "settings.json"
BEST_QUALITY, WORST_QUALITY = 1, 31
"""FFmpeg's scale of quantisers for JPEG."""


@dataclass(frozen=True)
class ResizeVideosConfig:
    """Options of the command; paths are relative to the working directory."""

    manifest: str = field(metadata=READS)
    root: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    fps: float = 2.0  # a multiple of the clips' rate gives more places where clips can begin
    height: int = field(default=256, metadata=at_least(1))
    width: int = field(default=512, metadata=at_least(1))
    cropped_rows: int = field(
        default=0, metadata=at_least(0)
    )  # px cut at the top and at the bottom; 28 shows NAVSIM's cameras as the planners see them
    quality: int = 2  # 1 best … 31 worst
    workers: int = field(default=2, metadata=at_least(0))  # processes; 0 works in this one

    def __post_init__(self) -> None:
        if not (BEST_QUALITY <= self.quality <= WORST_QUALITY and self.fps > 0):
            raise VideoError(
                f"quality={self.quality} must be {BEST_QUALITY} … {WORST_QUALITY} and fps={self.fps} positive"
            )


@command(ResizeVideosConfig, "cache_tools.conf.resize_videos")
def main(config: ResizeVideosConfig) -> None:
    """Copy, index the copies and print what there is."""
    print(describe(resize_videos(config)))


def resize_videos(config: ResizeVideosConfig) -> list[Row]:
    """Write the copies that are missing and ``<output>/manifest.jsonl``; return its rows.

    A video that cannot be read is left out and named in ``<output>/skipped.csv``.

    Raises:
        VideoError: the manifest is unfit or of several data sets, or no video could be copied.
    """
    videos = [row for row in read_rows(Path(config.manifest)) if isinstance(row, Video)]
    names = sorted({video.data_set for video in videos})
    if len(names) != 1:
        raise VideoError(f"{config.manifest} lists the data sets {names}, but copies are made of one; split it")
    _check_settings(config)
    for video in videos:
        check_path(video.path, Path(config.root))
    missing = [video for video in videos if not (Path(config.output) / copy_name(video)).exists()]
    skipped = [(video.path, reason) for video, reason in zip(missing, _copy_all(config, missing)) if reason is not None]
    write_text(
        Path(config.output) / SKIPPED_FILE, pd.DataFrame(skipped, columns=["path", "reason"]).to_csv(index=False)
    )
    for path, reason in skipped:
        print(f"skipped {path}: {reason}")
    output = Path(config.output)
    return index_videos(
        IndexVideosConfig("videos", str(output), str(output / MANIFEST_FILE), names[0], workers=config.workers)
    )


def _check_settings(config: ResizeVideosConfig) -> None:
    settings = {name: getattr(config, name) for name in ("fps", "height", "width", "cropped_rows", "quality")}
    path = Path(config.output) / SETTINGS_FILE
    if path.exists() and read_json(path) != settings:
        raise VideoError(f"{config.output} holds copies with {read_json(path)}, not {settings}; choose another output")
    write_json(path, settings)


def copy_name(video: Video) -> str:
    """Where the copy of ``video`` lies below the output; a sequence is named by its first picture."""
    if video.kind == VIDEO_FILE:
        return str(Path(video.path).with_suffix(".mkv"))
    return f"{video.path}/{Path(video.frame_name(0)).stem}.mkv"


def _copy_all(config: ResizeVideosConfig, videos: Sequence[Video]) -> Iterator[Optional[str]]:
    progress = partial(tqdm, total=len(videos), desc="copying videos", unit="video", disable=not videos)
    workers = config.workers if len(videos) > 1 else 0
    yield from progress(run_jobs(partial(copy_video, config), videos, workers, in_order=True))


def copy_video(config: ResizeVideosConfig, video: Video) -> Optional[str]:
    """Write the copy of one video, whole or not at all; the reason where that failed."""
    path = Path(config.output) / copy_name(video)
    times = [index / config.fps for index in range(int(((video.num_frames - 1) / video.fps + TIE_S) * config.fps) + 1)]
    try:
        with whole_file(path) as unfinished:
            pictures = read_pictures(video, times, Path(config.root))
            fitted = (fit_picture(picture, config.cropped_rows, config.width, config.height) for picture in pictures)
            write_motion_jpeg(unfinished, fitted, config)
    except VideoError as error:
        return str(error)
    return None


def write_motion_jpeg(path: Path, pictures: Iterator[Picture], config: ResizeVideosConfig) -> None:
    """Write ``pictures`` [H, W, 3] as a Motion JPEG video in Matroska."""
    av = load_av()
    rate = Fraction(config.fps).limit_denominator(1000)
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("mjpeg", rate=rate)
        stream.width, stream.height, stream.pix_fmt = config.width, config.height, "yuvj420p"
        stream.codec_context.qmin = stream.codec_context.qmax = config.quality
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
