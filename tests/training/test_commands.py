"""The commands as a user runs them, on a tiny world: the demo is interrupted, goes on, and keeps its contract."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException

from navsim_agents.common.settings import read_settings
from tests.demo import DemoRun
from training.ablation.config import AblateConfig, Row
from training.config import TrainConfig
from training.demo_config import DemoConfig

ROOT = Path(__file__).resolve().parents[2]
AGENTS = ["drive_jepa_perception_free", "drive_jepa", "drive_jepa_momentum"]


@pytest.mark.slow
def test_interrupted_demo_goes_on_and_ends_with_its_contract(demo: DemoRun) -> None:
    tmp_path, output = demo.output, demo.finished.stdout
    assert demo.interrupted.returncode != 0
    assert "run the same command to go on from here" in demo.interrupted.stdout
    assert demo.finished.returncode == 0, output
    assert output.count("done before") == 2
    assert not demo.made_world_again
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
    ablation = (tmp_path / "ablation" / "ablation.md").read_text()
    assert [line.split(" | ")[0] for line in ablation.splitlines() if line.startswith("| drive")] == [
        f"| {name}" for name in AGENTS
    ]
    assert "left out" not in ablation
    assert (tmp_path / "ablation" / "ablation.png").exists()
    for piece in ("Pretraining of the video encoder", "pseudo-teachers", "Drive-JEPA with momentum"):
        assert piece in report
    assert any(line.startswith("constant_velocity ") for line in output.splitlines())


@pytest.mark.parametrize("command", ["train", "evaluate", "report", "ablate", "demo", "compare_pretrainings"])
def test_misspelt_setting_is_refused_by_every_command(command: str) -> None:
    composing = initialize_config_module("training.conf", version_base="1.2")
    with composing, pytest.raises(ConfigCompositionException, match="Could not override 'sed'"):
        compose(command, overrides=["output=x", "sed=3"])


def test_configuration_files_hold_every_setting_and_its_default() -> None:
    required = ["output=out", "data.root=in"]
    with initialize_config_module("training.conf", version_base="1.2"):
        train = read_settings(TrainConfig, compose("train", overrides=required))
        demo = read_settings(DemoConfig, compose("demo"))
        ablation = read_settings(AblateConfig, compose("ablate", overrides=["output=out"]))
    assert train.cache.path == "out/cache"
    assert train.agent["_target_"] == "navsim_agents.drive_jepa.PerceptionFreeAgent"
    assert list(ablation.rows)[-2:] == ["drive_jepa", "drive_jepa_momentum"]
    assert ablation.rows["drive_jepa"] == Row()
    assert demo.trainings["drive_jepa"].agent == "drive_jepa_small"
    assert demo.variants["drive_jepa_momentum"].when_planning == {"momentum": {"mode": "on"}}


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("training.evaluate", ("data_root=nowhere", "baselines=[nobody]"), "baselines ['nobody'] are unknown"),
        ("training.train", ("data.root=nowhere", "agent.config.planner.num_heads=0"), "num_heads=0 must be at least 1"),
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
