"""How many clips a second one core can load, and whether that is enough for a training step.

    python -m benchmarks.clip_loading                                    # a drawn drive, as files of every kind
    python -m benchmarks.clip_loading --video DRIVE.mp4 --step-clips-per-s 120 --cores 8

Each kind of file is loaded by ``navsim_agents.video`` in this one process; clips are 8 frames at 2 Hz, 256 x 512. CPU
time is measured, so that other work on the machine counts less. Named alternatives in the same run: decoding from the
beginning to the clip's end instead of seeking (``no seek``), and OpenCV's resize (``cv2``) where it is installed.
What a step needs:  share of the cores = step_clips_per_s / (cores x clips_per_s_per_core).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from cache_tools.resize_videos import ResizeVideosConfig, resize_videos
from navsim_agents.common.files import write_json
from navsim_agents.data.resize import resize_bilinear
from navsim_agents.video.clip import read_clip
from navsim_agents.video.clock import timed_frames
from navsim_agents.video.config import ClipDataConfig, DataSetConfig
from navsim_agents.video.decode import load_av, open_before
from navsim_agents.video.layouts import PictureFolders, VideoFiles
from navsim_agents.video.manifest import VIDEO_FILE, Video, write_rows
from navsim_agents.video.slots import clip_times, cut_slots
from navsim_agents.world.camera import Renderer, default_cameras
from navsim_agents.world.drive import DriveConfig, simulate_drive
from navsim_agents.world.towns import build_town

CAMERA_HZ = 20
STEPS_PER_PICTURE = 5
DATA_SET = "bench"
MARGIN = 3.0
"""Loading should sustain this many times what a step consumes (issue 5)."""


@dataclass(frozen=True)
class Row:
    """What was measured of one kind of file."""

    kind: str
    cpu_s_per_clip: float
    clips_per_s: float
    spread: float  # slowest over fastest repeat
    mib_per_hour: float


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a real video, measured besides")
    parser.add_argument("--seconds", type=int, default=15, help="length of the drawn drive")
    parser.add_argument("--clips", type=int, default=6, help="clips a repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step-clips-per-s", type=float, default=0.0, help="what the training step consumes")
    parser.add_argument("--cores", type=int, default=8)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser.parse_args(arguments)


def drawn_pictures(seconds: int) -> list[np.ndarray]:
    """Front camera of the built-in world, 2 pictures a second."""
    town = build_town("us-nv-las-vegas-strip", 0)
    drive = simulate_drive(town, 0, 0, DriveConfig())
    renderer, camera = Renderer(town), default_cameras()["cam_f0"]
    steps = range(0, min(len(drive.ego.poses), 10 * seconds + 1), STEPS_PER_PICTURE)
    return [renderer.render(drive, step, camera) for step in tqdm(steps, desc="drawing", leave=False)]


def in_between(pictures: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Pictures at ``CAMERA_HZ``: each one moved sideways a little, since a still picture is too cheap to decode."""
    for picture in pictures:
        for shift in range(CAMERA_HZ // 2):
            yield np.roll(picture, 4 * shift, axis=1)


def write_drive(path: Path, pictures: list[np.ndarray], codec: str) -> None:
    with load_av().open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(CAMERA_HZ))
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.bit_rate, stream.options = 12_000_000, {"preset": "ultrafast", "x265-params": "log-level=error"}
        for picture in tqdm(in_between(pictures), total=len(pictures) * CAMERA_HZ // 2, desc=codec, leave=False):
            container.mux(stream.encode(load_av().VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def sources(folder: Path, options: argparse.Namespace) -> dict[str, tuple[Video, Path]]:
    """Every kind of file: its row and its root."""
    pictures = drawn_pictures(options.seconds)
    (folder / "pictures").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / "pictures" / f"{number:04d}.jpg", quality=90)
    found = {"pictures, JPEG 1920x1080": PictureFolders(DATA_SET, folder, 2.0).probe("pictures")[0]}
    for codec, name in (("libx264", "H.264"), ("libx265", "H.265")):
        write_drive(folder / f"{codec}.mp4", pictures, codec)
        found[f"video, {name} 1920x1080 20 Hz"] = VideoFiles(DATA_SET, folder).probe(f"{codec}.mp4")[0]
    kinds = {kind: (video, folder) for kind, video in found.items()}
    if options.video:
        (row,) = VideoFiles(DATA_SET, options.video.parent).probe(options.video.name)
        kinds[f"{options.video.name}, {row.width}x{row.height}"] = row, options.video.parent
    write_rows(folder / "manifest.jsonl", [found["pictures, JPEG 1920x1080"]])
    small = folder / "small"
    (copy,) = resize_videos(ResizeVideosConfig(str(folder / "manifest.jsonl"), str(folder), str(small), workers=0))
    assert isinstance(copy, Video)
    return {**kinds, "small copy, MJPEG 512x256 2 Hz": (copy, small)}


def measure(kind: str, load: Callable[[int], object], starts: Sequence[int], repeats: int) -> tuple[float, float]:
    """Median CPU seconds a clip, and slowest over fastest repeat."""
    load(starts[0])
    times = []
    for _ in tqdm(range(repeats), desc=kind, leave=False):
        begin = time.process_time()
        for start in starts:
            load(start)
        times.append((time.process_time() - begin) / len(starts))
    return statistics.median(times), max(times) / min(times)


def decode_all(video: Video, root: Path, end_s: float) -> int:
    """The alternative to seeking: decode from the beginning to ``end_s``, throwing away what is not wanted."""
    with open_before(root / video.path, video.frame_clock, 0.0) as (stream, packets):
        return sum(1 for time_s, _ in timed_frames(stream, packets, video.frame_clock) if time_s <= end_s)


def rows(folder: Path, options: argparse.Namespace) -> list[Row]:
    config = ClipDataConfig({DATA_SET: DataSetConfig("", "")})
    result = []
    for kind, (video, root) in sources(folder, options).items():
        slots = cut_slots([video], config)
        rng = np.random.default_rng(0)
        starts = rng.integers(0, int(slots.last[-1]) + 1, options.clips).tolist()
        files = [root / video.path] if video.kind == VIDEO_FILE else list((root / video.path).iterdir())
        mib_per_hour = sum(file.stat().st_size for file in files) / 2**20 / video.duration_s * 3600

        def load(start: int, video: Video = video, root: Path = root) -> object:
            return read_clip(video, start, root, config)

        seconds, spread = measure(kind, load, starts, options.repeats)
        result.append(Row(kind, seconds, 1 / seconds, spread, mib_per_hour))
        if video.kind == VIDEO_FILE and video.fps > 2 * config.fps:

            def without_seek(start: int, video: Video = video, root: Path = root) -> object:
                return decode_all(video, root, clip_times(video, start, config.num_frames, config.fps)[-1])

            seconds, spread = measure(kind, without_seek, starts, options.repeats)
            result.append(Row(f"  no seek: {kind}", seconds, 1 / seconds, spread, mib_per_hour))
    return result


def resize_times() -> dict[str, float]:
    """CPU milliseconds of one resize of 1920x1024 to 512x256: ours, and OpenCV's where it is."""
    picture = np.random.default_rng(0).integers(0, 256, (1024, 1920, 3), dtype=np.uint8)
    ways: dict[str, Callable[[int], object]] = {"ours": lambda _: resize_bilinear(picture, 512, 256)}
    try:
        import cv2

        cv2.setNumThreads(1)
        ways["cv2"] = lambda _: cv2.resize(picture, (512, 256))
    except ImportError:
        print("OpenCV is not installed; its resize is not measured")
    return {name: 1e3 * measure(name, way, range(10), 3)[0] for name, way in ways.items()}


def verdict(row: Row, options: argparse.Namespace) -> str:
    if not options.step_clips_per_s:
        return ""
    share = options.step_clips_per_s / (options.cores * row.clips_per_s)
    return f"{share:>10.0%}  {'enough' if share * MARGIN <= 1 else 'too slow'} for {MARGIN:g} x the step"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = rows(Path(folder), options)
    head = "share of cores" if options.step_clips_per_s else ""
    print(f"{'kind':<46}{'CPU s/clip':>11}{'clips/s/core':>14}{'spread':>8}{'MiB/h':>8}  {head}")
    for row in measured:
        speed = f"{row.cpu_s_per_clip:>11.4f}{row.clips_per_s:>14.1f}{row.spread:>8.2f}{row.mib_per_hour:>8.0f}"
        print(f"{row.kind:<46}{speed}{verdict(row, options)}")
    resizes = resize_times()
    print("resize of a picture [ms CPU]: " + ", ".join(f"{name} {ms:.2f}" for name, ms in resizes.items()))
    if options.output:
        contents = {"rows": [asdict(row) for row in measured], "resize_ms": resizes}
        write_json(options.output, contents)


if __name__ == "__main__":
    main()
