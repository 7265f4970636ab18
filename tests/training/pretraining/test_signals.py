"""SIGTERM to a whole process group, as torchrun and batch systems send it: the run saves, readers or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from navsim_agents.common.files import read_json
from navsim_agents.video.loader import build_clip_loader
from tests.training.pretraining.tiny_runs import pretrainer, tiny_config
from tests.video.videos import picture_data, small_clips
from training.pretraining.schedules import ScheduleConfig

ROOT = Path(__file__).resolve().parents[3]
BOTH_READERS_RUN = 5  # rows of the history: readers take turns, and the first batches are ready before


def train_until_told(folder: Path) -> None:
    """A run that is too long to end by itself, with two processes that read its clips."""
    data = {"dojo": picture_data(folder / "dojo", {"a": 31, "b": 40}, "dojo")}
    clips = replace(small_clips(**data), height=32, width=48, num_frames=4)
    loader = build_clip_loader(clips, 2, seed=3, workers=2)
    schedule = ScheduleConfig(epochs=100, iterations_per_epoch=1000)
    pretrainer(tiny_config(folder / "run", workers=2, schedule=schedule), loader).run()


def rows(history: Path) -> int:
    return history.read_text().count("\n") - 1 if history.exists() else 0


@pytest.mark.slow
def test_a_signal_to_the_whole_group_saves_the_run(tmp_path: Path) -> None:
    history = tmp_path / "run/history.csv"
    code = f"from {__name__} import *\ntrain_until_told(Path({str(tmp_path)!r}))"
    run = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while rows(history) < BOTH_READERS_RUN and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGTERM)
        _, errors = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    result = read_json(tmp_path / "run/result.json")
    assert result["signal"] == signal.SIGTERM
    assert result["steps"] >= BOTH_READERS_RUN
    assert (tmp_path / "run" / result["checkpoint"]).exists()
