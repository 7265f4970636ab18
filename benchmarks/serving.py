"""Time of one drive of a served agent against AlpaSim's 0.1 s, and the server's memory.

    python -m benchmarks.serving                                    # the small full planner on the CPU
    python -m benchmarks.serving --agent drive_jepa --device cuda

`drive-jepa serve` runs as a process of its own. So many clients as ``--sessions`` says send it what AlpaSim sends
(poses, a route, a JPEG of 1920 x 1080 for each camera), and then ask for a plan, all at the same moment: what counts is
the time from asking to answer. Processor time is that of the whole server, decoding of the pictures included.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from navsim_agents.alpasim.client import DriverClient, jpeg
from navsim_agents.alpasim.pictures import DeclaredCamera
from navsim_agents.alpasim.service import TARGET_S
from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_NAMES, CAMERA_WIDTH_PX, FRONT_CAMERA, STEP_US
from navsim_agents.world.camera.calibration import default_cameras

SPEED_MPS = 8.0
ROUTE = np.stack((np.linspace(0.0, 80.0, 20), np.zeros(20)), axis=1)
NUM_PICTURES = 8  # different ones, in turn


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", default="drive_jepa_small", help="file of navsim_configs/agent")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 8], help="at once")
    parser.add_argument("--cameras", nargs="+", default=[FRONT_CAMERA], choices=CAMERA_NAMES, help="that are sent")
    parser.add_argument("--drives", type=int, default=100, help="of a session, 0.1 s apart in the rollout")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in the server")
    return parser.parse_args(arguments)


@contextmanager
def served(options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Address and process of a server; weights are random."""
    words = [f"agent={options.agent}", f"agent.device={options.device}", f"threads={options.threads}", "port=0"]
    command = [sys.executable, "-m", "navsim_agents", "serve", *words, f"max_sessions={max(options.sessions)}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = next((match for line in process.stdout if (match := re.search(r"drives at (\S+:\d+)", line))), None)
            if found is None:
                sys.exit("the server ended before it served")
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield found[1], process.pid
        finally:
            process.terminate()


def memory_mb(process: int, name: str) -> float:
    """Resident memory now (``VmRSS``) or at most (``VmHWM``)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def processor_s(process: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pictures() -> list[bytes]:
    """JPEGs about as large as a camera's: smooth, with some noise."""
    found, draw = [], np.random.default_rng(0)
    for _ in range(NUM_PICTURES):
        noise = Image.fromarray(draw.integers(0, 256, (108, 192, 3), dtype=np.uint8))
        found.append(jpeg(np.asarray(noise.resize((CAMERA_WIDTH_PX, CAMERA_HEIGHT_PX))), quality=90))
    return found


def declared(name: str) -> DeclaredCamera:
    model = default_cameras()[name]
    mount = model.sensor2lidar_rotation, model.sensor2lidar_translation
    return DeclaredCamera(CAMERA_WIDTH_PX, CAMERA_HEIGHT_PX, model.intrinsics, *mount, np.zeros(5))


def drive(
    client: DriverClient, options: argparse.Namespace, shown: list[bytes], gate: threading.Barrier
) -> list[float]:
    """Seconds of each drive of one session."""
    cameras = {name.upper(): declared(name) for name in options.cameras}
    seconds = []
    with client.start(cameras) as session:
        for step in range(options.drives):
            now = step * STEP_US
            pose = np.array([SPEED_MPS * now * 1e-6, 0.0, 0.0])
            session.send_egomotion(now, pose, np.array([SPEED_MPS, 0.0]), np.zeros(2), 0.0)
            session.send_route(now, ROUTE)
            for name in cameras:
                session.send_picture(name, now, shown[step % NUM_PICTURES])
            gate.wait(60.0)
            start = time.perf_counter()
            session.plan(now)
            seconds.append(time.perf_counter() - start)
    return seconds


def percentile(seconds: Sequence[float], share: float) -> float:
    return 1e3 * float(np.quantile(seconds, share))


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    shown = pictures()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, {options.device}")
    print(f"agent={options.agent}, {options.threads} threads, cameras {', '.join(options.cameras)}, ", end="")
    print(f"JPEG of {statistics.mean(map(len, shown)) / 1024:.0f} KiB; a drive, in ms:")
    with served(options) as (address, process), DriverClient(address) as client:
        print(f"  memory when it begins: {memory_mb(process, 'VmRSS'):.0f} MB")
        for number in options.sessions:
            gate, before_s = threading.Barrier(number), processor_s(process)
            with ThreadPoolExecutor(number) as pool:
                runs = [pool.submit(drive, client, options, shown, gate) for _ in range(number)]
                seconds = [second for run in runs for second in run.result()]
            each_ms = 1e3 * (processor_s(process) - before_s) / len(seconds)
            late = sum(second > TARGET_S for second in seconds) / len(seconds)
            print(
                f"  {number} at once: median {percentile(seconds, 0.5):6.1f}, 99 % {percentile(seconds, 0.99):6.1f}, "
                f"slowest {1e3 * max(seconds):6.1f}; over {TARGET_S:g} s: {100 * late:4.1f} %; "
                f"processor {each_ms:5.1f}; peak memory so far {memory_mb(process, 'VmHWM'):.0f} MB"
            )


if __name__ == "__main__":
    main()
