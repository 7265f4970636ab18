"""Tiny videos whose frames carry their own number: eight stripes, white where the number's bit is set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np
from PIL import Image

from navsim_agents.video.config import ClipDataConfig, DataSetConfig
from navsim_agents.video.decode import Picture, read_frames
from navsim_agents.video.manifest import IMAGE_SEQUENCE, Video, write_rows
from navsim_agents.video.probe_file import probe_file

BITS = 8
WIDTH, HEIGHT = 64, 48


def numbered_picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """RGB [H, W, 3]; the bits of ``number`` from left (lowest) to right."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 255, width // BITS)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_of(picture: np.ndarray) -> int:
    """The number that a picture [H, W, 3] of any size shows."""
    stripes = picture[..., 1].mean(0).reshape(BITS, -1).mean(1) > 127
    return int(sum(1 << bit for bit in range(BITS) if stripes[bit]))


def write_video(
    path: Path,
    num_frames: int,
    rate: Fraction = Fraction(10),
    codec: str = "libx264",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times: Optional[list[float]] = None,
    options: Optional[dict[str, str]] = None,
    title: str = "",
) -> Path:
    """Video of numbered pictures; ``times`` [s] where they are not evenly spaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        if title:
            container.metadata["title"] = title
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = 12
        stream.bit_rate = 4_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, *size), format="rgb24")
            frame.pts = number if times is None else round(1000 * times[number])
            frame.time_base = 1 / rate if times is None else Fraction(1, 1000)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def frames_at(path: Path, times_s: list[float]) -> Iterator[Picture]:
    """Frames of a file as it is indexed."""
    return read_frames(path, times_s, probe_file(path).clock)


def write_pictures(folder: Path, num_frames: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """Folder of numbered PNG pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num_frames):
        Image.fromarray(numbered_picture(number, *size)).save(folder / f"{number:04d}.png")
    return folder


def sequence_row(data_set: str, path: str, num_frames: int, fps: float = 4.0) -> Video:
    """Row of a folder of :func:`write_pictures`."""
    names = "\n".join(f"{number:04d}.png" for number in range(num_frames))
    duration_s = num_frames / fps
    return Video(
        data_set, path, "stamp", IMAGE_SEQUENCE, path, fps, num_frames, duration_s, WIDTH, HEIGHT, "png", names
    )


def picture_data(folder: Path, lengths: dict[str, int], data_set: str = "dojo", weight: float = 1.0) -> DataSetConfig:
    """Data set of picture folders of the given numbers of pictures, with its manifest."""
    rows = []
    for name, num_frames in lengths.items():
        write_pictures(folder / name, num_frames)
        rows.append(sequence_row(data_set, name, num_frames))
    manifest = folder / "manifest.jsonl"
    write_rows(manifest, rows)
    return DataSetConfig(str(manifest), str(folder), weight)


def small_clips(**data_sets: DataSetConfig) -> ClipDataConfig:
    """Clips of 3 frames at 2 Hz, 16 x 8."""
    return ClipDataConfig(data_sets, num_frames=3, fps=2.0, height=8, width=16)


def numbers_in(batch: Any) -> list[list[int]]:
    """Frame numbers of every clip of a batch [B, 3, T, H, W]."""
    return [[number_of(frame) for frame in clip.permute(1, 2, 3, 0).numpy()] for clip in batch]


def damaged(config: ClipDataConfig, name: str, path: str) -> None:
    """Make the first picture of a sequence unreadable."""
    for picture in sorted((Path(config.data_sets[name].root) / path).iterdir()):
        picture.write_bytes(b"torn")


def with_clips(config: ClipDataConfig, clips_per_epoch: int) -> ClipDataConfig:
    return replace(config, clips_per_epoch=clips_per_epoch)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
