"""The full planner from a rendered world to evaluated plans, by the commands and without a devkit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from navsim_agents.common.files import read_json
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from tests.drive_jepa.planner_scenes import TINY_PLANNER
from training.config import CacheConfig, DataConfig, EvaluateConfig, ParamsConfig, TrainConfig
from training.evaluate import evaluate
from training.train import train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three logs of 9 s, one each to train, to validate and to test."""
    output = tmp_path_factory.mktemp("world")
    command = [sys.executable, "-m", "navsim_agents.world", f"output={output}", "logs=3", "seed=5", "duration_s=9"]
    splits = ["splits.train=1", "splits.val=1", "splits.test=1", "cameras=[cam_f0]", "skip_unseen_frames=true"]
    subprocess.run([*command, *splits], check=True, cwd=ROOT)
    return output


def test_train_and_evaluate(world: Path, tmp_path: Path) -> None:
    settings = {**TINY_PLANNER, "scenes": str(world / "scoring_scenes"), "momentum": {"mode": "on"}}
    agent = {"_target_": "navsim_agents.drive_jepa.ProposalAgent", "config": settings, "device": "cpu"}
    quiet = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    result = train(
        TrainConfig(
            output=str(tmp_path / "run"),
            agent=agent,
            data=DataConfig(root=str(world), val_fraction=0.5),
            cache=CacheConfig(path=str(tmp_path / "cache"), workers=0),
            dataloader=ParamsConfig({"batch_size": 2}),
            trainer=ParamsConfig({**quiet, "max_epochs": 1, "num_sanity_val_steps": 0}),
        )
    )
    assert result["num_scenes"]["train"] > 0
    assert "best" in result["best_checkpoint"]
    stamp = read_json(tmp_path / "cache" / "stamp.json")
    assert stamp["targets"][1]["settings"]["_num_bytes"] == ProposalAgentConfig().scene_bytes
    summary = evaluate(
        EvaluateConfig(str(tmp_path / "eval"), str(world), baselines=["human"], runs={"full": str(tmp_path / "run")})
    )
    assert summary["agents"]["full"]["num_failed"] == 0
    assert len(pd.read_csv(tmp_path / "eval" / "full.csv")) == summary["scenes"]["num_scenes"] > 0
