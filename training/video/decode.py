"""Frames of a video file at given times: seek to the keyframe before, decode from there on (PyAV, FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from navsim_agents.errors import VideoError

Picture = npt.NDArray[np.uint8]  # [H, W, 3] RGB

TIE_S = 1e-6
"""Of two frames equally near, within this, the later is taken: time k + 1/2 is frame k + 1, as in rounding half up."""
QUARTER_TURN = 90
SURPRISES = (ArithmeticError, LookupError, RuntimeError, StopIteration, ValueError)
"""What else PyAV raises at bytes that it did not expect; a UnicodeDecodeError is a ValueError."""


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Container and first video stream of ``path``; what is wrong with the file becomes a VideoError.

    Decoding uses one thread: loaders run one process a core.
    """
    av = load_av()
    try:
        with av.open(str(path), metadata_errors="ignore") as container:  # titles need not be UTF-8
            if not container.streams.video:
                raise VideoError(f"{path} has no video stream; take it out of the folder of videos")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            yield container, stream
    except VideoError:
        raise
    except (av.FFmpegError, *SURPRISES) as error:
        reason = str(error) or type(error).__name__
        raise VideoError(f"{path} cannot be decoded ({reason}); replace or remove the file") from error


def load_av() -> Any:
    """PyAV.

    Raises:
        VideoError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise VideoError("decoding video files needs PyAV: pip install 'navsim-drive-jepa[video]'") from error
    return av


def read_frames(path: Path, times_s: Sequence[float]) -> Iterator[Picture]:
    """The frame nearest to each of ``times_s``, which ascend; time 0 is the video's first frame.

    Raises:
        VideoError: the file is missing or damaged, or ends before the last of ``times_s``.
    """
    with open_video(path) as (container, stream):
        if times_s[0] > 0:
            ticks = int(Fraction(times_s[0]) / stream.time_base)
            container.seek((stream.start_time or 0) + ticks, stream=stream)
        frames = timed_frames(container, stream)
        first = next(frames, None)
        if first is not None and (first[0] <= times_s[0] + TIE_S or times_s[0] <= 0):
            yield from _nearest(path, chain([first], frames), times_s, _period_s(stream))
            return
    # Containers without an index of keyframes may seek too far; then everything before is decoded.
    with open_video(path) as (container, stream):
        yield from _nearest(path, timed_frames(container, stream), times_s, _period_s(stream))


def _period_s(stream: Any) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return 1.0 / float(rate) if rate else 0.0


def _nearest(
    path: Path, frames: Iterable[tuple[float, Any]], times_s: Sequence[float], period_s: float
) -> Iterator[Picture]:
    """Of ``frames`` (time, frame) in order, the nearest to each of ``times_s``; the last is shown for a period."""
    wanted = list(times_s)
    before: Optional[tuple[float, Any]] = None
    for time_s, frame in frames:
        while wanted and time_s >= wanted[0] - TIE_S:
            is_nearer = before is None or time_s - wanted[0] <= wanted[0] - before[0] + TIE_S
            yield to_picture(frame if is_nearer or before is None else before[1])
            wanted.pop(0)
        if not wanted:
            return
        before = (time_s, frame)
    while wanted and before is not None and wanted[0] - before[0] <= period_s / 2 + TIE_S:
        yield to_picture(before[1])
        wanted.pop(0)
    if wanted:
        end = "has no frame" if before is None else f"ends at {before[0]:.2f} s"
        raise VideoError(f"{path} {end}, but a frame at {wanted[0]:.2f} s is wanted; index the videos again")


def timed_frames(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """(time [s] since the stream's first frame, frame) of what the container gives next."""
    origin = stream.start_time or 0
    for frame in container.decode(stream):
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is None:
            raise VideoError(f"{container.name} has frames without a time; remux it, for example into Matroska")
        yield float((ticks - origin) * stream.time_base), frame


def to_picture(frame: Any) -> Picture:
    """Decoded frame as RGB [H, W, 3], turned as its display matrix says."""
    picture: Picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / QUARTER_TURN)
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns % 4 else picture
