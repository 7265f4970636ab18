"""Videos in every container and codec, whole, cut, shifted and fragmented; and how to read them slowly but surely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import av

from tests.video.videos import HEIGHT, WIDTH, number_of, numbered_picture

RATE = Fraction(25)
NUM_FRAMES, GOP = 29, 8
CONTAINERS = ("mp4", "mov", "mkv", "webm", "avi", "ts", "mpg")
CODECS = ("libx264", "libx265", "mpeg2video", "mpeg4", "libvpx", "libvpx-vp9", "libsvtav1", "mjpeg", "ffv1")
REORDERING = MPEGS_OWN = ("libx264", "libx265", "mpeg2video", "mpeg4")
"""Those with frames that are shown in another order than stored; no others belong into a program stream (mpg)."""


@dataclass(frozen=True)
class Combination:
    """What is written into what."""

    container: str
    codec: str
    b_frames: int

    def __str__(self) -> str:
        return f"{self.codec} with {self.b_frames} B-frames in {self.container}"


COMBINATIONS = [
    Combination(container, codec, b_frames)
    for container in CONTAINERS
    for codec in (MPEGS_OWN if container == "mpg" else CODECS)
    for b_frames in ((0, 2) if codec in REORDERING else (0,))
] + [
    Combination(container, codec, b_frames)
    for container, codec in (("h264", "libx264"), ("hevc", "libx265"), ("m4v", "libx264"), ("m4v", "mpeg4"))
    for b_frames in (0, 2)
]
CENTRAL = [
    Combination(container, codec, b_frames)
    for container in ("ts", "mpg", "mp4", "avi", "mkv")
    for codec in ("libx264", "mpeg2video")
    for b_frames in (0, 2)
]


def codec_options(codec: str, b_frames: int, is_open: bool) -> dict[str, str]:
    """Keyframes about every ``GOP`` frames; quiet and quick."""
    x265 = f"log-level=none:bframes={b_frames}:scenecut=0:min-keyint={GOP}:open-gop={int(is_open)}:pools=none"
    closed = {"sc_threshold": "1000000000", "flags": "+cgop"}
    return {
        "libx264": {
            "preset": "superfast",
            "sc_threshold": "0",
            "x264-params": f"open-gop={int(is_open)}:min-keyint=2:b-adapt=0",
        },
        "libx265": {"preset": "ultrafast", "x265-params": x265},
        "mpeg2video": {} if is_open else closed,
        "mpeg4": {} if is_open else closed,
        "libvpx": {"deadline": "realtime", "cpu-used": "8"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
        "libsvtav1": {"preset": "12"},
    }.get(codec, {})


def write_combination(
    path: Path,
    codec: str,
    b_frames: int = 0,
    is_open: bool = False,
    ticks: Optional[Sequence[int]] = None,
    options: Optional[dict[str, str]] = None,
) -> Path:
    """Numbered pictures at ``ticks`` of 1/25 s."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = GOP
        if codec != "libsvtav1":
            stream.bit_rate = 2_000_000
        if codec in REORDERING:
            stream.codec_context.max_b_frames = b_frames
        stream.options = codec_options(codec, b_frames, is_open)
        for number, tick in enumerate(ticks or range(NUM_FRAMES)):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            frame.pts, frame.time_base = tick, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def keyframe_before(path: Path, frame: int) -> int:
    """Number of the last packet that is a keyframe and shown at or before ``frame``."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        latest = (stream.start_time or 0) + frame / RATE / stream.time_base
        packets = enumerate(container.demux(stream))
        return max(number for number, packet in packets if packet.is_keyframe and packet.pts <= latest)


def remux(
    source: Path,
    target: Path,
    is_kept: Callable[[int], bool] = lambda _: True,
    shift_s: Fraction = Fraction(0),
    options: Optional[dict[str, str]] = None,
) -> Path:
    """The packets of ``source`` that ``is_kept`` wants by their number, ``shift_s`` later."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options or {}) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        shift = round(shift_s / stream.time_base)
        for number, packet in enumerate(old.demux(stream)):
            if packet.size and is_kept(number):
                packet.pts += shift
                packet.dts += shift
                packet.stream = copy
                new.mux(packet)
    return target


def decode_slowly(path: Path) -> list[tuple[Optional[float], int]]:
    """(time [s], number that it shows) of every frame of the file, in the order in which they are shown."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        return [(frame.time, number_of(frame.to_ndarray(format="rgb24"))) for frame in frames]
