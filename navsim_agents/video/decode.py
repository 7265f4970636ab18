"""Frames of a video file at given times: seek to a keyframe before, decode from there on (PyAV, FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from navsim_agents.errors import VideoError
from navsim_agents.video.clock import FrameClock, from_keyframe, packets_before, packets_of, timed_frames

Picture = npt.NDArray[np.uint8]  # [H, W, 3] RGB

TIE_S = 1e-6
"""Of two frames equally near, within this, the later is taken: time k + 1/2 is frame k + 1, as in rounding half up."""
QUARTER_TURN = 90
SURPRISES = (ArithmeticError, LookupError, RuntimeError, StopIteration, ValueError)
"""What else PyAV raises at bytes that it did not expect; a UnicodeDecodeError is a ValueError."""


@contextmanager
def open_video(path: Path, options: Optional[dict[str, str]] = None) -> Iterator[tuple[Any, Any]]:
    """Container and first video stream of ``path``; what is wrong with the file becomes a VideoError.

    ``options`` are FFmpeg's, for the container. Decoding uses one thread: loaders run one process a core.
    """
    av = load_av()
    try:
        # Titles need not be UTF-8.
        with av.open(str(path), options=options or {}, metadata_errors="ignore") as container:
            if not container.streams.video:
                raise VideoError(f"{path} has no video stream; take it out of the folder of videos")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise VideoError(f"{path} has no video that FFmpeg can decode; convert or remove the file")
            stream.codec_context.thread_count = 1
            yield container, stream
    except VideoError:
        raise
    except (av.FFmpegError, *SURPRISES) as error:
        reason = str(error) or type(error).__name__
        raise VideoError(f"{path} cannot be decoded ({reason}); replace or remove the file") from error


@contextmanager
def open_before(path: Path, clock: FrameClock, time_s: float) -> Iterator[tuple[Any, Iterator[Any]]]:
    """First video stream of ``path``, and its packets from a keyframe on that is shown at or before ``time_s``.

    Raises:
        VideoError: as :func:`open_video`.
    """
    with open_video(path) as (container, stream):
        packets = packets_before(container, stream, clock, time_s)
        if packets is not None:
            yield stream, packets
            return
    with open_video(path) as (container, stream):
        yield stream, from_keyframe(packets_of(container, stream))


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


def read_frames(path: Path, times_s: Sequence[float], clock: FrameClock) -> Iterator[Picture]:
    """The frame nearest to each of ``times_s``, which ascend; time 0 is the video's first shown frame.

    Raises:
        VideoError: the file is missing or damaged, not what was indexed, or ends before the last of ``times_s``.
    """
    with open_before(path, clock, times_s[0]) as (stream, packets):
        yield from _nearest(path, timed_frames(stream, packets, clock), times_s, 1.0 / clock.fps)


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


def to_picture(frame: Any) -> Picture:
    """Decoded frame as RGB [H, W, 3], turned as its display matrix says."""
    picture: Picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / QUARTER_TURN)
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns % 4 else picture
