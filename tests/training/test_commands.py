"""The commands as a user runs them, on a tiny world: the demo is interrupted, goes on, and keeps its contract."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException

from navsim_agents.common.settings import read_settings
from training.config import TrainConfig
from training.demo_config import DemoConfig

ROOT = Path(__file__).resolve().parents[2]
SIZE = [f"agent.config.{key}" for key in ("encoder=tiny", "image_width=64", "image_height=64")]
PLANNER = [f"agent.config.{key}" for key in ("momentum=off", "model_dim=16", "num_proposals=3", "ffn_dim=24")]
PRETRAINING = ["model.encoder=tiny", "model.predictor=tiny", "data.num_frames=4", "batch_size=1", "workers=0"]


def listed(*settings: str) -> str:
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
    "trainings.drive_jepa.epochs=1",
    "trainings.drive_jepa.batch_size=2",
    f"trainings.drive_jepa.settings={listed(*SIZE, *PLANNER, 'cache.workers=0')}",
)
AGENTS = ["drive_jepa_perception_free", "drive_jepa", "drive_jepa_momentum"]


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would what they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments: str) -> tuple[int, str]:
    process = start(*arguments)
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.1)


@pytest.mark.slow
def test_interrupted_demo_goes_on_and_ends_with_its_contract(tmp_path: Path) -> None:
    demo = ("training.demo", f"output={tmp_path}", *SETTINGS)
    process = start(*demo)
    wait_for(tmp_path / "stages" / "clips.json", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "run the same command to go on from here" in output
    world = (tmp_path / "world" / "world.json").stat().st_mtime_ns
    code, output = run(*demo)
    assert code == 0, output
    assert output.count("done before") == 2
    assert (tmp_path / "world" / "world.json").stat().st_mtime_ns == world
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["agents"]) == ["constant_velocity", "human", "reference_driver", *AGENTS]
    assert summary["agents"]["human"]["ade_m"] == 0.0
    for name in AGENTS:
        assert summary["agents"][name]["num_failed"] == 0
        assert 0.0 <= summary["agents"][name]["epdms"] <= 1.0
    assert summary["agents"]["drive_jepa"]["diversity"] > 0.0
    assert "diversity" not in summary["agents"]["human"]
    assert summary["scenes"]["failures"] == []
    assert list((tmp_path / "unseen_world" / "navsim_logs").iterdir()) == [
        tmp_path / "unseen_world" / "navsim_logs" / "test"
    ]
    report = (tmp_path / "report.html").read_text()
    assert "http://" not in report
    assert report.count('class="scene"') >= 1
    for piece in ("Pretraining of the video encoder", "pseudo-teachers", "Drive-JEPA with momentum"):
        assert piece in report
    assert any(line.startswith("constant_velocity ") for line in output.splitlines())


@pytest.mark.parametrize("command", ["train", "evaluate", "report", "demo"])
def test_misspelt_setting_is_refused_by_every_command(command: str) -> None:
    composing = initialize_config_module("training.conf", version_base="1.2")
    with composing, pytest.raises(ConfigCompositionException, match="Could not override 'sed'"):
        compose(command, overrides=["output=x", "sed=3"])


def test_configuration_files_hold_every_setting_and_its_default() -> None:
    required = ["output=out", "data.root=in"]
    with initialize_config_module("training.conf", version_base="1.2"):
        train = read_settings(TrainConfig, compose("train", overrides=required))
        demo = read_settings(DemoConfig, compose("demo"))
    assert train.cache.path == "out/cache"
    assert train.agent["_target_"] == "navsim_agents.drive_jepa.PerceptionFreeAgent"
    assert demo.trainings["drive_jepa"].agent == "drive_jepa_small"
    assert demo.variants["drive_jepa_momentum"].when_planning == {"momentum": "on"}


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("training.evaluate", ("data_root=nowhere", "baselines=[nobody]"), "baselines ['nobody'] are unknown"),
        ("training.train", ("data.root=nowhere", "agent.config.num_heads=0"), "num_heads=0 must be at least 1"),
    ],
)
def test_a_command_ends_with_the_broken_rule_in_one_line(
    tmp_path: Path, module: str, arguments: tuple[str, ...], message: str
) -> None:
    command = [sys.executable, "-m", module, f"output={tmp_path / 'out'}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
