"""The demo of a tiny world, interrupted once and continued. Its output serves every test that needs some of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZE = [f"agent.config.{key}" for key in ("encoder.name=tiny", "pictures.width=64", "pictures.height=64")]
PLANNER_SIZE = ("planner.model_dim=16", "planner.num_proposals=3", "planner.ffn_dim=24")
PLANNER = [f"agent.config.{key}" for key in ("momentum.mode=off", *PLANNER_SIZE)]
PRETRAINING = ["model.encoder=tiny", "model.predictor=tiny", "data.num_frames=4", "batch_size=1", "workers=0"]


def listed(*settings: str) -> str:
    """Settings within a setting."""
    return "[" + ",".join(f"'{setting}'" for setting in settings) + "]"


SETTINGS = (
    "train_world.logs=2",
    "train_world.duration_s=10",
    "test_world.logs=1",
    "test_world.duration_s=7.5",
    "workers=1",
    "threads=1",
    "vocabulary_size=6",
    "pretraining.steps=2",
    f"pretraining.settings={listed(*PRETRAINING)}",
    "trainings.drive_jepa_perception_free.epochs=1",
    "trainings.drive_jepa_perception_free.batch_size=2",
    f"trainings.drive_jepa_perception_free.settings={listed(*SIZE, 'cache.workers=0')}",
    "~trainings.drive_jepa_without_distillation",
    "~variants.drive_jepa_without_distillation_momentum",
    "trainings.drive_jepa.epochs=1",
    "trainings.drive_jepa.batch_size=2",
    f"trainings.drive_jepa.settings={listed(*SIZE, *PLANNER, 'cache.workers=0')}",
)


@dataclass(frozen=True)
class DemoRun:
    """What an interrupted and a second call of the demo did."""

    output: Path
    interrupted: subprocess.CompletedProcess[str]
    finished: subprocess.CompletedProcess[str]
    made_world_again: bool


def run_demo(output: Path) -> DemoRun:
    """Run the demo into ``output``, stop it by Ctrl-C after some stages, and let the same command go on."""
    process = _start(output)
    _wait_for(output / "stages" / "clips.json", process)
    process.send_signal(signal.SIGINT)
    interrupted = _done(process, timeout_s=120)
    world = output / "world" / "world.json"
    before = world.stat().st_mtime_ns
    finished = _done(_start(output), timeout_s=600)
    return DemoRun(output, interrupted, finished, made_world_again=world.stat().st_mtime_ns != before)


def _start(output: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "training.demo", f"output={output}", *SETTINGS],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def _done(process: subprocess.Popen[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    printed, _ = process.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(process.args, process.returncode, printed)


def _wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.1)
