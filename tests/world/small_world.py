"""A world's files of one small drive, and the command that writes worlds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from navsim_agents.world.camera.calibration import default_cameras
from navsim_agents.world.writers.blobs import write_images
from navsim_agents.world.writers.logs import frame_steps, write_log
from tests.world.small_town import small_drive

SPLIT = "test"


def plain_picture(drive, step, camera):
    """A grey picture whose shade tells the step, 32 times smaller than a real one."""
    return np.full((camera.height // 32, camera.width // 32, 3), step, dtype=np.uint8)


def write_small_world(root):
    drive, cameras = small_drive(), default_cameras()
    shown = {name: cameras[name] for name in ("cam_f0", "cam_l0")}
    write_images(drive, shown, root / "sensor_blobs" / SPLIT, plain_picture, frame_steps(drive))
    write_log(drive, cameras, root / "navsim_logs" / SPLIT)
    return root


def run_command(output, *settings):
    """``python -m navsim_agents.world`` from another folder, installed or not."""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "navsim_agents.world", f"output={output}", *settings]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, capture_output=True, text=True, cwd=output.parent, env=environment, check=False)
