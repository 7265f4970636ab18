"""Small copies of a data set's videos: frames at the clips' rate and size, as Motion JPEG in Matroska."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Optional

import pandas as pd
from tqdm import tqdm

from navsim_agents.common.files import read_json, remove_leftovers_of_the_dead, whole_file, write_json, write_text
from navsim_agents.common.processes import run_jobs
from navsim_agents.errors import VideoError
from navsim_agents.video.clip import fit_picture, read_pictures
from navsim_agents.video.decode import TIE_S, Picture, load_av
from navsim_agents.video.guard import check_path
from navsim_agents.video.indexing import index_layout
from navsim_agents.video.layouts import VideoFiles
from navsim_agents.video.manifest import VIDEO_FILE, Row, Video, read_rows

MANIFEST_FILE = "manifest.jsonl"
SKIPPED_FILE = "skipped.csv"
SETTINGS_FILE = "settings.json"
BEST_QUALITY, WORST_QUALITY = 1, 31
"""FFmpeg's scale of quantisers for JPEG."""


@dataclass(frozen=True)
class CopyFormat:
    """Format of the copies."""

    fps: float  # frames a second
    height: int  # px
    width: int  # px
    cropped_rows: int  # px of the original cut at the top and at the bottom
    quality: int  # 1 best … 31 worst

    def __post_init__(self) -> None:
        if not (BEST_QUALITY <= self.quality <= WORST_QUALITY and self.fps > 0):
            raise VideoError(
                f"quality={self.quality} must be {BEST_QUALITY} … {WORST_QUALITY} and fps={self.fps} positive"
            )


def copy_data_set(manifest: Path, root: Path, output: Path, wanted: CopyFormat, workers: int) -> list[Row]:
    """Write the copies that are missing and ``<output>/manifest.jsonl``; return its rows.

    A video that cannot be read is left out, printed and named in ``<output>/skipped.csv``.

    Args:
        manifest: of the originals, all of one data set.
        root: of the manifest's paths.
        output: folder of the copies.
        wanted: their format.
        workers: processes; 0: this one alone.

    Raises:
        VideoError: the manifest is unfit or of several data sets, or no video could be copied.
    """
    videos = [row for row in read_rows(manifest) if isinstance(row, Video)]
    names = sorted({video.data_set for video in videos})
    if len(names) != 1:
        raise VideoError(f"{manifest} lists the data sets {names}, but copies are made of one; split it")
    _check_format(output, wanted)
    for video in videos:
        check_path(video.path, root)
    for folder in {output, *((output / copy_name(video)).parent for video in videos)}:
        remove_leftovers_of_the_dead(folder)
    missing = [video for video in videos if not (output / copy_name(video)).exists()]
    reasons = _copy_all(root, output, wanted, missing, workers)
    skipped = [(video.path, reason) for video, reason in zip(missing, reasons) if reason is not None]
    write_text(output / SKIPPED_FILE, pd.DataFrame(skipped, columns=["path", "reason"]).to_csv(index=False))
    for path, reason in skipped:
        print(f"skipped {path}: {reason}")
    return index_layout(VideoFiles(names[0], output), output / MANIFEST_FILE, workers)


def _check_format(output: Path, wanted: CopyFormat) -> None:
    settings, path = asdict(wanted), output / SETTINGS_FILE
    if path.exists() and read_json(path) != settings:
        raise VideoError(f"{output} holds copies with {read_json(path)}, not {settings}; choose another output")
    write_json(path, settings)


def copy_name(video: Video) -> str:
    """Where the copy of ``video`` lies below the output; a sequence is named by its first picture."""
    if video.kind == VIDEO_FILE:
        return str(Path(video.path).with_suffix(".mkv"))
    return f"{video.path}/{Path(video.frame_name(0)).stem}.mkv"


def _copy_all(
    root: Path, output: Path, wanted: CopyFormat, videos: Sequence[Video], workers: int
) -> Iterator[Optional[str]]:
    progress = partial(tqdm, total=len(videos), desc="copying videos", unit="video", disable=not videos)
    work = partial(copy_video, root, output, wanted)
    yield from progress(run_jobs(work, videos, workers if len(videos) > 1 else 0, in_order=True))


def copy_video(root: Path, output: Path, wanted: CopyFormat, video: Video) -> Optional[str]:
    """Write the copy of one video, whole or not at all; the reason where that failed."""
    path, fps = output / copy_name(video), wanted.fps
    times = [index / fps for index in range(int(((video.num_frames - 1) / video.fps + TIE_S) * fps) + 1)]
    try:
        with whole_file(path) as unfinished:
            pictures = read_pictures(video, times, root)
            fitted = (fit_picture(picture, wanted.cropped_rows, wanted.width, wanted.height) for picture in pictures)
            write_motion_jpeg(unfinished, fitted, wanted)
    except VideoError as error:
        return str(error)
    return None


def write_motion_jpeg(path: Path, pictures: Iterator[Picture], wanted: CopyFormat) -> None:
    """Write ``pictures`` [H, W, 3] as a Motion JPEG video in Matroska."""
    av = load_av()
    rate = Fraction(wanted.fps).limit_denominator(1000)
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("mjpeg", rate=rate)
        stream.width, stream.height, stream.pix_fmt = wanted.width, wanted.height, "yuvj420p"
        stream.codec_context.qmin = stream.codec_context.qmax = wanted.quality
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
