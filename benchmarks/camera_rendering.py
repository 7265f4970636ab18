"""Time and memory of the software renderer: `python benchmarks/camera_rendering.py [location] [frames]`, one core.

Prints CPU seconds (process time, so that other work on the machine counts less) of building a renderer and of one
1920x1080 picture of the front camera, and of one Pillow reduction of the same sheet as a yardstick for the machine.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from navsim_agents.world.camera import Renderer, default_cameras
from navsim_agents.world.drive import DriveConfig, simulate_drive
from navsim_agents.world.towns import build_town


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main(location: str = "us-nv-las-vegas-strip", frames: int = 20) -> None:
    town = build_town(location, 0)
    drive = simulate_drive(town, 0, 0, DriveConfig())
    before = peak_mib()
    built: list[Renderer] = []
    build_s = seconds(lambda: built.append(Renderer(town)))
    camera = default_cameras()["cam_f0"]
    steps = np.linspace(0, len(drive.ego.poses) - 1, frames).astype(int).tolist()
    built[0].render(drive, steps[0], camera)
    taken = [seconds(lambda step=step: built[0].render(drive, step, camera)) for step in steps]
    sheet = Image.new("CMYK", (3840, 2160))
    yardstick = min(seconds(lambda: sheet.reduce(2)) for _ in range(5))
    print(f"{location}: {len(drive.tracks)} tracks, {len(town.buildings)} buildings, {len(town.lanes)} lanes")
    print(f"Renderer(town): {build_s:.2f} s CPU; memory over town and drive: {peak_mib() - before:.0f} MiB")
    print(f"render 1920x1080: min {min(taken):.3f}, median {np.median(taken):.3f}, max {max(taken):.3f} s CPU")
    print(f"yardstick (3840x2160 reduced by Pillow): {1e3 * yardstick:.1f} ms CPU")


if __name__ == "__main__":
    main(*sys.argv[1:2], *(int(value) for value in sys.argv[2:3]))
